"""Writing transforms and pipelines as data: an object is the name of its class and its constructor's arguments.

`laminar.core.rebuilding` builds them again, without running code from a file.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

import torch
from torch import Tensor

from laminar.core.adapters import ForeignTransform
from laminar.core.dispatch import OpenFunction
from laminar.core.errors import ConfigError
from laminar.core.pipeline import Pipeline
from laminar.core.transform import Transform, init_arguments
from laminar.core.types import TensorBase

__all__ = ["builder", "call_recipe", "to_recipe", "inference_recipe", "qualified_name"]

B = TypeVar("B", bound=Any)
Json = Any  # what json.dumps takes


def builder(thing: B) -> B:
    """Mark a function or class of laminar that a file may ask to call, with arguments from the file.

    So it must be safe with any arguments that fit its annotations: open no file, fetch nothing, run nothing that it is
    given. How much memory it takes must be bounded by what the file holds.

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
    if isinstance(transform, ForeignTransform):
        raise ConfigError(
            f"cannot write {transform!r} of {transform.library} as data: it does not tell its arguments. "
            "If it only augments training data, leave it out of validation: "
            f"{type(transform).__name__}(..., split_idx=0); "
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
