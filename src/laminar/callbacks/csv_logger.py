"""The table of results as a file."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any, TextIO

from laminar.callbacks.base import Callback
from laminar.callbacks.recorder import Recorder
from laminar.core.errors import ConfigError, require

__all__ = ["CSVLogger"]


class CSVLogger(Callback):
    """Writes each epoch's row to a CSV file under the learner's path, safely on the disk before the next begins.

    Args:
        fname: name of the file.
        append: go on with the file that is there; it is begun anew otherwise.
    """

    order = 60
    passes = ("fit",)
    only_watches = True

    def __init__(self, fname: str = "history.csv", append: bool = False) -> None:
        self.fname, self.append = fname, append
        self._file: TextIO | None = None
        self._size = 0  # bytes that an interrupted fit had written

    @property
    def path(self) -> Path:
        """Where the file is."""
        return Path(self.learn.path) / self.fname

    def before_fit(self) -> None:
        """Check that there is a recorder."""
        if self.learn.get_cb(Recorder) is None:
            raise ConfigError("CSVLogger writes what the Recorder keeps, and this learner has none; add Recorder().")

    def before_epoch(self) -> None:
        """Open the file before the first epoch."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            there = self.path.stat().st_size if self.path.exists() else 0
            goes_on = self._size > 0 and there >= self._size
            if goes_on:  # rows that an interrupted process has written since are written again
                os.truncate(self.path, self._size)
            begun = goes_on or (self.append and there > 0)
            self._file = self.path.open("a" if begun else "w", newline="", encoding="utf-8")
            if not begun:
                self._write(self._recorder.metric_names)

    def after_epoch(self) -> None:
        """Write the epoch's row."""
        row = [float(value) if isinstance(value, float) else value for value in self._recorder.log]
        self._write(["" if value is None else value for value in row])

    def cleanup_fit(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._size = 0

    def state_dict(self) -> dict[str, Any]:
        """How much is written."""
        return {"size": 0 if self._file is None else self._file.tell()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after that, in the file that is there."""
        if self._file is None:
            self._size = state["size"]

    @property
    def _recorder(self) -> Recorder:
        recorder = self.learn.get_cb(Recorder)
        assert recorder is not None
        return recorder

    def _write(self, row: list[Any]) -> None:
        assert self._file is not None
        csv.writer(self._file).writerow(row)
        self._file.flush()
        os.fsync(self._file.fileno())

    def read_log(self) -> Any:
        """Read the file as a pandas data frame."""
        return require("pandas", "tabular", "read_log").read_csv(self.path)
