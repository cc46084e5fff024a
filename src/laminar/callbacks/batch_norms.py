"""Batch norms in passes that are not steps of training: statistics that stand still, or are measured anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from laminar.nn.calling import call_model
from laminar.optim.groups import bn_types

__all__ = ["batch_norms", "held_statistics", "measure_statistics"]


def batch_norms(model: nn.Module) -> list[Any]:
    """The batch norms of `model` that keep running statistics and are in training mode."""
    return [
        module
        for module in model.modules()
        if isinstance(module, bn_types) and module.training and module.running_mean is not None
    ]


@contextmanager
def held_statistics(model: nn.Module) -> Iterator[None]:
    """Let running statistics stand still: a batch that goes through `model` again must not be counted again."""
    norms = [(norm, norm.momentum, norm.num_batches_tracked.clone()) for norm in batch_norms(model)]
    try:
        for norm, _, _ in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum, count in norms:
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)


def measure_statistics(model: nn.Module, norms: Sequence[Any], batches: Iterable[tuple[Any, ...]]) -> None:
    """Measure the running statistics of `norms` anew, each batch counting as much; other layers are in evaluation mode.

    Args:
        model: the network; its modes are put back.
        norms: its batch norms that may change.
        batches: inputs of the model, as tuples of plain tensors on its device.
    """
    modes = [(module, module.training) for module in model.modules()]
    momenta = [(norm, norm.momentum) for norm in norms]
    try:
        model.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = None  # an equal mean of all batches
        with torch.no_grad():
            for inputs in batches:
                call_model(model, inputs)
    finally:
        for norm, momentum in momenta:
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
