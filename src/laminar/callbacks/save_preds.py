"""Predictions of large sets: written as they come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from laminar.callbacks.base import Callback
from laminar.core.batch_files import BatchWriter, SavedBatches
from laminar.core.device import apply
from laminar.core.errors import ConfigError

__all__ = ["SavePredsCallback"]


class SavePredsCallback(Callback):
    """Writes predictions, targets, or both of a validation pass, a file for each batch: memory holds one at a time.

    Args:
        save_preds: folder for predictions; None writes none.
        save_targs: folder for targets; None writes none.
        act: what makes predictions of raw outputs; None takes them as they are.

    Attributes:
        preds, targets: what was written (`SavedBatches`); None before the pass is over, or where there was nothing.

    Raises:
        ConfigError: the same folder for both.
    """

    order = 100
    run_train = False
    passes = ("evaluation", "nested")
    allow_several = True

    def __init__(
        self,
        save_preds: str | Path | None = None,
        save_targs: str | Path | None = None,
        act: Callable[[Any], Any] | None = None,
    ) -> None:
        if (
            save_preds is not None
            and save_targs is not None
            and Path(save_preds).resolve() == Path(save_targs).resolve()
        ):
            raise ConfigError(f"save_preds and save_targs are the same folder, {save_preds}; each needs its own.")
        self.save_preds, self.save_targs, self.act = save_preds, save_targs, act
        self.preds: SavedBatches | None = None
        self.targets: SavedBatches | None = None
        self._preds: BatchWriter | None = None
        self._targets: BatchWriter | None = None

    def before_validate(self) -> None:
        """Begin with empty folders."""
        self.preds = self.targets = None
        self._preds = BatchWriter(self.save_preds) if self.save_preds is not None else None
        self._targets = BatchWriter(self.save_targs) if self.save_targs is not None else None

    def after_batch(self) -> None:
        """Write this batch, unless it was cancelled before it had a prediction and, with a target, a loss."""
        learn = self.learn
        if learn.pred is None or (learn.yb and learn.loss is None):
            return
        if self._preds is not None:
            raw = apply(lambda part: part.detach(), learn.pred)
            self._preds.add(raw if self.act is None else self.act(raw))
        if self._targets is not None and learn.yb:
            self._targets.add(learn.yb[0] if len(learn.yb) == 1 else learn.yb)

    def after_validate(self) -> None:
        """Complete the folders."""
        self.preds = self._preds.close() if self._preds is not None else None
        self.targets = self._targets.close() if self._targets is not None else None

    def cleanup_fit(self) -> None:
        """Let go of the folders; what was interrupted stays incomplete, and says so when it is read."""
        self._preds = self._targets = None
