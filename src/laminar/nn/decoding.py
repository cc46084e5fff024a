"""What can be asked of any loss: how its outputs are read, its name, its value for single items."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.nn.losses import BaseLoss, BCEWithLogitsLossFlat, CrossEntropyLossFlat, LossFunction

__all__ = [
    "activation_of",
    "decodes_of",
    "decoding_equal",
    "gives_item_losses",
    "item_losses",
    "loss_name",
    "unreduced",
]


def _unchanged(out: Any) -> Any:
    return out


def _softmax(out: Tensor) -> Tensor:
    return out.softmax(dim=1 if out.ndim > 1 else -1)


def _argmax(out: Tensor) -> Tensor:
    return out.argmax(dim=1 if out.ndim > 1 else -1)


def _above_half(out: Tensor) -> Tensor:
    return out > 0.5


# Plain torch losses: what their outputs mean (activation), and the decision they stand for (decodes).
_PLAIN: dict[Any, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    nn.CrossEntropyLoss: (_softmax, _argmax),
    F.cross_entropy: (_softmax, _argmax),
    nn.NLLLoss: (torch.exp, _argmax),
    F.nll_loss: (torch.exp, _argmax),
    nn.BCEWithLogitsLoss: (torch.sigmoid, _above_half),
    F.binary_cross_entropy_with_logits: (torch.sigmoid, _above_half),
    nn.MultiLabelSoftMarginLoss: (torch.sigmoid, _above_half),
    nn.BCELoss: (_unchanged, _above_half),
    F.binary_cross_entropy: (_unchanged, _above_half),
}


def _plain(loss_func: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Activation and decodes of a loss that does not say itself."""
    func = getattr(loss_func, "func", loss_func)  # look inside functools.partial
    if isinstance(func, nn.Module):
        for kind in type(func).__mro__:
            if kind in _PLAIN:
                return _PLAIN[kind]
        return _unchanged, _unchanged
    try:
        return _PLAIN.get(func, (_unchanged, _unchanged))
    except TypeError:  # an unhashable callable is no function of torch's
        return _unchanged, _unchanged


def activation_of(loss_func: LossFunction) -> Callable[[Any], Any]:
    """How outputs trained with `loss_func` become probabilities: its own `activation`, or what torch's losses imply.

    A loss that nobody knows leaves outputs as they are.
    """
    own = getattr(loss_func, "activation", None)
    return own if callable(own) else _plain(loss_func)[0]


def decodes_of(loss_func: LossFunction) -> Callable[[Any], Any]:
    """How activated outputs become decisions: the loss's own `decodes`, or what torch's losses imply.

    A loss that nobody knows leaves outputs as they are.
    """
    own = getattr(loss_func, "decodes", None)
    return own if callable(own) else _plain(loss_func)[1]


def decoding_equal(loss_func: LossFunction) -> BaseLoss | None:
    """A loss of ours that reads outputs as this plain one of torch's implies; itself if ours, None if unknown."""
    if isinstance(loss_func, BaseLoss):
        return loss_func
    reading = _plain(loss_func)
    if reading == (_softmax, _argmax):
        return CrossEntropyLossFlat(axis=1)
    return BCEWithLogitsLossFlat() if reading == (torch.sigmoid, _above_half) else None


def loss_name(loss_func: LossFunction) -> str:
    """Return the name of a loss for messages: its class, or the function's own name."""
    func = getattr(loss_func, "func", loss_func)
    return str(getattr(func, "__name__", type(func).__name__))


def unreduced(loss_func: LossFunction, pred: Any, *targets: Any) -> Tensor:
    """The loss of each item of a batch, to be differentiated: without reduction, then averaged within the item.

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
        before = loss_func.reduction  # type: ignore[attr-defined]  # looked at in the line above
        try:
            loss_func.reduction = "none"  # type: ignore[attr-defined]  # as above
            losses = loss_func(pred, *targets)
        finally:
            loss_func.reduction = before  # type: ignore[attr-defined]  # as above
    elif _takes_reduction(loss_func):
        losses = loss_func(pred, *targets, reduction="none")
    else:
        losses = None
    if not isinstance(losses, Tensor) or losses.numel() % n or losses.numel() < n:
        raise ConfigError(
            f"{loss_name(loss_func)} gives no loss for single items: it needs an attribute or an argument `reduction`"
            " that can be 'none'."
        )
    return losses.reshape(n, -1).mean(dim=1)


def item_losses(loss_func: LossFunction, pred: Any, *targets: Any) -> Tensor:
    """The loss of each item of a batch, ``[batch]``, as numbers; see `unreduced`."""
    return unreduced(loss_func, pred, *targets).detach()


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
