"""Whether a recipe builds the very model that a learner has: it may have been changed since the recipe was noted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from laminar.core.device import tensors_in, to_cpu, to_device
from laminar.core.errors import ConfigError, DataError
from laminar.core.seed import get_random_states, no_random, set_random_states
from laminar.core.types import plain
from laminar.learner.check import few_items
from laminar.learner.course import length_of
from laminar.learner.model_input import parts_of
from laminar.nn.calling import call_model, evaluating

__all__ = ["check_same_model"]

_NAMED = 4  # differences in a message
_TOLERANCE = 1e-2  # of the largest output: kernels for another order in memory round otherwise, other layers do more
_IN_TRAINING_ONLY = re.compile(r"\b(p|momentum|inplace)=[^,)]*")


class HasModel(Protocol):
    """What is looked at."""

    model: nn.Module
    dls: Any

    @property
    def device(self) -> torch.device: ...


def check_same_model(learn: HasModel, build: Callable[..., nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """Build the model that a recipe describes, and compare its parts, and what it makes of a few items.

    Items that cannot be had any more are not asked for.

    Args:
        learn: a learner.
        build: builds the model.
        arguments: what to call it with.

    Returns:
        What was built, with the weights of the learner's, on the CPU.

    Raises:
        ConfigError: it is another model, or none; the message says what differs.
    """
    name = getattr(build, "__name__", repr(build))
    try:
        with no_random():
            other = build(**arguments)
    except Exception as error:  # it is the caller's function, with the caller's arguments
        raise ConfigError(
            f"learn.model_recipe builds no model: {name} raises {type(error).__name__}: {error}. {_REMEDY}"
        ) from error
    differences = _differences(_parts(learn.model), _parts(other)) + _differences(_shapes(learn.model), _shapes(other))
    if differences:
        more = f" and {len(differences) - _NAMED} more" if len(differences) > _NAMED else ""
        raise ConfigError(
            f"learn.model is not what {name} of learn.model_recipe builds (left of the stroke learn.model, right of it"
            f" what is built): {'; '.join(differences[:_NAMED])}{more}. {_REMEDY}"
        )
    other.load_state_dict(learn.model.state_dict())
    inputs = _some_inputs(learn)
    if inputs is not None and not _same_outputs(learn.model, other.to(learn.device), inputs):
        raise ConfigError(
            f"learn.model has the parts and weights of what {name} of learn.model_recipe builds, but gives other"
            f" outputs: something in it was changed that does not show, such as its forward. {_REMEDY}"
        )
    return other.cpu()


_REMEDY = (
    "Name a function that builds the model as it is now, and its arguments: learn.model_recipe = (build_model, "
    "{'n_out': 10}), and pass the function when loading: load_learner(file, trust=[build_model])."
)


def _parts(model: nn.Module) -> dict[str, str]:
    """Class and settings of each module by its name."""
    return {
        name or "the model": f"{type(part).__qualname__}({part.extra_repr()})"
        for name, part in model.named_modules(remove_duplicate=False)
    }


def _shapes(model: nn.Module) -> dict[str, str]:
    return {name: str(tuple(weight.shape)) for name, weight in model.state_dict().items()}


def _differences(mine: Mapping[str, str], built: Mapping[str, str]) -> list[str]:
    """What differs, but for settings that matter in training only."""
    pairs = [(name, mine.get(name, "nothing"), built.get(name, "nothing")) for name in {**mine, **built}]
    return [
        f"{name}: {one} / {other}"
        for name, one, other in pairs
        if _IN_TRAINING_ONLY.sub("", one) != _IN_TRAINING_ONLY.sub("", other)
    ]


def _some_inputs(learn: HasModel) -> tuple[Any, ...] | None:
    if not length_of(learn.dls[0]):
        return None
    states = get_random_states()
    try:
        batch = few_items(learn.dls[0])
    except (OSError, DataError):  # the files of a training long ago may be gone
        return None
    finally:
        set_random_states(**states)
    if batch is None:
        return None
    parts = parts_of(batch)
    n_inp = getattr(learn.dls, "n_inp", None) or max(len(parts) - 1, 1)
    return tuple(plain(to_device(part, learn.device)) for part in parts[:n_inp])


def _same_outputs(model: nn.Module, other: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether two models make the same of inputs; True where the first gives something else each time."""
    first, second = _outputs(model, inputs), _outputs(other, inputs)
    return _close(first, second) or not _close(first, _outputs(model, inputs))


def _outputs(model: nn.Module, inputs: tuple[Any, ...]) -> list[Tensor]:
    with torch.no_grad(), evaluating(model):
        return [tensor.float() for tensor in tensors_in(to_cpu(call_model(model, inputs)))]


def _close(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(
        a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=_TOLERANCE * _largest(a), equal_nan=True)
        for a, b in zip(first, second, strict=True)
    )


def _largest(values: Tensor) -> float:
    finite = values[values.isfinite()]
    return float(finite.abs().max()) if finite.numel() else 0.0
