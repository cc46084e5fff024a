"""What a splitter gives, and what all splitters are made of: shares of items, random orders, checks.

A random order comes from a generator of its own and takes files by name first, so the split of a folder is the same
however its files were listed, and the caller's random state is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any, TypeAlias

import numpy as np
import torch

from laminar.core.errors import ConfigError, DataError
from laminar.core.random import address_hash, current_seed

__all__ = [
    "Splits",
    "Splitter",
    "TwoSplits",
    "check_share",
    "check_splits",
    "each_item",
    "number_of",
    "other_numbers",
    "permuted",
    "shuffled",
    "stratified",
]

Splits: TypeAlias = Sequence[Sequence[int]]
Splitter: TypeAlias = Callable[[Any], Splits]
TwoSplits: TypeAlias = tuple[list[int], list[int]]


def each_item(items: Any) -> Iterator[Any]:
    """The items one after another; of a data frame, its rows."""
    rows = getattr(items, "iloc", items)
    return (rows[index] for index in range(len(items)))


def permuted(count: int, seed: int | None) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The numbers below `count` in random order; without a seed, in the one that belongs to the run's seed."""
    key = address_hash(current_seed() if seed is None else seed, 0x5911)
    return np.random.Generator(np.random.Philox(key=key)).permutation(count)


def shuffled(items: Any, seed: int | None) -> list[int]:
    """The numbers of the items in random order; paths are put in order of their names first."""
    count = len(items)
    mixed: list[int] = permuted(count, seed).tolist()
    if not count or hasattr(items, "iloc") or not isinstance(items[0], str | PurePath):
        return mixed
    names = [item.as_posix() if isinstance(item, PurePath) else str(item) for item in each_item(items)]
    order = sorted(range(count), key=names.__getitem__)
    return [order[index] for index in mixed]


def check_share(share: float, argument: str = "valid_pct") -> None:
    """Check that a share lies between 0 and 1.

    Raises:
        ConfigError: it does not.
    """
    if not 0 < share < 1:
        raise ConfigError(f"{argument} must be a share between 0 and 1, not {share!r}")


def number_of(size: float, count: int, argument: str) -> int:
    """How many of `count` items a share (below 1) or number of items is; at least one, and one is left over.

    Raises:
        ConfigError: `size` is neither.
        DataError: there is nothing to divide.
    """
    is_share = size < 1
    if size <= 0 or (not is_share and size != int(size)):
        raise ConfigError(f"{argument} must be a share between 0 and 1, or a number of items, not {size!r}")
    wanted = int(size * count) if is_share else int(size)
    if count < 2:
        raise DataError(f"{count} item(s) cannot be divided into training and validation; at least 2 are needed")
    return min(max(wanted, 1), count - 1)


def stratified(order: Iterable[int], classes: Sequence[Any]) -> list[int]:
    """Reorder so that any beginning of the list holds the classes in their true proportion.

    Args:
        order: numbers of items.
        classes: the class of each item, by its number.
    """
    sizes = Counter(classes)
    seen: Counter[Any] = Counter()
    placed = []
    for index in order:
        kind = classes[index]
        placed.append(((seen[kind] + 0.5) / sizes[kind], index))
        seen[kind] += 1
    placed.sort(key=lambda pair: pair[0])
    return [index for _, index in placed]


def other_numbers(valid: Iterable[int], count: int) -> list[int]:
    """The numbers below `count` that are not in `valid`."""
    free = np.ones(count, dtype=bool)
    free[np.fromiter(valid, dtype=np.int64)] = False
    rest: list[int] = free.nonzero()[0].tolist()
    return rest


def check_splits(splits: Splits, count: int) -> list[list[int]]:
    """Make lists of numbers of `splits`, and check that they are numbers of items, each in one split only.

    Args:
        splits: numbers of items, boolean masks or slices, one for each split.
        count: how many items there are.

    Raises:
        DataError: a number is beyond the items, or an item is in two splits.
    """
    owner = np.full(count, -1, dtype=np.int64)
    lists = []
    for number, split in enumerate(splits):
        numbers = _as_numbers(split, count)
        beyond = numbers[(numbers < 0) | (numbers >= count)]
        if len(beyond):
            raise DataError(
                f"split {number} names item {beyond[0]}, but there are only {count} items (0 to {count - 1})"
            )
        taken = numbers[owner[numbers] >= 0]
        if len(taken):
            shared = np.unique(taken)
            raise DataError(
                f"{len(shared)} item(s) are both in split {owner[taken[0]]} and in split {number}: "
                f"{shared[:10].tolist()}. What is validated on must not be trained on."
            )
        owner[numbers] = number
        lists.append(numbers.tolist())
    return lists


def _as_numbers(split: Any, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    if isinstance(split, slice):
        return np.arange(count)[split]
    if isinstance(split, torch.Tensor):
        split = split.cpu().numpy()
    given: np.ndarray[Any, Any] = split if isinstance(split, np.ndarray) else np.asarray(list(split))
    if given.dtype != np.bool_:
        return given.astype(np.int64)
    if len(given) != count:
        raise DataError(f"a mask has {len(given)} values for {count} items; one for each is needed")
    return given.nonzero()[0]
