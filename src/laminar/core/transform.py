"""`Transform`: a function that knows the types it is for, how to undo itself, and what to learn from the data first."""

from __future__ import annotations

import copy
import inspect
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from laminar.core.dispatch import RETAIN, Overload, OverloadTable, find_overload
from laminar.core.errors import check_keywords
from laminar.core.types import cast, retain_type

__all__ = [
    "Transform",
    "ItemTransform",
    "InplaceTransform",
    "DisplayedTransform",
    "RandTransform",
]

T = TypeVar("T")
_OVERLOADED = ("encodes", "decodes", "setups")
_UNSEEN = object()


class _CollectOverloads(dict[str, Any]):
    """Namespace of a class body in which `encodes`, `decodes` and `setups` may be defined several times."""

    def __init__(self, class_name: str, enclosing: Mapping[str, Any]) -> None:
        super().__init__()
        self.tables = {name: OverloadTable() for name in _OVERLOADED}
        self._class_name = class_name
        self._enclosing = enclosing

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in _OVERLOADED:
            super().__setitem__(name, value)
            return
        function = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        self.tables[name].add(function, f"{self._class_name}.{name}", {**self._enclosing, **self})


class _TransformMeta(type):
    """Collects the overloads of a class body; calling the class as a decorator adds one from outside."""

    _tables: dict[str, OverloadTable]

    @classmethod
    def __prepare__(mcs, name: str, bases: tuple[type, ...], /, **kwargs: Any) -> _CollectOverloads:
        return _CollectOverloads(name, sys._getframe(1).f_locals)

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: _CollectOverloads) -> _TransformMeta:
        members = dict(namespace)
        members.update({key: _Overloaded(key) for key, table in namespace.tables.items() if table or not bases})
        members |= {"_tables": namespace.tables, "_found": {key: {} for key in _OVERLOADED}}
        return super().__new__(mcs, name, bases, members)

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's, for editors, in place of that of `__call__` below."""
        whole = inspect.signature(cls.__init__)  # type: ignore[misc]  # asked of a class, not of an object
        return whole.replace(parameters=[p for name, p in whole.parameters.items() if name != "self"])

    def __call__(cls, /, *args: Any, **kwargs: Any) -> Any:
        function = args[0] if len(args) == 1 and not kwargs else None
        name = getattr(function, "__name__", None)
        if name not in _OVERLOADED or not inspect.isfunction(function):
            try:
                return super().__call__(*args, **kwargs)
            except TypeError:
                known = inspect.signature(cls).parameters
                if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
                    check_keywords(kwargs, known, cls.__name__)
                raise
        cls._tables[name].replace(function, f"{cls.__name__}.{name}")
        _forget(cls)
        return function


def _forget(cls: type) -> None:
    """Empty the look-up caches of a class and of all that derive from it."""
    for found in cls._found.values():  # type: ignore[attr-defined]  # set by the metaclass
        found.clear()
    derived: type
    for derived in type.__subclasses__(cls):
        _forget(derived)


