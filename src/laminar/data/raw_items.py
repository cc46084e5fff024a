"""Raw items of a data set as a trained model is given them, and how they are kept in a file and read from it.

A file is kept as its bytes, a picture as its pixels; what cannot be kept as data is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from laminar.core.device import to_cpu
from laminar.core.errors import DataError
from laminar.core.types import TensorBase, plain
from laminar.data.collation import first_items
from laminar.data.datasets import Datasets
from laminar.data.foreign import ForeignLoader
from laminar.data.items import is_stream
from laminar.data.lists import TfmdLists
from laminar.data.loader import DataLoader
from laminar.data.loaders import DataLoaders
from laminar.data.transforms import Getter

__all__ = ["keep_item", "raw_inputs", "read_item"]

_IN_BATCH = 8  # items
_LARGEST = 2 * 2**20  # bytes of one item
_MODES = ("L", "RGB", "RGBA", "CMYK", "I", "F")


def raw_inputs(dls: DataLoaders) -> Iterator[Any]:
    """Items of the validation set as `DataLoaders.test_dl` takes them, spread over it: what ``get_x`` makes of each.

    None where there are several inputs that are read from one item, since the way from the item is not exported. Where
    `DataLoaders.test_dl` takes batches, one of a few items.
    """
    loader = dls.valid if len(dls) > 1 else dls.train
    dataset: Any = loader.dataset
    if not isinstance(loader, DataLoader) or not isinstance(dataset, Datasets | TfmdLists):
        yield from _raw_batch(loader)
        return
    if not loader.n:
        return
    lists = dataset.tls[: dataset.n_inp] if isinstance(dataset, Datasets) else [dataset]
    getters = [[step for step in tl.tfms if isinstance(step, Getter)] for tl in lists]
    if len(lists) > 1 and any(getters):
        return
    items = lists[0].items
    for index in _spread(len(items)):
        item = items.iloc[index] if hasattr(items, "iloc") else items[index]
        for getter in getters[0]:
            item = getter(item, split_idx=1)
        yield item


def _raw_batch(loader: DataLoader | ForeignLoader) -> Iterator[Any]:
    """The inputs of a small batch, as the loader is given it, where that can be had without beginning an epoch."""
    if isinstance(loader, DataLoader):
        if is_stream(loader.dataset) or not loader.n:
            return
        batch = loader.new(after_batch=None, device=None, num_workers=0, prefetch_factor=None).one_batch()
    else:
        batch = loader.first_raw_batch(_IN_BATCH)
    if batch is not None:
        parts = batch if isinstance(batch, tuple | list) else (batch,)
        inputs = plain(to_cpu(first_items(tuple(parts[: loader.n_inp]), _IN_BATCH)))
        yield inputs[0] if len(inputs) == 1 else inputs


def _spread(n: int) -> list[int]:
    """All numbers below `n`, such that the first few are spread over all of them."""
    step = max(n // 8, 1)
    return [index for first in range(step) for index in range(first, n, step)]


def keep_item(item: Any, tensors: dict[str, Tensor]) -> Any:
    """Write a raw item as data that `read_item` reads; None if it cannot be written, or is large.

    Args:
        item: a path, text, number, bytes, array, tensor, picture of Pillow's, or several of them.
        tensors: receives its bytes.
    """
    if item is None or type(item) in (bool, int, float):
        return {"value": item}
    if isinstance(item, Path) or (isinstance(item, str) and os.path.isfile(item)):
        return _keep_file(item, tensors)
    if isinstance(item, str):
        return {"value": str(item)} if len(item) < _LARGEST else None
    if isinstance(item, bytes):
        return _keep(tensors, "bytes", np.frombuffer(item, dtype=np.uint8))
    if isinstance(item, Image.Image) and type(item).__module__.startswith("PIL.") and item.mode in _MODES:
        return _keep(
            tensors, "picture", np.frombuffer(item.tobytes(), dtype=np.uint8), mode=item.mode, size=[*item.size]
        )
    if isinstance(item, Tensor) and not isinstance(item, TensorBase):
        return _keep(tensors, "tensor", item)
    if type(item) is np.ndarray and item.dtype.kind in "biuf":
        return _keep(tensors, "array", item)
    return _keep_parts(item, tensors)


def _keep_file(file: str | Path, tensors: dict[str, Tensor]) -> Any:
    path = Path(file)
    if not path.is_file() or not 0 < path.stat().st_size <= _LARGEST:
        return None
    suffix = path.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", path.suffix) else ""
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    return _keep(tensors, "file", content, suffix=suffix, text=isinstance(file, str))


def _keep_parts(item: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(item, Mapping) and all(type(key) is str for key in item):
        parts = [keep_item(part, tensors) for part in item.values()]
        return None if None in parts else {"dict": dict(zip(item, parts, strict=True))}
    if type(item) in (tuple, list):
        parts = [keep_item(part, tensors) for part in item]
        return None if None in parts else {type(item).__name__: parts}
    return None


def _keep(tensors: dict[str, Tensor], kind: str, value: Any, **about: Any) -> Any:
    content = value.detach().cpu() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    if content.numel() * content.element_size() > _LARGEST:
        return None
    name = f"golden_{len(tensors)}"
    tensors[name] = content.contiguous()
    return {kind: name, **about}


def read_item(data: Any, tensors: Mapping[str, Tensor], folder: Path) -> Any:
    """Read what `keep_item` wrote.

    Args:
        data: what it returned.
        tensors: the bytes.
        folder: where files are written.

    Raises:
        DataError: it wrote no such thing.
    """
    if not isinstance(data, dict) or not data:
        raise DataError(f"a raw item is expected, not {data!r:.80}")
    kind, value = next(iter(data.items()))
    if kind == "value" and (value is None or isinstance(value, bool | int | float | str)):
        return value
    if kind in ("tuple", "list") and isinstance(value, list):
        parts = [read_item(part, tensors, folder) for part in value]
        return tuple(parts) if kind == "tuple" else parts
    if kind == "dict" and isinstance(value, dict):
        return {key: read_item(part, tensors, folder) for key, part in value.items()}
    content = tensors.get(value) if isinstance(value, str) else None
    if kind not in ("file", "bytes", "picture", "tensor", "array") or content is None:
        raise DataError(f"a raw item of an unknown kind, or without its content: {data!r:.80}")
    if kind == "tensor":
        return content
    try:
        array = content.numpy()
        if kind == "picture":
            return Image.frombytes(data["mode"], tuple(data["size"]), array.tobytes())
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(f"a raw item of kind {kind} that is none: {error}") from error
    if kind == "file":
        return _read_file(data, array.tobytes(), folder)
    return array if kind == "array" else array.tobytes()


def _read_file(data: dict[str, Any], content: bytes, folder: Path) -> str | Path:
    suffix = data.get("suffix", "")
    if not isinstance(suffix, str) or not re.fullmatch(r"(\.[A-Za-z0-9]{1,8})?", suffix):
        raise DataError(f"a file's suffix is {suffix!r:.40}")
    file = folder / f"item_{len(list(folder.iterdir()))}{suffix}"
    file.write_bytes(content)
    return str(file) if data.get("text") is True else file
