"""How fast a training is, what it waits for, and how much memory it takes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import torch

from laminar.callbacks.base import Callback
from laminar.core.device import find_bs
from laminar.core.lazy import lazy_module

__all__ = ["EpochSpeed", "ThroughputMonitor"]

resource = lazy_module("resource")  # not on Windows


@dataclass(frozen=True)
class EpochSpeed:
    """The training part of one epoch.

    Attributes:
        epoch: number of the epoch.
        items: number of items trained on.
        batches: number of batches.
        seconds: how long it took.
        waiting: share of the time in which the loop waited for the next batch, 0 to 1.
        memory: the most memory in use, in bytes: of the device, or on a CPU of the process so far; None if unknown.
    """

    epoch: int
    items: int
    batches: int
    seconds: float
    waiting: float
    memory: int | None

    @property
    def items_per_second(self) -> float:
        """Items a second."""
        return self.items / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        memory = "" if self.memory is None else f", {self.memory / 2**20:,.0f} MB at most"
        return (
            f"epoch {self.epoch}: {self.items_per_second:,.1f} items/s, {self.waiting:.0%} of {self.seconds:.2f} s"
            f" waiting for data{memory}"
        )


class ThroughputMonitor(Callback):
    """Measures each epoch's training: items a second, time spent waiting for data, peak memory.

    The device is waited for once an epoch, at the end of its training.

    Args:
        show: print a line after each epoch.

    Attributes:
        epochs: an `EpochSpeed` for each epoch of the last fit.
    """

    order = -100  # the first to see a batch arrive
    run_valid = False
    passes = ("fit",)
    only_watches = True

    def __init__(self, show: bool = True) -> None:
        self.show = show
        self.epochs: list[EpochSpeed] = []
        self._started = self._asked = self._waited = 0.0
        self._items = self._batches = 0

    def before_fit(self) -> None:
        """Begin anew."""
        self.epochs = []

    def before_train(self) -> None:
        """Start the clock."""
        if self.learn.device.type != "cpu":
            torch.accelerator.reset_peak_memory_stats(self.learn.device)
        self._items, self._batches, self._waited = 0, 0, 0.0
        self._started = self._asked = time.perf_counter()

    def before_batch(self) -> None:
        """A batch has arrived."""
        self._waited += time.perf_counter() - self._asked
        self._items += find_bs(self.xb)
        self._batches += 1

    def after_batch(self) -> None:
        """The next batch is asked for."""
        self._asked = time.perf_counter()

    def after_train(self) -> None:
        """Stop the clock."""
        if self.learn.device.type != "cpu":
            torch.accelerator.synchronize(self.learn.device)
        seconds = time.perf_counter() - self._started
        waiting = self._waited / seconds if seconds else 0.0
        memory = peak_memory(self.learn.device)
        self.epochs.append(EpochSpeed(self.epoch, self._items, self._batches, seconds, waiting, memory))

    def after_epoch(self) -> None:
        """Print the epoch's line."""
        if self.show and self.epochs and self.epochs[-1].epoch == self.epoch:
            print(self.epochs[-1])


def peak_memory(device: torch.device) -> int | None:
    """The most memory in use, in bytes: of an accelerator since its statistics were reset, on a CPU of this process.

    Returns:
        None where nobody knows.
    """
    if device.type != "cpu":
        return int(torch.accelerator.max_memory_allocated(device))
    if sys.platform == "win32":
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit
