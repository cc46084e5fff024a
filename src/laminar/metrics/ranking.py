"""How well scores rank: areas under curves, over all predictions of an epoch."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.collecting import ActivationType, CollectingMetric, activated
from laminar.metrics.confusion import check_choice
from laminar.metrics.regression import flat_pairs
from laminar.metrics.weighing import SampleWeight, WeightedMetric

__all__ = [
    "APScoreBinary",
    "APScoreMulti",
    "RocAuc",
    "RocAucBinary",
    "RocAucMulti",
    "average_precision",
    "roc_auc",
]


def _counts_above(scores: Tensor, positive: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """For each different score from high to low, how many positive and how many other items have at least that."""
    if weights is None:
        weights = torch.ones(len(scores), dtype=torch.float64)
    scores, positive, weights = scores[weights > 0], positive[weights > 0], weights[weights > 0]
    order = scores.argsort(descending=True)
    ordered, each = scores[order], weights[order]
    hits = (positive[order] * each).cumsum(0)
    last = torch.cat([ordered[1:] != ordered[:-1], torch.ones(1, dtype=torch.bool)])
    return hits[last], (each * ~positive[order]).cumsum(0)[last]


def roc_auc(scores: Tensor, positive: Tensor, max_fpr: float | None = None, weights: Tensor | None = None) -> Tensor:
    """Area under the curve of true over false positive rate: how often a positive item has the higher score.

    Args:
        scores: ``[items]``, on the CPU.
        positive: which items are positive, ``[items]``.
        max_fpr: only up to this rate of false positives, brought back to 0.5 for guessing and 1 for perfect (McClish,
            "Analyzing a portion of the ROC curve", 1989).
        weights: how much each item counts, ``[items]``; all alike by default.

    Returns:
        The area; NaN if all items are positive, or none is.
    """
    hits, others = _counts_above(scores, positive, weights)
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


def average_precision(scores: Tensor, positive: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of the precision at each positive item, ranked by score.

    Args:
        scores: ``[items]``, on the CPU.
        positive: which items are positive, ``[items]``.
        weights: how much each item counts, ``[items]``; all alike by default.

    Returns:
        The mean; NaN if no item is positive.
    """
    hits, others = _counts_above(scores, positive, weights)
    found = torch.diff(hits, prepend=hits.new_zeros(1)) / hits[-1]
    return (found * hits / (hits + others)).sum()


def _mean(values: Tensor, weights: Tensor | None, average: str) -> Any:
    """Mean of what is defined, weighted if asked; None if nothing is."""
    known = ~values.isnan()
    if not known.any():
        return None
    if average == "weighted" and weights is not None:
        return (values * weights)[known].sum() / weights[known].sum()
    return values[known].mean()


