"""What can be asked of any loss: how its outputs are read, and its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.nn.losses import (
    BaseLoss,
    BCELossFlat,
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    LossFunction,
    MSELossFlat,
)

__all__ = [
    "OutputReading",
    "activation_of",
    "decodes_of",
    "decoding_equal",
    "loss_name",
]


def _unchanged(out: Any) -> Any:
    return out


def _softmax(out: Tensor) -> Tensor:
    return out.softmax(dim=1 if out.ndim > 1 else -1)


def _argmax(out: Tensor) -> Tensor:
    return out.argmax(dim=1 if out.ndim > 1 else -1)


def _above_half(out: Tensor) -> Tensor:
    return out > 0.5


def _plus_or_minus(out: Tensor) -> Tensor:
    return torch.where(out > 0.5, 1, -1)


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "none": _unchanged,
    "softmax": _softmax,
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
}
_DECISIONS: dict[str, Callable[[Any], Any]] = {
    "none": _unchanged,
    "argmax": _argmax,
    "above half": _above_half,
    "plus or minus": _plus_or_minus,
}

# Plain torch losses: what their outputs mean (activation), and the decision they stand for (decodes).
_PLAIN: dict[Any, tuple[str, str]] = {
    nn.CrossEntropyLoss: ("softmax", "argmax"),
    F.cross_entropy: ("softmax", "argmax"),
    nn.NLLLoss: ("exp", "argmax"),
    F.nll_loss: ("exp", "argmax"),
    nn.MultiMarginLoss: ("none", "argmax"),
    F.multi_margin_loss: ("none", "argmax"),
    nn.BCEWithLogitsLoss: ("sigmoid", "above half"),
    F.binary_cross_entropy_with_logits: ("sigmoid", "above half"),
    nn.MultiLabelSoftMarginLoss: ("sigmoid", "above half"),
    F.multilabel_soft_margin_loss: ("sigmoid", "above half"),
    nn.BCELoss: ("none", "above half"),
    F.binary_cross_entropy: ("none", "above half"),
    nn.SoftMarginLoss: ("sigmoid", "plus or minus"),
    F.soft_margin_loss: ("sigmoid", "plus or minus"),
    nn.KLDivLoss: ("exp", "none"),
    F.kl_div: ("exp", "none"),
    nn.PoissonNLLLoss: ("exp", "none"),
    F.poisson_nll_loss: ("exp", "none"),
    nn.MSELoss: ("none", "none"),
    F.mse_loss: ("none", "none"),
    nn.L1Loss: ("none", "none"),
    F.l1_loss: ("none", "none"),
    nn.SmoothL1Loss: ("none", "none"),
    F.smooth_l1_loss: ("none", "none"),
    nn.HuberLoss: ("none", "none"),
    F.huber_loss: ("none", "none"),
}

# Those of ours that read outputs so.
_OURS: dict[tuple[str, str], Callable[[], BaseLoss]] = {
    ("softmax", "argmax"): lambda: CrossEntropyLossFlat(axis=1),
    ("sigmoid", "above half"): BCEWithLogitsLossFlat,
    ("none", "above half"): BCELossFlat,
    ("none", "none"): MSELossFlat,
}


class OutputReading(BaseLoss):
    """How outputs are read, where the loss itself is not needed any more: in an exported learner.

    Args:
        turned: ``'none'``, ``'softmax'``, ``'sigmoid'`` or ``'exp'``: what makes probabilities, or rates, of them.
        decided: ``'none'``, ``'argmax'``, ``'above half'`` or ``'plus or minus'``: what decides.

    Raises:
        ConfigError: other names.
    """

    def __init__(self, turned: str = "none", decided: str = "none") -> None:
        super().__init__()
        if turned not in _ACTIVATIONS or decided not in _DECISIONS:
            raise ConfigError(f"no reading of outputs is called {turned!r} and {decided!r}.")
        self.turned, self.decided = turned, decided

    def activation(self, out: Tensor) -> Tensor:
        """Turn raw outputs into what they mean."""
        result: Tensor = _ACTIVATIONS[self.turned](out)
        return result

    def decodes(self, out: Tensor) -> Tensor:
        """Decide."""
        result: Tensor = _DECISIONS[self.decided](out)
        return result


def _plain(loss_func: Any) -> tuple[str, str] | None:
    """How a loss of torch's reads outputs; None for another."""
    func = getattr(loss_func, "func", loss_func)  # look inside functools.partial
    if isinstance(func, nn.Module):
        reading = next((_PLAIN[kind] for kind in type(func).__mro__ if kind in _PLAIN), None)
    else:
        try:
            reading = _PLAIN.get(func)
        except TypeError:  # an unhashable callable is no function of torch's
            return None
    options = {**getattr(func, "__dict__", {}), **getattr(loss_func, "keywords", {})}
    is_of_rates = reading is not None and options.get("log_input") is False  # the Poisson loss of rates themselves
    return ("none", "none") if is_of_rates else reading


def activation_of(loss_func: LossFunction) -> Callable[[Any], Any]:
    """How outputs trained with `loss_func` become probabilities: its own `activation`, or what torch's losses imply.

    A loss that nobody knows leaves outputs as they are.
    """
    own = getattr(loss_func, "activation", None)
    return own if callable(own) else _ACTIVATIONS[(_plain(loss_func) or ("none", "none"))[0]]


def decodes_of(loss_func: LossFunction) -> Callable[[Any], Any]:
    """How activated outputs become decisions: the loss's own `decodes`, or what torch's losses imply.

    A loss that nobody knows leaves outputs as they are.
    """
    own = getattr(loss_func, "decodes", None)
    return own if callable(own) else _DECISIONS[(_plain(loss_func) or ("none", "none"))[1]]


def decoding_equal(loss_func: LossFunction) -> BaseLoss | None:
    """A loss of ours that reads outputs as this plain one of torch's implies; itself if ours, None if unknown."""
    if isinstance(loss_func, BaseLoss):
        return loss_func
    reading = _plain(loss_func)
    if reading is None:
        return None
    return _OURS[reading]() if reading in _OURS else OutputReading(*reading)


def loss_name(loss_func: LossFunction) -> str:
    """Return the name of a loss for messages: its class, or the function's own name."""
    func = getattr(loss_func, "func", loss_func)
    return str(getattr(func, "__name__", type(func).__name__))
