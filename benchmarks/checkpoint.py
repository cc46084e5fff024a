"""What checkpoints cost: training the small xresnet with one every 100 batches beside training without; and resuming
late in an epoch beside resuming early.

    python benchmarks/checkpoint.py --rounds 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import TensorDataset

from laminar.callbacks import Callback, Checkpoint
from laminar.data import DataLoader, DataLoaders
from laminar.learner import Learner
from laminar.vision.models.xresnet import xresnet_small


def trained(folder: Path, batches: int, every: int | None, size: int, bs: int) -> float:
    """Seconds in which the small xresnet trains on so many batches."""
    torch.manual_seed(0)
    pictures = TensorDataset(torch.randn(bs * 8, 3, size, size), torch.randint(10, (bs * 8,)))
    train = DataLoader(pictures, bs, sampler=[number % (bs * 8) for number in range(bs * batches)])
    learn = Learner(
        DataLoaders(train), xresnet_small(n_out=10), nn.CrossEntropyLoss(), path=folder, default_cbs=False, check=False
    )
    cbs = [] if every is None else [Checkpoint("checkpoints", every, best=None)]
    learn.create_opt()
    begun = time.perf_counter()
    learn.fit(1, 1e-3, cbs=cbs)
    return time.perf_counter() - begun


class StopAt(Callback):
    """Writes a checkpoint at a batch, and ends there."""

    only_watches, passes, order = True, ("fit",), 2000

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def after_batch(self) -> None:
        if self.learn.train_iter == self.batch:
            self.learn.checkpoint.write("train")
            raise KeyboardInterrupt


class FirstBatch(Callback):
    """Notes when the first batch has been trained on, and ends there."""

    only_watches, passes, order = True, ("fit",), 2000

    def after_batch(self) -> None:
        self.at = time.perf_counter()
        raise KeyboardInterrupt


def resumed(folder: Path, batch: int, batches: int) -> float:
    """Seconds from the call to the end of the first batch, resuming from a batch of so many."""

    def learner() -> Learner:
        torch.manual_seed(0)
        data = TensorDataset(torch.randn(8 * batches, 4), torch.randint(2, (8 * batches,)))
        model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
        dls = DataLoaders(DataLoader(data, 8, shuffle=True), device="cpu")
        return Learner(
            dls, model, nn.CrossEntropyLoss(), path=folder, cbs=Checkpoint("checkpoints", 10**9), check=False
        )

    if not (folder / "checkpoints").exists():
        interrupted(learner(), StopAt(batch))
    first, learn = FirstBatch(), learner()
    begun = time.perf_counter()
    interrupted(learn, first, resume=True)
    return first.at - begun


def interrupted(learn: Learner, cb: Callback, **options: bool) -> None:
    try:
        learn.fit_one_cycle(1, 1e-3, cbs=cb, **options)
    except KeyboardInterrupt:
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--bs", type=int, default=32)
    parser.add_argument("--epoch", type=int, default=10_000, help="batches of the epoch that is resumed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pairs = []
        for number in range(given.rounds):
            plain = trained(root / f"plain{number}", given.batches, None, given.size, given.bs)
            kept = trained(root / f"kept{number}", given.batches, given.every, given.size, given.bs)
            pairs.append((plain, kept))
        late, early = given.epoch * 9 // 10, given.epoch // 1000
        times = {at: [resumed(root / f"at{at}", at, given.epoch) for _ in range(given.rounds)] for at in (early, late)}
    share = statistics.median(kept / plain - 1 for plain, kept in pairs)
    size = f"{given.batches} batches of {given.bs} pictures of {given.size} pixels"
    print(f"xresnet_small, {size}: {statistics.median(plain for plain, _ in pairs):.2f} s without checkpoints")
    print(f"a checkpoint every {given.every} batches, and one at the end, adds {share:+.1%} (median of {given.rounds})")
    for at, seconds in times.items():
        print(f"resuming after batch {at:,} of {given.epoch:,}: {statistics.median(seconds) * 1000:.0f} ms to the next")
    print(json.dumps({"pairs": pairs, "resumed": times}))


if __name__ == "__main__":
    main()
