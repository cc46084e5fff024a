"""How far predicted numbers are from the true ones, and how well they go together."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.base import PairMetric, mean_of_items, smaller_is_better
from laminar.metrics.collecting import CollectingMetric
from laminar.metrics.confusion import check_choice
from laminar.metrics.weighing import WeightedMetric

__all__ = [
    "ExpRootMeanSquaredPercentError",
    "ExplainedVariance",
    "PearsonCorrCoef",
    "R2Score",
    "RootMeanSquaredError",
    "SpearmanCorrCoef",
    "exp_rmspe",
    "flat_pairs",
    "mae",
    "mse",
    "msle",
    "rmse",
]


def flat_pairs(preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Predictions and targets, both flat and floating point.

    Raises:
        ConfigError: there is another number of targets.
    """
    if preds.numel() != targets.numel():
        raise ConfigError(
            f"predictions {tuple(preds.shape)} and targets {tuple(targets.shape)} must hold as many numbers."
        )
    return preds.reshape(-1).float(), targets.reshape(-1).float()


def _by_item(values: Tensor, preds: Tensor) -> Tensor:
    """The mean of each item's values."""
    return values if values.numel() == len(preds) else values.reshape(len(preds), -1).mean(1)


@smaller_is_better
@mean_of_items
def mse(inp: Tensor, targ: Tensor) -> Tensor:
    """Mean squared difference.

    Args:
        inp: predictions, any shape.
        targ: as many targets.
    """
    preds, targets = flat_pairs(inp, targ)
    return _by_item((preds - targets).square(), inp)


@smaller_is_better
@mean_of_items
def mae(inp: Tensor, targ: Tensor) -> Tensor:
    """Mean absolute difference.

    Args:
        inp: predictions, any shape.
        targ: as many targets.
    """
    preds, targets = flat_pairs(inp, targ)
    return _by_item((preds - targets).abs(), inp)


@smaller_is_better
@mean_of_items
def msle(inp: Tensor, targ: Tensor) -> Tensor:
    """Mean squared difference of logarithms, ``log(1 + x)``.

    Args:
        inp: predictions above -1, any shape.
        targ: as many targets.
    """
    preds, targets = flat_pairs(inp, targ)
    return _by_item((preds.log1p() - targets.log1p()).square(), inp)


class RootMeanSquaredError(PairMetric):
    """Root of the mean squared difference over the whole epoch (not the mean of the batches' roots)."""

    title: ClassVar[str] = "rmse"
    smaller_is_better = True

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was accumulated."""
        self.total: Any = 0.0
        self.count = 0

    def squares(self, preds: Tensor, targets: Tensor) -> Tensor:
        """What is averaged before the root is taken."""
        return (preds - targets).square()

    def update(self, preds: Any, *targets: Any) -> None:
        """Add the squared differences of one batch."""
        flat_preds, flat_targets = flat_pairs(preds.detach(), *targets)
        self.total = self.total + self.squares(flat_preds, flat_targets).sum()
        self.count += flat_targets.numel()

    @property
    def value(self) -> Any:
        """The root so far."""
        return (self.total / self.count) ** 0.5 if self.count else None


class ExpRootMeanSquaredPercentError(RootMeanSquaredError):
    """Root of the mean squared share by which the exponentials differ, for targets that are logarithms (of prices)."""

    title: ClassVar[str] = "exp_rmspe"

    def squares(self, preds: Tensor, targets: Tensor) -> Tensor:
        """What is averaged before the root is taken."""
        return torch.expm1(preds - targets).square()


rmse = RootMeanSquaredError()
"""Root mean squared error: pass it as a metric (each learner takes a copy), or call it on predictions and targets."""

exp_rmspe = ExpRootMeanSquaredPercentError()
"""Root mean squared percentage error of exponentials, to be used as `rmse` is."""


class MomentMetric(WeightedMetric):
    """Base of metrics that follow from means and spreads of predictions, targets and differences: override `score`.

    Batches are merged as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979, in float64 where the device has it: exact whatever the batches, with three numbers kept.

    Args:
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    smaller_is_better = False

    def reset(self) -> None:
        """Forget what was accumulated."""
        super().reset()
        self.count: Any = 0  # of numbers, or the sum of their weights
        self.means: Any = None  # of predictions, of targets, of targets minus predictions
        self.spreads: Any = None  # sums of squared distances from these means

    def update(self, preds: Any, *targets: Any) -> None:
        """Merge the moments of one batch."""
        flat_preds, flat_targets = flat_pairs(preds.detach(), *targets)
        if flat_preds.numel() == 0:
            return
        series = torch.stack([flat_preds, flat_targets, flat_targets - flat_preds])
        series = series if series.device.type == "mps" else series.double()  # no float64 there
        n, means, spreads = _moments(series, self.next_weights(preds))
        if self.means is not None:
            apart, total = means - self.means, self.count + n
            spreads = self.spreads + spreads + apart.square() * (self.count * n / total)
            means = self.means + apart * (n / total)
        self.count, self.means, self.spreads = self.count + n, means, spreads

    def score(self, means: Tensor, spreads: Tensor) -> Any:
        """Compute the metric.

        Args:
            means: of predictions, of targets, of targets minus predictions.
            spreads: sums of squared distances from these means.
        """
        raise NotImplementedError(f"{type(self).__name__} must define score(means, spreads).")

    @property
    def value(self) -> Any:
        """The metric of all numbers so far; None where they do not vary."""
        if self.means is None:
            return None
        self.check_all_came()
        return self.score(self.means.cpu().double(), self.spreads.cpu().double())


