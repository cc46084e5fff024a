"""From what users pass as metrics to fresh `Metric`s: functions, classes, instances, torchmetrics' own."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from laminar.core.errors import ConfigError, describe
from laminar.metrics.base import AvgMetric, Metric
from laminar.metrics.foreign import ForeignMetric, is_collection, is_foreign

__all__ = ["mk_metric", "mk_metrics"]


def mk_metric(m: Any) -> Metric:
    """Make a fresh metric of what users pass as one.

    Args:
        m: a function of predictions and targets (averaged over items), a `Metric` class or a partial of one, a `Metric`
            (it is copied), or a metric of torchmetrics.

    Raises:
        ConfigError: it is none of these.
    """
    inner = m.func if isinstance(m, functools.partial) else m
    if isinstance(m, Metric):
        fresh = copy.copy(m)
    elif inspect.isclass(inner) and issubclass(inner, Metric):
        fresh = m()
    elif is_foreign(m):
        return ForeignMetric(m)
    elif callable(m) and not inspect.isclass(m):
        return AvgMetric(m)
    else:
        remedy = "pass a function f(preds, targets), a Metric class or a Metric."
        if inspect.isclass(m) and callable(getattr(m, "compute", None)):  # of torchmetrics, which have to be told a lot
            remedy = f"pass an instance, {m.__name__}(...)."
        raise ConfigError(f"{describe(m)} is no metric: {remedy}")
    fresh.reset()
    return fresh


def mk_metrics(metrics: Any) -> list[Metric]:
    """Make fresh metrics of one, of a list, or of None; a collection of torchmetrics gives one for each member."""
    if metrics is None:
        return []
    if is_collection(metrics):
        return [ForeignMetric(metric, name) for name, metric in metrics.items()]
    several = isinstance(metrics, Iterable) and not callable(metrics) and not isinstance(metrics, str)
    given: Sequence[Any] = list(metrics) if several else [metrics]
    found: list[Metric] = []
    for m in given:
        found += mk_metrics(m) if is_collection(m) else [mk_metric(m)]
    return found
