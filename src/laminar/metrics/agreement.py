"""How far predictions agree with the truth, all classes together: balanced accuracy, kappa, correlation, Hamming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.metrics.classification import yes_or_no
from laminar.metrics.confusion import ConfusionMetric, check_choice, quotients
from laminar.metrics.weighing import SampleWeight, WeightedMetric

__all__ = [
    "BalancedAccuracy",
    "CohenKappa",
    "HammingLoss",
    "HammingLossMulti",
    "MatthewsCorrCoef",
    "MatthewsCorrCoefMulti",
]


class BalancedAccuracy(ConfusionMetric):
    """Mean over the classes that occur of the share of their items that are found.

    Args:
        axis: where the classes are in the predictions.
        adjusted: count from chance: 0 for guessing, 1 for perfect.
        ignore_index: target that counts for nothing.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    title: ClassVar[str] = "balanced_accuracy_score"

    def __init__(
        self,
        axis: int = -1,
        *,
        adjusted: bool = False,
        ignore_index: int | None = -100,
        sample_weight: SampleWeight | None = None,
    ) -> None:
        super().__init__(axis, ignore_index, sample_weight)
        self.adjusted = adjusted

    def score(self, matrix: Tensor) -> Any:
        """Compute the metric from ``[true class, predicted class]``."""
        occurring = matrix.sum(1) > 0
        found = (matrix.diag() / matrix.sum(1))[occurring]
        if not self.adjusted:
            return found.mean()
        chance = 1 / len(found)
        return (found.mean() - chance) / (1 - chance) if len(found) > 1 else None


class CohenKappa(ConfusionMetric):
    """Agreement beyond chance (Cohen, "A coefficient of agreement for nominal scales", 1960).

    Args:
        axis: where the classes are in the predictions.
        labels: look at these classes only.
        weights: None: all mistakes alike; ``'linear'`` or ``'quadratic'``: by how far apart the classes' numbers are.
        ignore_index: target that counts for nothing.
        sample_weight: how much each item counts, see `WeightedMetric`.

    Raises:
        ConfigError: other `weights`.
    """

    title: ClassVar[str] = "cohen_kappa_score"

    def __init__(
        self,
        axis: int = -1,
        *,
        labels: Sequence[int] | None = None,
        weights: str | None = None,
        ignore_index: int | None = -100,
        sample_weight: SampleWeight | None = None,
    ) -> None:
        check_choice("CohenKappa", "weights", weights, (None, "linear", "quadratic"))
        super().__init__(axis, ignore_index, sample_weight)
        self.labels, self.weights = labels, weights

    def score(self, matrix: Tensor) -> Any:
        """Compute the metric from ``[true class, predicted class]``; None where chance alone agrees."""
        if self.labels is not None:
            chosen = torch.tensor([int(label) for label in self.labels])
            matrix = matrix[chosen][:, chosen]
        place = torch.arange(len(matrix), dtype=matrix.dtype)
        apart = (place[:, None] - place).abs()
        cost = {None: (apart > 0).double(), "linear": apart, "quadratic": apart**2}[self.weights]
        by_chance = torch.outer(matrix.sum(1), matrix.sum(0)) / matrix.sum()
        expected = (cost * by_chance).sum()
        return 1 - (cost * matrix).sum() / expected if expected > 0 else None


def _correlation(matrix: Tensor) -> Tensor:
    """Matthews' coefficient of a confusion matrix, 0 where all is of one class."""
    true, predicted, n = matrix.sum(1), matrix.sum(0), matrix.sum()
    shared = matrix.diag().sum() * n - true @ predicted
    spread = (n**2 - predicted @ predicted) * (n**2 - true @ true)
    return quotients(shared, spread.sqrt())


class MatthewsCorrCoef(ConfusionMetric):
    """Correlation of true and predicted classes (Gorodkin, "Comparing two K-category assignments", 2004).

    Args:
        axis: where the classes are in the predictions.
        ignore_index: target that counts for nothing.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    title: ClassVar[str] = "matthews_corrcoef"

    def score(self, matrix: Tensor) -> Tensor:
        """Compute the metric from ``[true class, predicted class]``."""
        return _correlation(matrix)


class HammingLoss(ConfusionMetric):
    """Share of items whose class is wrong.

    Args:
        axis: where the classes are in the predictions.
        ignore_index: target that counts for nothing.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    title: ClassVar[str] = "hamming_loss"
    smaller_is_better = True

    def score(self, matrix: Tensor) -> Tensor:
        """Compute the metric from ``[true class, predicted class]``."""
        return 1 - matrix.diag().sum() / matrix.sum()


class _Decisions(WeightedMetric):
    """Base of metrics of yes/no decisions, all outputs alike: override `score`.

    Args:
        thresh: probability from which an output counts as yes.
        sigmoid: turn raw outputs into probabilities first.
        labels: these outputs only, all by default.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    def __init__(
        self,
        thresh: float = 0.5,
        sigmoid: bool = True,
        *,
        labels: Sequence[int] | None = None,
        sample_weight: SampleWeight | None = None,
    ) -> None:
        self.thresh, self.sigmoid = thresh, sigmoid
        self.labels = None if labels is None else [int(label) for label in labels]
        super().__init__(sample_weight)

    def reset(self) -> None:
        """Forget what was counted."""
        super().reset()
        self.counts: Tensor | None = None

    def update(self, preds: Any, *targets: Any) -> None:
        """Count the decisions of a batch."""
        said, true = yes_or_no(preds.detach(), targets[0], self.thresh, self.sigmoid)
        said, true = said.reshape(len(said), -1), true.reshape(len(true), -1)
        if self.labels is not None:
            said, true = said[:, self.labels], true[:, self.labels]
        kinds, weights = torch.stack([~true & ~said, ~true & said, true & ~said, true & said]), self.next_weights(preds)
        counts = kinds.sum((1, 2)) if weights is None else (kinds * weights[:, None]).sum((1, 2))
        self.counts = counts if self.counts is None else self.counts + counts

    def score(self, matrix: Tensor) -> Tensor:
        """Compute the metric from ``[true, said]``."""
        raise NotImplementedError

    @property
    def value(self) -> Any:
        """The metric of all that was counted."""
        if self.counts is None:
            return None
        self.check_all_came()
        return self.score(self.counts.cpu().double().reshape(2, 2))


class HammingLossMulti(_Decisions):
    """Share of yes/no outputs that are wrong, where an item may have several labels.

    Args:
        thresh: probability from which an output counts as yes.
        sigmoid: turn raw outputs into probabilities first.
        labels: these outputs only, all by default.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    title: ClassVar[str] = "hamming_loss"
    smaller_is_better = True

    def score(self, matrix: Tensor) -> Tensor:
        """Compute the metric from ``[true, said]``."""
        return 1 - matrix.diag().sum() / matrix.sum()


class MatthewsCorrCoefMulti(_Decisions):
    """Correlation of true labels and those given, all outputs alike.

    Args:
        thresh: probability from which an output counts as yes.
        sigmoid: turn raw outputs into probabilities first.
        labels: these outputs only, all by default.
        sample_weight: how much each item counts, see `WeightedMetric`.

    Raises:
        ConfigError: predictions and targets of different size.
    """

    title: ClassVar[str] = "matthews_corrcoef"
    smaller_is_better = False

    def score(self, matrix: Tensor) -> Tensor:
        """Compute the metric from ``[true, said]``."""
        return _correlation(matrix)
