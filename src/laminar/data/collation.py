"""Samples into a batch, and a batch back into samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import DataError, describe
from laminar.core.named_tensors import NamedTensors
from laminar.core.types import TensorImageBase, TensorMask, cast, common_metadata, plain

__all__ = ["collate", "uncollate", "first_items"]

Namer = Callable[[int], str]


def collate(samples: Sequence[Any], name_of: Namer | None = None) -> Any:
    """Stack samples, part by part, into a batch; typed tensors keep type and metadata.

    Tensors and arrays are stacked (pictures stored with the channel last stay so), numbers become a tensor (ints int64;
    floats float32, in arrays too), texts and paths a list. Tuples (of a class of yours too), named tuples, lists, dicts
    and dataclasses are gone through. A class that has a classmethod ``collate(values)`` makes its batches itself.

    Args:
        samples: one for each item, all of one structure.
        name_of: gives the name of sample number i, for messages.

    Raises:
        DataError: the samples do not fit each other, or hold something that is no part of a batch. The message names
            the part, its type, the shapes, and the two items.

    >>> collate([(1, "a"), (2, "b")])
    (tensor([1, 2]), ['a', 'b'])
    """
    if not samples:
        raise DataError("there are no samples to make a batch of")
    return _collate(list(samples), "", name_of or "sample {}".format)


def _collate(parts: list[Any], place: str, name_of: Namer) -> Any:
    first = parts[0]
    kind = type(first)
    own = getattr(kind, "collate", None)
    if own is not None:
        _same_kind(parts, kind, place, name_of)
        return own(parts)
    if isinstance(first, Tensor):
        return _stack(parts, place, name_of)
    if isinstance(first, bool | int | float | np.number | np.bool_):
        return _numbers(parts, place, name_of)
    if isinstance(first, np.ndarray):
        return _arrays(parts, place, name_of)
    if isinstance(first, str | bytes | PurePath):
        return list(parts)
    if first is None and all(part is None for part in parts):
        return None
    _same_kind(parts, kind, place, name_of)
    if isinstance(first, Mapping):
        return _collate_mapping(parts, place, name_of)
    if isinstance(first, tuple | list):
        return _collate_members(parts, place, name_of)
    if dataclasses.is_dataclass(first):
        names = [field.name for field in dataclasses.fields(first)]
        return kind(**{n: _collate([getattr(p, n) for p in parts], _at(place, n), name_of) for n in names})
    raise DataError(
        f"{_what(place)} is {describe(first)}, which cannot be part of a batch ({name_of(0)}). "
        "Turn it into a tensor with an item transform (item_tfms=[..., ToTensor()]), or give create_batch."
    )


def _collate_mapping(parts: list[Any], place: str, name_of: Namer) -> dict[Any, Any]:
    keys = parts[0].keys()
    for index, part in enumerate(parts):
        if part.keys() != keys:
            raise DataError(
                f"{_what(place)} has the keys {sorted(map(str, keys))} in {name_of(0)}, "
                f"but {sorted(map(str, part.keys()))} in {name_of(index)}"
            )
    return {key: _collate([part[key] for part in parts], _at(place, repr(key)), name_of) for key in keys}


def _collate_members(parts: list[Any], place: str, name_of: Namer) -> Any:
    first = parts[0]
    for index, part in enumerate(parts):
        if len(part) != len(first):
            raise DataError(
                f"{_what(place)} has {len(first)} members in {name_of(0)}, but {len(part)} in {name_of(index)}. "
                "Lists of different length need padding: give before_batch or create_batch."
            )
    members = [_collate(list(column), _at(place, str(i)), name_of) for i, column in enumerate(zip(*parts, strict=True))]
    kind = type(first)
    return kind(*members) if hasattr(kind, "_fields") else kind(members)


def _numbers(parts: list[Any], place: str, name_of: Namer) -> Tensor:
    for index, part in enumerate(parts):
        if not isinstance(part, bool | int | float | np.number | np.bool_):
            raise _unlike(parts, index, place, name_of)
    tensor = torch.as_tensor(np.asarray(parts))
    return tensor.float() if tensor.dtype is torch.float64 else tensor


def _arrays(parts: list[Any], place: str, name_of: Namer) -> Tensor:
    _same_kind(parts, np.ndarray, place, name_of)
    for index, part in enumerate(parts):
        if part.shape != parts[0].shape:
            raise _different_shapes(parts, index, place, name_of)
    tensor = torch.from_numpy(np.stack(parts))
    return tensor.float() if tensor.dtype in (torch.float64, torch.uint16) else tensor


def _stack(parts: list[Any], place: str, name_of: Namer) -> Tensor:
    first = parts[0]
    shape, kind = first.shape, type(first)
    for index, part in enumerate(parts):
        if not isinstance(part, Tensor):
            raise _unlike(parts, index, place, name_of)
        if part.shape != shape:
            raise _different_shapes(parts, index, place, name_of)
    bare = parts if kind is Tensor else [plain(part) for part in parts]
    if len(shape) == 3 and shape[0] > 1 and bare[0].stride(0) == 1:  # [channels, height, width], channel last in memory
        batch = torch.stack([part.permute(1, 2, 0) for part in bare]).permute(0, 3, 1, 2)
    else:
        batch = torch.stack(bare)
    if kind is Tensor:
        return batch
    typed: Tensor = cast(batch, kind)
    typed.__dict__.update(common_metadata(parts))
    return typed


def _different_shapes(parts: list[Any], index: int, place: str, name_of: Namer) -> DataError:
    first, other = parts[0], parts[index]
    pictures = isinstance(first, TensorImageBase | TensorMask)
    if pictures and first.shape[:-2] != other.shape[:-2]:
        remedy = "Open all of them with one class of pictures: ImageBlock(PILImage), or ImageBlock(PILImageBW)."
    elif pictures:
        remedy = "Pictures of one batch need one size: pass item_tfms=Resize(224)."
    else:
        remedy = "Bring them to one shape with an item transform, or pad them in before_batch."
    return DataError(
        f"{_what(place)} ({type(first).__name__}) has different shapes: {tuple(first.shape)} in {name_of(0)}, "
        f"{tuple(other.shape)} in {name_of(index)}. {remedy}"
    )


def _same_kind(parts: list[Any], kind: type, place: str, name_of: Namer) -> None:
    for index, part in enumerate(parts):
        if not isinstance(part, kind):
            raise _unlike(parts, index, place, name_of)


def _unlike(parts: list[Any], index: int, place: str, name_of: Namer) -> DataError:
    return DataError(
        f"{_what(place)} is {describe(parts[0])} in {name_of(0)}, but {describe(parts[index])} in {name_of(index)}. "
        "All samples need the same structure."
    )


def _at(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _what(place: str) -> str:
    return f"element {place} of the samples" if place else "the sample"


def first_items(batch: Any, count: int | None) -> Any:
    """The part of a batch that holds its first `count` items (all when None)."""
    if count is None or batch is None:
        return batch
    if isinstance(batch, Tensor):
        return batch[:count] if batch.ndim else batch
    if _is_row_of_texts(batch):
        return batch[:count]
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(first_items(part, count) for part in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(first_items(part, count) for part in batch)
    if isinstance(batch, NamedTensors):
        return batch.map(lambda part: first_items(part, count))
    if isinstance(batch, Mapping):
        return {key: first_items(part, count) for key, part in batch.items()}
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        names = [field.name for field in dataclasses.fields(batch)]
        return type(batch)(**{name: first_items(getattr(batch, name), count) for name in names})
    return batch


def uncollate(batch: Any) -> list[Any]:
    """Take a batch apart into samples: the way back from `collate`. Numbers come back as tensors without dimensions.

    >>> uncollate((torch.tensor([1, 2]), ["a", "b"]))
    [(tensor(1), 'a'), (tensor(2), 'b')]
    """
    if isinstance(batch, Tensor):
        return list(batch)
    if _is_row_of_texts(batch):
        return list(batch)
    if isinstance(batch, tuple | list):
        columns = [uncollate(part) for part in batch]
        count = max((len(column) for column in columns), default=0)
        rows = zip(*(column or [None] * count for column in columns), strict=False)
        if isinstance(batch, tuple) and hasattr(batch, "_fields"):
            return [type(batch)(*row) for row in rows]
        return [type(batch)(row) for row in rows]
    if isinstance(batch, NamedTensors):
        return list(batch.uncollate())
    if isinstance(batch, Mapping):
        columns = [uncollate(part) for part in batch.values()]
        return [dict(zip(batch, row, strict=True)) for row in zip(*columns, strict=False)]
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        names = [field.name for field in dataclasses.fields(batch)]
        columns = [uncollate(getattr(batch, name)) for name in names]
        return [type(batch)(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=False)]
    return []


def _is_row_of_texts(batch: Any) -> bool:
    """Whether a list is one of items (texts, paths), not one of parts."""
    return type(batch) is list and len(batch) > 0 and isinstance(batch[0], str | bytes | PurePath)
