"""`ModelOutput`: models that return their outputs by name, and perhaps their own loss among them."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from laminar.callbacks.base import Callback, LearnerState
from laminar.core.errors import ConfigError, describe

__all__ = ["ModelOutput", "refuse_own_loss"]

_USUAL = ("logits", "preds", "prediction_logits", "start_logits", "last_hidden_state", "out")


class ModelOutput(Callback):
    """Takes predictions and loss out of what a model returns: a mapping, or an object with such attributes.

    Hugging Face's models and torchvision's segmentation models return such. A learner adds this callback by itself
    where it was given no loss and the model takes ``labels``.

    Args:
        preds: name of the predictions; several names for a tuple of them; None takes ``logits``, or the first tensor
            that is not the loss.
        loss: name of the loss; None if the learner's loss function makes it.
    """

    order = -100

    def __init__(self, preds: str | tuple[str, ...] | None = None, loss: str | None = "loss") -> None:
        self.preds, self.loss_name = preds, loss
        self._loss: Any = None

    def after_pred(self) -> None:
        """Put predictions in the place of the output, and keep the loss."""
        self.learn.pred = self.read(self.learn.pred)

    def read(self, output: Any) -> Any:
        """The predictions in a model's output; its loss is kept for `loss_of_model`.

        Raises:
            ConfigError: the output has no such part.
        """
        parts = dict(output) if hasattr(output, "keys") else dict(vars(output)) if hasattr(output, "__dict__") else {}
        if isinstance(output, Tensor) or not parts:
            raise ConfigError(
                f"ModelOutput reads outputs by name, and the model returned {describe(output)}; remove the callback,"
                " and give the learner a loss_func."
            )
        loss = parts.pop(self.loss_name or "loss", None)
        self._loss = None if self.loss_name is None else loss
        names = (self.preds,) if isinstance(self.preds, str) else self.preds or (_main(parts),)
        if missing := [name for name in names if name not in parts]:
            raise ConfigError(f"the model's output has no {missing[0]!r}; it has {', '.join(parts)}.")
        taken = tuple(parts[name] for name in names)
        return taken[0] if len(taken) == 1 else taken

    def loss_of_model(self, pred: Any, *targets: Any) -> Any:
        """The loss that the model returned with these predictions: a learner's loss function.

        Raises:
            ConfigError: it returned none.
        """
        if self._loss is None:
            raise ConfigError(
                f"the model returned no {self.loss_name!r}: does the batch hold its targets under the name it takes"
                " (labels)? Otherwise give the learner a loss_func, and ModelOutput(loss=None)."
            )
        return self._loss.mean()  # one number for each device, from DataParallel

    def after_loss(self) -> None:
        """Take the model's loss where the batch has no target of its own."""
        if self._loss is not None and not self.learn.yb:
            self.learn.loss_grad = self.loss_of_model(self.learn.pred)
            self.learn.loss = self.learn.loss_grad.detach()

    def after_batch(self) -> None:
        """Let go of the loss."""
        self._loss = None


def refuse_own_loss(learn: LearnerState, callback: Callback) -> None:
    """Refuse to ask a loss about other targets than the model got.

    Raises:
        ConfigError: the learner's loss is what the model returns.
    """
    if isinstance(getattr(learn.loss_func, "__self__", None), ModelOutput):
        raise ConfigError(
            f"{type(callback).__name__} asks the loss about other targets than the batch's own, and this learner's is"
            " what the model makes of those. Give the learner a loss_func, and ModelOutput(loss=None) among its cbs."
        )


def _main(parts: dict[str, Any]) -> str:
    """The name of what most likely are the predictions."""
    usual = next((name for name in _USUAL if name in parts), None)
    return usual or next((name for name, part in parts.items() if isinstance(part, Tensor)), "logits")
