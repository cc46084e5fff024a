"""What is seen of a training while it runs: bars in a notebook or a terminal, plain aligned lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from laminar.callbacks.base import Callback
from laminar.callbacks.recorder import Recorder
from laminar.core.lazy import lazy_module

__all__ = ["ProgressCallback", "RowPrinter"]

fastprogress = lazy_module("fastprogress.fastprogress")
fastprogress_core = lazy_module("fastprogress.core")

_BETWEEN_UPDATES = 0.2  # seconds


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6f}" if type(value) is float else str(value)  # an Estimate shows its interval


class RowPrinter:
    """Prints the rows of a table in columns: the logger where there is no progress bar.

    A row of names only begins a new table.
    """

    def __init__(self) -> None:
        self.widths: list[int] = []

    def __call__(self, row: list[Any]) -> None:
        """Print one row."""
        cells = [_cell(value) for value in row]
        if all(isinstance(value, str) for value in row):
            self.widths = [max(len(cell), 5 if i == 0 else 9) for i, cell in enumerate(cells)]
        widths = self.widths if len(self.widths) == len(cells) else [len(cell) for cell in cells]
        print("  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)), flush=True)


def _has_display() -> bool:
    """Whether a bar can be redrawn in place."""
    return bool(fastprogress_core.IN_NOTEBOOK) or sys.stdout.isatty()


class ProgressCallback(Callback):
    """Shows bars and the table of results while a fit or an evaluation runs; nothing moves where output is a file."""

    order = 60
    passes = ("fit", "lr_find", "evaluation")
    only_watches = True

    def __init__(self) -> None:
        self._bar: Any = None
        self._master: Any = None
        self._next_update = 0.0
        self._by_share = False  # the epoch ends with a time: its batches cannot be counted beforehand
        self._recorder: Recorder | None = None

    def before_fit(self) -> None:
        """Draw the outer bar, and take over the table from the learner's logger."""
        self._bar = self._master = None
        if not _has_display():
            return
        self._recorder = self.learn.get_cb(Recorder)
        self._master = fastprogress.master_bar(range(self.n_epoch))
        self._master.main_bar.update(0)
        if isinstance(self.learn.logger, RowPrinter):
            self.learn.logger = self._write

    def _write(self, row: list[Any]) -> None:
        self._master.write([_cell(value) for value in row], table=True)

    def before_epoch(self) -> None:
        """Move the outer bar."""
        if self._master is not None:
            self._master.update(self.epoch)

    def before_train(self) -> None:
        """Begin the inner bar."""
        self._begin()

    def before_validate(self) -> None:
        """Begin the inner bar."""
        self._begin()

    def _begin(self) -> None:
        if self._master is not None:
            learn = self.learn
            self._by_share = learn.training and not learn.n_iter and learn.knows_progress
            n = 100 if self._by_share else learn.n_iter
            self._bar = fastprogress.progress_bar(range(n), total=n or "noinfer", parent=self._master, leave=False)
            self._bar.update(0)
            self._next_update = 0.0

    def after_batch(self) -> None:
        """Move the inner bar, a few times a second."""
        if self._bar is None:
            return
        learn = self.learn
        now = time.perf_counter()
        if now >= self._next_update or learn.iter + 1 == learn.n_iter:
            self._next_update = now + _BETWEEN_UPDATES
            if learn.training and self._recorder is not None and self._recorder.smooth_loss is not None:
                self._bar.comment = f"{self._recorder.smooth_loss:.4f}"
            self._bar.update(self._percent() if self._by_share else learn.iter + 1)

    def _percent(self) -> int:
        """How much of this epoch's time is over; 100 with its last batch."""
        learn = self.learn
        if learn.is_last_batch:
            return 100
        return min(99, max(0, int(100 * (learn.pct_train * learn.n_epoch - learn.epoch))))

    def after_epoch(self) -> None:
        """Move the outer bar."""
        if self._master is not None:
            self._master.update(self.epoch + 1)

    def cleanup_fit(self) -> None:
        """Take the bars away; the table stays."""
        if self._master is not None:
            self._master.on_iter_end()
        self._bar = self._master = self._recorder = None
