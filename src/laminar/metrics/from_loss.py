"""Columns of what a loss keeps: the parts of a sum, say."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from laminar.core.device import find_bs
from laminar.core.errors import ConfigError, suggest
from laminar.metrics.base import Metric

__all__ = ["LossMetric", "LossMetrics"]


class LossMetric(Metric):
    """Mean over an epoch of an attribute that the loss function sets at each call, weighted by items.

    Args:
        attr: the attribute.
        nm: the column's title, the attribute's name by default.
    """

    def __init__(self, attr: str, nm: str | None = None) -> None:
        self.attr, self._name = attr, nm or attr
        self.reset()

    def reset(self) -> None:
        """Forget what was accumulated."""
        self.total: Any = 0.0
        self.count = 0

    def accumulate(self, learn: Any) -> None:
        """Add the attribute, without waiting for the device.

        Raises:
            ConfigError: the loss has no such attribute.
        """
        value = getattr(learn.loss_func, self.attr, None)
        if value is None:
            known = [name for name in vars(learn.loss_func) if not name.startswith("_")]
            name = type(learn.loss_func).__name__
            raise ConfigError(
                f"the loss {name} has not set {self.attr!r}.{suggest(self.attr, known)} It has:"
                f" {', '.join(known) or 'nothing'}."
            )
        n = find_bs(learn.yb)
        self.total = self.total + (value.detach().mean() if isinstance(value, Tensor) else value) * n
        self.count += n

    @property
    def value(self) -> Any:
        """The mean so far."""
        return self.total / self.count if self.count else None


def LossMetrics(attrs: str | list[str], nms: str | list[str] | None = None) -> list[LossMetric]:
    """Make a `LossMetric` for each attribute.

    Args:
        attrs: names, as a list or with commas between.
        nms: as many titles.

    Raises:
        ConfigError: there are more or fewer titles.
    """
    names = attrs.split(",") if isinstance(attrs, str) else list(attrs)
    titles = names if nms is None else nms.split(",") if isinstance(nms, str) else list(nms)
    if len(titles) != len(names):
        raise ConfigError(f"{len(names)} attributes {names} need as many titles, got {titles}.")
    return [LossMetric(name.strip(), title.strip()) for name, title in zip(names, titles, strict=True)]
