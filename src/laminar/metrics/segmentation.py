"""How well masks fit: accuracy of what is no background, Dice and Jaccard over all pixels of an epoch."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.base import ratio
from laminar.metrics.classification import likeliest_classes
from laminar.metrics.confusion import ConfusionMetric

__all__ = ["Dice", "DiceMulti", "JaccardCoeff", "JaccardCoeffMulti", "foreground_acc"]


@ratio
def foreground_acc(inp: Tensor, targ: Tensor, bkg_idx: int = 0, axis: int = 1) -> tuple[Tensor, Tensor]:
    """Share of the pixels that are no background whose likeliest class is right.

    Over an epoch, of all pixels alike; a picture with little foreground counts little.

    Args:
        inp: scores, ``[batch, classes, height, width]``.
        targ: class indices, ``[batch, height, width]``.
        bkg_idx: the background's class.
        axis: where the classes are.
    """
    predicted, targets = likeliest_classes(inp, targ, axis)
    foreground = targets != bkg_idx
    return (foreground & (predicted == targets)).sum(), foreground.sum()


class _Overlap(ConfusionMetric):
    """Twice the pixels in common over those of both (Dice), or those in common over those in either (Jaccard).

    Args:
        axis: where the classes are.
        ignore_index: target that counts for nothing.
    """

    def __init__(self, axis: int = 1, ignore_index: int | None = -100) -> None:
        super().__init__(axis, ignore_index)

    def overlaps(self, matrix: Tensor) -> Tensor:
        """The coefficient of each class, NaN where it neither is nor is predicted."""
        raise NotImplementedError


class _Dices(_Overlap):
    def overlaps(self, matrix: Tensor) -> Tensor:
        return 2 * matrix.diag() / (matrix.sum(0) + matrix.sum(1))


class _Jaccards(_Overlap):
    def overlaps(self, matrix: Tensor) -> Tensor:
        return matrix.diag() / (matrix.sum(0) + matrix.sum(1) - matrix.diag())


class _OfSecondClass(_Overlap):
    """The coefficient of class 1 among two."""

    def check_classes(self, n: int) -> None:
        """Refuse more than two classes."""
        if n != 2:
            name = type(self).__name__
            raise ConfigError(f"{name} is for masks of two classes, and the predictions have {n}: use {name}Multi.")

    def score(self, matrix: Tensor) -> Tensor | None:
        """Compute the metric from ``[true class, predicted class]``."""
        value = self.overlaps(matrix)[1]
        return None if value.isnan() else value


class _MeanOfClasses(_Overlap):
    """The mean of the classes' coefficients, without those that neither are nor are predicted."""

    def score(self, matrix: Tensor) -> Tensor:
        """Compute the metric from ``[true class, predicted class]``."""
        return torch.nanmean(self.overlaps(matrix))


class Dice(_OfSecondClass, _Dices):
    """Dice coefficient of masks of two classes, over all pixels of an epoch.

    Args:
        axis: where the classes are.
        ignore_index: target that counts for nothing.

    Raises:
        ConfigError: there are more than two classes.
    """

    title: ClassVar[str] = "dice"


class JaccardCoeff(_OfSecondClass, _Jaccards):
    """Jaccard coefficient (intersection over union) of masks of two classes, over all pixels of an epoch.

    Args:
        axis: where the classes are.
        ignore_index: target that counts for nothing.

    Raises:
        ConfigError: there are more than two classes.
    """

    title: ClassVar[str] = "jaccard_coeff"


class DiceMulti(_MeanOfClasses, _Dices):
    """Mean of the classes' Dice coefficients over all pixels of an epoch; classes that do not occur are left out.

    Args:
        axis: where the classes are.
        ignore_index: target that counts for nothing.
    """

    title: ClassVar[str] = "dice_multi"


class JaccardCoeffMulti(_MeanOfClasses, _Jaccards):
    """Mean intersection over union of the classes over all pixels of an epoch; classes that do not occur are left out.

    Args:
        axis: where the classes are.
        ignore_index: target that counts for nothing.
    """

    title: ClassVar[str] = "jaccard_coeff_multi"
