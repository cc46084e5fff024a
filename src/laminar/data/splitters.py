"""Dividing items into training and validation: a splitter maps items to the numbers of the items in each split.

Those that keep classes in proportion or groups together are in `balanced_splitters.py`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from laminar.core.errors import ConfigError, DataError, suggest
from laminar.data.items import folder_above, item_at, name_of
from laminar.data.splits import TwoSplits, check_share, each_item, number_of, other_numbers, shuffled, stratified

__all__ = [
    "RandomSplitter",
    "TrainTestSplitter",
    "IndexSplitter",
    "EndSplitter",
    "GrandparentSplitter",
    "FuncSplitter",
    "MaskSplitter",
    "FileSplitter",
    "ColSplitter",
    "RandomSubsetSplitter",
]


@dataclass(frozen=True)
class RandomSplitter:
    """Put a random share of the items into validation, at least one.

    Args:
        valid_pct: the share, between 0 and 1.
        seed: of the split; None takes the seed that was set for the run (``set_seed``), so that the same program
            makes the same split.

    >>> train, valid = RandomSplitter(0.2, seed=42)(list(range(10)))
    >>> len(train), len(valid), sorted(train + valid) == list(range(10))
    (8, 2, True)
    """

    valid_pct: float = 0.2
    seed: int | None = None

    def __post_init__(self) -> None:
        check_share(self.valid_pct)

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`."""
        order = shuffled(items, self.seed)
        cut = number_of(self.valid_pct, len(order), "valid_pct")
        return order[cut:], order[:cut]


@dataclass(frozen=True)
class TrainTestSplitter:
    """Put a random share of the items into validation, if asked with the same share of every class.

    Args:
        test_size: share (below 1) or number of the items for validation.
        random_state: seed of the split; None takes the seed that was set for the run.
        stratify: the class of each item; each class is then divided in the same proportion.
        train_size: share or number of the items for training, None for all others.
        shuffle: mix the items first; without it the last ones become validation.
    """

    test_size: float = 0.2
    random_state: int | None = None
    stratify: Sequence[Any] | None = field(default=None, repr=False)
    train_size: float | None = None
    shuffle: bool = True

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`."""
        count = len(items)
        n_valid = number_of(self.test_size, count, "test_size")
        n_train = count - n_valid if self.train_size is None else number_of(self.train_size, count, "train_size")
        if n_train + n_valid > count:
            raise ConfigError(f"train_size and test_size ask for {n_train + n_valid} of {count} items")
        order = shuffled(items, self.random_state) if self.shuffle else list(range(count))[::-1]
        if self.stratify is not None:
            self._check_classes(count)
            order = stratified(order, self.stratify)
        chosen = order[:n_valid], order[n_valid : n_valid + n_train]
        return (chosen[1], chosen[0]) if self.shuffle else (sorted(chosen[1]), sorted(chosen[0]))

    def _check_classes(self, count: int) -> None:
        classes = self.stratify or ()
        if len(classes) != count:
            raise ConfigError(f"stratify has {len(classes)} classes for {count} items; one for each is needed")
        single = [kind for kind, size in Counter(classes).items() if size < 2]
        if single:
            raise DataError(
                f"stratify: class {single[0]!r} has a single item and cannot be in both splits. "
                "StratifiedSplitter keeps such an item for training."
            )


@dataclass(frozen=True)
class IndexSplitter:
    """Put the items with the given numbers into validation.

    Args:
        valid_idx: their numbers.
    """

    valid_idx: Sequence[int] | int

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`."""
        given = [self.valid_idx] if isinstance(self.valid_idx, int) else self.valid_idx
        valid = [int(index) for index in given]
        beyond = [index for index in valid if not -len(items) <= index < len(items)]
        if beyond:
            raise DataError(f"IndexSplitter: there is no item {beyond[0]} among {len(items)}")
        valid = [index % len(items) for index in valid]
        return other_numbers(valid, len(items)), valid


@dataclass(frozen=True)
class EndSplitter:
    """Put the last items (or the first) into validation: for data in order of time.

    Args:
        valid_pct: share of the items, between 0 and 1.
        valid_last: take them from the end.
    """

    valid_pct: float = 0.2
    valid_last: bool = True

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`."""
        count = len(items)
        cut = number_of(self.valid_pct, count, "valid_pct")
        order = list(range(count))
        return (order[:-cut], order[-cut:]) if self.valid_last else (order[cut:], order[:cut])


