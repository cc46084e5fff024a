"""Building again what `laminar.core.recipe` wrote, from files that may be damaged or hostile.

Only classes and functions of laminar and those the caller passes as trusted are called; nothing is imported by a name
that a file chooses but modules of laminar. Every argument is checked against its annotation before the call, and
whatever is wrong is a `DataError` that names the field.
"""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Any

import torch
from torch import Tensor

from laminar.core.annotations import expected_arguments, fits
from laminar.core.errors import ConfigError, DataError, MissingExtraError, describe, suggest
from laminar.core.named_tensors import NamedTensors
from laminar.core.pipeline import Pipeline
from laminar.core.recipe import Json, qualified_name
from laminar.core.transform import Transform

__all__ = ["from_recipe", "read_call"]

_OURS = "laminar."
_DEEPEST = 60  # levels of data within data
_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "$enum": {"$enum": (str,), "name": (str,)},
    "$tensor": {"$tensor": (str,), "type": (str, NoneType)},
    "$dtype": {"$dtype": (str,)},
    "$tuple": {"$tuple": (list,)},
    "$dict": {"$dict": (list,)},
    "$name": {"$name": (str,)},
    "$pipeline": {"$pipeline": (list,), "split_idx": (int, NoneType)},
    "$transform": {"$transform": (str,), "arguments": (dict,)},
    "$build": {"$build": (str,), "arguments": (dict,)},
}


def from_recipe(data: Json, tensors: Mapping[str, Tensor], trust: Iterable[Any] = (), where: str = "data") -> Any:
    """Build again what `to_recipe` wrote.

    Args:
        data: what `to_recipe` returned.
        tensors: the tensors it put aside.
        trust: classes and functions outside laminar that may be used.
        where: what to call the data in messages, such as the file and the field.

    Raises:
        ConfigError: the data name something that is neither laminar's nor trusted.
        DataError: they are no such data, or do not fit this version; the message names the field.
        MissingExtraError: they need a package that is not installed.
    """
    return _Reader(tensors, trust).read(data, where, 0)


