"""Dice loss: how little predicted and true masks overlap."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from laminar.nn.losses import BaseLoss

__all__ = ["DiceLoss"]


class DiceLoss(BaseLoss):
    """One minus the Dice coefficient of each picture and class (Milletari et al., "V-Net: Fully convolutional neural
    networks for volumetric medical image segmentation", 2016), summed unless said otherwise.

    Args:
        axis: where the classes are: 1 for ``[batch, classes, height, width]``.
        smooth: added above and below, so that a class that is nowhere costs nothing.
        reduction: ``'mean'``, ``'sum'`` or ``'none'`` (``[batch, classes]``).
        square_in_union: compare with the sum of the squared probabilities, as in the paper.
    """

    y_int = True

    def __init__(
        self, axis: int = 1, smooth: float = 1e-6, reduction: str = "sum", square_in_union: bool = False
    ) -> None:
        super().__init__(axis, flatten=False, reduction=reduction)
        self.smooth, self.square_in_union = smooth, square_in_union

    def compare(self, inp: Tensor, targ: Tensor) -> Tensor:
        """Dice loss of logits with classes along `axis` and class indices."""
        probabilities = self.activation(inp).movedim(self.axis, 1)
        classes = F.one_hot(targ, inp.shape[self.axis]).movedim(-1, 1).to(inp.dtype)
        probabilities, classes = (part.reshape(*part.shape[:2], -1) for part in (probabilities, classes))
        both = probabilities.square() + classes if self.square_in_union else probabilities + classes
        overlap = 2 * (probabilities * classes).sum(2) + self.smooth
        losses = 1 - overlap / (both.sum(2) + self.smooth)
        if self.reduction == "none":
            return losses
        return losses.sum() if self.reduction == "sum" else losses.mean()

    def activation(self, out: Tensor) -> Tensor:
        """Softmax over the classes."""
        return out.softmax(dim=self.axis)

    def decodes(self, out: Tensor) -> Tensor:
        """Index of the likeliest class."""
        return out.argmax(dim=self.axis)