@dataclass(frozen=True)
class GrandparentSplitter:
    """Split by the folder above the class's folder: ``train/cat/1.jpg`` and ``valid/cat/2.jpg``.

    Items in other folders (``test``) are left out.

    Args:
        train_name: the folder with training items, or several.
        valid_name: the folder with validation items, or several.
    """

    train_name: str | Sequence[str] = "train"
    valid_name: str | Sequence[str] = "valid"

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`, which are paths.

        Raises:
            DataError: nothing lies in one of the folders; the message lists the folders found.
        """
        folders = [folder_above(item, 2) for item in each_item(items)]
        return self._in(folders, "train_name"), self._in(folders, "valid_name")

    def _in(self, folders: list[str], argument: str) -> list[int]:
        names = getattr(self, argument)
        wanted = [names] if isinstance(names, str) else list(names)
        found = [index for index, folder in enumerate(folders) if folder in wanted]
        if found:
            return found
        counts = Counter(folders)
        there = ", ".join(f"{name!r} ({n} items)" for name, n in counts.most_common(8))
        guess = next((text for name in wanted if (text := suggest(name, counts))), "")
        raise DataError(
            f"GrandparentSplitter: no item lies in a folder {' or '.join(map(repr, wanted))} two levels above the "
            f"file, as in {wanted[0]}/cat/1.jpg. The folders there are: {there or 'none'}.{guess} "
            f"Pass {argument}=... with one of them ({argument.removesuffix('_name')}=... in from_folder), "
            "or split at random with valid_pct=0.2."
        )


@dataclass(frozen=True)
class FuncSplitter:
    """Put the items for which a function is true into validation.

    Args:
        func: takes an item.
    """

    func: Callable[[Any], Any]

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`."""
        chosen = []
        for index, item in enumerate(each_item(items)):
            try:
                chosen.append(bool(self.func(item)))
            except Exception as error:
                error.add_note(f"in {self!r}, for item {index}: {name_of(item)}")
                raise
        return MaskSplitter(chosen)(items)


@dataclass(frozen=True)
class MaskSplitter:
    """Put the items where a mask is true into validation.

    Args:
        mask: a truth value for each item.
    """

    mask: Sequence[Any] = field(repr=False)

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`."""
        if len(self.mask) != len(items):
            raise DataError(f"MaskSplitter: the mask has {len(self.mask)} values for {len(items)} items")
        valid = [index for index, chosen in enumerate(self.mask) if bool(chosen)]
        return other_numbers(valid, len(items)), valid


@dataclass(frozen=True)
class FileSplitter:
    """Put the files whose names stand in a text file, one on a line, into validation.

    Args:
        fname: the text file.
    """

    fname: str | Path

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`, which are paths."""
        listing = Path(self.fname)
        if not listing.is_file():
            raise DataError(f"FileSplitter: there is no file {listing}")
        names = {line.strip() for line in listing.read_text(encoding="utf-8").splitlines() if line.strip()}
        valid = [index for index, item in enumerate(each_item(items)) if os.path.basename(item) in names]
        if not valid:
            raise DataError(
                f"FileSplitter: none of the {len(names)} names in {listing} (for example {min(names, default='')!r}) "
                f"is the name of one of the {len(items)} items (for example {_example(items)!r})"
            )
        return other_numbers(valid, len(items)), valid


def _example(items: Any) -> str:
    return Path(item_at(items, 0)).name if len(items) else ""


@dataclass(frozen=True)
class ColSplitter:
    """Put the rows of a data frame where a column says so into validation.

    Args:
        col: name or number of the column.
        on: the value, or values, that mean validation; None if the column holds truth values.
    """

    col: str | int = "is_valid"
    on: Any = None

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`, a data frame."""
        if not hasattr(items, "iloc") or not hasattr(items, "columns"):
            raise DataError(f"ColSplitter needs a data frame, got {type(items).__name__}")
        names = [str(name) for name in items.columns]
        if isinstance(self.col, str) and self.col not in items.columns:
            raise DataError(
                f"there is no column {self.col!r}.{suggest(self.col, names)} The columns are: {', '.join(names)}."
            )
        values = list(items.iloc[:, self.col] if isinstance(self.col, int) else items[self.col])
        if self.on is None:
            return MaskSplitter([self._truth(value, row) for row, value in enumerate(values)])(items)
        wanted = list(self.on) if isinstance(self.on, list | tuple | set) else [self.on]
        return MaskSplitter([value in wanted for value in values])(items)

    def _truth(self, value: Any, row: int) -> bool:
        if isinstance(value, bool | np.bool_) or value in (0, 1):
            return bool(value)
        raise DataError(
            f"column {self.col!r} holds {value!r} in row {row}, which is no truth value. "
            f"Say which value means validation: ColSplitter({self.col!r}, on={value!r})."
        )


@dataclass(frozen=True)
class RandomSubsetSplitter:
    """Take random subsets for training and validation, to try things out on a part of the data.

    Args:
        train_sz: share (below 1) or number of the items for training.
        valid_sz: share or number of the items for validation.
        seed: of the split; None takes the seed that was set for the run.
    """

    train_sz: float
    valid_sz: float
    seed: int | None = None

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`."""
        count = len(items)
        n_train, n_valid = number_of(self.train_sz, count, "train_sz"), number_of(self.valid_sz, count, "valid_sz")
        if n_train + n_valid > count:
            raise ConfigError(
                f"train_sz={self.train_sz} and valid_sz={self.valid_sz} ask for more than the {count} items"
            )
        order = shuffled(items, self.seed)
        return order[:n_train], order[n_train : n_train + n_valid]
