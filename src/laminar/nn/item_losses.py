"""The loss of single items, and how the loss of a batch is made of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from laminar.core.device import apply
from laminar.core.errors import ConfigError
from laminar.nn.decoding import loss_name
from laminar.nn.losses import LossFunction, class_mean_weights

__all__ = ["adds_up", "gives_item_losses", "item_losses", "mean_weights", "reduced", "unreduced"]


def adds_up(loss_func: LossFunction) -> bool:
    """Whether a loss is the sum over the batch, not the mean."""
    return bool(_option(loss_func, "reduction", "mean") == "sum")


def mean_weights(loss_func: LossFunction, *targets: Any) -> Tensor | None:
    """How much each item counts in the mean that a loss takes over a batch.

    With class weights or ignored targets the means of two batches count for more or less than the batches have items,
    which whoever puts them together has to know. A loss of one's own says so in a method ``mean_weights(*targets)``.

    Args:
        loss_func: any loss.
        targets: the targets of a batch.

    Returns:
        ``[batch]``; None where all items count alike, as they do in a sum, and in a classification that has neither
        class weights nor an `ignore_index` of its own.
    """
    if _option(loss_func, "reduction", "mean") != "mean":
        return None
    own = getattr(loss_func, "mean_weights", None)
    if callable(own):
        weights: Tensor | None = own(*targets)
        return weights
    func = getattr(loss_func, "func", loss_func)
    if isinstance(func, nn.CrossEntropyLoss | nn.NLLLoss) or func is F.cross_entropy or func is F.nll_loss:
        return class_mean_weights(
            targets[0], _option(loss_func, "weight", None), _option(loss_func, "ignore_index", -100)
        )
    return None


def reduced(loss_func: LossFunction, losses: Tensor, weights: Tensor | None = None) -> Tensor:
    """The loss of a batch from those of its items, as `loss_func` would make it.

    Args:
        loss_func: the loss.
        losses: from `unreduced`, ``[batch]``.
        weights: how much each counts in a mean, ``[batch]``; alike by default.
    """
    if adds_up(loss_func):
        return losses.sum()
    return losses.mean() if weights is None else losses.sum() / weights.sum()


def _option(loss_func: LossFunction, name: str, default: Any) -> Any:
    """What a loss was set to: an attribute of a module, a keyword of a partial."""
    if isinstance(loss_func, partial):
        return loss_func.keywords.get(name, default)
    return getattr(loss_func, name, default)


def unreduced(loss_func: LossFunction, pred: Any, *targets: Any) -> Tensor:
    """The loss of each item of a batch, to be differentiated: without reduction, then averaged within the item, or
    added up where that is what the loss does (``reduction="sum"``).

    Args:
        loss_func: a module with a `reduction`, or a function with a `reduction` argument.
        pred: the model's raw outputs.
        targets: the targets.

    Returns:
        ``[batch]``.

    Raises:
        ConfigError: the loss cannot be asked for single items.
    """
    n = _batch_size(targets, pred)
    if isinstance(getattr(loss_func, "reduction", None), str):
        with _without_reduction(loss_func):
            losses = loss_func(pred, *targets)
    elif _takes_reduction(loss_func):
        losses = loss_func(pred, *targets, reduction="none")
    else:
        losses = None
    if not isinstance(losses, Tensor) or losses.numel() % n or losses.numel() < n:
        raise ConfigError(
            f"{loss_name(loss_func)} gives no loss for single items: it needs an attribute or an argument `reduction`"
            " that can be 'none'."
        )
    if losses.shape == (n,):
        return losses
    return losses.reshape(n, -1).sum(dim=1) if adds_up(loss_func) else losses.reshape(n, -1).mean(dim=1)


@contextmanager
def _without_reduction(loss_func: Any) -> Iterator[None]:
    """Ask a loss for single items for a moment; in its own dictionary, since modules are slow to take attributes."""
    settings, before = getattr(loss_func, "__dict__", {}), loss_func.reduction
    own = "reduction" in settings  # else a property, or a field of the class
    try:
        if own:
            settings["reduction"] = "none"
        else:
            loss_func.reduction = "none"
        yield
    finally:
        if own:
            settings["reduction"] = before
        else:
            loss_func.reduction = before


def item_losses(loss_func: LossFunction, pred: Any, *targets: Any) -> Tensor:
    """The loss of each item of a batch, ``[batch]``, as numbers; see `unreduced`.

    A loss that cannot be asked for single items, as a function of one's own, is asked about each item alone.
    """
    if gives_item_losses(loss_func):
        return unreduced(loss_func, pred, *targets).detach()
    alone = [apply(itemgetter(slice(i, i + 1)), (pred, *targets)) for i in range(_batch_size(targets, pred))]
    losses = [loss_func(*parts) for parts in alone]
    if not all(isinstance(loss, Tensor) and loss.numel() == 1 for loss in losses):
        return unreduced(loss_func, pred, *targets).detach()  # which says what is missing
    return torch.stack([loss.detach().reshape(()) for loss in losses])


def gives_item_losses(loss_func: LossFunction) -> bool:
    """Whether a loss can be asked for single items."""
    return isinstance(getattr(loss_func, "reduction", None), str) or _takes_reduction(loss_func)


def _takes_reduction(loss_func: LossFunction) -> bool:
    try:
        return "reduction" in inspect.signature(loss_func).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return False


def _batch_size(*candidates: Any) -> int:
    for value in candidates:
        if isinstance(value, Tensor) and value.ndim:
            return int(value.shape[0])
        if isinstance(value, tuple | list) and value:
            return _batch_size(*value)
    return 1
