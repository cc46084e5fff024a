"""The order that a sampler of the user's gives to an epoch, as a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from laminar.core.random import item_random, random_generator

__all__ = ["sampled_order"]

_SAMPLER = -1 << 40  # address of what a sampler draws


def sampled_order(sampler: Iterable[int], seed: int, epoch: int) -> list[int]:
    """The numbers of an epoch's items. Whatever the sampler draws is drawn by address: the same when asked again.

    Args:
        sampler: iterated anew in each epoch; ``set_epoch`` is told its number, where there is such a method.
        seed: of the run.
        epoch: number of the epoch.
    """
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(epoch)
    with item_random(seed, epoch, _SAMPLER), _own_generator_at(sampler, epoch):
        return [int(index) for index in sampler]


@contextmanager
def _own_generator_at(sampler: Any, epoch: int) -> Iterator[None]:
    """Let a sampler with a generator of its own draw by that one's seed and the epoch, not by what was drawn before."""
    own = getattr(sampler, "generator", None)
    if not isinstance(own, torch.Generator):
        yield
        return
    drawn = int(random_generator(own.initial_seed(), epoch).integers(2**63))
    sampler.generator = torch.Generator().manual_seed(drawn)
    try:
        yield
    finally:
        sampler.generator = own
