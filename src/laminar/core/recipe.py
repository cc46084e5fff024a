"""Writing transforms and pipelines as data, and building them again without running code from a file.

An object is written as the name of its class and its constructor's arguments. Reading builds only classes and functions
of laminar and those the caller passes as trusted; nothing is imported by a name that a file chooses.
"""

from __future__ import annotations

import enum
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

import torch
from torch import Tensor

from laminar.core.dispatch import OpenFunction
from laminar.core.errors import ConfigError, describe
from laminar.core.pipeline import Pipeline
from laminar.core.transform import TorchvisionTransform, Transform, init_arguments
from laminar.core.types import TensorBase

__all__ = ["builder", "call_recipe", "to_recipe", "from_recipe", "inference_recipe", "read_call", "qualified_name"]

B = TypeVar("B", bound=Any)
Json = Any  # what json.dumps takes
_OURS = "laminar."


def builder(thing: B) -> B:
    """Mark a function or class of laminar that a file may ask to call, with arguments from the file.

    An object of a marked class is written as its class and its constructor's arguments, which it keeps in attributes of
    the same names.
    """
    thing.recipe_builder = True
    return thing


def qualified_name(thing: Any) -> str:
    """The name under which a class, function or classmethod is written: ``"package.module:Outer.inner"``."""
    return f"{thing.__module__}:{thing.__qualname__}"


def to_recipe(value: Any, tensors: dict[str, Tensor]) -> Json:
    """Write `value` as JSON-able data.

    Args:
        value: None, bool, int, float, str, list, tuple, dict with text keys, path, dtype, enum, tensor, transform,
            pipeline, or a class or function that can be imported by name.
        tensors: receives the tensors met, under names the data refers to.

    Raises:
        ConfigError: something in `value` cannot be written: a lambda, a local function, an unknown kind of object.
    """
    if value is None or isinstance(value, bool) or type(value) in (int, float, str):
        return value
    if isinstance(value, Transform):
        return _transform_recipe(value, tensors)
    if getattr(type(value), "recipe_builder", False):
        return call_recipe(type(value), init_arguments(value, defaults=True), tensors)
    if isinstance(value, Pipeline):
        return {"$pipeline": [to_recipe(step, tensors) for step in value.transforms], "split_idx": value.split_idx}
    if isinstance(value, tuple | list | Mapping):
        return _container_recipe(value, tensors)
    if isinstance(value, Tensor):
        name = f"tensor_{len(tensors)}"
        tensors[name] = value.detach().cpu().as_subclass(Tensor).contiguous()
        return {"$tensor": name, "type": qualified_name(type(value)) if isinstance(value, TensorBase) else None}
    return _simple_recipe(value)


def call_recipe(function: Callable[..., Any], arguments: Mapping[str, Any], tensors: dict[str, Tensor]) -> Json:
    """Write a call of a function or class marked with `builder`; `from_recipe` makes the call."""
    written = {name: to_recipe(argument, tensors) for name, argument in arguments.items()}
    return {"$build": _importable_name(function), "arguments": written}


def _container_recipe(value: Any, tensors: dict[str, Tensor]) -> Json:
    if isinstance(value, Mapping):
        return {"$dict": [[to_recipe(key, tensors), to_recipe(part, tensors)] for key, part in value.items()]}
    parts = [to_recipe(part, tensors) for part in value]
    return {"$tuple": parts} if isinstance(value, tuple) else parts


def _simple_recipe(value: Any) -> Json:
    if isinstance(value, enum.Enum):
        return {"$enum": qualified_name(type(value)), "name": value.name}
    if isinstance(value, torch.dtype):
        return {"$dtype": str(value).removeprefix("torch.")}
    if isinstance(value, PurePath):
        return str(value)
    for kind in (int, float, str):  # numpy's and titled scalars
        if isinstance(value, kind):
            return kind(value)
    if callable(value):
        return {"$name": _importable_name(value)}
    raise ConfigError(f"cannot write {value!r} of type {type(value).__name__} as data")


def _transform_recipe(transform: Transform, tensors: dict[str, Tensor]) -> Json:
    if isinstance(transform, TorchvisionTransform):
        raise ConfigError(
            f"cannot write torchvision's {transform!r} as data: it does not tell its arguments. "
            "If it only augments training data, leave it out of validation with split_idx=0; "
            "else wrap it in a transform of your own and pass its class when loading: trust=[...]."
        )
    arguments = {name: to_recipe(value, tensors) for name, value in init_arguments(transform, defaults=True).items()}
    return {"$transform": _importable_name(type(transform)), "arguments": arguments}


def _importable_name(thing: Any) -> str:
    name = qualified_name(thing) if hasattr(thing, "__qualname__") else repr(thing)
    if "<lambda>" in name or "<locals>" in name or not hasattr(thing, "__qualname__"):
        raise ConfigError(
            f"cannot write {name} as data: a lambda, a local function or an object without a name cannot be found "
            "again. Define it at the top of a module and pass it when loading: trust=[...]."
        )
    return name


def from_recipe(data: Json, tensors: Mapping[str, Tensor], trust: Iterable[Any] = ()) -> Any:
    """Build again what `to_recipe` wrote.

    Args:
        data: what `to_recipe` returned.
        tensors: the tensors it put aside.
        trust: classes and functions outside laminar that may be used.

    Raises:
        ConfigError: the data names something that is neither laminar's nor trusted, or that does not exist.
    """
    return _Builder(tensors, _by_name(trust)).build(data)


