"""What every test stands on: no window, no network, one thread, nothing left behind in the user's folders."""

import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from hypothesis import settings

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


@pytest.fixture(autouse=True)
def as_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test in a folder of its own, from the same seed, and close the figures it opened."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
