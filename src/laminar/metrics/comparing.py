"""`compare`: whether one run is better than another, from their predictions for the same items."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from laminar.core.errors import ConfigError, describe
from laminar.metrics.base import AvgMetric, Metric
from laminar.metrics.classification import accuracy
from laminar.metrics.intervals import item_values, jackknife_error, statistic_of, t_quantile
from laminar.metrics.making import mk_metric

__all__ = ["Comparison", "compare"]

Run = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Comparison:
    """What `compare` found out.

    Attributes:
        name: the metric.
        a: its value for the first run, or the mean of several.
        b: for the second.
        low: lower end of the interval of the difference, b - a.
        high: upper end.
        n: number of items.
        level: how often such an interval holds the true difference, 0 to 1.
    """

    name: str
    a: float
    b: float
    low: float
    high: float
    n: int
    level: float

    @property
    def difference(self) -> float:
        """How much larger the metric is for the second run."""
        return self.b - self.a

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    @property
    def needed(self) -> int | None:
        """About how many items would tell a difference of this size; None if there is none."""
        half = (self.high - self.low) / 2
        if self.difference == 0 or not math.isfinite(half):
            return None
        return math.ceil(self.n * (half / self.difference) ** 2)

    def __str__(self) -> str:
        interval = f"{self.level:.0%} interval {self.low:+.4f} to {self.high:+.4f}, n={self.n}"
        text = f"{self.name} {self.a:.4f} and {self.b:.4f}: {self.difference:+.4f} ({interval}): "
        if self.distinguishable:
            return f"{text}distinguishable"
        return f"{text}not distinguishable" + (f"; about {self.needed} items needed" if self.needed else "")


def compare(run_a: Any, run_b: Any, metric: Any = accuracy, level: float = 0.95) -> Comparison:
    """Compare two runs item by item: most of the luck of which items were in the validation set falls out.

    Args:
        run_a: predictions and targets, as ``learn.get_preds()`` returns them; a learner (its raw outputs for the
            validation set are taken, as metrics in training see them); or a list of these, one for each seed.
        run_b: the same, for the same items in the same order.
        metric: what a learner takes as a metric, if it needs predictions and targets alone.
        level: how often the interval of the difference holds the true one, 0 to 1.

    Returns:
        The difference b - a, its interval, and whether it can be told from none. With several seeds, the interval
        holds the difference between the two ways of training, else that between these two models.

    Raises:
        ConfigError: the runs are not of the same items, or the metric needs more.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level must be between 0 and 1, got {level!r}.")
    runs_a, runs_b = _runs(run_a, "run_a"), _runs(run_b, "run_b")
    targets = runs_a[0][1]
    n = len(targets)
    for preds, others in (*runs_a, *runs_b):
        if others.shape != targets.shape or not torch.equal(others, targets) or len(preds) != n:
            raise ConfigError(
                f"the runs are not of the same items in the same order: targets {describe(targets)} and"
                f" {describe(others)}, for predictions {describe(preds)}. Compare predictions for one set."
            )
    made = mk_metric(metric)
    statistic = statistic_of(made)
    if statistic is None:
        assert isinstance(made, AvgMetric)
        return _compared_means(made, made.func, runs_a, runs_b, level)

    def of_all(runs: Sequence[Run], kept: Tensor) -> list[float]:
        return [statistic(preds[kept], true[kept]) for preds, true in runs]

    everything = torch.arange(n)
    values_a, values_b = of_all(runs_a, everything), of_all(runs_b, everything)
    error, freedom = jackknife_error(lambda kept: _mean(of_all(runs_b, kept)) - _mean(of_all(runs_a, kept)), n)
    return _comparison(made, values_a, values_b, [(error**2, freedom)], n, level)


def _runs(given: Any, name: str) -> list[Run]:
    """Predictions and targets of each seed, on the CPU."""
    runs: list[Run] = []
    for run in given if isinstance(given, list) else [given]:
        found = run.get_preds(act=_unchanged) if hasattr(run, "get_preds") else run
        if not isinstance(found, tuple) or len(found) < 2 or not all(isinstance(part, Tensor) for part in found[:2]):
            raise ConfigError(
                f"{name} must be predictions and targets (learn.get_preds()), a learner, or a list of these; got"
                f" {describe(run)}."
            )
        runs.append((found[0].detach().cpu(), found[1].detach().cpu()))
    if not runs:
        raise ConfigError(f"{name} is empty: there is nothing to compare.")
    return runs


def _unchanged(outputs: Any) -> Any:
    return outputs


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _compared_means(
    metric: Metric, func: Callable[..., Any], runs_a: list[Run], runs_b: list[Run], level: float
) -> Comparison:
    """Compare means over items by the differences of single items."""
    items_a = torch.stack([item_values(func, *run) for run in runs_a])
    items_b = torch.stack([item_values(func, *run) for run in runs_b])
    differences = items_b.mean(0) - items_a.mean(0)
    n = len(differences)
    whole = bool(((items_a == 0) | (items_a == 1)).all() and ((items_b == 0) | (items_b == 1)).all())
    if len(runs_a) == len(runs_b) == 1 and whole:
        return _compared_shares(metric, differences, float(items_a.mean()), float(items_b.mean()), level)
    variance = float(differences.var()) / n if n > 1 else math.inf
    return _comparison(
        metric, items_a.mean(1).tolist(), items_b.mean(1).tolist(), [(variance, max(n - 1, 1))], n, level
    )


def _compared_shares(metric: Metric, differences: Tensor, a: float, b: float, level: float) -> Comparison:
    """Compare two shares of the same items (Agresti and Min, "Simple improved confidence intervals for comparing
    matched proportions", 2005): half an item is added to each of the four ways two runs can be right and wrong.
    """
    n = len(differences) + 2
    better, worse = float((differences > 0).sum()) + 0.5, float((differences < 0).sum()) + 0.5
    middle = (better - worse) / n
    half = t_quantile(level, math.inf) * math.sqrt((better + worse) - (better - worse) ** 2 / n) / n
    return Comparison(metric.name, a, b, middle - half, middle + half, len(differences), level)


def _comparison(
    metric: Metric,
    values_a: list[float],
    values_b: list[float],
    errors: list[tuple[float, float]],
    n: int,
    level: float,
) -> Comparison:
    """Put variances from items and from seeds together, with their freedom (Satterthwaite, 1946)."""
    a, b = _mean(values_a), _mean(values_b)
    for values, mean in ((values_a, a), (values_b, b)):
        if len(values) > 1:
            spread = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
            errors = [*errors, (spread / len(values), len(values) - 1)]
    variance = sum(part for part, _ in errors)
    weights = sum(part**2 / freedom for part, freedom in errors)
    freedom = variance**2 / weights if 0 < weights < math.inf else math.inf
    half = t_quantile(level, freedom) * math.sqrt(variance)
    return Comparison(metric.name, a, b, b - a - half, b - a + half, n, level)