class _RankingMetric(CollectingMetric, WeightedMetric):
    """Base of metrics that need everything at once, in which items may count unequally."""

    smaller_is_better = False

    def reset(self) -> None:
        """Forget what was collected."""
        WeightedMetric.reset(self)
        super().reset()

    def update(self, preds: Any, *targets: Any) -> None:
        """Keep the predictions and targets of one batch."""
        super().update(preds, *targets)
        self.next_weights(preds)

    def weights_of(self, scores: Tensor) -> Tensor | None:
        """How much each row of `scores` counts, on the CPU: of several to an item, each as much as the item."""
        self.check_all_came()
        weights = self.sample_weight
        return None if weights is None else weights.cpu().double().repeat_interleave(len(scores) // len(weights))


class RocAuc(_RankingMetric):
    """Area under the ROC curve for several classes.

    Args:
        axis: where the classes are in the predictions.
        average: ``'macro'``: mean of the classes (or pairs), or ``'weighted'``: by their frequency. Those without both
            positive and other items are left out.
        max_fpr: only up to this rate of false positives; for ``multi_class='ovr'``.
        multi_class: ``'ovr'``: each class against all others; ``'ovo'``: each pair of classes (Hand and Till, "A simple
            generalisation of the area under the ROC curve", 2001).
        sample_weight: how much each item counts, for ``multi_class='ovr'``; see `WeightedMetric`.

    Raises:
        ConfigError: another `average` or `multi_class`.
    """

    title: ClassVar[str] = "roc_auc_score"

    def __init__(
        self,
        axis: int = -1,
        *,
        average: str = "macro",
        max_fpr: float | None = None,
        multi_class: str = "ovr",
        sample_weight: SampleWeight | None = None,
    ) -> None:
        check_choice("RocAuc", "average", average, ("macro", "weighted"))
        check_choice("RocAuc", "multi_class", multi_class, ("ovr", "ovo"))
        if max_fpr is not None and (multi_class == "ovo" or not 0 < max_fpr <= 1):
            raise ConfigError(f"RocAuc: max_fpr={max_fpr!r} must be above 0, up to 1, with multi_class='ovr'.")
        if sample_weight is not None and multi_class == "ovo":
            raise ConfigError("RocAuc: sample_weight goes with multi_class='ovr'; pairs of classes have no weights.")
        self.axis, self.average, self.max_fpr, self.multi_class = axis, average, max_fpr, multi_class
        super().__init__(sample_weight)

    def prepare(self, preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities ``[items, classes]`` and classes ``[items]``."""
        return class_probabilities(preds, targets, self.axis)

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the area."""
        scores, classes = preds.cpu(), targets.cpu()
        n, item_weights = scores.shape[1], self.weights_of(scores)
        frequency = torch.bincount(classes, item_weights, minlength=n).double()
        if self.multi_class == "ovr":
            of_classes = [roc_auc(scores[:, c], classes == c, self.max_fpr, item_weights) for c in range(n)]
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


class _Binary(_RankingMetric):
    """Base of metrics of the scores of one of two classes."""

    pos_label = 1

    def __init__(self, axis: int = -1, sample_weight: SampleWeight | None = None) -> None:
        self.axis = axis
        super().__init__(sample_weight)

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
        sample_weight: how much each item counts, see `WeightedMetric`.

    Raises:
        ConfigError: at the first batch, if there are not two classes.
    """

    title: ClassVar[str] = "roc_auc_score"

    def __init__(
        self, axis: int = -1, *, max_fpr: float | None = None, sample_weight: SampleWeight | None = None
    ) -> None:
        if max_fpr is not None and not 0 < max_fpr <= 1:
            raise ConfigError(f"RocAucBinary: max_fpr={max_fpr!r} must be above 0, up to 1.")
        self.max_fpr = max_fpr
        super().__init__(axis, sample_weight)

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the area; None if all items are of one class."""
        area = roc_auc(preds.cpu(), targets.cpu(), self.max_fpr, self.weights_of(preds))
        return None if area.isnan() else area


class APScoreBinary(_Binary):
    """Average precision for two classes.

    Args:
        axis: where the classes are in the predictions.
        pos_label: the class that is looked for.
        sample_weight: how much each item counts, see `WeightedMetric`.

    Raises:
        ConfigError: at the first batch, if there are not two classes.
    """

    title: ClassVar[str] = "average_precision_score"

    def __init__(self, axis: int = -1, *, pos_label: int = 1, sample_weight: SampleWeight | None = None) -> None:
        self.pos_label = pos_label
        super().__init__(axis, sample_weight)

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the mean; None if no item is of the class."""
        precision = average_precision(preds.cpu(), targets.cpu(), self.weights_of(preds))
        return None if precision.isnan() else precision


class _Labels(_RankingMetric):
    """Base of metrics of the scores of several labels: override `area`.

    Args:
        sigmoid: turn raw outputs into probabilities first.
        average: ``'macro'`` (mean of the labels), ``'weighted'`` (by the labels' frequency), ``'micro'`` (all outputs
            alike) or ``'samples'`` (mean of the items). Labels or items for which it is not defined are left out.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    def __init__(
        self, sigmoid: bool = True, *, average: str = "macro", sample_weight: SampleWeight | None = None
    ) -> None:
        check_choice(type(self).__name__, "average", average, ("macro", "weighted", "micro", "samples"))
        self.sigmoid, self.average = sigmoid, average
        super().__init__(sample_weight)

    def area(self, scores: Tensor, positive: Tensor, weights: Tensor | None) -> Tensor:
        """The metric of one label."""
        raise NotImplementedError

    def prepare(self, preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and truth, ``[items, labels]``."""
        flat_pairs(preds, targets)
        scores = (preds.sigmoid() if self.sigmoid else preds).reshape(len(preds), -1)
        return scores, targets.reshape(scores.shape).bool()

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the average."""
        scores, true, weights = preds.cpu(), targets.cpu(), self.weights_of(preds)
        if self.average == "samples":
            areas = torch.stack([self.area(scores[i], true[i], None) for i in range(len(scores))])
            return _mean(areas, weights, "macro" if weights is None else "weighted")
        if self.average == "micro":
            weights = None if weights is None else weights.repeat_interleave(scores.shape[1])
            scores, true = scores.reshape(-1, 1), true.reshape(-1, 1)
        areas = torch.stack([self.area(scores[:, i], true[:, i], weights) for i in range(scores.shape[1])])
        return _mean(areas, (true if weights is None else true * weights[:, None]).sum(0).double(), self.average)


class RocAucMulti(_Labels):
    """Area under the ROC curve for several labels.

    Args:
        sigmoid: turn raw outputs into probabilities first.
        average: ``'macro'``, ``'weighted'``, ``'micro'`` or ``'samples'``.
        max_fpr: only up to this rate of false positives.
        sample_weight: how much each item counts, see `WeightedMetric`.

    Raises:
        ConfigError: another `average`.
    """

    title: ClassVar[str] = "roc_auc_score"

    def __init__(
        self,
        sigmoid: bool = True,
        *,
        average: str = "macro",
        max_fpr: float | None = None,
        sample_weight: SampleWeight | None = None,
    ) -> None:
        self.max_fpr = max_fpr
        super().__init__(sigmoid, average=average, sample_weight=sample_weight)

    def area(self, scores: Tensor, positive: Tensor, weights: Tensor | None) -> Tensor:
        """The area of one label."""
        return roc_auc(scores, positive, self.max_fpr, weights)


class APScoreMulti(_Labels):
    """Average precision for several labels.

    Args:
        sigmoid: turn raw outputs into probabilities first.
        average: ``'macro'``, ``'weighted'``, ``'micro'`` or ``'samples'``.
        sample_weight: how much each item counts, see `WeightedMetric`.

    Raises:
        ConfigError: another `average`.
    """

    title: ClassVar[str] = "average_precision_score"

    def area(self, scores: Tensor, positive: Tensor, weights: Tensor | None) -> Tensor:
        """The mean precision of one label."""
        return average_precision(scores, positive, weights)
