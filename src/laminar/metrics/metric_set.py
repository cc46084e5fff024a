"""`MetricSet`: the metrics of a learner, which go through an epoch together and become a row of its table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from laminar.core.errors import ConfigError, describe
from laminar.metrics.base import BatchState, Metric
from laminar.metrics.estimates import Estimate

__all__ = ["MetricSet"]


class MetricSet:
    """Several metrics that go through an epoch together.

    Args:
        metrics: the metrics.
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = list(metrics)

    def reset(self) -> None:
        """Begin an epoch."""
        for metric in self.metrics:
            metric.reset()

    def accumulate(self, learn: BatchState) -> None:
        """Take in one batch; an error gets a note with the metric's name and what it was given.

        A batch that was cancelled before it had a loss counts for nothing.
        """
        if learn.pred is None or (learn.yb and learn.loss is None):
            return
        for metric in self.metrics:
            try:
                metric.accumulate(learn)
            except Exception as error:
                error.add_note(
                    f"metric {metric.name}: predictions {describe(learn.pred)}, targets {describe(learn.yb)}"
                )
                raise

    def state_dict(self) -> list[dict[str, Any]]:
        """The state of each metric, in the middle of an epoch."""
        return [metric.state_dict() for metric in self.metrics]

    def load_state_dict(self, states: Iterable[dict[str, Any]]) -> None:
        """Go on with what `state_dict` returned."""
        for metric, state in zip(self.metrics, states, strict=False):
            metric.load_state_dict(state)

    @property
    def names(self) -> list[str]:
        """Titles of the columns, each of them once: a name that comes again gets ``_2``, ``_3``, ..."""
        names: list[str] = []
        for metric in self.metrics:
            name, number = metric.name, 2
            while name in names:
                name, number = f"{metric.name}_{number}", number + 1
            names.append(name)
        return names

    def values(self) -> list[float | None]:
        """The values as plain numbers; an error gets a note with the metric's name."""
        result: list[float | None] = []
        for metric in self.metrics:
            try:
                result.append(_number(metric))
            except Exception as error:
                error.add_note(f"metric {metric.name}, computing its value at the end of the epoch")
                raise
        return result


def _number(metric: Metric) -> float | None:
    """The metric's value as a number; a kind of number that knows more (an `Estimate`) stays what it is.

    Raises:
        ConfigError: it gives several.
    """
    value = metric.value
    if value is None or isinstance(value, Estimate):
        return value
    if getattr(value, "size", None) is not None and _count(value) != 1:
        raise ConfigError(f"it gives {describe(value)}, where a column of the table takes one number. Average it.")
    return float(value)


def _count(value: Any) -> int:
    """How many numbers a tensor or an array holds."""
    return int(value.numel() if isinstance(value, Tensor) else value.size)
