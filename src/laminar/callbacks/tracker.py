"""Callbacks that watch one column of the table: stop early, keep the best weights, lower the learning rate."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

from laminar.callbacks.base import Callback, LearnerState
from laminar.callbacks.events import CancelFitException
from laminar.callbacks.recorder import Recorder
from laminar.callbacks.schedule import ParamScheduler
from laminar.core.errors import ConfigError, suggest
from laminar.optim.groups import get_hyper, set_hyper

__all__ = [
    "EarlyStoppingCallback",
    "ReduceLROnPlateau",
    "SaveModelCallback",
    "TrackerCallback",
]

Comparison = Callable[[float, float], Any]


def monitored_column(learn: LearnerState, monitor: str, asker: str) -> tuple[int, bool | None]:
    """Find a column of the recorder's table.

    Args:
        learn: the learner.
        monitor: the column's title.
        asker: who asks, for messages.

    Returns:
        Its place in a row of ``recorder.values``, and whether smaller is better, where the metric says so.

    Raises:
        ConfigError: there is no such column, or no recorder.
    """
    recorder = learn.get_cb(Recorder)
    if recorder is None:
        raise ConfigError(f"{asker} reads the Recorder's table; add Recorder() to the learner.")
    columns = [name for name in recorder.metric_names if name not in ("epoch", "time")]
    if monitor not in columns:
        raise ConfigError(
            f"{asker}(monitor={monitor!r}): there is no such column."
            f"{suggest(monitor, columns)} The table has: {', '.join(columns)}."
        )
    metric = recorder.metric_of(monitor)
    return columns.index(monitor), None if metric is None else metric.smaller_is_better


def monitored_value(learn: LearnerState, monitor: str, column: int, asker: str) -> float:
    """Read this epoch's value in a column.

    Raises:
        ConfigError: the column is empty.
    """
    recorder = learn.get_cb(Recorder)
    value = recorder.values[-1][column] if recorder and recorder.values else None
    if value is None:
        raise ConfigError(
            f"{asker}(monitor={monitor!r}): epoch {learn.epoch} has no value for it. Is there a validation set?"
        )
    return float(value)


class TrackerCallback(Callback):
    """Watches a column of the table: `best` is its best value so far, `new_best` whether this epoch brought it.

    Args:
        monitor: title of the column: ``'valid_loss'``, ``'accuracy'``, ...
        comp: whether its first argument is better than the second (``operator.lt``, ``np.greater``); by default what
            the metric says (`smaller_is_better`); else smaller is better where the title has "loss" or "error" in it.
        min_delta: how much better a value must be to count.
        reset_on_fit: forget the best value when a fit begins.
    """

    order = 60
    passes = ("fit",)

    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Comparison | None = None,
        min_delta: float = 0.0,
        reset_on_fit: bool = True,
    ) -> None:
        self.monitor, self.min_delta, self.reset_on_fit = monitor, abs(min_delta), reset_on_fit
        self._comp_given = comp is not None
        self.comp: Comparison = comp or _better("loss" in monitor or "error" in monitor)
        self.best = self._worst
        self.new_best = False
        self._column = 0

    def before_fit(self) -> None:
        """Find the column.

        Raises:
            ConfigError: there is no such column, or no recorder.
        """
        self._column, smaller = monitored_column(self.learn, self.monitor, type(self).__name__)
        self.new_best = False
        unused = math.isinf(self.best)
        if not self._comp_given and smaller is not None:
            self.comp = _better(smaller)
        if self.reset_on_fit or unused:
            self.best = self._worst

    def after_epoch(self) -> None:
        """Compare this epoch's value with the best."""
        value = self.value
        margin = math.copysign(self.min_delta, self._worst)
        self.new_best = bool(self.comp(value + margin, self.best))  # never true for NaN
        if self.new_best:
            self.best = value

    @property
    def _worst(self) -> float:
        return math.inf if self.comp(0.0, 1.0) else -math.inf

    @property
    def value(self) -> float:
        """This epoch's value.

        Raises:
            ConfigError: the column is empty.
        """
        return monitored_value(self.learn, self.monitor, self._column, type(self).__name__)

    def state_dict(self) -> dict[str, Any]:
        """The best value so far."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with a best value."""
        self.best = state["best"]


def _better(smaller: bool) -> Comparison:
    return operator.lt if smaller else operator.gt


