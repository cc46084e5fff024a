"""A small training of the usual parts, as a process of its own that others kill."""

import hashlib
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

from laminar.callbacks import EMA, Callback, Checkpoint, GradientAccumulation, MixUp
from laminar.data import DataLoader, DataLoaders
from laminar.learner import Learner
from laminar.metrics import accuracy
from laminar.nn import CrossEntropyLossFlat

N_EPOCH, N_TRAIN, BS = 2, 480, 16


class Points(Dataset):
    """Points with noise that is drawn anew each time, so that what is drawn shows in the result."""

    def __init__(self, first: int, last: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(last, 4, generator=generator)[first:]
        self.y = (self.x[:, 0] + self.x.prod(1) > 0).long()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[number] + 0.1 * torch.randn(4), self.y[number]


class Slow(Callback):
    """Gives those who kill something to aim at."""

    only_watches, passes, order = True, ("fit",), -1000

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def before_batch(self) -> None:
        time.sleep(self.seconds)


def learner(
    folder: Path, workers: int = 0, every: int = 3, pause: float = 0.0, cbs: tuple = (), restarts: int = 0
) -> Learner:
    torch.manual_seed(7)
    options = {"num_workers": workers, "restart_workers": restarts}
    dls = DataLoaders(
        DataLoader(Points(0, N_TRAIN), BS, shuffle=True, **options),
        DataLoader(Points(N_TRAIN, N_TRAIN + 160), 2 * BS, **options),
        device="cpu",
    )
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))
    cbs = (Checkpoint("checkpoints", every), GradientAccumulation(2 * BS), MixUp(), EMA(0.9), Slow(pause), *cbs)
    learn = Learner(dls, model, CrossEntropyLossFlat(), metrics=accuracy, path=folder, cbs=cbs)
    learn.logger = lambda row: None
    return learn


def train(folder: Path, **options) -> None:
    learn = learner(folder, **options)
    learn.fit_one_cycle(N_EPOCH, 1e-2, resume=True)
    (folder / "result.json").write_text(json.dumps(result(learn)))


def result(learn: Learner) -> dict:
    """All that must be the same at the end."""
    digest = hashlib.sha256()
    for tensor in learn.model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    recorder = learn.recorder
    return {
        "weights": digest.hexdigest(),
        "losses": recorder.batch_losses,
        "rates": recorder.lrs,
        "table": recorder.values,
        "random": hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
    }


class Process:
    """A function in a process of its own, with all that this one has imported.

    What it prints goes into the file ``output`` of its folder.
    """

    def __init__(self, function: Callable[..., None], folder: Path, **options) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.code: int | None = None
        with warnings.catch_warnings(action="ignore"):  # of Python's: a fork beside threads; the child has none of them
            self.pid = os.fork()
        if not self.pid:
            self._run(function, options)

    def _run(self, function: Callable[..., None], options: dict) -> None:
        """What the new process does; it never returns."""
        code = 1
        try:
            output = os.open(self.folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            for name in ("SIGINT", "SIGTERM"):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_, **__: print(message, file=sys.stderr)  # pytest's own keeps them
            function(self.folder, **options)
            code = 0
        except SystemExit as stop:
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)
            else:
                code = stop.code or 0
        except BaseException:  # noqa: BLE001  # nothing of it may go on in the copy of pytest that this is
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def wait(self, seconds: float = 120.0) -> int:
        end = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > end:
                self.send(signal.SIGKILL)
                raise TimeoutError(f"it has not ended after {seconds} s:\n{self.output}")
            time.sleep(0.005)
        assert self.code is not None
        return self.code

    def send(self, number: int) -> None:
        if not self.ended():
            os.kill(self.pid, number)

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()