class _Overloaded:
    """The attribute ``encodes`` (``decodes``, ``setups``) of a class: called, it chooses among all overloads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.owner: type = object

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner = owner

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self

        def choose(x: Any = None) -> Any:
            overload = find_overload(_tables_of(self.owner, self.name), type(x))
            return x if overload is None else overload.function(instance, x)

        return choose


def _tables_of(cls: type, name: str) -> list[OverloadTable]:
    return [base.__dict__["_tables"][name] for base in cls.__mro__ if "_tables" in base.__dict__]


class Transform(metaclass=_TransformMeta):
    """A step from raw to model-ready that can be undone.

    Define ``encodes`` (and ``decodes`` to undo it, ``setups`` to learn from the training items) once for each type, by
    annotation; values of other types pass through untouched. A tuple is transformed member by member. The result gets
    the input's type back where the operation lost it, or the type of the return annotation (``-> None`` leaves it
    alone).

    The state of a transform is its constructor's arguments, each kept in an attribute of the same name.

    Args:
        enc: function to use as ``encodes``.
        dec: function to use as ``decodes``.
        split_idx: 0 to run on training data only, 1 on validation data only, None on both.
        order: place in a pipeline, low first.

    >>> class Half(Transform):
    ...     def encodes(self, x: float): return x / 2
    ...     def decodes(self, x: float): return x * 2
    >>> half = Half()
    >>> half((3.0, "a")), half.decode((1.5, "a"))
    ((1.5, 'a'), (3.0, 'a'))
    """

    order: float = 0
    split_idx: int | None = None
    train_setup: bool | None = None
    deterministic: bool = False  # True promises that no random number is drawn: the loader need not seed for it
    draws_in_validation: bool = True  # False promises the same for validation only
    whole_sample: ClassVar[bool] = False  # True: gets the sample's tuple instead of its members

    enc: Callable[..., Any] | None = None
    dec: Callable[..., Any] | None = None
    encodes: Any  # these three choose by type among all overloads; the metaclass puts them here
    decodes: Any
    setups: Any
    _tables: ClassVar[dict[str, OverloadTable]]
    _found: dict[str, dict[type, Overload | None]]

    def __init__(
        self,
        enc: Callable[..., Any] | None = None,
        dec: Callable[..., Any] | None = None,
        split_idx: int | None = None,
        order: float | None = None,
    ) -> None:
        self.enc, self.dec = enc, dec
        if split_idx is not None:
            self.split_idx = split_idx
        if order is not None:
            self.order = order
        elif enc is not None:
            self.order = getattr(enc, "order", self.order)
        if enc is not None:
            self.deterministic = getattr(enc, "deterministic", self.deterministic)
        if enc is not None or dec is not None:
            self._found = {key: {} for key in _OVERLOADED}  # not shared with the class: enc and dec are this object's

    @property
    def name(self) -> str:
        """What it is called in messages."""
        enc = getattr(self, "enc", None)
        return type(self).__name__ if enc is None else getattr(enc, "__qualname__", type(enc).__name__)

    def __call__(self, x: Any, split_idx: int | None = None) -> Any:
        """Encode `x`, if this transform runs on split `split_idx`."""
        if self.split_idx is not None and self.split_idx != split_idx:
            return x
        return self._apply("encodes", x)

    def decode(self, x: Any, split_idx: int | None = None) -> Any:
        """Undo what encoding did to `x`."""
        if self.split_idx is not None and self.split_idx != split_idx:
            return x
        return self._apply("decodes", x)

    def setup(self, items: Any = None, train_setup: bool = False) -> None:
        """Learn from `items` (their ``.train`` part if `train_setup`) what ``setups`` wants to know."""
        on_training = train_setup if self.train_setup is None else self.train_setup
        self.setups(getattr(items, "train", items) if on_training else items)

    def touches(self, x: Any) -> bool:
        """Whether encoding would do anything to a value of this type."""
        overload = self._find("encodes", type(x))
        if isinstance(x, tuple) and not self._takes_whole(overload):
            return any(map(self.touches, x))
        return overload is not None

    def tells_apart(self, one: type, other: type) -> bool:
        """Whether encoding does one thing to values of type `one`, and another to those of type `other`."""
        ours, theirs = self._find("encodes", one), self._find("encodes", other)
        if self.enc is not None or ours is None or theirs is None:  # a function of the user's is one for all types
            return False
        return ours.function is not theirs.function

    def _find(self, name: str, kind: type) -> Overload | None:
        found: Any = self._found[name].get(kind, _UNSEEN)
        if found is _UNSEEN:
            found = find_overload([*self._own_tables(name), *_tables_of(type(self), name)], kind)
            self._found[name][kind] = found
        return found  # type: ignore[no-any-return]  # _UNSEEN is gone

    def _own_tables(self, name: str) -> list[OverloadTable]:
        function = {"encodes": "enc", "decodes": "dec"}.get(name)
        given = None if function is None else getattr(self, function, None)
        if given is None:
            return []
        table = OverloadTable()
        table.add(_as_method(given), f"{self.name}", None)
        return [table]

    def _takes_whole(self, overload: Overload | None) -> bool:
        """Whether a tuple goes to `overload` as it is: in an `ItemTransform`, or if it names a class of tuples."""
        return self.whole_sample or (overload is not None and issubclass(overload.kind, tuple))

    def _apply(self, name: str, x: Any) -> Any:
        overload = self._find(name, type(x))
        if isinstance(x, tuple) and not self._takes_whole(overload):
            return _rebuild(x, tuple(self._apply(name, part) for part in x))
        if overload is None:
            return x
        result = overload.function(self, x)
        if overload.returns is RETAIN:
            return retain_type(result, x)
        if overload.returns is None or isinstance(result, overload.returns):
            return result
        return cast(result, overload.returns)

    def __repr__(self) -> str:
        arguments = [
            f"{name}={_short(value)}" for name, value in init_arguments(self).items() if name not in ("enc", "dec")
        ]
        return f"{self.name}({', '.join(arguments)})" if getattr(self, "enc", None) is None else self.name


def _as_method(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a plain function stand where a method is called, keeping its annotations for dispatch."""

    def method(self: Any, x: Any) -> Any:
        return function(x)

    annotations = dict(getattr(function, "__annotations__", {}))
    returned = {"return": annotations.pop("return")} if "return" in annotations else {}
    code = getattr(inspect.unwrap(function), "__code__", None)
    first = None
    if code is not None and code.co_argcount:
        skip = 1 if inspect.ismethod(function) else 0
        first = code.co_varnames[skip] if code.co_argcount > skip else None
    method.__annotations__ = returned | ({"x": annotations[first]} if first in annotations else {})
    namespace = getattr(inspect.unwrap(function), "__globals__", {})
    for key, annotation in method.__annotations__.items():
        if isinstance(annotation, str) and annotation in namespace:
            method.__annotations__[key] = namespace[annotation]
        elif isinstance(annotation, str):
            method.__annotations__[key] = Any  # a hint for readers; the function is called with everything
    return method


