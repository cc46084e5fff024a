"""How sure a metric is: intervals from single items' values, or from leaving out groups of items."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.base import AvgMetric, Metric, PairMetric
from laminar.metrics.collecting import CollectingMetric
from laminar.metrics.estimates import Estimate
from laminar.metrics.making import mk_metric

__all__ = ["IntervalMetric", "estimate", "item_values", "t_quantile", "with_interval"]

_GROUPS = 50  # of items, for the jackknife
Statistic = Callable[[Tensor, Tensor], float]


def t_quantile(level: float, freedom: float) -> float:
    """How many standard errors an interval reaches on each side (Student's t).

    Args:
        level: probability that the interval holds the true value, 0 to 1.
        freedom: degrees of freedom, above 0; need not be whole.

    >>> round(t_quantile(0.95, 10), 2), round(t_quantile(0.95, 1e6), 2)
    (2.23, 1.96)
    """
    if freedom > 1000:
        return NormalDist().inv_cdf((1 + level) / 2)
    # With t = sqrt(freedom) * tan(angle), the density over the angle is cos(angle) ** (freedom - 1).
    angles = np.linspace(0, math.pi / 2, 20001)
    middles = (angles[1:] + angles[:-1]) / 2
    shares = np.cumsum(np.cos(middles) ** (freedom - 1))
    angle = np.interp(level, np.concatenate([[0], shares / shares[-1]]), angles)
    return math.sqrt(freedom) * math.tan(angle)


def statistic_of(metric: Metric) -> Statistic | None:
    """What computes `metric` from predictions and targets at once; None if it is a mean over items.

    Raises:
        ConfigError: it needs more than predictions and targets.
    """
    if isinstance(metric, AvgMetric):
        if getattr(getattr(metric.func, "func", metric.func), "parts", None) is None:
            return None
        quotient = metric.func
        return lambda preds, targets: float(quotient(preds, targets))
    if not isinstance(metric, PairMetric):
        raise ConfigError(f"{metric.name} needs more than predictions and targets, so it has no interval.")
    if getattr(metric, "sample_weight", None) is not None:
        raise ConfigError(f"{metric.name} has sample_weight: an interval takes items that count alike.")
    pair = metric

    def statistic(preds: Tensor, targets: Tensor) -> float:
        value = pair(preds, targets)
        return math.nan if value is None else float(value)

    return statistic


def item_values(func: Callable[..., Any], preds: Tensor, targets: Tensor) -> Tensor:
    """The value of a metric function for each item, ``[items]``, in float64 on the CPU.

    Args:
        func: a function of predictions and targets; one of ours gives all values at once, another is called for each
            item.
        preds: ``[items, ...]``.
        targets: ``[items, ...]``.
    """
    single = getattr(getattr(func, "func", func), "items", None)
    if callable(single):
        if isinstance(func, functools.partial):
            single = functools.partial(single, *func.args, **func.keywords)
        values: Tensor = single(preds, targets)
        return values.detach().cpu().double()
    return torch.tensor([float(func(preds[i : i + 1], targets[i : i + 1])) for i in range(len(preds))]).double()


def mean_interval(values: Tensor, level: float) -> tuple[float, float]:
    """The interval of a mean: of shares as in Wilson, "Probable inference, the law of succession, and statistical
    inference", 1927; of other values by Student's t.

    Args:
        values: one for each item, ``[items]``.
        level: how often the interval holds the true mean, 0 to 1.
    """
    n, mean = len(values), float(values.mean())
    if bool(((values == 0) | (values == 1)).all()):
        z = NormalDist().inv_cdf((1 + level) / 2)
        middle = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z * math.sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
        return middle - half, middle + half
    if n < 2:
        return -math.inf, math.inf
    half = t_quantile(level, n - 1) * float(values.std()) / math.sqrt(n)
    return mean - half, mean + half


def jackknife_error(statistic: Callable[[Tensor], float], n: int) -> tuple[float, int]:
    """The standard error of a statistic from leaving out each of up to 50 random groups of items in turn (Shao and Wu,
    "A general theory for jackknife variance estimation", 1989).

    Args:
        statistic: computes it for items, given by their numbers ``[items]``.
        n: how many items there are.

    Returns:
        The error and its degrees of freedom; infinite and 1 where too little is defined.
    """
    count = min(n, _GROUPS)
    group = torch.randperm(n, generator=torch.Generator().manual_seed(0)) % count
    values = [statistic((group != left_out).nonzero()[:, 0]) for left_out in range(count)] if count > 1 else []
    known = torch.tensor([value for value in values if not math.isnan(value)], dtype=torch.float64)
    if len(known) < 2:
        return math.inf, 1
    spread = (known - known.mean()).square().sum() * (len(known) - 1) / len(known)
    return math.sqrt(float(spread)), len(known) - 1


def estimate(metric: Any, preds: Tensor, targets: Tensor, level: float = 0.95) -> Estimate | None:
    """A metric with its interval: ``0.923 ±0.008 (n=1024)``.

    A mean over items has an exact or nearly exact one; for others (F1, areas under curves, correlations) groups of
    items are left out in turn, so that the metric is computed up to 50 times. Items must be independent: not five
    frames of one film.

    Args:
        metric: what a learner takes as a metric, if it needs predictions and targets alone.
        preds: ``[items, ...]``.
        targets: ``[items, ...]``.
        level: how often such an interval holds the true value, 0 to 1.

    Returns:
        The value; None where the metric has none.

    Raises:
        ConfigError: `level` is out of range, or the metric needs more.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level must be between 0 and 1, got {level!r}.")
    made, n = mk_metric(metric), len(preds)
    statistic = statistic_of(made)
    if statistic is None:
        assert isinstance(made, AvgMetric)
        values = item_values(made.func, preds, targets)
        return Estimate(float(values.mean()), *mean_interval(values, level), n, level) if n else None
    value = statistic(preds, targets)
    if math.isnan(value):
        return None
    error, freedom = jackknife_error(lambda kept: statistic(preds[kept], targets[kept]), n)
    half = t_quantile(level, freedom) * error
    return Estimate(value, value - half, value + half, n, level)


class IntervalMetric(CollectingMetric):
    """A metric whose value is an `Estimate`; made by `with_interval`.

    Args:
        metric: the metric.
        level: how often such an interval holds the true value, 0 to 1.
    """

    def __init__(self, metric: Metric, level: float = 0.95) -> None:
        statistic_of(metric)
        self.metric, self.level = metric, level
        self.smaller_is_better = metric.smaller_is_better
        self.reset()

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute value and interval."""
        return estimate(self.metric, preds.cpu(), targets.cpu(), self.level)

    def _default_name(self) -> str:
        return str(self.metric.name)


def with_interval(metric: Any, level: float = 0.95) -> IntervalMetric:
    """Make a metric that tells how sure it is: its column shows ``0.923 ±0.008 (n=1024)``.

    All predictions of an epoch are kept, on their device, until its end.

    Args:
        metric: what a learner takes as a metric, if it needs predictions and targets alone.
        level: how often such an interval holds the true value, 0 to 1.

    Raises:
        ConfigError: the metric needs more.
    """
    return IntervalMetric(mk_metric(metric), level)
