"""What a model makes of a batch of inputs, read by its loss: no pass of the learner, no callback, no state changed.

A model in evaluation mode may so be asked from several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.types import plain
from laminar.learner.model_input import parts_of
from laminar.nn.calling import call_model
from laminar.nn.decoding import activation_of

__all__ = ["for_each_output", "predictions"]


def predictions(model: nn.Module, loss_func: Any, batch: Any, n_inp: int) -> Any:
    """Predict a batch: probabilities, where the loss knows how outputs become some.

    Args:
        model: in evaluation mode, where the batch is.
        loss_func: says how outputs are read.
        batch: inputs first, then targets, if there are any.
        n_inp: how many parts are inputs.
    """
    inputs = tuple(plain(part) for part in parts_of(batch)[:n_inp])
    with torch.no_grad():
        return for_each_output(activation_of(loss_func))(call_model(model, inputs))


def for_each_output(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Apply a loss's reading of its outputs; a model with several outputs needs a loss that reads them together."""

    def read(outputs: Any) -> Any:
        if isinstance(outputs, Tensor) or hasattr(function, "__self__"):
            return function(outputs)
        return outputs  # which output a plain loss of torch's looks at, nobody can know

    return read
