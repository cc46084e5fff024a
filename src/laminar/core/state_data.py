"""States (of callbacks, metrics, generators) as data: JSON with the tensors beside it, and back again.

Only data come back, never objects of any class: nothing in a file can choose code to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import ConfigError, DataError

__all__ = ["is_data", "state_from_data", "state_to_data"]

_LONG = 16  # numbers from which a list is written as a tensor
_SCALARS = (bool, int, float, str)


def is_data(value: Any) -> bool:
    """Whether `state_to_data` can write a value."""
    if value is None or isinstance(value, (*_SCALARS, Tensor, np.generic, PurePath)):
        return True
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biufc"
    if isinstance(value, list | tuple):
        return all(map(is_data, value))
    return type(value) is dict and all(map(is_data, value)) and all(map(is_data, value.values()))


def state_to_data(state: Any, tensors: dict[str, Tensor], where: str = "state") -> Any:
    """Write a state as JSON-able data.

    Args:
        state: None, bools, numbers, texts, tensors and numpy arrays, in lists, tuples and dicts.
        tensors: receives the tensors, under names that begin with `where`.
        where: what the state is called in messages.

    Raises:
        ConfigError: it holds something else.
    """
    if state is None or type(state) in _SCALARS:
        return state
    if isinstance(state, list | tuple | Mapping):
        return _container(state, tensors, where)
    if isinstance(state, Tensor):
        kind = "$tensor" if state.device.type == "cpu" else "$device_tensor"
        return {kind: _added(state, tensors, where)}
    if isinstance(state, np.ndarray) and state.dtype.kind in "biufc":
        return {"$array": _added(torch.from_numpy(np.array(state)), tensors, where)}
    if isinstance(state, np.generic):
        return state_to_data(state.item(), tensors, where)
    if isinstance(state, PurePath):
        return str(state)
    for plain in (int, float, str):  # a subclass, such as an enum of texts
        if isinstance(state, plain):
            return plain(state)
    raise ConfigError(
        f"{where} is a {type(state).__name__}, which cannot be written as data. A state is made of numbers, texts,"
        " tensors, lists, tuples and dicts."
    )


def _container(state: Any, tensors: dict[str, Tensor], where: str) -> Any:
    if isinstance(state, Mapping):
        pairs = [
            [state_to_data(key, tensors, where), state_to_data(part, tensors, f"{where}.{key}")]
            for key, part in state.items()
        ]
        return {"$dict": pairs}
    if isinstance(state, list) and _is_long_row(state):
        return {"$floats": _added(torch.tensor(state, dtype=torch.float64), tensors, where)}
    parts = [state_to_data(part, tensors, f"{where}[{number}]") for number, part in enumerate(state)]
    return parts if isinstance(state, list) else {"$tuple": parts}


def _is_long_row(values: list[Any]) -> bool:
    return len(values) >= _LONG and set(map(type, values)) == {float}


def _added(tensor: Tensor, tensors: dict[str, Tensor], where: str) -> str:
    name, number = where, 2
    while name in tensors:
        name, number = f"{where}#{number}", number + 1
    tensors[name] = tensor.detach()
    return name


def state_from_data(data: Any, tensors: Mapping[str, Tensor], device: torch.device | None = None) -> Any:
    """Read what `state_to_data` wrote.

    Args:
        data: what it returned.
        tensors: those it put beside.
        device: where tensors go that were on an accelerator.

    Raises:
        DataError: it is malformed.
    """
    if data is None or isinstance(data, _SCALARS):
        return data
    if isinstance(data, list):
        return [state_from_data(part, tensors, device) for part in data]
    kind, content = next(iter(data.items())) if isinstance(data, dict) and len(data) == 1 else (None, None)
    if kind == "$dict" and isinstance(content, list) and all(isinstance(p, list) and len(p) == 2 for p in content):
        return {
            _key(state_from_data(key, tensors, device)): state_from_data(part, tensors, device) for key, part in content
        }
    if kind == "$tuple" and isinstance(content, list):
        return tuple(state_from_data(part, tensors, device) for part in content)
    tensor = tensors.get(content) if isinstance(content, str) else None
    if tensor is not None and kind in _READERS:
        return _READERS[kind](tensor, device)
    raise DataError(f"a state is malformed: {str(data)[:80]}")


_READERS: dict[Any, Callable[[Tensor, Any], Any]] = {
    "$tensor": lambda tensor, device: tensor,
    "$device_tensor": lambda tensor, device: tensor.to(device),
    "$array": lambda tensor, device: tensor.numpy(),
    "$floats": lambda tensor, device: tensor.tolist(),
}


def _key(key: Any) -> Any:
    if isinstance(key, list | dict | Tensor):
        raise DataError(f"a state is malformed: {type(key).__name__} as a key")
    return key
