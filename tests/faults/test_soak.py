"""Many batches and many fits in one process: memory, files, threads and hooks do not grow.

A few by default; ``make faults`` does 20,000 batches and 200 fits.
"""

import gc
import os
import threading
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from laminar.callbacks import EMA, Checkpoint, Recorder
from laminar.data import DataLoader, DataLoaders
from laminar.learner import Batches, Learner

FITS = int(os.environ.get("LAMINAR_FITS", "12"))
BATCHES = int(os.environ.get("LAMINAR_BATCHES", "1500"))

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts as Linux does")


def soaking(path: Path, **options) -> Learner:
    x = torch.randn(256, 8)
    data = TensorDataset(x, (x[:, 0] > 0).long())
    dls = DataLoaders(DataLoader(data, 16, shuffle=True), DataLoader(data, 64), device="cpu")
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
    learn = Learner(dls, model, nn.CrossEntropyLoss(), path=path, **options)
    learn.logger = lambda row: None
    return learn


def measured(learn: Learner) -> dict[str, int]:
    gc.collect()
    hooks = sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in learn.model.modules()
    )
    return {
        "files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "hooks": hooks,
        "tensors": sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()),
        "callbacks": len(learn.cbs),
    }


def resident() -> int:
    """Memory of this process, in KiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


def test_many_fits_leave_nothing_behind(tmp_path: Path) -> None:
    learn = soaking(tmp_path, cbs=[EMA()])
    loaders = learn.dls
    before, memory = {}, 0
    for number in range(FITS):
        cbs = Checkpoint(f"checkpoints_{number % 3}", every=10, best=None)
        if number % 4 == 3:  # now and then in processes
            learn.dls = DataLoaders(*(loader.new(num_workers=1) for loader in loaders), device="cpu")
        learn.fit_one_cycle(1, 1e-3, cbs=cbs)
        learn.dls = loaders
        if number == min(FITS // 2, 20):
            before, memory = measured(learn), resident()
    after = measured(learn)
    assert after == before
    assert resident() - memory < 20 * 1024
    print(f"{FITS} fits: {after}, {(resident() - memory) / 1024:.1f} MiB more than in the middle")


def test_many_batches_take_no_memory(tmp_path: Path) -> None:
    learn = soaking(tmp_path, cbs=Checkpoint("checkpoints", every=max(BATCHES // 20, 100)))
    for _ in range(2):  # the copy for `undo` has the optimiser's state from the second on
        learn.fit(Batches(BATCHES // 6, every=BATCHES // 15))
    before, memory = measured(learn), resident()
    learn.fit(Batches(BATCHES, every=BATCHES // 5))
    after = measured(learn)
    recorder = learn.get_cb(Recorder)
    assert recorder is not None
    assert len(recorder.batch_losses) == BATCHES
    assert after == before
    assert resident() - memory < 8 * 1024 + BATCHES // 10  # the record of a batch is some hundred bytes
    print(f"{BATCHES} batches: {after}, {(resident() - memory) / 1024:.1f} MiB more")
