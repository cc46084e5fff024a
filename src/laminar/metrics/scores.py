"""F-scores, precision, recall and their kin, for items of one class and for items of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.classification import yes_or_no
from laminar.metrics.confusion import AVERAGES, ConfusionMetric, averaged, check_choice, quotients
from laminar.metrics.weighing import SampleWeight, WeightedMetric

__all__ = [
    "ClassScore",
    "F1Score",
    "F1ScoreMulti",
    "FBeta",
    "FBetaMulti",
    "Jaccard",
    "JaccardMulti",
    "LabelScore",
    "Precision",
    "PrecisionMulti",
    "Recall",
    "RecallMulti",
]

Parts = tuple[Tensor, Tensor]


# What a score makes of right, wrong and missed ones: a numerator and a denominator.


class _OfPredicted:
    title: ClassVar[str] = "precision_score"

    def parts(self, hits: Tensor, false_alarms: Tensor, misses: Tensor) -> Parts:
        return hits, hits + false_alarms


class _OfTrue:
    title: ClassVar[str] = "recall_score"

    def parts(self, hits: Tensor, false_alarms: Tensor, misses: Tensor) -> Parts:
        return hits, hits + misses


class _OfEither:
    title: ClassVar[str] = "jaccard_score"

    def parts(self, hits: Tensor, false_alarms: Tensor, misses: Tensor) -> Parts:
        return hits, hits + false_alarms + misses


class _Balance:
    title: ClassVar[str] = "fbeta_score"
    beta: float

    def parts(self, hits: Tensor, false_alarms: Tensor, misses: Tensor) -> Parts:
        square = self.beta**2
        above = (1 + square) * hits
        return above, above + square * misses + false_alarms


class ClassScore(ConfusionMetric):
    """Base of scores of items that have one class each, over an epoch: override `parts`.

    Args:
        axis: where the classes are in the predictions.
        labels: average these classes only; by default those that occur among targets or predictions.
        pos_label: with ``average='binary'``, the class that is looked for.
        average: ``'binary'``, ``'macro'`` (mean of the classes), ``'micro'`` (all items alike) or ``'weighted'`` (by
            the classes' frequency).
        ignore_index: target that counts for nothing.
        sample_weight: how much each item counts, see `WeightedMetric`.

    Raises:
        ConfigError: another `average`; at the first batch, ``'binary'`` with more than two classes.
    """

    def __init__(
        self,
        axis: int = -1,
        *,
        labels: Sequence[int] | None = None,
        pos_label: int = 1,
        average: str = "binary",
        ignore_index: int | None = -100,
        sample_weight: SampleWeight | None = None,
    ) -> None:
        check_choice(type(self).__name__, "average", average, AVERAGES[:-1])
        self.labels = None if labels is None else [int(label) for label in labels]
        self.pos_label, self.average = pos_label, average
        super().__init__(axis, ignore_index, sample_weight)

    def parts(self, hits: Tensor, false_alarms: Tensor, misses: Tensor) -> Parts:
        """Numerator and denominator of each class."""
        raise NotImplementedError(f"{type(self).__name__} must define parts(hits, false_alarms, misses).")

    def check_classes(self, n: int) -> None:
        """Refuse ``average='binary'`` for more than two classes, and labels that are none."""
        if self.average == "binary" and n != 2:
            raise ConfigError(
                f"{type(self).__name__}(average='binary') is for two classes, and the predictions have {n}. Pass"
                " average='macro' (mean of the classes), 'micro' or 'weighted'."
            )
        wanted = [self.pos_label] if self.average == "binary" else self.labels or []
        wrong = [label for label in wanted if not 0 <= label < n]
        if wrong:
            raise ConfigError(f"{type(self).__name__}: class {wrong[0]} is none of the {n} classes (0 to {n - 1}).")

    def score(self, matrix: Tensor) -> Tensor:
        """Compute the score from ``[true class, predicted class]``."""
        hits, predicted, true = matrix.diag(), matrix.sum(0), matrix.sum(1)
        above, below = self.parts(hits, predicted - hits, true - hits)
        if self.average == "binary":
            return quotients(above, below)[self.pos_label]
        chosen = (predicted + true > 0).nonzero()[:, 0] if self.labels is None else torch.tensor(self.labels)
        return averaged(above[chosen], below[chosen], true[chosen], self.average)


class Precision(_OfPredicted, ClassScore):
    """Share of the items predicted to be of a class that are; arguments as of `ClassScore`."""


class Recall(_OfTrue, ClassScore):
    """Share of the items of a class that are found; arguments as of `ClassScore`."""


class Jaccard(_OfEither, ClassScore):
    """Share of the items of a class, true or predicted, that are both; arguments as of `ClassScore`."""


class FBeta(_Balance, ClassScore):
    """Weighted harmonic mean of precision and recall.

    Args:
        beta: how much more recall counts than precision.
        axis: where the classes are in the predictions.
        labels: average these classes only.
        pos_label: with ``average='binary'``, the class that is looked for.
        average: ``'binary'``, ``'macro'``, ``'micro'`` or ``'weighted'``; see `ClassScore`.
        ignore_index: target that counts for nothing.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    def __init__(
        self,
        beta: float,
        axis: int = -1,
        *,
        labels: Sequence[int] | None = None,
        pos_label: int = 1,
        average: str = "binary",
        ignore_index: int | None = -100,
        sample_weight: SampleWeight | None = None,
    ) -> None:
        self.beta = beta
        super().__init__(
            axis,
            labels=labels,
            pos_label=pos_label,
            average=average,
            ignore_index=ignore_index,
            sample_weight=sample_weight,
        )


class F1Score(_Balance, ClassScore):
    """Harmonic mean of precision and recall; arguments as of `ClassScore`."""

    title: ClassVar[str] = "f1_score"
    beta = 1.0


class LabelScore(WeightedMetric):
    """Base of scores of items that may have several labels, over an epoch: override `parts`.

    Args:
        thresh: probability from which an output counts as yes.
        sigmoid: turn raw outputs into probabilities first.
        labels: these outputs only, all by default.
        average: ``'macro'`` (mean of the labels), ``'micro'`` (all decisions alike), ``'weighted'`` (by the labels'
            frequency) or ``'samples'`` (mean of the items).
        sample_weight: how much each item counts, see `WeightedMetric`.

    Raises:
        ConfigError: another `average`.
    """

    smaller_is_better = False

    def __init__(
        self,
        thresh: float = 0.5,
        sigmoid: bool = True,
        *,
        labels: Sequence[int] | None = None,
        average: str = "macro",
        sample_weight: SampleWeight | None = None,
    ) -> None:
        check_choice(type(self).__name__, "average", average, AVERAGES[1:])
        self.thresh, self.sigmoid, self.average = thresh, sigmoid, average
        self.labels = None if labels is None else [int(label) for label in labels]
        super().__init__(sample_weight)

    def parts(self, hits: Tensor, false_alarms: Tensor, misses: Tensor) -> Parts:
        """Numerator and denominator of each label, or of each item."""
        raise NotImplementedError(f"{type(self).__name__} must define parts(hits, false_alarms, misses).")

    def reset(self) -> None:
        """Forget what was counted."""
        super().reset()
        # hits, false alarms and misses of each label; or the sum of the items' scores, and their count
        self.counts: Tensor | None = None

    def update(self, preds: Any, *targets: Any) -> None:
        """Count the decisions of a batch."""
        said, true = yes_or_no(preds.detach(), targets[0], self.thresh, self.sigmoid)
        said, true = said.reshape(len(said), -1), true.reshape(len(true), -1)
        if self.labels is not None:
            said, true = said[:, self.labels], true[:, self.labels]
        weights = self.next_weights(preds)
        kinds = torch.stack([said & true, said & ~true, ~said & true])
        if self.average == "samples":
            scores = quotients(*self.parts(*kinds.sum(2).float()))
            weights = torch.ones_like(scores) if weights is None else weights
            counts = torch.stack([(scores * weights).sum(), weights.sum()])
        else:
            counts = kinds.sum(1) if weights is None else (kinds * weights[:, None]).sum(1)
        self.counts = counts if self.counts is None else self.counts + counts

    @property
    def value(self) -> Any:
        """The score of all that was counted."""
        if self.counts is None:
            return None
        self.check_all_came()
        counts = self.counts.cpu().double()
        if self.average == "samples":
            return counts[0] / counts[1]
        hits, false_alarms, misses = counts
        return averaged(*self.parts(hits, false_alarms, misses), hits + misses, self.average)


class PrecisionMulti(_OfPredicted, LabelScore):
    """Share of the labels given that are right; arguments as of `LabelScore`."""


class RecallMulti(_OfTrue, LabelScore):
    """Share of the true labels that are given; arguments as of `LabelScore`."""


class JaccardMulti(_OfEither, LabelScore):
    """Share of the labels, true or given, that are both; arguments as of `LabelScore`."""


class FBetaMulti(_Balance, LabelScore):
    """Weighted harmonic mean of precision and recall of labels.

    Args:
        beta: how much more recall counts than precision.
        thresh: probability from which an output counts as yes.
        sigmoid: turn raw outputs into probabilities first.
        labels: these outputs only.
        average: ``'macro'``, ``'micro'``, ``'weighted'`` or ``'samples'``; see `LabelScore`.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    def __init__(
        self,
        beta: float,
        thresh: float = 0.5,
        sigmoid: bool = True,
        *,
        labels: Sequence[int] | None = None,
        average: str = "macro",
        sample_weight: SampleWeight | None = None,
    ) -> None:
        self.beta = beta
        super().__init__(thresh, sigmoid, labels=labels, average=average, sample_weight=sample_weight)


class F1ScoreMulti(_Balance, LabelScore):
    """Harmonic mean of precision and recall of labels; arguments as of `LabelScore`."""

    title: ClassVar[str] = "f1_score"
    beta = 1.0
