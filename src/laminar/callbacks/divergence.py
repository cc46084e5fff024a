"""Ending a fit that has gone wrong."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.callbacks.events import CancelFitException
from laminar.core.errors import ConfigError
from laminar.metrics.smoothing import MovingAverage

__all__ = ["StopOnDivergence"]

_BETWEEN_LOOKS = 0.2  # seconds, on an accelerator


class StopOnDivergence(Callback):
    """Ends the fit when the smoothed training loss is far above the best it has been.

    On an accelerator it looks a few times a second, so that the device need not wait.

    Args:
        factor: how many times the best loss is too much.
        floor: a best loss below that share of the first one counts as that much, so that the small losses of a model
            that has learned everything may move.
        beta: smoothing, 0 to below 1.
        warm_up: batches to wait before the first comparison.

    Raises:
        ConfigError: the factor is not above 1.
    """

    order = 61  # after the schedules and the recorder
    run_valid = False
    passes = ("fit",)

    def __init__(self, factor: float = 4.0, floor: float = 0.1, beta: float = 0.9, warm_up: int = 10) -> None:
        if not factor > 1:
            raise ConfigError(f"StopOnDivergence(factor={factor}): the factor must be above 1.")
        self.factor, self.floor, self.beta, self.warm_up = factor, floor, beta, warm_up
        self._forget()

    def _forget(self) -> None:
        self._average = MovingAverage(self.beta)
        self._first: Tensor | None = None
        self._best: Tensor | None = None
        self._diverged: Tensor | None = None
        self._next_look = 0.0

    def before_fit(self) -> None:
        """Begin anew."""
        self._forget()

    def after_batch(self) -> None:
        """Compare.

        Raises:
            CancelFitException: the loss is too far above the best.
        """
        if self.learn.loss is None:
            return
        loss: Tensor = self._average.add(self.learn.loss.mean())
        if self._first is None or self._best is None:
            self._first = self._best = loss
        self._best = torch.minimum(self._best, loss)
        if self._average.count <= self.warm_up:
            return
        limit = self._best + (self.factor - 1) * torch.maximum(self._best.abs(), self.floor * self._first.abs())
        above = loss > limit
        self._diverged = above if self._diverged is None else self._diverged | above
        now = time.perf_counter()
        if loss.device.type == "cpu" or now >= self._next_look or self.is_last_batch:
            self._next_look = now + _BETWEEN_LOOKS
            if bool(self._diverged):
                print(
                    f"The loss has diverged: {float(loss):.4g} after {float(self._best):.4g}; fit ended at epoch"
                    f" {self.epoch}, batch {self.iter}."
                )
                raise CancelFitException

    def cleanup_fit(self) -> None:
        """Let go of the losses."""
        self._forget()

    def state_dict(self) -> dict[str, Any]:
        """The losses to compare with."""
        losses = {"first": self._first, "best": self._best, "diverged": self._diverged}
        return {**losses, "total": self._average.total, "count": self._average.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""

        def here(value: Any) -> Any:
            return value.to(self.learn.device) if isinstance(value, Tensor) else value

        self._first, self._best = here(state["first"]), here(state["best"])
        self._diverged = here(state["diverged"])
        self._average = MovingAverage(self.beta, here(state["total"]), state["count"])
