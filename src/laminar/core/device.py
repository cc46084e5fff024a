"""Moving nested batches between devices, and asking them about themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.core.named_tensors import NamedTensors

__all__ = [
    "default_device",
    "apply",
    "tensors_in",
    "to_device",
    "to_cpu",
    "to_detach",
    "to_np",
    "to_half",
    "to_float",
    "item_find",
    "nested_reorder",
    "to_concat",
    "find_bs",
    "find_device",
]


def default_device(use: bool | None = None) -> torch.device:
    """The accelerator torch sees (CUDA, Apple's MPS, ...), else the CPU.

    Args:
        use: True insists on an accelerator, False takes the CPU.

    Raises:
        ConfigError: there is no accelerator, and `use` is True.
    """
    if use is False:
        return torch.device("cpu")
    if use and not torch.accelerator.is_available():
        raise ConfigError("default_device(use=True): torch sees no accelerator on this machine")
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is None:
        return torch.device("cpu")
    return torch.device(accelerator.type, torch.accelerator.current_device_index())


def apply(func: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> Any:
    """Call ``func(part, ...)`` on every part of nested tuples, lists and dicts, and rebuild them."""
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(apply(func, part, *args, **kwargs) for part in x))
    if isinstance(x, tuple | list):
        return type(x)(apply(func, part, *args, **kwargs) for part in x)
    if isinstance(x, dict):
        parts = {key: apply(func, part, *args, **kwargs) for key, part in x.items()}
        return type(x)(parts) if isinstance(x, NamedTensors) else parts
    return func(x, *args, **kwargs)


def tensors_in(x: Any) -> Iterator[Tensor]:
    """All tensors of a nested structure, in order."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, tuple | list):
        for part in x:
            yield from tensors_in(part)
    elif isinstance(x, dict):
        for part in x.values():
            yield from tensors_in(part)


def to_device(b: Any, device: torch.device | str | int | None = None, non_blocking: bool = False) -> Any:
    """Move every tensor in `b` to `device` (`default_device` when None); types and metadata stay.

    A tensor that is there already is returned as it is. Other things that can be moved, by a method ``to(device)``, are
    moved too: batches of graphs, of other libraries, of your own.
    """
    target = (
        device if isinstance(device, torch.device) else default_device() if device is None else torch.device(device)
    )
    if type(b) is tuple and all(type(part) is Tensor and part.device == target for part in b):  # the usual case
        return b

    def move(part: Any) -> Any:
        if isinstance(part, Tensor):
            return part if part.device == target else part.to(target, non_blocking=non_blocking)
        return part.to(target) if callable(getattr(part, "to", None)) else part

    return apply(move, b)


def to_cpu(b: Any) -> Any:
    """Move every tensor in `b` to the CPU."""
    return to_device(b, "cpu")


def to_detach(b: Any, cpu: bool = True) -> Any:
    """Detach every tensor in `b` from its graph, and move it to the CPU if asked."""
    return apply(lambda part: (part.detach().cpu() if cpu else part.detach()) if isinstance(part, Tensor) else part, b)


def to_np(x: Any) -> Any:
    """Make a numpy array of every tensor in `x`."""
    return apply(lambda part: np.asarray(part.detach().cpu()) if isinstance(part, Tensor) else part, x)


def to_half(b: Any) -> Any:
    """Make every floating point tensor in `b` float16."""
    return apply(lambda part: part.half() if isinstance(part, Tensor) and part.is_floating_point() else part, b)


def to_float(b: Any) -> Any:
    """Make every floating point tensor in `b` float32."""
    return apply(lambda part: part.float() if isinstance(part, Tensor) and part.is_floating_point() else part, b)


def nested_reorder(t: Any, idxs: Any) -> Any:
    """The items `idxs` of every tensor in a nested structure, in that order."""
    rows = torch.as_tensor(idxs)
    return apply(lambda part: part[rows.to(part.device)] if isinstance(part, Tensor) else part, t)


def item_find(x: Any, idx: int = 0) -> Any:
    """The first value inside nested tuples, lists and dicts; `idx` is that of the member to begin with."""
    if isinstance(x, tuple | list):
        return item_find(x[idx])
    if isinstance(x, dict):
        return item_find(list(x.values())[idx])
    return x


def to_concat(xs: Sequence[Any], dim: int = 0) -> Any:
    """Join batches along `dim`, part by part: ``[(a, b), (c, d)]`` gives ``(ac, bd)``.

    Tensors whose other sizes differ cannot be joined and come as a list of their items.
    """
    if not xs:
        return xs
    first = xs[0]
    if isinstance(first, dict):
        return {key: to_concat([x[key] for x in xs], dim) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(to_concat([x[i] for x in xs], dim) for i in range(len(first))))
    if isinstance(first, tuple | list):
        return type(first)(to_concat([x[i] for x in xs], dim) for i in range(len(first)))
    if not isinstance(first, Tensor):
        return list(xs)
    sizes = {x.shape[:dim] + x.shape[dim + 1 :] for x in xs if x.ndim}
    if first.ndim == 0:
        return torch.stack(list(xs))
    return torch.cat(list(xs), dim=dim) if len(sizes) == 1 else [item for x in xs for item in x]


def find_bs(b: Any) -> int:
    """The number of items in batch `b`: the first dimension of its first tensor.

    Raises:
        ValueError: there is no tensor with a dimension.
    """
    for tensor in tensors_in(b):
        if tensor.ndim:
            return int(tensor.shape[0])
    raise ValueError(f"no tensor with a batch dimension in a batch of type {type(b).__name__}")


def find_device(b: Any) -> torch.device:
    """The device of the first tensor in `b`, the default device if there is none."""
    return next((tensor.device for tensor in tensors_in(b)), default_device())
