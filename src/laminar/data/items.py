"""What items may be kept in (a list, an array, a data frame, a data set), and what an item is called in messages."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import IterableDataset, Subset

from laminar.core.errors import DataError, describe

__all__ = ["as_items", "distinct_items", "folder_above", "is_stream", "item_at", "take", "name_of"]


def as_items(items: Any) -> Any:
    """Check that `items` has a length and can be indexed; an iterable without these becomes a list.

    A data frame's values become Python objects, so that a row keeps each column's own type.

    Raises:
        DataError: one path or text was given where a list of items is meant.
    """
    if isinstance(items, str | bytes | PurePath):
        raise DataError(
            f"a list of items is needed, got the single {describe(items)}. "
            "Read the folder first, for example with get_image_files(path), or pass get_items=get_image_files."
        )
    if hasattr(items, "iloc"):
        return items.astype(object) if hasattr(items, "columns") else items
    if hasattr(items, "__len__") and hasattr(items, "__getitem__") and not isinstance(items, Mapping):
        return items
    if isinstance(items, Iterable):
        return list(items)
    raise DataError(f"a list of items is needed, got {describe(items)}")


def is_stream(dataset: Any) -> bool:
    """Whether items can only be had one after another, in the data set's own order."""
    return isinstance(dataset, IterableDataset) or (
        hasattr(dataset, "__iter__") and not hasattr(dataset, "__getitem__")
    )


def item_at(items: Any, index: int) -> Any:
    """Item number `index`; of a data frame, its row."""
    rows = getattr(items, "iloc", None)
    return items[index] if rows is None else rows[index]


def take(items: Any, indices: Sequence[int]) -> Any:
    """The items at `indices`, of the same kind as `items`; a run of an array or tensor shares its memory."""
    rows = getattr(items, "iloc", None)
    if rows is not None:
        return rows[list(indices)]
    if isinstance(items, np.ndarray | Tensor):
        run = _as_run(indices)
        return items[list(indices)] if run is None else items[run]
    if isinstance(items, list | tuple | range):
        return [items[index] for index in indices]
    return Subset(items, indices)


def distinct_items(chosen: Sequence[int], n_items: int) -> Sequence[int]:
    """The numbers that a sampler chose, in order, for predictions; all `n_items` if it gives one more than once."""
    distinct = sorted(set(chosen))
    return distinct if len(distinct) == len(chosen) else range(n_items)


def _as_run(indices: Sequence[int]) -> slice | None:
    """The slice that `indices` are, if they follow one another."""
    count = len(indices)
    if count == 0:
        return slice(0, 0)
    first = indices[0]
    if first >= 0 and indices[-1] == first + count - 1 and all(b - a == 1 for a, b in pairwise(indices)):
        return slice(first, first + count)
    return None


def folder_above(path: str | PurePath, levels: int) -> str:
    """The name of the folder `levels` above a file; empty where there is none. Makes no path objects.

    >>> folder_above("train/cat/1.jpg", 1), folder_above("train/cat/1.jpg", 2), folder_above("1.jpg", 1)
    ('cat', 'train', '')
    """
    text = os.fspath(path)
    parts = text.rsplit(os.sep, levels + 1)
    if isinstance(path, str) and ("" in parts[1:] or "." in parts or (os.altsep and os.altsep in text)):
        parts = list(Path(path).parts)  # written in a roundabout way
    return parts[-1 - levels].rpartition(os.sep)[2] if len(parts) > levels else ""


def name_of(item: Any) -> str:
    """What to call an item in a message: its file, or a few words about it."""
    if isinstance(item, str | PurePath):
        return str(item)
    if hasattr(item, "to_dict") and hasattr(item, "name"):  # a data frame's row
        return f"row {item.name} {item.to_dict()}"
    return describe(item)