def _moments(series: Tensor, weights: Tensor | None) -> tuple[Any, Tensor, Tensor]:
    """Count, means and sums of squared distances from them of several series ``[series, numbers]``."""
    if weights is None:
        means = series.mean(1)
        return series.shape[1], means, (series - means[:, None]).square().sum(1)
    each = weights.repeat_interleave(series.shape[1] // len(weights))
    total = each.sum()
    means = (series * each).sum(1) / total.clamp(min=torch.finfo(each.dtype).tiny)
    return total, means, ((series - means[:, None]).square() * each).sum(1)


class R2Score(MomentMetric):
    """Share of the targets' variation that predictions explain (coefficient of determination), all numbers alike.

    Args:
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    title: ClassVar[str] = "r2_score"

    def score(self, means: Tensor, spreads: Tensor) -> Any:
        """Compute the metric; None where targets do not vary."""
        left = spreads[2] + self.count * means[2].square()
        return 1 - left / spreads[1] if spreads[1] > 0 else None


class ExplainedVariance(MomentMetric):
    """Share of the targets' variation that predictions explain, not counting a constant difference.

    Args:
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    title: ClassVar[str] = "explained_variance_score"

    def score(self, means: Tensor, spreads: Tensor) -> Any:
        """Compute the metric; None where targets do not vary."""
        return 1 - spreads[2] / spreads[1] if spreads[1] > 0 else None


class PearsonCorrCoef(MomentMetric):
    """Linear correlation of predictions and targets, -1 to 1, all numbers alike.

    Args:
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    title: ClassVar[str] = "pearsonr"

    def score(self, means: Tensor, spreads: Tensor) -> Any:
        """Compute the metric; None where predictions or targets do not vary."""
        both = (spreads[0] * spreads[1]).sqrt()
        return (spreads[0] + spreads[1] - spreads[2]) / (2 * both) if both > 0 else None


class SpearmanCorrCoef(CollectingMetric):
    """Correlation of the ranks of predictions and targets, -1 to 1. Equal numbers share the mean of their ranks.

    Args:
        axis: None: all numbers alike; 0: each output by itself over the items; 1: each item by itself over its
            outputs. The latter two give the mean of those that vary.
        nan_policy: what to do where a number is none: ``'propagate'``: the correlation is none either; ``'omit'``:
            leave such pairs out; ``'raise'``: an error.

    Raises:
        ConfigError: another `axis` or `nan_policy`; with ``'raise'``, a number that is none.
    """

    title: ClassVar[str] = "spearmanr"
    smaller_is_better = False

    def __init__(self, axis: int | None = None, *, nan_policy: str = "propagate") -> None:
        check_choice("SpearmanCorrCoef", "axis", axis, (None, 0, 1))
        check_choice("SpearmanCorrCoef", "nan_policy", nan_policy, ("propagate", "omit", "raise"))
        self.axis, self.nan_policy = axis, nan_policy
        self.reset()

    def prepare(self, preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Both as ``[items, outputs]``."""
        given, true = flat_pairs(preds, targets)
        return given.reshape(len(preds), -1), true.reshape(len(preds), -1)

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the correlation; None where predictions or targets do not vary."""
        given, true = preds.cpu(), targets.cpu()
        if self.axis is None:
            return self._correlation(given.reshape(-1), true.reshape(-1))
        pairs = zip(given.T, true.T, strict=True) if self.axis == 0 else zip(given, true, strict=True)
        each = [value for pair in pairs if (value := self._correlation(*pair)) is not None]
        return torch.stack(each).mean() if each else None

    def _correlation(self, given: Tensor, true: Tensor) -> Tensor | None:
        known = ~(given.isnan() | true.isnan())
        if not known.all():
            if self.nan_policy == "raise":
                raise ConfigError(f"SpearmanCorrCoef: {int((~known).sum())} of {len(known)} pairs hold NaN.")
            if self.nan_policy == "propagate":
                return torch.tensor(torch.nan)
            given, true = given[known], true[known]
        a, b = _ranks(given), _ranks(true)
        a, b = a - a.mean(), b - b.mean()
        both = (a.square().sum() * b.square().sum()).sqrt()
        return (a * b).sum() / both if both > 0 else None


def _ranks(values: Tensor) -> Tensor:
    """The rank of each value, from 1; equal ones get the mean of theirs."""
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    means: Tensor = counts.cumsum(0).double() - (counts - 1) / 2
    return means[place]