def read_call(
    data: Json, tensors: Mapping[str, Tensor], trust: Iterable[Any] = (), where: str = "data"
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function and the arguments that `call_recipe` wrote, without calling (see `from_recipe`)."""
    return _Reader(tensors, trust).read_call(data, "$build", where, 0)


class _Reader:
    """Reads one piece of data; every method gets the data, what to call it, and how deep it lies."""

    def __init__(self, tensors: Mapping[str, Tensor], trust: Iterable[Any]) -> None:
        self.tensors = tensors
        self.trusted = {qualified_name(thing): thing for thing in (Tensor, *trust)}
        self.readers: dict[str, Callable[[Any, str, int], Any]] = {
            "$enum": self._enum,
            "$tensor": self._tensor,
            "$dtype": self._dtype,
            "$tuple": lambda data, where, depth: tuple(self.read(data["$tuple"], where, depth)),
            "$dict": self._dict,
            "$name": lambda data, where, depth: self._resolve(
                data["$name"], where, lambda thing: _is_step(thing) or self._is_trusted(thing)
            ),
            "$pipeline": self._pipeline,
            "$transform": lambda data, where, depth: self._call(data, "$transform", where, depth),
            "$build": lambda data, where, depth: self._call(data, "$build", where, depth),
        }

    def read(self, data: Json, where: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise DataError(f"{where[:200]}...: data within data, {depth} levels deep; no export is")
        if isinstance(data, list):
            return [self.read(part, f"{where}[{index}]", depth + 1) for index, part in enumerate(data)]
        if not isinstance(data, dict):
            return data
        tag = next(iter(data), None)
        if tag not in self.readers:
            raise DataError(f"{where}: unknown kind of data {tag!r}; the file may come from a newer version of laminar")
        _check_fields(data, tag, where)
        return self.readers[tag](data, where, depth + 1)

    def _enum(self, data: Json, where: str, depth: int) -> Any:
        kind = self._resolve(data["$enum"], where, lambda thing: _is_class(thing, enum.Enum))
        if data["name"] not in kind.__members__:
            raise DataError(f"{where}: {kind.__name__} has no member {data['name']!r}, only {list(kind.__members__)}")
        return kind[data["name"]]

    def _tensor(self, data: Json, where: str, depth: int) -> Tensor:
        if data["$tensor"] not in self.tensors:
            raise DataError(f"{where}: tensor {data['$tensor']!r} is missing; there are {sorted(self.tensors)}")
        tensor = self.tensors[data["$tensor"]]
        if data["type"] is None:
            return tensor
        kind = self._resolve(data["type"], where, lambda thing: _is_class(thing, Tensor))
        return _called(kind, where, tensor)  # type: ignore[no-any-return]  # a class of tensors

    def _dtype(self, data: Json, where: str, depth: int) -> torch.dtype:
        dtype = getattr(torch, data["$dtype"], None)
        if not isinstance(dtype, torch.dtype):
            raise DataError(f"{where}: unknown dtype {data['$dtype']!r}")
        return dtype

    def _dict(self, data: Json, where: str, depth: int) -> dict[Any, Any]:
        pairs = self.read(data["$dict"], where, depth)
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise DataError(f"{where}: pairs of keys and values are expected, not {describe(pairs)}")
        try:
            return dict(pairs)
        except TypeError as error:
            raise DataError(f"{where}: {error}") from error

    def _pipeline(self, data: Json, where: str, depth: int) -> Pipeline:
        if data["split_idx"] not in (None, 0, 1):
            raise DataError(f"{where}: split_idx is {data['split_idx']}, not 0, 1 or null")
        steps = self.read(data["$pipeline"], where, depth)
        return _called(Pipeline, where, steps, split_idx=data["split_idx"])  # type: ignore[no-any-return]  # a Pipeline

    def _call(self, data: Json, tag: str, where: str, depth: int) -> Any:
        function, arguments = self.read_call(data, tag, where, depth)
        return _called(function, where, **arguments)

    def read_call(self, data: Json, tag: str, where: str, depth: int) -> tuple[Callable[..., Any], dict[str, Any]]:
        if not isinstance(data, dict) or tag not in data:
            raise DataError(f"{where}: a call is expected, not {describe(data)}")
        _check_fields(data, tag, where)
        accept = _is_transform if tag == "$transform" else self._is_builder
        function = self._resolve(data[tag], where, accept)
        arguments = {name: self.read(value, f"{where}.{name}", depth + 1) for name, value in data["arguments"].items()}
        if data[tag] not in self.trusted:
            _check_arguments(function, arguments, where)
        return function, arguments

    def _resolve(self, name: str, where: str, accept: Callable[[Any], bool]) -> Any:
        if name in self.trusted:
            thing = self.trusted[name]
        elif name.startswith(_OURS):
            thing = _find_ours(name, where)
        else:
            raise ConfigError(
                f"{where} asks for {name}, which is not part of laminar. "
                f"If you know it, pass it: trust=[{name.rpartition(':')[2]}]"
            )
        if name not in self.trusted and hasattr(thing, "needs_trust"):
            raise ConfigError(
                f"{where} asks for {name}; {thing.needs_trust}. If you trust whoever wrote the file, pass it: "
                f"trust=[{name.rpartition(':')[2]}]"
            )
        if not accept(thing):
            raise DataError(f"{where}: {name} is not what the file takes it for: {thing!r}")
        return thing

    def _is_builder(self, thing: Any) -> bool:
        return bool(getattr(thing, "recipe_builder", False)) or (callable(thing) and self._is_trusted(thing))

    def _is_trusted(self, thing: Any) -> bool:
        return any(thing is trusted for trusted in self.trusted.values())


def _check_fields(data: dict[str, Any], tag: str, where: str) -> None:
    expected = _FIELDS[tag]
    if set(data) != set(expected):
        raise DataError(f"{where}: {tag} has the fields {sorted(data)}, not {sorted(expected)}")
    for name, kinds in expected.items():
        if not isinstance(data[name], kinds) or isinstance(data[name], bool):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise DataError(f"{where}: {name} is {describe(data[name])}, not {names}")


def _check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> None:
    """Refuse arguments that `function` does not take, or not of this type."""
    expected = expected_arguments(function)
    for name, value in arguments.items():
        called = f"{function.__module__}:{function.__qualname__}"
        if name not in expected:
            raise DataError(
                f"{where}: {called} takes no argument {name!r}.{suggest(name, expected)} The file may come from "
                "another version of laminar."
            )
        if not fits(value, expected[name]):
            raise DataError(f"{where}.{name} is {describe(value)}, but {called} takes {_hint_name(expected[name])}")


def _hint_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "").replace("collections.abc.", "")


def _called(function: Callable[..., Any], where: str, *args: Any, **arguments: Any) -> Any:
    """The result of a call with arguments from a file; whatever it raises is about that file."""
    try:
        return function(*args, **arguments)
    except MissingExtraError as error:
        error.add_note(f"while reading {where}")
        raise
    except Exception as error:  # a constructor may stumble in any way over values that no program wrote
        name = getattr(function, "__qualname__", repr(function))
        raise DataError(f"{where}: {name} cannot be made of what it holds: {type(error).__name__}: {error}") from error


def _is_class(thing: Any, base: type) -> bool:
    return isinstance(thing, type) and issubclass(thing, base)


def _is_transform(thing: Any) -> bool:
    return _is_class(thing, Transform)


def _is_step(thing: Any) -> bool:
    """Whether a pipeline may call it: a type of value, or a function marked as drawing nothing; not any function."""
    if isinstance(thing, type):
        return hasattr(thing, "show") or issubclass(thing, Tensor | NamedTensors)
    return bool(getattr(thing, "deterministic", False))


def _find_ours(name: str, where: str) -> Any:
    """A public class, function or classmethod of laminar; never something that a module of ours merely imported."""
    module_name, _, path = name.partition(":")
    parts = path.split(".")
    if not path or any(part.startswith("_") for part in [*module_name.split("."), *parts]):
        raise DataError(f"{where}: {name!r} is no public name of laminar")
    try:
        thing: Any = importlib.import_module(module_name)
        for part in parts:
            thing = getattr(thing, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(f"{where}: this version of laminar has no {name}") from error
    if not hasattr(thing, "__qualname__") or qualified_name(thing) != name:
        raise DataError(f"{where}: {name} is not defined by laminar")
    return thing
