"""Batch norms in passes that are not steps of training: statistics that stand still, or are measured anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from laminar.callbacks.base import Callback
from laminar.optim.groups import bn_types

__all__ = ["MeasureStatistics", "batch_norms", "held_statistics"]


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


class MeasureStatistics(Callback):
    """In an evaluation, measures the running statistics of batch norms anew, each batch counting as much; all other
    layers are in evaluation mode.

    Args:
        norms: the batch norms.
    """

    def __init__(self, norms: Sequence[Any]) -> None:
        self.norms = [(norm, norm.momentum) for norm in norms]
        self._begun = False

    def before_validate(self) -> None:
        """Forget the statistics, and take a mean of all batches; a prediction in their middle is none of them."""
        if self._begun:
            return
        self._begun = True
        for norm, _ in self.norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = None

    def cleanup_fit(self) -> None:
        """Put the momenta back."""
        for norm, momentum in self.norms:
            norm.momentum = momentum