inference_recipe = OpenFunction(
    "inference_recipe",
    """Write what is needed of loaders to treat new items as validation does: ``inference_recipe(dls, tensors)``.

    `tensors` receives the tensors met, as in `to_recipe`; `from_recipe` makes loaders without items of the result.
    """,
)


@inference_recipe.register
def _no_inference_recipe(dls: object, tensors: object) -> Json:
    raise ConfigError(
        f"{type(dls).__name__} cannot say how it makes its batches; only loaders made by laminar.data can be exported. "
        "Of others, save the weights: learn.save(...)."
    )


def read_call(
    data: Json, tensors: Mapping[str, Tensor], trust: Iterable[Any] = ()
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function and the arguments that `call_recipe` wrote, without calling."""
    if not isinstance(data, dict) or "$build" not in data:
        raise ConfigError(f"a call is expected, not {describe(data)}")
    return _Builder(tensors, _by_name(trust)).read_call(data, "$build", _is_builder)


def _by_name(trust: Iterable[Any]) -> dict[str, Any]:
    return {qualified_name(thing): thing for thing in (Tensor, *trust)}


class _Builder:
    def __init__(self, tensors: Mapping[str, Tensor], trusted: Mapping[str, Any]) -> None:
        self.tensors = tensors
        self.trusted = trusted

    def build(self, data: Json) -> Any:
        if isinstance(data, list):
            return [self.build(part) for part in data]
        if not isinstance(data, dict):
            return data
        tag = next(iter(data))
        builder = self._builders().get(tag)
        if builder is None:
            raise ConfigError(f"unknown kind of data {tag!r}; the file may come from a newer version of laminar")
        return builder(data)

    def _builders(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        return {
            "$enum": lambda data: self._enum(data),
            "$tensor": lambda data: self._tensor(data),
            "$dtype": lambda data: self._dtype(data["$dtype"]),
            "$tuple": lambda data: tuple(self.build(part) for part in data["$tuple"]),
            "$dict": lambda data: {self.build(key): self.build(part) for key, part in data["$dict"]},
            "$name": lambda data: self._resolve(data["$name"], _is_step),
            "$pipeline": lambda data: Pipeline(self.build(data["$pipeline"]), split_idx=data["split_idx"]),
            "$transform": lambda data: self._call(data, "$transform", _is_transform),
            "$build": lambda data: self._call(data, "$build", _is_builder),
        }

    def _enum(self, data: dict[str, Any]) -> Any:
        kind = self._resolve(data["$enum"], lambda thing: isinstance(thing, type) and issubclass(thing, enum.Enum))
        return kind[data["name"]]

    def _tensor(self, data: dict[str, Any]) -> Tensor:
        if data["$tensor"] not in self.tensors:
            raise ConfigError(f"tensor {data['$tensor']!r} is missing; it has {sorted(self.tensors)}")
        tensor = self.tensors[data["$tensor"]]
        if data["type"] is None:
            return tensor
        kind = self._resolve(data["type"], lambda thing: isinstance(thing, type) and issubclass(thing, Tensor))
        return kind(tensor)  # type: ignore[no-any-return]  # checked above

    def _dtype(self, name: str) -> torch.dtype:
        dtype = getattr(torch, name, None)
        if not isinstance(dtype, torch.dtype):
            raise ConfigError(f"unknown dtype {name!r}")
        return dtype

    def _call(self, data: dict[str, Any], tag: str, accept: Callable[[Any], bool]) -> Any:
        function, arguments = self.read_call(data, tag, accept)
        return function(**arguments)

    def read_call(
        self, data: dict[str, Any], tag: str, accept: Callable[[Any], bool]
    ) -> tuple[Callable[..., Any], dict[str, Any]]:
        function = self._resolve(data[tag], accept)
        arguments = {name: self.build(value) for name, value in data["arguments"].items()}
        known = inspect.signature(function).parameters
        unknown = [name for name in arguments if name not in known]
        if unknown and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
            raise ConfigError(f"{data[tag]} takes no argument {unknown[0]!r}; the versions differ")
        return function, arguments

    def _resolve(self, name: str, accept: Callable[[Any], bool]) -> Any:
        if name in self.trusted:
            return self.trusted[name]
        if name.startswith(_OURS):
            thing = _find_ours(name)
            if not accept(thing):
                raise ConfigError(f"{name} is not what the file takes it for: {thing!r}")
            return thing
        raise ConfigError(
            f"the file asks for {name}, which is not part of laminar. "
            f"If you know it, pass it: trust=[{name.rpartition(':')[2]}]"
        )


def _is_transform(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Transform)


def _is_builder(thing: Any) -> bool:
    return bool(getattr(thing, "recipe_builder", False))


def _is_step(thing: Any) -> bool:
    """Whether a pipeline may call it: a type of value, or a function marked as drawing nothing; not any function."""
    if isinstance(thing, type):
        return hasattr(thing, "show") or issubclass(thing, Tensor)
    return bool(getattr(thing, "deterministic", False))


def _find_ours(name: str) -> Any:
    """A public class, function or classmethod of laminar; never something that a module of ours merely imported."""
    module_name, _, path = name.partition(":")
    parts = path.split(".")
    if not path or any(part.startswith("_") for part in [*module_name.split("."), *parts]):
        raise ConfigError(f"{name!r} is no public name of laminar")
    try:
        thing: Any = importlib.import_module(module_name)
        for part in parts:
            thing = getattr(thing, part)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"this version of laminar has no {name}") from error
    if not hasattr(thing, "__qualname__") or qualified_name(thing) != name:
        raise ConfigError(f"{name} is not defined by laminar")
    return thing
