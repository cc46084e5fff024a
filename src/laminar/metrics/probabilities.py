"""How good probabilities are: squared distance from the truth."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.ranking import class_probabilities
from laminar.metrics.regression import flat_pairs
from laminar.metrics.weighing import SampleWeight, WeightedMetric

__all__ = ["BrierScore", "BrierScoreMulti"]


class _MeanDistance(WeightedMetric):
    """Base of means of distances, of as many to each item."""

    title: ClassVar[str] = "brier_score"
    smaller_is_better = True

    def reset(self) -> None:
        """Forget what was accumulated."""
        super().reset()
        self.total: Any = 0.0
        self.count: Any = 0

    def _add(self, distances: Tensor, preds: Tensor) -> None:
        weights = self.next_weights(preds)
        if weights is None:
            self.total, self.count = self.total + distances.sum(), self.count + len(distances)
            return
        each = weights.repeat_interleave(len(distances) // len(weights))
        self.total, self.count = self.total + (distances * each).sum(), self.count + each.sum()

    @property
    def value(self) -> Any:
        """The mean so far."""
        self.check_all_came()
        return self.total / self.count if isinstance(self.count, Tensor) or self.count else None


class BrierScore(_MeanDistance):
    """Mean squared distance of the classes' probabilities from the truth (Brier, "Verification of forecasts expressed
    in terms of probability", 1950); for two classes half of it, as is usual: that of one class's probability.

    Args:
        axis: where the classes are in the predictions.
        softmax: turn raw outputs into probabilities first.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    def __init__(self, axis: int = -1, *, softmax: bool = True, sample_weight: SampleWeight | None = None) -> None:
        self.axis, self.softmax = axis, softmax
        super().__init__(sample_weight)

    def update(self, preds: Any, *targets: Any) -> None:
        """Add the distances of one batch.

        Raises:
            ConfigError: there is one class, or another number of targets.
        """
        n = preds.shape[self.axis]
        if n < 2:
            raise ConfigError(f"BrierScore needs at least two classes, got {tuple(preds.shape)}: use BrierScoreMulti.")
        scores = preds.detach().float()
        given, classes = class_probabilities(scores, targets[0], self.axis)
        if not self.softmax:
            given = scores.movedim(self.axis, -1).flatten(0, -2)
        truth = classes[:, None] == torch.arange(n, device=classes.device)
        distances = (given - truth.float()).square().sum(1)
        self._add(distances / 2 if n == 2 else distances, preds)


class BrierScoreMulti(_MeanDistance):
    """Mean squared distance of yes/no outputs' probabilities from the truth, all outputs alike.

    Args:
        thresh: decide first, at this probability: then it is the share of wrong outputs. Probabilities by default.
        sigmoid: turn raw outputs into probabilities first.
        sample_weight: how much each item counts, see `WeightedMetric`.
    """

    def __init__(
        self, thresh: float | None = None, sigmoid: bool = True, *, sample_weight: SampleWeight | None = None
    ) -> None:
        self.thresh, self.sigmoid = thresh, sigmoid
        super().__init__(sample_weight)

    def update(self, preds: Any, *targets: Any) -> None:
        """Add the distances of one batch."""
        given, true = flat_pairs(preds.detach(), targets[0])
        given = given.sigmoid() if self.sigmoid else given
        self._add(((given if self.thresh is None else (given > self.thresh).float()) - true).square(), preds)
