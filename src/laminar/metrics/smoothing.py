"""Moving averages that are not too small in the beginning: of any numbers, and of the training loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from laminar.metrics.base import Metric

__all__ = ["AvgSmoothLoss", "MovingAverage", "smooth"]


def smooth(values: Iterable[float], beta: float = 0.98, average: float = 0.0, count: int = 0) -> list[float]:
    """Moving averages of `values`, each divided by the weight it has gathered so that early ones are not too small.

    Args:
        values: numbers in order.
        beta: share of the last average that is kept, 0 to 1.
        average: the average to go on from, not divided.
        count: how many values are in it.

    >>> [round(v, 3) for v in smooth([1.0, 1.0, 2.0], beta=0.5)]
    [1.0, 1.0, 1.571]
    """
    moving = MovingAverage(beta, average, count)
    return [moving.add(value) for value in values]


class MovingAverage:
    """A moving average divided by the weight it has gathered, so that it is not too small in the beginning.

    Args:
        beta: share of the last average that is kept, 0 to 1.
        total: the average to go on from, not divided.
        count: how many values are in it.
    """

    def __init__(self, beta: float, total: Any = 0.0, count: int = 0) -> None:
        self.beta, self.total, self.count = beta, total, count

    def add(self, value: Any) -> Any:
        """Take in a number or tensor; returns the average."""
        self.total = self.total * self.beta + value * (1 - self.beta)
        self.count += 1
        return self.value

    @property
    def value(self) -> Any:
        """The average so far; None of nothing."""
        return self.total / (1 - self.beta**self.count) if self.count else None


class AvgSmoothLoss(Metric):
    """Moving average of the training loss, debiased.

    Args:
        beta: share of the last average that is kept, 0 to 1.
    """

    def __init__(self, beta: float = 0.98) -> None:
        self.beta = beta
        self.reset()

    def reset(self) -> None:
        """Forget what was accumulated."""
        self.average = MovingAverage(self.beta)

    def accumulate(self, learn: Any) -> None:
        """Take in this batch's loss, without waiting for the device."""
        self.average.add(learn.loss.detach().mean())

    @property
    def value(self) -> Any:
        """The average so far."""
        return self.average.value

    def state_dict(self) -> dict[str, Any]:
        """The average."""
        return {"total": self.average.total, "count": self.average.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with an average."""
        self.average = MovingAverage(self.beta, state["total"], state["count"])

    def _default_name(self) -> str:
        return "loss"
