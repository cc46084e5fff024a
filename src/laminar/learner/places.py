"""Where loaders are in their data, and putting them there again."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from laminar.core.seed import get_random_states, set_random_states
from laminar.data.loader import DataLoader

__all__ = ["keeps_place", "place_of", "put_in_place", "without_first"]


def keeps_place(loader: Any) -> bool:
    """Whether a loader can tell where it is, and be put there."""
    return hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")


def place_of(loader: Any, left: bool = True) -> Any:
    """Where a loader is.

    Args:
        loader: one of ours, or another that keeps its place.
        left: whether an epoch that it is in the middle of has been left, so that the next one comes.

    Returns:
        What `put_in_place` takes; None for a loader that cannot tell.
    """
    if not keeps_place(loader):
        return None
    place = loader.state_dict()
    if not isinstance(loader, DataLoader):
        return copy.deepcopy(place)
    if left and place["running"]:
        place |= {"epoch": place["epoch"] + 1, "batch": 0}
    return {**place, "own_seed": loader.seed}


def put_in_place(loader: Any, place: Any) -> None:
    """Put a loader where another one was; the random states must have been put back before.

    One that took the seed of the run goes on doing so.
    """
    if isinstance(loader, DataLoader):
        same_seed = place["own_seed"] is None and place["seed"] == torch.initial_seed()
        loader.load_state_dict({**place, "seed": None if same_seed else place["seed"]})
    else:
        loader.load_state_dict(place)


def without_first(batches: Iterable[Any], count: int) -> Iterator[Any]:
    """The batches that come after the first `count`; random states stay as they are.

    Only a list can begin in its middle: others are read from the start again, with a warning.
    """
    if isinstance(batches, Sequence):
        yield from (batches[number] for number in range(count, len(batches)))
        return
    if count:
        warnings.warn(
            f"{type(batches).__name__} cannot be told where to begin: {count} batches are read again. A DataLoader of"
            " laminar's, or one with state_dict and load_state_dict, begins anywhere at once.",
            UserWarning,
            stacklevel=2,
        )
    states = get_random_states()
    iterator = iter(batches)
    for _ in range(count):
        next(iterator, None)
    set_random_states(**states)
    yield from iterator
