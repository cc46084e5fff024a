"""How well scores rank: areas under curves and correlation of ranks, over all predictions of an epoch."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.collecting import ActivationType, CollectingMetric, activated
from laminar.metrics.confusion import check_choice
from laminar.metrics.regression import flat_pairs

__all__ = [
    "APScoreBinary",
    "APScoreMulti",
    "RocAuc",
    "RocAucBinary",
    "RocAucMulti",
    "SpearmanCorrCoef",
    "average_precision",
    "roc_auc",
]


def _counts_above(scores: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """For each different score from high to low, how many positive and how many other items have at least that."""
    order = scores.argsort(descending=True)
    ordered, hits = scores[order], positive[order].double().cumsum(0)
    last = torch.cat([ordered[1:] != ordered[:-1], torch.ones(1, dtype=torch.bool)])
    return hits[last], (torch.arange(1, len(scores) + 1) - hits)[last]


def roc_auc(scores: Tensor, positive: Tensor, max_fpr: float | None = None) -> Tensor:
    """Area under the curve of true over false positive rate: how often a positive item has the higher score.

    Args:
        scores: ``[items]``, on the CPU.
        positive: which items are positive, ``[items]``.
        max_fpr: only up to this rate of false positives, brought back to 0.5 for guessing and 1 for perfect (McClish,
            "Analyzing a portion of the ROC curve", 1989).

    Returns:
        The area; NaN if all items are positive, or none is.
    """
    hits, others = _counts_above(scores, positive)
    zero = hits.new_zeros(1)
    rate, false_rate = torch.cat([zero, hits / hits[-1]]), torch.cat([zero, others / others[-1]])
    if max_fpr is None or max_fpr == 1:
        return torch.trapezoid(rate, false_rate)
    end = torch.tensor(max_fpr, dtype=rate.dtype)
    after = int(torch.searchsorted(false_rate, end, right=True))
    step = false_rate[after] - false_rate[after - 1]
    height = torch.lerp(rate[after - 1], rate[after], (end - false_rate[after - 1]) / step)
    area = torch.trapezoid(torch.cat([rate[:after], height[None]]), torch.cat([false_rate[:after], end[None]]))
    least = max_fpr**2 / 2
    return (1 + (area - least) / (max_fpr - least)) / 2


def average_precision(scores: Tensor, positive: Tensor) -> Tensor:
    """Mean of the precision at each positive item, ranked by score.

    Args:
        scores: ``[items]``, on the CPU.
        positive: which items are positive, ``[items]``.

    Returns:
        The mean; NaN if no item is positive.
    """
    hits, others = _counts_above(scores, positive)
    found = torch.diff(hits, prepend=hits.new_zeros(1)) / hits[-1]
    return (found * hits / (hits + others)).sum()


def _mean(values: Tensor, weights: Tensor, average: str) -> Any:
    """Mean of what is defined, weighted if asked; None if nothing is."""
    known = ~values.isnan()
    if not known.any():
        return None
    if average == "weighted":
        return (values * weights)[known].sum() / weights[known].sum()
    return values[known].mean()


class RocAuc(CollectingMetric):
    """Area under the ROC curve for several classes.

    Args:
        axis: where the classes are in the predictions.
        average: ``'macro'``: mean of the classes (or pairs), or ``'weighted'``: by their frequency. Those without both
            positive and other items are left out.
        max_fpr: only up to this rate of false positives; for ``multi_class='ovr'``.
        multi_class: ``'ovr'``: each class against all others; ``'ovo'``: each pair of classes (Hand and Till, "A simple
            generalisation of the area under the ROC curve", 2001).

    Raises:
        ConfigError: another `average` or `multi_class`.
    """

    title: ClassVar[str] = "roc_auc_score"
    smaller_is_better = False

    def __init__(
        self, axis: int = -1, *, average: str = "macro", max_fpr: float | None = None, multi_class: str = "ovr"
    ) -> None:
        check_choice("RocAuc", "average", average, ("macro", "weighted"))
        check_choice("RocAuc", "multi_class", multi_class, ("ovr", "ovo"))
        if max_fpr is not None and (multi_class == "ovo" or not 0 < max_fpr <= 1):
            raise ConfigError(f"RocAuc: max_fpr={max_fpr!r} must be above 0, up to 1, with multi_class='ovr'.")
        self.axis, self.average, self.max_fpr, self.multi_class = axis, average, max_fpr, multi_class
        self.reset()

    def prepare(self, preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities ``[items, classes]`` and classes ``[items]``."""
        return class_probabilities(preds, targets, self.axis)

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the area."""
        scores, classes = preds.cpu(), targets.cpu()
        n = scores.shape[1]
        frequency = torch.bincount(classes, minlength=n).double()
        if self.multi_class == "ovr":
            of_classes = [roc_auc(scores[:, c], classes == c, self.max_fpr) for c in range(n)]
            return _mean(torch.stack(of_classes), frequency, self.average)
        areas: list[Tensor] = []
        weights: list[Tensor] = []
        for a in range(n):
            for b in range(a + 1, n):
                of_pair = (classes == a) | (classes == b)
                of_a, pair = classes[of_pair] == a, scores[of_pair]
                if of_a.any() and not of_a.all():
                    areas.append((roc_auc(pair[:, a], of_a) + roc_auc(pair[:, b], ~of_a)) / 2)
                    weights.append(frequency[a] + frequency[b])
        return _mean(torch.stack(areas), torch.stack(weights), self.average) if areas else None


def class_probabilities(preds: Tensor, targets: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Softmax over classes as ``[items, classes]``, and classes as ``[items]``.

    Raises:
        ConfigError: there is another number of targets.
    """
    probabilities = activated(preds, ActivationType.Softmax, axis).movedim(axis, -1).flatten(0, -2)
    if len(probabilities) != targets.numel():
        raise ConfigError(
            f"predictions {tuple(preds.shape)} with classes along axis {axis} need {len(probabilities)} targets; there"
            f" are {targets.numel()}, {tuple(targets.shape)}."
        )
    return probabilities, targets.reshape(-1).long()


class _Binary(CollectingMetric):
    """Base of metrics of the scores of one of two classes."""

    smaller_is_better = False
    pos_label = 1

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis
        self.reset()

    def prepare(self, preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The class's probability, and whether the item is of it."""
        if preds.shape[self.axis] != 2:
            raise ConfigError(
                f"{type(self).__name__} is for two classes; the predictions {tuple(preds.shape)} have"
                f" {preds.shape[self.axis]} along axis {self.axis}. For several classes: RocAuc; for several"
                " labels: RocAucMulti."
            )
        probabilities, classes = class_probabilities(preds, targets, self.axis)
        return probabilities[:, self.pos_label], classes == self.pos_label


class RocAucBinary(_Binary):
    """Area under the ROC curve for two classes.

    Args:
        axis: where the classes are in the predictions.
        max_fpr: only up to this rate of false positives.

    Raises:
        ConfigError: at the first batch, if there are not two classes.
    """

    title: ClassVar[str] = "roc_auc_score"

    def __init__(self, axis: int = -1, *, max_fpr: float | None = None) -> None:
        if max_fpr is not None and not 0 < max_fpr <= 1:
            raise ConfigError(f"RocAucBinary: max_fpr={max_fpr!r} must be above 0, up to 1.")
        self.max_fpr = max_fpr
        super().__init__(axis)

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the area; None if all items are of one class."""
        area = roc_auc(preds.cpu(), targets.cpu(), self.max_fpr)
        return None if area.isnan() else area


class APScoreBinary(_Binary):
    """Average precision for two classes.

    Args:
        axis: where the classes are in the predictions.
        pos_label: the class that is looked for.

    Raises:
        ConfigError: at the first batch, if there are not two classes.
    """

    title: ClassVar[str] = "average_precision_score"

    def __init__(self, axis: int = -1, *, pos_label: int = 1) -> None:
        self.pos_label = pos_label
        super().__init__(axis)

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the mean; None if no item is of the class."""
        precision = average_precision(preds.cpu(), targets.cpu())
        return None if precision.isnan() else precision


class _Labels(CollectingMetric):
    """Base of metrics of the scores of several labels: override `area`.

    Args:
        sigmoid: turn raw outputs into probabilities first.
        average: ``'macro'`` (mean of the labels), ``'weighted'`` (by the labels' frequency), ``'micro'`` (all outputs
            alike) or ``'samples'`` (mean of the items). Labels or items for which it is not defined are left out.
    """

    smaller_is_better = False

    def __init__(self, sigmoid: bool = True, *, average: str = "macro") -> None:
        check_choice(type(self).__name__, "average", average, ("macro", "weighted", "micro", "samples"))
        self.sigmoid, self.average = sigmoid, average
        self.reset()

    def area(self, scores: Tensor, positive: Tensor) -> Tensor:
        """The metric of one label."""
        raise NotImplementedError

    def prepare(self, preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and truth, ``[items, labels]``."""
        flat_pairs(preds, targets)
        scores = (preds.sigmoid() if self.sigmoid else preds).reshape(len(preds), -1)
        return scores, targets.reshape(scores.shape).bool()

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the average."""
        scores, true = preds.cpu(), targets.cpu()
        if self.average == "micro":
            scores, true = scores.reshape(-1, 1), true.reshape(-1, 1)
        elif self.average == "samples":
            scores, true = scores.T, true.T
        areas = torch.stack([self.area(scores[:, i], true[:, i]) for i in range(scores.shape[1])])
        return _mean(areas, true.sum(0).double(), self.average)


class RocAucMulti(_Labels):
    """Area under the ROC curve for several labels.

    Args:
        sigmoid: turn raw outputs into probabilities first.
        average: ``'macro'``, ``'weighted'``, ``'micro'`` or ``'samples'``.
        max_fpr: only up to this rate of false positives.

    Raises:
        ConfigError: another `average`.
    """

    title: ClassVar[str] = "roc_auc_score"

    def __init__(self, sigmoid: bool = True, *, average: str = "macro", max_fpr: float | None = None) -> None:
        self.max_fpr = max_fpr
        super().__init__(sigmoid, average=average)

    def area(self, scores: Tensor, positive: Tensor) -> Tensor:
        """The area of one label."""
        return roc_auc(scores, positive, self.max_fpr)


class APScoreMulti(_Labels):
    """Average precision for several labels.

    Args:
        sigmoid: turn raw outputs into probabilities first.
        average: ``'macro'``, ``'weighted'``, ``'micro'`` or ``'samples'``.

    Raises:
        ConfigError: another `average`.
    """

    title: ClassVar[str] = "average_precision_score"

    def area(self, scores: Tensor, positive: Tensor) -> Tensor:
        """The mean precision of one label."""
        return average_precision(scores, positive)


class SpearmanCorrCoef(CollectingMetric):
    """Correlation of the ranks of predictions and targets, -1 to 1, all numbers alike.

    Equal numbers share the mean of their ranks.
    """

    title: ClassVar[str] = "spearmanr"
    smaller_is_better = False

    def __init__(self) -> None:
        self.reset()

    def prepare(self, preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Both flat."""
        return flat_pairs(preds, targets)

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the correlation; None where predictions or targets do not vary."""
        a, b = _ranks(preds.cpu()), _ranks(targets.cpu())
        a, b = a - a.mean(), b - b.mean()
        both = (a.square().sum() * b.square().sum()).sqrt()
        return (a * b).sum() / both if both > 0 else None


def _ranks(values: Tensor) -> Tensor:
    """The rank of each value, from 1; equal ones get the mean of theirs."""
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    means: Tensor = counts.cumsum(0).double() - (counts - 1) / 2
    return means[place]
