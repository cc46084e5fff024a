"""How often a classifier is right."""

from __future__ import annotations

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.base import mean_of_items, smaller_is_better

__all__ = [
    "accuracy",
    "accuracy_multi",
    "accuracy_thresh_expand",
    "error_rate",
    "likeliest_classes",
    "top_k_accuracy",
    "yes_or_no",
]


def likeliest_classes(preds: Tensor, targets: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Likeliest classes and targets, both flat.

    Raises:
        ConfigError: there is another number of targets.
    """
    if preds.numel() // preds.shape[axis] != targets.numel():
        raise ConfigError(
            f"predictions {tuple(preds.shape)} with classes along axis {axis} need"
            f" {preds.numel() // preds.shape[axis]} targets; there are {targets.numel()}, {tuple(targets.shape)}."
        )
    return preds.argmax(dim=axis).reshape(-1), targets.reshape(-1)


def yes_or_no(preds: Tensor, targets: Tensor, thresh: float, sigmoid: bool) -> tuple[Tensor, Tensor]:
    """What outputs say and what is true, as booleans of the predictions' shape.

    Raises:
        ConfigError: there is another number of targets.
    """
    if preds.numel() != targets.numel():
        raise ConfigError(
            f"predictions {tuple(preds.shape)} and targets {tuple(targets.shape)} must hold as many numbers."
        )
    probabilities = torch.sigmoid(preds) if sigmoid else preds
    return probabilities > thresh, targets.reshape(preds.shape).bool()


def _by_item(values: Tensor, preds: Tensor) -> Tensor:
    """The mean of each item's values."""
    numbers = values.float()
    return numbers if numbers.numel() == len(preds) else numbers.reshape(len(preds), -1).mean(1)


@mean_of_items
def accuracy(inp: Tensor, targ: Tensor, axis: int = -1) -> Tensor:
    """Share of items whose likeliest class is the target, 0 to 1.

    Args:
        inp: scores or probabilities, ``[batch, classes]``.
        targ: class indices, ``[batch]``.
        axis: where the classes are.

    >>> accuracy(torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([0, 0])).item()
    0.5
    """
    predicted, targets = likeliest_classes(inp, targ, axis)
    return _by_item(predicted == targets, inp)


@smaller_is_better
@mean_of_items
def error_rate(inp: Tensor, targ: Tensor, axis: int = -1) -> Tensor:
    """Share of items whose likeliest class is not the target: 1 - `accuracy`.

    Args:
        inp: scores or probabilities, ``[batch, classes]``.
        targ: class indices, ``[batch]``.
        axis: where the classes are.
    """
    predicted, targets = likeliest_classes(inp, targ, axis)
    return _by_item(predicted != targets, inp)


@mean_of_items
def top_k_accuracy(inp: Tensor, targ: Tensor, k: int = 5, axis: int = -1) -> Tensor:
    """Share of items whose target is among the `k` likeliest classes (among all, if there are fewer than `k`).

    Args:
        inp: scores or probabilities, ``[batch, classes]``.
        targ: class indices, ``[batch]``.
        k: how many classes count.
        axis: where the classes are.
    """
    likeliest_classes(inp, targ, axis)
    best = inp.topk(min(k, inp.shape[axis]), dim=axis).indices
    return _by_item((best == targ.unsqueeze(axis)).any(dim=axis), inp)


@mean_of_items
def accuracy_multi(inp: Tensor, targ: Tensor, thresh: float = 0.5, sigmoid: bool = True) -> Tensor:
    """Share of yes/no outputs that are right, where an item may have several classes.

    Args:
        inp: raw outputs, ``[batch, classes]`` (probabilities with ``sigmoid=False``).
        targ: 0 or 1, same shape.
        thresh: probability from which an output counts as yes.
        sigmoid: turn raw outputs into probabilities first.
    """
    said, true = yes_or_no(inp, targ, thresh, sigmoid)
    return _by_item(said == true, inp)


@mean_of_items
def accuracy_thresh_expand(y_pred: Tensor, y_true: Tensor, thresh: float = 0.5, sigmoid: bool = True) -> Tensor:
    """Share of yes/no outputs that agree with the one target of their item.

    Args:
        y_pred: raw outputs, ``[batch, ...]`` (probabilities with ``sigmoid=False``).
        y_true: 0 or 1, ``[batch]``.
        thresh: probability from which an output counts as yes.
        sigmoid: turn raw outputs into probabilities first.
    """
    if y_true.numel() != len(y_pred):
        raise ConfigError(f"predictions {tuple(y_pred.shape)} need {len(y_pred)} targets, got {tuple(y_true.shape)}.")
    targets = y_true.reshape(-1, *[1] * (y_pred.ndim - 1)).expand_as(y_pred)
    said, true = yes_or_no(y_pred, targets, thresh, sigmoid)
    return _by_item(said == true, y_pred)
