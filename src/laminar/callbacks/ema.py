"""Averaging the weights over the training's steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError

__all__ = ["EMA"]


class EMA(Callback):
    """Keeps an exponential moving average of the weights, which often is the better model (Polyak and Juditsky, 1992;
    Tarvainen and Valpola, "Mean teachers are better role models", 2017).

    Validation, and all that callbacks save of an epoch, see the average; training goes on with the weights themselves.
    The model ends as the average. Floating point buffers (the statistics of batch norms) are averaged too.

    Args:
        decay: share of the average that is kept in a step, 0 to 1.
        warm_up: let the average be quick in the beginning: the share is at most (1 + steps) / (10 + steps).
        at_end: leave the average in the model; False puts the last weights back.

    Raises:
        ConfigError: the share is not from 0 to 1.
    """

    order = 20
    passes = ("fit",)

    def __init__(self, decay: float = 0.999, warm_up: bool = True, at_end: bool = True) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(f"EMA(decay={decay}): the share that is kept must be from 0 to below 1.")
        self.decay, self.warm_up, self.at_end = decay, warm_up, at_end
        self.steps = 0
        self.average: list[Tensor] = []
        self._live: list[Tensor] = []
        self._swapped = False

    def before_fit(self) -> None:
        """Begin with the weights as they are."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        self._live = list({id(tensor): tensor.detach() for tensor in tensors if tensor.is_floating_point()}.values())
        self.average, self.steps, self._swapped = [tensor.clone() for tensor in self._live], 0, False

    def after_step(self) -> None:
        """Move the average a little towards the weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.warm_up else self.decay
        torch._foreach_lerp_(self.average, self._live, 1 - decay)

    def before_validate(self) -> None:
        """Let the model be the average."""
        if not self._swapped:
            self._swap()

    def before_train(self) -> None:
        """Let the model be what is trained."""
        if self._swapped:
            self._swap()

    def after_fit(self) -> None:
        """Decide how the model ends."""
        if self._swapped != self.at_end:
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
        """The average and how many steps are in it."""
        return {"steps": self.steps, "average": [tensor.clone() for tensor in self.average]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with an average."""
        self.steps = state["steps"]
        if self.average and state["average"]:
            torch._foreach_copy_(self.average, state["average"])
