"""Loaders that differ in which items an epoch has, and in what order: by weight, a part of them, by length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from laminar.core.errors import ConfigError
from laminar.core.random import permutation, random_generator
from laminar.data.items import name_of
from laminar.data.loader import DataLoader

__all__ = ["PartialDL", "SortedDL", "WeightedDL"]

_SORTED_TOGETHER = 50  # batches of shuffled items that are sorted by length among each other


class WeightedDL(DataLoader):
    """Draws items by weight, with replacement, as many as there are, when it shuffles; in order otherwise.

    Args:
        dataset: see `DataLoader`.
        bs: items in a batch.
        wgts: a weight for each item, 0 or more; an item of twice the weight comes twice as often. None for all alike.
        **options: see `DataLoader`.

    Raises:
        ConfigError: as many weights as items are needed, numbers of 0 or more, not all 0.
    """

    def __init__(self, dataset: Any, bs: int = 64, *, wgts: Sequence[float] | None = None, **options: Any) -> None:
        self.wgts = None if wgts is None else _checked_weights(np.asarray(wgts, dtype=float), len(dataset))
        super().__init__(dataset, bs, **options)

    def order(self, seed: int, epoch: int) -> Sequence[int]:
        """Draws with replacement, in training."""
        if self.wgts is None or not self.shuffle:
            return super().order(seed, epoch)
        drawn: list[int] = random_generator(seed, epoch).choice(len(self.wgts), self.n_items, p=self.wgts).tolist()
        return drawn

    def new(self, dataset: Any = None, **changes: Any) -> Self:
        """A loader with the same settings but for `changes`; other items have other weights, or none."""
        return super().new(dataset, **(changes if dataset is None else {"wgts": None, **changes}))


def _checked_weights(weights: np.ndarray[Any, Any], n_items: int) -> np.ndarray[Any, Any]:
    """Weights that add up to 1."""
    if weights.shape != (n_items,):
        raise ConfigError(f"wgts holds {weights.size} weights for {n_items} items; give one for each training item")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum():
        where = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
        what = f"number {where[0]} is {weights[where[0]]}" if len(where) else "all are 0"
        raise ConfigError(f"wgts must be numbers of 0 or more, not all of them 0; {what}")
    return np.asarray(weights / weights.sum())


class PartialDL(DataLoader):
    """Takes other items in each epoch, `partial_n` of them, when it shuffles; all of them otherwise.

    Args:
        dataset: see `DataLoader`.
        bs: items in a batch.
        partial_n: how many items an epoch has; None for all.
        **options: see `DataLoader`.
    """

    def __init__(self, dataset: Any, bs: int = 64, *, partial_n: int | None = None, **options: Any) -> None:
        if partial_n is not None and partial_n < 1:
            raise ConfigError(f"partial_n must be at least 1, got {partial_n}")
        self.partial_n = partial_n
        super().__init__(dataset, bs, **options)

    @property
    def n_items(self) -> int:
        """How many items an epoch has."""
        count = super().n_items
        return count if self.partial_n is None or not self.shuffle else min(self.partial_n, count)

    def order(self, seed: int, epoch: int) -> Sequence[int]:
        """A part of a new permutation of all, in training."""
        if self.partial_n is None or not self.shuffle:
            return super().order(seed, epoch)
        return permutation(super().n_items, seed, epoch)[: self.n_items]


class SortedDL(DataLoader):
    """Puts items of like length together, so that little is padded.

    In order it goes from the longest to the shortest. Shuffling, it sorts only among so many items as fill 50 batches
    and mixes the batches, the longest item's first: what does not fit into memory shows at once.

    Args:
        dataset: see `DataLoader`.
        bs: items in a batch.
        sort_func: the length of a sample; None for that of its first part.
        res: the length of each item, if it is known; None to make every item once and ask `sort_func`.
        by_length: False gives the items in the order of the data set.
        **options: see `DataLoader`.

    Raises:
        ConfigError: as many lengths as items are needed.
    """

    def __init__(
        self,
        dataset: Any,
        bs: int = 64,
        *,
        sort_func: Callable[[Any], float] | None = None,
        res: Sequence[float] | None = None,
        by_length: bool = True,
        **options: Any,
    ) -> None:
        self.sort_func, self.res, self.by_length = sort_func, res, by_length
        if res is not None and len(res) != len(dataset):
            raise ConfigError(f"res holds {len(res)} lengths for {len(dataset)} items")
        super().__init__(dataset, bs, **options)

    def lengths(self) -> Sequence[float]:
        """The length of each item; found when first asked for, where they were not given."""
        if self.res is None:
            self.res = [self._length_of(index) for index in range(len(self.dataset))]
        return self.res

    def _length_of(self, index: int) -> float:
        sample = self.dataset[index]
        try:
            if self.sort_func is not None:
                return self.sort_func(sample)
            return len(sample[0] if isinstance(sample, tuple) else sample)
        except TypeError as error:
            error.add_note(f"asking for the length of item {index} ({name_of(sample)}); give sort_func or res")
            raise

    def order(self, seed: int, epoch: int) -> Sequence[int]:
        """Longest first, or shuffled batches of like length."""
        if not self.by_length or self.sampler is not None:
            return super().order(seed, epoch)
        lengths = self.lengths()
        if not self.shuffle:
            return sorted(range(self.n_items), key=lambda index: -lengths[index])
        mixed, bs = super().order(seed, epoch), self.bs or 1
        together = bs * _SORTED_TOGETHER
        groups = [
            sorted(mixed[start : start + together], key=lambda index: -lengths[index])
            for start in range(0, len(mixed), together)
        ]
        in_batches = [group[start : start + bs] for group in groups for start in range(0, len(group), bs)]
        whole = [batch for batch in in_batches if len(batch) == bs]
        rest = [batch for batch in in_batches if len(batch) < bs]  # of the last group: it must stay the last
        turn = permutation(len(whole), seed, epoch)
        whole = [whole[number] for number in turn]
        if whole:
            longest = max(range(len(whole)), key=lambda number: lengths[whole[number][0]])
            whole.insert(0, whole.pop(longest))
        return [index for batch in [*whole, *rest] for index in batch]

    def new(self, dataset: Any = None, **changes: Any) -> Self:
        """A loader with the same settings but for `changes`; other items have other lengths."""
        return super().new(dataset, **(changes if dataset is None else {"res": None, **changes}))

    def eval_loader(self) -> Self:
        """The items in the order of the data set."""
        loader = super().eval_loader()
        loader.by_length = False
        return loader