class _Patient(TrackerCallback):
    """A tracker that counts the epochs since the last improvement: `wait`."""

    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Comparison | None = None,
        min_delta: float = 0.0,
        patience: int = 1,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, reset_on_fit)
        self.patience = patience
        self.wait = 0

    def before_fit(self) -> None:
        """Find the column, and begin counting."""
        super().before_fit()
        if self.reset_on_fit:
            self.wait = 0

    def after_epoch(self) -> None:
        """Count the epochs without improvement; act when patience is at its end."""
        super().after_epoch()
        self.wait = 0 if self.new_best else self.wait + 1
        if self.wait >= self.patience:
            self.wait = self.lose_patience()

    def lose_patience(self) -> int:
        """Act; return the number of epochs from which to go on counting."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The best value, and the epochs since."""
        return {**super().state_dict(), "wait": self.wait}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with both."""
        super().load_state_dict(state)
        self.wait = state["wait"]


class EarlyStoppingCallback(_Patient):
    """Ends the fit when a column has not improved for `patience` epochs.

    Args:
        monitor: title of the column.
        comp: whether its first argument is better than the second.
        min_delta: how much better a value must be to count.
        patience: epochs to wait.
        reset_on_fit: forget the best value when a fit begins.
    """

    order = 70  # after all that save or note what this epoch brought

    def lose_patience(self) -> int:
        """End the fit."""
        print(f"No improvement of {self.monitor} since epoch {self.epoch - self.wait}: stopping early.")
        raise CancelFitException


class ReduceLROnPlateau(_Patient):
    """Divides every learning rate by `factor` when a column has not improved for `patience` epochs.

    Args:
        monitor: title of the column.
        comp: whether its first argument is better than the second.
        min_delta: how much better a value must be to count.
        patience: epochs to wait.
        factor: what learning rates are divided by.
        min_lr: where they stop.
        reset_on_fit: forget the best value when a fit begins.
    """

    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Comparison | None = None,
        min_delta: float = 0.0,
        patience: int = 1,
        factor: float = 10.0,
        min_lr: float = 0.0,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, patience, reset_on_fit)
        self.factor, self.min_lr = factor, min_lr

    def before_fit(self) -> None:
        """Find the column.

        Raises:
            ConfigError: a scheduler sets the learning rate at every batch, so that nothing would come of it.
        """
        super().before_fit()
        if any("lr" in cb.scheds for cb in self.learn.cbs if isinstance(cb, ParamScheduler)):
            raise ConfigError(
                "ReduceLROnPlateau and a schedule of the learning rate exclude each other: use fit, not fit_one_cycle."
            )

    def lose_patience(self) -> int:
        """Lower the learning rates."""
        before = get_hyper(self.opt, "lr")
        after = [max(lr / self.factor, min(self.min_lr, lr)) for lr in before]
        if after != before:
            set_hyper(self.opt, "lr", after)
            print(f"Epoch {self.epoch}: learning rate lowered to {after[-1]:.3g}.")
        return 0


class SaveModelCallback(TrackerCallback):
    """Saves the weights whenever a column improves, and takes the best ones back when the fit is over.

    Args:
        monitor: title of the column.
        comp: whether its first argument is better than the second.
        min_delta: how much better a value must be to count.
        fname: name of the file in the learner's model folder.
        every_epoch: save at every epoch (True), or at every so manieth, as ``<fname>_<epoch>``; the last weights stay.
        at_end: save when the fit is over, and keep the last weights.
        with_opt: save the optimiser's state too.
        reset_on_fit: forget the best value when a fit begins.
    """

    order = 61

    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Comparison | None = None,
        min_delta: float = 0.0,
        fname: str = "model",
        every_epoch: bool | int = False,
        at_end: bool = False,
        with_opt: bool = False,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, reset_on_fit)
        self.fname, self.every_epoch, self.at_end, self.with_opt = fname, int(every_epoch), at_end, with_opt
        self.last_saved_path: Any = None
        self._stamp: tuple[int, int] | None = None
        self._seen: list[float] = []

    def before_fit(self) -> None:
        """Find the column; forget files of earlier fits; see that files can be written."""
        super().before_fit()
        self.learn.models_folder()
        self._stamp, self._seen = None, []

    def after_epoch(self) -> None:
        """Save, if this epoch asks for it."""
        if self.every_epoch:
            if self.epoch % self.every_epoch == 0:
                self._save(f"{self.fname}_{self.epoch}")
            return
        super().after_epoch()
        self._seen.append(self.value)
        if self.new_best:
            print(f"Better model found at epoch {self.epoch}: {self.monitor} {self.best:.6f}.")
            self._save(self.fname)

    def _save(self, name: str) -> None:
        self.last_saved_path = self.learn.save(name, with_opt=self.with_opt)
        self._stamp = self._file_stamp()

    def _file_stamp(self) -> tuple[int, int]:
        found = self.last_saved_path.stat()
        return found.st_ino, found.st_mtime_ns

    def after_fit(self) -> None:
        """Save the last weights with `at_end`; take back the best ones otherwise.

        Raises:
            ConfigError: no epoch was better than nothing, or somebody else has written the file since; the weights
                stay as they are.
        """
        if self.at_end:
            self._save(self.fname)
        elif not self.every_epoch and self._seen:
            if self._stamp is None:
                raise ConfigError(
                    f"SaveModelCallback(monitor={self.monitor!r}) saved nothing: no epoch improved it, its values were"
                    f" {self._seen[:5]}. The model keeps its last weights."
                )
            if self._file_stamp() != self._stamp:
                raise ConfigError(
                    f"{self.last_saved_path} is not the file this fit saved: another run has written it since. The"
                    " model keeps its last weights; give each run its own fname."
                )
            self.learn.load(self.fname, with_opt=self.with_opt)

    def state_dict(self) -> dict[str, Any]:
        """The best value, and the file it was saved in."""
        path = self.last_saved_path
        saved = {"path": None if path is None else str(path), "stamp": self._stamp, "seen": list(self._seen)}
        return {**super().state_dict(), **saved}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        super().load_state_dict(state)
        self.last_saved_path = None if state["path"] is None else Path(state["path"])
        self._stamp, self._seen = state["stamp"], list(state["seen"])
