"""Averaging the weights over the training's steps."""

from __future__ import annotations

from laminar.callbacks.averaging import AveragedWeights
from laminar.core.errors import ConfigError

__all__ = ["EMA"]


class EMA(AveragedWeights):
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

    def __init__(self, decay: float = 0.999, warm_up: bool = True, at_end: bool = True) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(f"EMA(decay={decay}): the share that is kept must be from 0 to below 1.")
        super().__init__(at_end)
        self.decay, self.warm_up = decay, warm_up

    def after_step(self) -> None:
        """Move the average a little towards the weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.warm_up else self.decay
        self.move(1 - decay)
