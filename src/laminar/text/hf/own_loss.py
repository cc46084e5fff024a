"""The loss that a model of transformers computes itself, in place of its task's."""

from __future__ import annotations

from typing import Any

from laminar.callbacks.model_output import ModelOutput
from laminar.core.transform import ItemTransform
from laminar.core.types import plain
from laminar.text.hf.inputs import TokenizedText

__all__ = ["LabelsForModel", "OwnLoss"]

_LABELS = "labels"


class LabelsForModel(ItemTransform):
    """Give a model the targets of a batch with its inputs, as ``labels``."""

    order = 90
    deterministic = True

    def encodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # overloads are chosen by class
        """A batch whose inputs have the target too; one without a target stays as it is."""
        if len(x) != 2 or not isinstance(x[0], TokenizedText):
            return x
        return (type(x[0])({**x[0], _LABELS: plain(x[1])}), x[1])

    def decodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # overloads are chosen by class
        """The batch without them."""
        if not isinstance(x[0], TokenizedText) or _LABELS not in x[0]:
            return x
        return (type(x[0])({name: part for name, part in x[0].items() if name != _LABELS}), *x[1:])


class OwnLoss(ModelOutput):
    """Trains with the loss that the model returns; that of single items (``with_loss``) stays the task's."""

    def __init__(self) -> None:
        super().__init__(preds="preds")

    def read(self, output: Any) -> Any:
        """The predictions; the loss, if the model was given targets, is kept."""
        return super().read(output) if isinstance(output, dict) else output

    def after_loss(self) -> None:
        """Put the model's loss in the place of the task's."""
        if self._loss is not None:
            self.learn.loss_grad = self.loss_of_model(self.learn.pred)
            self.learn.loss = self.learn.loss_grad.detach()
