"""Focal loss: cross entropy that cares less for what is already right."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from laminar.core.errors import ConfigError, describe
from laminar.nn.losses import BaseLoss, class_mean_weights

__all__ = ["FocalLoss", "FocalLossFlat"]


class FocalLoss(BaseLoss):
    """Cross entropy times ``(1 - probability of the target) ** gamma`` (Lin et al., "Focal loss for dense object
    detection", 2017): items that are easy, or of a class that abounds, count less.

    Args:
        gamma: how much less; 0 is cross entropy.
        axis: where the classes are.
        weight: importance of each class, ``[classes]`` (the paper's alpha); the mean does not divide by it.
        ignore_index: target that counts for nothing.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.

    Raises:
        ConfigError: a negative `gamma`.
    """

    y_int = True
    weight: Tensor | None

    def __init__(
        self,
        gamma: float = 2.0,
        *,
        axis: int = 1,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        if not isinstance(gamma, int | float) or gamma < 0:
            raise ConfigError(f"gamma must be 0 or more, got {describe(gamma)}. weight=... weighs classes.")
        super().__init__(axis, reduction=reduction)
        self.register_buffer("weight", weight)
        self.gamma, self.ignore_index = gamma, ignore_index

    def compare(self, inp: Tensor, targ: Tensor) -> Tensor:
        """Focal loss of logits ``[n, classes]`` and class indices ``[n]``."""
        entropy = F.cross_entropy(inp, targ, ignore_index=self.ignore_index, reduction="none")
        losses = (1 - (-entropy).exp()).clamp(min=0) ** self.gamma * entropy
        counted = targ != self.ignore_index
        if self.weight is not None:
            losses = losses * self.weight[targ.where(counted, 0)]
        if self.reduction == "none":
            return losses
        return losses.sum() if self.reduction == "sum" else losses.sum() / counted.sum()

    def mean_weights(self, targ: Tensor) -> Tensor | None:
        """How much each item counts in the mean, ``[batch]``: not by its class."""
        return class_mean_weights(targ, None, self.ignore_index)

    def activation(self, out: Tensor) -> Tensor:
        """Softmax over the classes."""
        return out.softmax(dim=self.axis)

    def decodes(self, out: Tensor) -> Tensor:
        """Index of the likeliest class."""
        return out.argmax(dim=self.axis)


class FocalLossFlat(FocalLoss):
    """`FocalLoss` whose classes are along the last axis unless said otherwise.

    Args:
        gamma: how much less easy items count; 0 is cross entropy.
        axis: where the classes are.
        weight: importance of each class, ``[classes]``.
        ignore_index: target that counts for nothing.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        *,
        axis: int = -1,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__(gamma, axis=axis, weight=weight, ignore_index=ignore_index, reduction=reduction)