def _rebuild(old: tuple[Any, ...], members: tuple[Any, ...]) -> tuple[Any, ...]:
    kind = type(old)
    if kind is tuple:
        return members
    return kind(*members) if hasattr(kind, "_fields") else kind(members)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def init_arguments(thing: Any, defaults: bool = False) -> dict[str, Any]:
    """The constructor's arguments as they are kept in attributes; with `defaults`, also those left at their default."""
    kind, found = type(thing), {}
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        if name == "self" or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        value = getattr(thing, name, parameter.default)
        if getattr(value, "__self__", None) is thing:  # a method with the argument's name: the argument was not given
            value = parameter.default
        usual = (parameter.default, getattr(kind, name, parameter.default))
        if defaults or not any(value is one for one in usual):
            found[name] = value
    return found


class ItemTransform(Transform):
    """A transform of a whole sample: ``encodes`` and ``decodes`` get the tuple."""

    whole_sample = True


class InplaceTransform(Transform):
    """A transform whose ``encodes`` changes its argument; what it returns is ignored."""

    def _apply(self, name: str, x: Any) -> Any:
        super()._apply(name, x)
        return x


class DisplayedTransform(Transform):
    """A transform whose repr lists its arguments, as all do here; the name is for programs that derive from it."""


class RandTransform(Transform):
    """A transform that draws once for each sample, so that picture, mask, points and boxes get the same draw.

    Override `before_call` to draw more than whether to act: set attributes there and read them in ``encodes``. Every
    call works on a copy of the transform, so that one sample's draw is never seen by another, nor by another thread.

    Args:
        p: probability to act on a sample, 0 to 1.
        before_call: function ``(sample, split_idx)`` to use in place of the method.
        split_idx: as in `Transform`; training only by default.
        order: as in `Transform`.
    """

    split_idx: int | None = 0
    do: bool = True

    def __init__(
        self,
        p: float = 1.0,
        before_call: Callable[[Any, int | None], None] | None = None,
        split_idx: int | None = None,
        order: float | None = None,
    ) -> None:
        super().__init__(split_idx=split_idx, order=order)
        self.p = p
        if before_call is not None:
            self.before_call = before_call  # type: ignore[method-assign, assignment]  # offered as an argument too

    def before_call(self, b: Any, split_idx: int | None) -> None:
        """Draw what this call needs, on `self`, from Python's `random` (items) or `uniform_per_item` (batches)."""
        self.do = self.p >= 1.0 or random.random() < self.p

    def __call__(self, x: Any, split_idx: int | None = None) -> Any:
        """Draw, then encode `x` if the draw says so."""
        if self.split_idx is not None and self.split_idx != split_idx:
            return x
        drawn = copy.copy(self)
        drawn.before_call(x, split_idx)
        return drawn._apply("encodes", x) if drawn.do else x
