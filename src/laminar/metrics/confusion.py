"""Which class was taken for which, counted over an epoch, and the scores that follow from such counts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laminar.core.errors import ConfigError, suggest
from laminar.metrics.classification import likeliest_classes
from laminar.metrics.weighing import SampleWeight, WeightedMetric

__all__ = ["AVERAGES", "ConfusionMetric", "averaged", "check_choice", "confusion_counts", "quotients"]

AVERAGES = ("binary", "macro", "micro", "weighted", "samples")


def check_choice(where: str, name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Refuse a value that is not among the choices.

    Raises:
        ConfigError: it is not; names the nearest.
    """
    if value not in choices:
        names = [str(choice) for choice in choices]
        raise ConfigError(f"{where}: {name}={value!r} is none of {', '.join(names)}.{suggest(str(value), names)}")


def confusion_counts(
    preds: Tensor,
    targets: Tensor,
    axis: int = -1,
    ignore_index: int | None = -100,
    weights: Tensor | None = None,
) -> Tensor:
    """Count each pair of true and predicted class, without waiting for the device.

    Args:
        preds: scores with classes along `axis`.
        targets: class indices, as many as there are predictions.
        axis: where the classes are.
        ignore_index: target that counts for nothing.
        weights: how often each item counts, ``[batch]``; once by default.

    Returns:
        ``[classes * classes + 2]``: the pairs, row by row of the true class; then the ignored, then targets that are no
        class, these without weights.

    Raises:
        ConfigError: there is one class, or another number of targets.
    """
    predicted, truth = likeliest_classes(preds, targets, axis)
    n = preds.shape[axis]
    if n < 2:
        raise ConfigError(
            f"predictions {tuple(preds.shape)} have {n} class along axis {axis}: nothing to choose from. For yes/no"
            " outputs there are F1ScoreMulti and its kin."
        )
    truth = truth.long()
    place = torch.where((truth < 0) | (truth >= n), n * n + 1, truth * n + predicted)
    if ignore_index is not None:
        place = torch.where(truth == ignore_index, n * n, place)
    if weights is None:
        counts = torch.zeros(n * n + 2, dtype=torch.int64, device=preds.device)
        return counts.scatter_add_(0, place, torch.ones_like(place))
    each = weights.repeat_interleave(len(place) // len(weights))
    each = torch.where(place > n * n, 1.0, each)
    return torch.zeros(n * n + 2, dtype=each.dtype, device=each.device).scatter_add_(0, place, each)


class ConfusionMetric(WeightedMetric):
    """Base of metrics that follow from how often each class was taken for each: override `score`.

    Counts are kept on the device and are exact, whatever the batches.

    Args:
        axis: where the classes are in the predictions.
        ignore_index: target that counts for nothing; None if each one counts.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    smaller_is_better = False

    def __init__(
        self, axis: int = -1, ignore_index: int | None = -100, sample_weight: SampleWeight | None = None
    ) -> None:
        self.axis, self.ignore_index = axis, ignore_index
        super().__init__(sample_weight)

    def reset(self) -> None:
        """Forget what was counted."""
        super().reset()
        self.counts: Tensor | None = None

    def update(self, preds: Any, *targets: Any) -> None:
        """Count the pairs of a batch."""
        self.check_classes(preds.shape[self.axis])
        weights = self.next_weights(preds)
        counts = confusion_counts(preds.detach(), targets[0], self.axis, self.ignore_index, weights)
        self.counts = counts if self.counts is None else self.counts + counts

    def check_classes(self, n: int) -> None:
        """Refuse a number of classes that the metric cannot do with."""

    def score(self, matrix: Tensor) -> Any:
        """Compute the metric.

        Args:
            matrix: float64 on the CPU, ``[true class, predicted class]``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define score(matrix).")

    @property
    def value(self) -> Any:
        """The metric of all that was counted."""
        matrix = self.matrix()
        return None if matrix is None or not matrix.sum() else self.score(matrix.double())

    def matrix(self) -> Tensor | None:
        """The counts so far, ``[true class, predicted class]``, on the CPU; None of nothing.

        Raises:
            ConfigError: a target was no class.
        """
        if self.counts is None:
            return None
        self.check_all_came()
        counts = self.counts.cpu()
        n = round((len(counts) - 2) ** 0.5)
        if counts[-1]:
            raise ConfigError(
                f"{int(counts[-1])} targets are no class: the predictions have {n} classes (0 to {n - 1}), and"
                f" ignore_index is {self.ignore_index}."
            )
        return counts[:-2].reshape(n, n)


def quotients(above: Tensor, below: Tensor) -> Tensor:
    """Quotients, 0 where the denominator is 0."""
    return torch.where(below > 0, above / below.clamp(min=torch.finfo(below.dtype).tiny), 0.0)


def averaged(above: Tensor, below: Tensor, support: Tensor, average: str) -> Tensor:
    """One score of those of several classes.

    Args:
        above: numerators, ``[classes]``.
        below: denominators.
        support: how many items truly are of each class.
        average: ``'macro'``: mean of the classes; ``'weighted'``: by their support; ``'micro'``: quotient of the sums.
    """
    if average == "micro":
        return quotients(above.sum(), below.sum())
    scores = quotients(above, below)
    return scores.mean() if average == "macro" else quotients((scores * support).sum(), support.sum())
