"""Losses that know how to decode: from raw outputs to probabilities (`activation`) to decisions (`decodes`).

Every loss here is an ``nn.Module`` around a function of torch, so class weights move with it. A plain torch loss gets
the same abilities from `laminar.nn.decoding`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from laminar.core.errors import ConfigError, describe
from laminar.core.recipe import builder

__all__ = [
    "BCELossFlat",
    "BCEWithLogitsLossFlat",
    "BaseLoss",
    "CrossEntropyLossFlat",
    "DecodingLoss",
    "L1LossFlat",
    "LabelSmoothingCrossEntropy",
    "LabelSmoothingCrossEntropyFlat",
    "LossFunction",
    "MSELossFlat",
    "class_mean_weights",
]

LossFunction = Callable[..., Any]
_REDUCTIONS = ("mean", "sum", "none")


@runtime_checkable
class DecodingLoss(Protocol):
    """What a loss needs so that `predict`, `show_results` and `Interpretation` can read a model's outputs."""

    def activation(self, out: Tensor) -> Tensor:
        """Turn raw outputs into probabilities, or whatever the outputs mean."""

    def decodes(self, out: Tensor) -> Tensor:
        """Turn activated outputs into something of the target's kind."""


@builder
class BaseLoss(nn.Module):
    """A loss that flattens outputs and targets, and decodes. Subclasses say what to compute from flat ones.

    Args:
        axis: where the classes are in the outputs.
        flatten: bring outputs to ``[n, classes]`` (or ``[n]``) and targets to ``[n]`` before comparing.
        floatify: compare targets as floating point numbers.
        is_2d: outputs keep their class axis when flattened.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``; may be changed at any time.
    """

    y_int = False
    """Whether targets are whole numbers (class indices)."""

    def __init__(
        self,
        axis: int = -1,
        *,
        flatten: bool = True,
        floatify: bool = False,
        is_2d: bool = True,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        if reduction not in _REDUCTIONS:
            raise ConfigError(f"reduction={reduction!r} is none of {', '.join(_REDUCTIONS)}.")
        if not isinstance(axis, int):
            raise ConfigError(
                f"{type(self).__name__}: axis says where the classes are, as a whole number; got {describe(axis)}."
                " The importance of classes has a name: weight=..."
            )
        self.axis, self.flatten, self.floatify, self.is_2d, self.reduction = axis, flatten, floatify, is_2d, reduction

    def forward(self, inp: Tensor, targ: Tensor) -> Tensor:
        """Compare outputs with targets.

        Args:
            inp: the model's raw outputs, ``[batch, ...]`` with classes along `axis`.
            targ: ``[batch, ...]``; small integers are taken as class indices.
        """
        if targ.dtype in (torch.int8, torch.int16, torch.int32, torch.uint8):
            targ = targ.long()
        if self.floatify and targ.dtype != inp.dtype:
            targ = targ.to(inp.dtype if inp.is_floating_point() else torch.float32)
        if self.flatten:
            if self.is_2d:
                if inp.ndim > 2 or (inp.ndim == 2 and self.axis not in (-1, 1)):
                    inp = inp.movedim(self.axis, -1).flatten(0, -2)
            elif inp.ndim != 1:
                inp = inp.reshape(-1)
            if targ.ndim != 1:
                targ = targ.reshape(-1)
        return self.compare(inp, targ)

    def compare(self, inp: Tensor, targ: Tensor) -> Tensor:
        """Compute the loss of (flattened) outputs and targets, with `reduction`."""
        raise NotImplementedError(f"{type(self).__name__} must define compare(inp, targ).")

    def mean_weights(self, targ: Tensor) -> Tensor | None:
        """How much each item counts in the mean, ``[batch]``; None: all alike (see `laminar.nn.item_losses`)."""
        return None

    def activation(self, out: Tensor) -> Tensor:
        """Return the outputs as they are."""
        return out

    def decodes(self, out: Tensor) -> Tensor:
        """Return the outputs as they are."""
        return out

    def extra_repr(self) -> str:
        """Say what differs between two losses of one class."""
        return f"axis={self.axis}, reduction={self.reduction!r}"


def class_mean_weights(targ: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor | None:
    """How much each item counts in the mean of a cross entropy: by its classes' weights, less what is ignored.

    Args:
        targ: class indices, ``[batch, ...]``.
        weight: importance of each class, ``[classes]``.
        ignore_index: target that counts for nothing.

    Returns:
        ``[batch]``; None where all count alike. Items of one class each are taken not to be ignored by torch's own
        -100, which is there for pixels and words.
    """
    if targ.is_floating_point() or (weight is None and targ.ndim < 2 and ignore_index == -100):
        return None
    counted = targ != ignore_index
    each = counted.float() if weight is None else weight[targ.where(counted, 0).long()] * counted
    return each if targ.ndim < 2 else each.reshape(len(each), -1).mean(1)


class CrossEntropyLossFlat(BaseLoss):
    """Cross entropy over classes along `axis`: softmax, then the likeliest class.

    Args:
        axis: where the classes are: -1 for ``[batch, classes]``, 1 for masks ``[batch, classes, height, width]``.
        weight: importance of each class, ``[classes]``.
        ignore_index: target that counts for nothing.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        label_smoothing: share of the target's probability given to all classes alike, 0 to 1.

    >>> loss = CrossEntropyLossFlat()
    >>> probabilities = loss.activation(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> loss.decodes(probabilities).tolist()
    [0, 1]
    """

    y_int = True
    weight: Tensor | None

    def __init__(
        self,
        axis: int = -1,
        *,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(axis, reduction=reduction)
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def compare(self, inp: Tensor, targ: Tensor) -> Tensor:
        """Cross entropy of logits ``[n, classes]`` and class indices ``[n]``."""
        return F.cross_entropy(
            inp,
            targ,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

    def mean_weights(self, targ: Tensor) -> Tensor | None:
        """How much each item counts in the mean, ``[batch]``."""
        return class_mean_weights(targ, self.weight, self.ignore_index)

    def activation(self, out: Tensor) -> Tensor:
        """Softmax over the classes."""
        return out.softmax(dim=self.axis)

    def decodes(self, out: Tensor) -> Tensor:
        """Index of the likeliest class."""
        return out.argmax(dim=self.axis)


class LabelSmoothingCrossEntropy(CrossEntropyLossFlat):
    """Cross entropy with label smoothing (Szegedy et al., "Rethinking the Inception architecture", 2016).

    Equal to torch's ``cross_entropy(label_smoothing=eps)``, class weights acting on the smoothed part too.

    Args:
        eps: share of the target's probability given to all classes alike, 0 to 1.
        axis: where the classes are.
        weight: importance of each class, ``[classes]``.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
    """

    def __init__(
        self, eps: float = 0.1, *, axis: int = -1, weight: Tensor | None = None, reduction: str = "mean"
    ) -> None:
        if not isinstance(eps, int | float):
            raise ConfigError(
                f"{type(self).__name__}: eps is a share of the target, got {describe(eps)}. weight=... weighs classes."
            )
        super().__init__(axis, weight=weight, reduction=reduction, label_smoothing=eps)
        self.eps = eps


class LabelSmoothingCrossEntropyFlat(LabelSmoothingCrossEntropy):
    """`LabelSmoothingCrossEntropy` whose first argument is the axis.

    Args:
        axis: where the classes are.
        eps: share of the target's probability given to all classes alike, 0 to 1.
        weight: importance of each class, ``[classes]``.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
    """

    def __init__(
        self, axis: int = -1, *, eps: float = 0.1, weight: Tensor | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(eps, axis=axis, weight=weight, reduction=reduction)


class BCEWithLogitsLossFlat(BaseLoss):
    """Binary cross entropy of independent yes/no outputs: sigmoid, then above `thresh`.

    Args:
        axis: kept for the sake of programs that pass it; the loss is the same along every axis.
        floatify: compare targets as floating point numbers.
        thresh: probability from which an output counts as yes.
        weight: importance of each output, ``[outputs]``; turns flattening off.
        pos_weight: importance of the positive targets of each output, ``[outputs]``; turns flattening off.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        axis: int = -1,
        *,
        floatify: bool = True,
        thresh: float = 0.5,
        weight: Tensor | None = None,
        pos_weight: Tensor | None = None,
        reduction: str = "mean",
    ) -> None:
        flatten = weight is None and pos_weight is None
        super().__init__(axis, flatten=flatten, floatify=floatify, is_2d=False, reduction=reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)
        self.thresh = thresh

    def compare(self, inp: Tensor, targ: Tensor) -> Tensor:
        """Binary cross entropy of logits and 0/1 targets."""
        return F.binary_cross_entropy_with_logits(
            inp, targ, weight=self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )

    def activation(self, out: Tensor) -> Tensor:
        """Sigmoid of each output."""
        return out.sigmoid()

    def decodes(self, out: Tensor) -> Tensor:
        """Whether each probability is above `thresh`."""
        return out > self.thresh


class BCELossFlat(BaseLoss):
    """Binary cross entropy of probabilities, for models that end in a sigmoid: above `thresh` is yes.

    `BCEWithLogitsLossFlat` on raw outputs is more exact, and works in mixed precision.

    Args:
        axis: kept for the sake of programs that pass it; the loss is the same along every axis.
        floatify: compare targets as floating point numbers.
        thresh: probability from which an output counts as yes.
        weight: importance of each output, ``[outputs]``; turns flattening off.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
    """

    weight: Tensor | None

    def __init__(
        self,
        axis: int = -1,
        *,
        floatify: bool = True,
        thresh: float = 0.5,
        weight: Tensor | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(axis, flatten=weight is None, floatify=floatify, is_2d=False, reduction=reduction)
        self.register_buffer("weight", weight)
        self.thresh = thresh

    def compare(self, inp: Tensor, targ: Tensor) -> Tensor:
        """Binary cross entropy of probabilities and 0/1 targets."""
        return F.binary_cross_entropy(inp, targ, weight=self.weight, reduction=self.reduction)

    def decodes(self, out: Tensor) -> Tensor:
        """Whether each probability is above `thresh`."""
        return out > self.thresh


class _Regression(BaseLoss):
    """A loss between numbers; outputs and targets must have as many. Subclasses say how far two numbers are apart."""

    def __init__(
        self, axis: int = -1, *, floatify: bool = True, ignore_nan: bool = False, reduction: str = "mean"
    ) -> None:
        super().__init__(axis, floatify=floatify, is_2d=False, reduction=reduction)
        self.ignore_nan = ignore_nan

    def forward(self, inp: Tensor, targ: Tensor) -> Tensor:
        """Compare numbers with numbers, refusing to compare each with all.

        Raises:
            ConfigError: outputs and targets have different counts of numbers.
        """
        if inp.numel() != targ.numel():
            raise ConfigError(
                f"{type(self).__name__}: the model gives {tuple(inp.shape)}, the targets are {tuple(targ.shape)};"
                " both must hold as many numbers."
            )
        return super().forward(inp, targ)

    def compare(self, inp: Tensor, targ: Tensor) -> Tensor:
        """How far numbers are apart, over all targets that are known."""
        if not self.ignore_nan:
            return self.distance(inp, targ, self.reduction)
        known = ~targ.isnan()
        each = self.distance(inp.where(known, 0.0), targ.where(known, 0.0), "none")
        if self.reduction == "none":
            return each
        return each.sum() / known.sum().clamp(min=1) if self.reduction == "mean" else each.sum()

    def extra_repr(self) -> str:
        """Say what differs between two losses of one class."""
        return super().extra_repr() + (", ignore_nan=True" if self.ignore_nan else "")

    def distance(self, inp: Tensor, targ: Tensor, reduction: str) -> Tensor:
        """How far numbers are apart, reduced."""
        raise NotImplementedError(f"{type(self).__name__} must define distance(inp, targ, reduction).")


class MSELossFlat(_Regression):
    """Mean of squared differences.

    Args:
        axis: kept for the sake of programs that pass it; the loss is the same along every axis.
        floatify: compare targets as floating point numbers.
        ignore_nan: targets that are NaN, as points that were dropped, count for nothing.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
    """

    def distance(self, inp: Tensor, targ: Tensor, reduction: str) -> Tensor:
        """Squared differences."""
        return F.mse_loss(inp, targ, reduction=reduction)


class L1LossFlat(_Regression):
    """Mean of absolute differences.

    Args:
        axis: kept for the sake of programs that pass it; the loss is the same along every axis.
        floatify: compare targets as floating point numbers.
        ignore_nan: targets that are NaN, as points that were dropped, count for nothing.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
    """

    def distance(self, inp: Tensor, targ: Tensor, reduction: str) -> Tensor:
        """Absolute differences."""
        return F.l1_loss(inp, targ, reduction=reduction)
