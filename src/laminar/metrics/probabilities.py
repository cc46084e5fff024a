"""How good probabilities are: squared distance from the truth."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from laminar.core.errors import ConfigError
from laminar.metrics.base import PairMetric
from laminar.metrics.ranking import class_probabilities
from laminar.metrics.regression import flat_pairs

__all__ = ["BrierScore", "BrierScoreMulti"]


class BrierScore(PairMetric):
    """Mean squared distance of the classes' probabilities from the truth (Brier, "Verification of forecasts expressed
    in terms of probability", 1950); for two classes half of it, as is usual: that of one class's probability.

    Args:
        axis: where the classes are in the predictions.
        softmax: turn raw outputs into probabilities first.
    """

    title: ClassVar[str] = "brier_score"
    smaller_is_better = True

    def __init__(self, axis: int = -1, *, softmax: bool = True) -> None:
        self.axis, self.softmax = axis, softmax
        self.reset()

    def reset(self) -> None:
        """Forget what was accumulated."""
        self.total: Any = 0.0
        self.count = 0

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
        distances = (given - truth.float()).square().sum()
        self.total = self.total + (distances / 2 if n == 2 else distances)
        self.count += len(classes)

    @property
    def value(self) -> Any:
        """The mean so far."""
        return self.total / self.count if self.count else None


class BrierScoreMulti(PairMetric):
    """Mean squared distance of yes/no outputs' probabilities from the truth, all outputs alike.

    Args:
        sigmoid: turn raw outputs into probabilities first.
    """

    title: ClassVar[str] = "brier_score"
    smaller_is_better = True

    def __init__(self, sigmoid: bool = True) -> None:
        self.sigmoid = sigmoid
        self.reset()

    def reset(self) -> None:
        """Forget what was accumulated."""
        self.total: Any = 0.0
        self.count = 0

    def update(self, preds: Any, *targets: Any) -> None:
        """Add the distances of one batch."""
        given, true = flat_pairs(preds.detach(), targets[0])
        self.total = self.total + ((given.sigmoid() if self.sigmoid else given) - true).square().sum()
        self.count += true.numel()

    @property
    def value(self) -> Any:
        """The mean so far."""
        return self.total / self.count if self.count else None
