"""Metrics of torchmetrics, as they are: anything with ``update``, ``compute`` and ``reset`` that is a module."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from laminar.core.device import find_device
from laminar.metrics.base import PairMetric

__all__ = ["ForeignMetric", "is_collection", "is_foreign"]

_METHODS = ("update", "compute", "reset")


def is_foreign(m: Any) -> bool:
    """Whether `m` is a metric of torchmetrics, or behaves as one."""
    return isinstance(m, nn.Module) and all(callable(getattr(m, name, None)) for name in _METHODS)


def is_collection(m: Any) -> bool:
    """Whether `m` is a collection of torchmetrics: several metrics by name."""
    return isinstance(m, nn.ModuleDict) and is_foreign(m)


class ForeignMetric(PairMetric):
    """A metric of torchmetrics among ours: it gets raw predictions and targets, moves to their device, and is copied.

    The first batch of an epoch goes through torchmetrics' checks of values, which wait for the device; later ones do
    not, where the metric lets itself be told so (``validate_args``).

    Args:
        metric: the metric; it stays as it is.
        title: the column's title, the class's name in small letters by default.
    """

    def __init__(self, metric: Any, title: str = "") -> None:
        self.given = metric
        self._name = title or type(metric).__name__.lower()
        higher = getattr(metric, "higher_is_better", None)
        self.smaller_is_better = None if higher is None else not higher
        self.reset()

    def reset(self) -> None:
        """Begin with a fresh copy."""
        self.metric: Any = copy.deepcopy(self.given)
        self.metric.reset()
        self._seen = False

    def update(self, preds: Any, *targets: Any) -> None:
        """Take in the predictions and targets of one batch."""
        if not self._seen:
            self.metric.to(find_device(preds))
        self.metric.update(_detached(preds), *targets)
        if not self._seen and getattr(self.metric, "validate_args", False):
            self.metric.validate_args = False
        self._seen = True

    def state_dict(self) -> dict[str, Any]:
        """What torchmetrics has accumulated; of others that behave so, the tensors that modules save."""
        own = getattr(self.metric, "metric_state", None)
        state = self.metric.state_dict() if own is None else dict(own)
        return {"seen": self._seen, "count": getattr(self.metric, "_update_count", None), "state": state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with it."""
        self._seen = state["seen"]
        if not hasattr(self.metric, "metric_state"):
            self.metric.load_state_dict(state["state"])
            return
        for name, value in state["state"].items():
            setattr(self.metric, name, value)
        self.metric._update_count, self.metric._computed = state["count"], None

    @property
    def value(self) -> Any:
        """What the metric computes."""
        return self.metric.compute() if self._seen else None


def _detached(preds: Any) -> Any:
    return preds.detach() if isinstance(preds, Tensor) else preds
