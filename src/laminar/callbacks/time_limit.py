"""Training for a time."""

from __future__ import annotations

import time
from typing import Any

from laminar.callbacks.base import Callback
from laminar.callbacks.events import CancelFitException, CancelTrainException
from laminar.core.errors import ConfigError

__all__ = ["TimeLimit"]


class TimeLimit(Callback):
    """Ends the fit at the first batch after a time; that epoch is still validated and gets its row.

    Args:
        seconds: the limit, added to `minutes` and `hours`.
        minutes: the limit.
        hours: the limit.

    Raises:
        ConfigError: the limit is not above 0.
    """

    order = 70  # when the others have seen batch and epoch
    passes = ("fit",)

    def __init__(self, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0) -> None:
        self.limit = seconds + 60 * minutes + 3600 * hours
        if not self.limit > 0:
            raise ConfigError(f"TimeLimit: the limit must be above 0 seconds, got {self.limit}.")
        self._before = 0.0
        self._started: float | None = None
        self._over = False

    def before_fit(self) -> None:
        """Start the clock."""
        self._started, self._over = time.perf_counter(), False

    @property
    def elapsed(self) -> float:
        """Seconds of the fit so far; of one that was interrupted and resumed, without the interruption."""
        return self._before + (time.perf_counter() - self._started if self._started is not None else 0.0)

    def after_batch(self) -> None:
        """Look at the clock.

        Raises:
            CancelTrainException: time is over.
        """
        if self.training and self.elapsed >= self.limit:
            self._over = True
            print(f"Time is over after {self.elapsed:.0f} s: epoch {self.epoch} ends at batch {self.iter}.")
            raise CancelTrainException

    def after_epoch(self) -> None:
        """End the fit, when time is over.

        Raises:
            CancelFitException: it is.
        """
        if self._over:
            raise CancelFitException

    def cleanup_fit(self) -> None:
        """The next fit has its own time."""
        self._before, self._started = 0.0, None

    def state_dict(self) -> dict[str, Any]:
        """Seconds used."""
        return {"elapsed": self.elapsed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on, with that much used."""
        self._before = state["elapsed"]
        if self._started is not None:
            self._started = time.perf_counter()
