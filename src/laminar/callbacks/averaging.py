"""What callbacks that average the weights share: validation and the end see the average, training the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError

__all__ = ["AveragedWeights"]


class AveragedWeights(Callback):
    """Base of callbacks that keep an average of the weights beside them; subclasses say when to move it, and how.

    Validation, and all that callbacks save of an epoch, see the average; training goes on with the weights themselves.
    Floating point buffers (the statistics of batch norms) are averaged too.

    Args:
        at_end: leave the average in the model; False puts the last weights back.
    """

    order = 20
    passes = ("fit",)

    def __init__(self, at_end: bool = True) -> None:
        self.at_end = at_end
        self.steps = 0
        self.average: list[Tensor] = []
        self._live: list[Tensor] = []
        self._swapped = False

    def move(self, share: float) -> None:
        """Move the average towards the weights by `share`, 0 to 1."""
        torch._foreach_lerp_(self.average, self._live, share)

    def before_fit(self) -> None:
        """Begin with the weights as they are.

        Raises:
            ConfigError: there is another average.
        """
        others = [cb for cb in self.learn.cbs if isinstance(cb, AveragedWeights) and cb is not self and cb.run]
        if others:
            raise ConfigError(
                f"{type(self).__name__} and {type(others[0]).__name__} exclude each other: the model can end as one"
                " average of the weights."
            )
        tensors = [*self.model.parameters(), *self.model.buffers()]
        self._live = list({id(tensor): tensor.detach() for tensor in tensors if tensor.is_floating_point()}.values())
        self.average, self.steps, self._swapped = [tensor.clone() for tensor in self._live], 0, False

    def before_validate(self) -> None:
        """Let the model be the average, once there is one."""
        if self.steps and not self._swapped:
            self._swap()

    def before_train(self) -> None:
        """Let the model be what is trained."""
        if self._swapped:
            self._swap()

    def after_fit(self) -> None:
        """Decide how the model ends."""
        if self._swapped != (self.at_end and self.steps > 0):
            self._swap()
        self._swapped = False

    def cleanup_fit(self) -> None:
        """After an exception, put back what is trained; let go of the average."""
        if self._swapped:
            self._swap()
        self.average, self._live = [], []

    def _swap(self) -> None:
        held = [tensor.clone() for tensor in self._live]
        torch._foreach_copy_(self._live, self.average)
        torch._foreach_copy_(self.average, held)
        self._swapped = not self._swapped

    def state_dict(self) -> dict[str, Any]:
        """The average, how often it was moved, and whether it is in the model's place."""
        average = [tensor.clone() for tensor in self.average]
        return {"steps": self.steps, "average": average, "swapped": self._swapped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with an average."""
        self.steps = state["steps"]
        if self.average and state["average"]:
            torch._foreach_copy_(self.average, state["average"])
            self._swapped = state["swapped"]
