"""Whether a value is of the type an annotation names: for values from files, which no type checker has seen."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

__all__ = ["expected_arguments", "fits"]

_UNCHECKED = (Any, object, typing.Self)
_WRAPPERS = (typing.Annotated, typing.Required, typing.NotRequired, typing.Final, typing.ClassVar)


def expected_arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotation of each argument that `function` (or class) takes by name; `Any` where there is none.

    ``**options: Unpack[SomeOptions]`` counts as the arguments that ``SomeOptions`` lists.
    """
    made = isinstance(function, type)
    if made and dataclasses.is_dataclass(function):
        hints = typing.get_type_hints(function)  # each field is read where its class is defined
    else:
        hints = typing.get_type_hints(function.__init__ if made else function)
    expected: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints.get(name, Any)
        if parameter.kind is parameter.VAR_KEYWORD:
            listed = get_args(hint)[:1]
            expected |= typing.get_type_hints(listed[0]) if listed else {}
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            expected[name] = hint
    return expected


def fits(value: object, hint: Any) -> bool:
    """Whether `value` is what `hint` says, looking into containers.

    Lists and tuples stand for each other, whole numbers for fractions, and text for paths, since that is how JSON
    writes them. Protocols and type variables are not looked into.

    >>> fits([1, 2.5], Sequence[float]), fits("ab", Sequence[str]), fits(True, int)
    (True, False, False)
    """
    hint = getattr(hint, "__value__", hint)  # of a `type` statement
    origin, parts = get_origin(hint), get_args(hint)
    if hint in _UNCHECKED or isinstance(hint, TypeVar) or getattr(hint, "_is_protocol", False):
        return True
    if hint is None:
        return value is None
    if origin in _WRAPPERS:
        return fits(value, parts[0])
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is type:
        return isinstance(value, type) and (not isinstance(parts[0], type) or issubclass(value, parts[0]))
    return _fits_class(value, hint if origin is None else origin, parts)


def _fits_class(value: object, kind: Any, parts: tuple[Any, ...]) -> bool:
    if kind is Callable:
        return callable(value)
    if kind in (int, float):
        return isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if kind is tuple:
        return _fits_tuple(value, parts)
    if kind in (list, Sequence, Collection, Iterable):
        return isinstance(value, list | tuple) and all(fits(part, parts[0]) for part in value if parts)
    if kind in (dict, Mapping):
        items = value.items() if isinstance(value, Mapping) else ()
        inner = (fits(key, parts[0]) and fits(part, parts[1]) for key, part in items if parts)
        return isinstance(value, Mapping) and all(inner)
    if isinstance(kind, type) and issubclass(kind, PurePath) and isinstance(value, str):
        return True
    return isinstance(value, kind)


def _fits_tuple(value: object, parts: tuple[Any, ...]) -> bool:
    if not isinstance(value, list | tuple):
        return False
    if len(parts) == 2 and parts[1] is Ellipsis:
        parts = (parts[0],) * len(value)
    return not parts or (len(parts) == len(value) and all(map(fits, value, parts)))
