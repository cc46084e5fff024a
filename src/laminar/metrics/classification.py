"""How often a classifier is right."""

from __future__ import annotations

import torch
from torch import Tensor

from laminar.core.errors import ConfigError

__all__ = ["accuracy", "accuracy_multi", "error_rate", "top_k_accuracy"]


def _classes(preds: Tensor, targets: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Likeliest classes and targets, both flat."""
    if preds.numel() // preds.shape[axis] != targets.numel():
        raise ConfigError(
            f"predictions {tuple(preds.shape)} with classes along axis {axis} need"
            f" {preds.numel() // preds.shape[axis]} targets; there are {targets.numel()}, {tuple(targets.shape)}."
        )
    return preds.argmax(dim=axis).reshape(-1), targets.reshape(-1)


def accuracy(inp: Tensor, targ: Tensor, axis: int = -1) -> Tensor:
    """Share of items whose likeliest class is the target, 0 to 1.

    Args:
        inp: scores or probabilities, ``[batch, classes]``.
        targ: class indices, ``[batch]``.
        axis: where the classes are.

    >>> accuracy(torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([0, 0])).item()
    0.5
    """
    predicted, targets = _classes(inp, targ, axis)
    return (predicted == targets).float().mean()


def error_rate(inp: Tensor, targ: Tensor, axis: int = -1) -> Tensor:
    """Share of items whose likeliest class is not the target: 1 - `accuracy`.

    Args:
        inp: scores or probabilities, ``[batch, classes]``.
        targ: class indices, ``[batch]``.
        axis: where the classes are.
    """
    return 1 - accuracy(inp, targ, axis)


def top_k_accuracy(inp: Tensor, targ: Tensor, k: int = 5, axis: int = -1) -> Tensor:
    """Share of items whose target is among the `k` likeliest classes (among all, if there are fewer than `k`).

    Args:
        inp: scores or probabilities, ``[batch, classes]``.
        targ: class indices, ``[batch]``.
        k: how many classes count.
        axis: where the classes are.
    """
    _classes(inp, targ, axis)
    best = inp.topk(min(k, inp.shape[axis]), dim=axis).indices
    return (best == targ.unsqueeze(axis)).any(dim=axis).float().mean()


def accuracy_multi(inp: Tensor, targ: Tensor, thresh: float = 0.5, sigmoid: bool = True) -> Tensor:
    """Share of yes/no outputs that are right, where an item may have several classes.

    Args:
        inp: raw outputs, ``[batch, classes]`` (probabilities with ``sigmoid=False``).
        targ: 0 or 1, same shape.
        thresh: probability from which an output counts as yes.
        sigmoid: turn raw outputs into probabilities first.
    """
    if inp.numel() != targ.numel():
        raise ConfigError(f"predictions {tuple(inp.shape)} and targets {tuple(targ.shape)} must hold as many numbers.")
    probabilities = torch.sigmoid(inp) if sigmoid else inp
    return ((probabilities > thresh).reshape(-1) == targ.reshape(-1).bool()).float().mean()
