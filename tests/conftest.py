"""What every test stands on: no window, no network, one thread, nothing left behind in the user's folders."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import torch
from hypothesis import settings
from torch import nn

from laminar.learner import Learner
from laminar.nn import CrossEntropyLossFlat

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # importing it asks the network for a newer version else
mpl.use("Agg")
torch.set_num_threads(1)

settings.register_profile("laminar", max_examples=30, deadline=None, derandomize=True)
settings.load_profile("laminar")


@pytest.fixture(scope="session", autouse=True)
def own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep data that laminar makes or fetches out of the user's cache; the processes of one run share one folder."""
    shared = tmp_path_factory.getbasetemp()
    folder = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "laminar-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAMINAR_HOME", str(folder))
        yield folder


def refuse_the_network(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: nothing but this machine is connected to, or asked for by name."""
    host = args[1][0] if event == "socket.connect" and isinstance(args[1], tuple) else args[0] if args else None
    if event in ("socket.connect", "socket.getaddrinfo") and isinstance(host, str | bytes):
        name = host.decode() if isinstance(host, bytes) else host
        if not (name in ("localhost", "::1", "", "0.0.0.0") or name.startswith("127.")):
            raise OSError(f"a test reached for the network: {event} {name!r}")


sys.addaudithook(refuse_the_network)


@pytest.fixture(autouse=True)
def as_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test in a folder of its own, from the same seed, and close the figures it opened."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


# A learner on data that need no other storey: lists of batches behind the protocol the learner asks for.


class ListLoader(list):
    """Batches in a list; counts how often it is read."""

    epochs = 0

    def __iter__(self):
        self.epochs += 1
        return super().__iter__()


class Loaders(list):
    """Training and validation batches with what the learner wants to know."""

    device = torch.device("cpu")
    n_inp = 1
    vocab = None

    def __init__(self, loaders: Any, path: Path) -> None:
        super().__init__(loaders)
        self.path = path


def net(n_out: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, n_out))


def halves(model: nn.Sequential) -> list[list[nn.Parameter]]:
    return [list(model[:2].parameters()), list(model[2:].parameters())]


def batches(n: int, bs: int, seed: int = 0, classes: int = 2) -> ListLoader:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator)
    y = (x[:, 0] > 0).long() if classes == 2 else torch.arange(n) % classes
    return ListLoader((x[i : i + bs], y[i : i + bs]) for i in range(0, n, bs))


@pytest.fixture
def make_learner(tmp_path: Path) -> Callable[..., Learner]:
    def make(model: Any = None, n: int = 64, bs: int = 16, dls: Any = None, **options: Any) -> Learner:
        torch.manual_seed(0)
        dls = dls if dls is not None else Loaders([batches(n, bs), batches(32, bs, seed=1)], tmp_path)
        options = {"loss_func": CrossEntropyLossFlat(), "path": tmp_path, **options}
        learn = Learner(dls, net() if model is None else model, **options)
        learn.logger = lambda row: None
        return learn

    return make


@pytest.fixture
def toys() -> Any:
    """The builders above, for tests that need other data or models."""

    class Toys:
        pass

    Toys.ListLoader, Toys.Loaders = ListLoader, Loaders
    Toys.net, Toys.halves, Toys.batches = staticmethod(net), staticmethod(halves), staticmethod(batches)
    return Toys
