"""Label smoothing, whatever the loss."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.callbacks.model_output import refuse_own_loss
from laminar.core.errors import ConfigError
from laminar.nn.decoding import decoding_equal, loss_name
from laminar.nn.losses import BCELossFlat, BCEWithLogitsLossFlat, CrossEntropyLossFlat, LossFunction

__all__ = ["LabelSmoothing", "indifferent_loss"]


class LabelSmoothing(Callback):
    """Gives a share of each target to all classes alike, for any loss (Szegedy et al., "Rethinking the Inception
    architecture for computer vision", 2016).

    The loss becomes ``(1 - eps) * loss + eps * (mean of the losses against every class)``: with cross entropy, what
    torch's own ``label_smoothing`` gives. The loss function is only asked, never replaced; validation is not smoothed.
    Works along with mixing callbacks.

    Args:
        eps: the share, 0 to 1.

    Raises:
        ConfigError: another share.
    """

    order = -8  # after mixing, before accumulation weighs the loss
    run_valid = False

    def __init__(self, eps: float = 0.1) -> None:
        if not 0 <= eps <= 1:
            raise ConfigError(f"LabelSmoothing(eps={eps}): the share must be from 0 to 1.")
        self.eps = eps

    def before_fit(self) -> None:
        """Check that the loss does not smooth by itself.

        Raises:
            ConfigError: it does, or the model makes its own loss.
        """
        refuse_own_loss(self.learn, self)
        if getattr(self.learn.loss_func, "label_smoothing", 0.0):
            raise ConfigError(f"{loss_name(self.learn.loss_func)} smooths labels already; one of both is enough.")

    def after_loss(self) -> None:
        """Add the loss against all classes alike.

        Raises:
            ConfigError: the batch has no target of its own.
        """
        if not self.yb:
            raise ConfigError("LabelSmoothing needs batches with a target; this one has inputs alone.")
        if self.learn.loss_grad is None:
            return
        everything = indifferent_loss(self.learn.loss_func, self.pred, *self.yb)
        smoothed = torch.lerp(self.loss_grad, everything.to(self.loss_grad), self.eps)
        self.learn.loss_grad, self.learn.loss = smoothed, smoothed.detach()


def indifferent_loss(loss_func: LossFunction, pred: Any, target: Tensor) -> Any:
    """The loss of predictions against all classes alike, to be differentiated.

    Args:
        loss_func: any loss. Cross entropies of torch and ours are asked once; others once for each class.
        pred: the model's raw outputs; classes are along ``loss_func.axis``, else the second axis.
        target: class indices, negative ones counting for nothing; or shares from 0 to 1, with binary or plain cross
            entropy.

    Raises:
        ConfigError: the targets are quantities.
    """
    axis = getattr(loss_func, "axis", 1 if pred.ndim > 1 else -1)
    if target.is_floating_point():
        return loss_func(pred, torch.full_like(target, _even_share(loss_func, pred.shape[axis])))
    if isinstance(getattr(loss_func, "label_smoothing", None), float):
        try:
            loss_func.label_smoothing = 1.0  # type: ignore[attr-defined]  # looked at in the line above
            return loss_func(pred, target)
        finally:
            loss_func.label_smoothing = 0.0  # type: ignore[attr-defined]  # as above
    if _takes_smoothing(loss_func):
        return loss_func(pred, target, label_smoothing=1.0)
    each = [loss_func(pred, torch.where(target < 0, target, number)) for number in range(pred.shape[axis])]
    return torch.stack(each).mean(0)


def _even_share(loss_func: LossFunction, n: int) -> float:
    """What targets between 0 and 1 are when nothing is known."""
    reading = decoding_equal(loss_func)
    if isinstance(reading, BCEWithLogitsLossFlat | BCELossFlat):
        return 0.5
    if isinstance(reading, CrossEntropyLossFlat):
        return 1 / n
    raise ConfigError(
        f"LabelSmoothing: the targets are numbers, and {loss_name(loss_func)} is not known to compare probabilities;"
        " only classes can be smoothed."
    )


def _takes_smoothing(loss_func: LossFunction) -> bool:
    try:
        return "label_smoothing" in inspect.signature(loss_func).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return False
