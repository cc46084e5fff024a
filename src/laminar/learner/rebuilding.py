"""Building a model that a file describes, and no larger one than the file has weights for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from laminar.core.errors import DataError, MissingExtraError, describe
from laminar.core.seed import no_random
from laminar.learner.saving import fitting_weights

__all__ = ["rebuilt_model"]

_FILLED = frozenset([torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn])


class _WithoutMemory(TorchFunctionMode):
    """What is filled without looking at data, as weights and buffers are, gets a shape and no memory."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func in _FILLED and given.get("device") is None:
            given["device"] = "meta"
        return func(*args, **given)


def rebuilt_model(
    build: Callable[..., Any], arguments: Mapping[str, Any], weights: Mapping[str, Tensor], file: Path
) -> nn.Module:
    """The model that ``build(**arguments)`` makes, with `weights`; random generators stay as they are.

    A function of laminar's is called without memory first, so that sizes which the weights do not have take none. What
    a function of the caller's does with its arguments is the caller's.

    Args:
        build: makes the model.
        arguments: what to call it with.
        weights: tensors by the names of the model's state.
        file: where all of it comes from.

    Raises:
        DataError: no model can be built of the arguments.
        WeightsError: the weights are not this model's; names the layers.
    """
    ours = build.__module__.startswith("laminar.") and getattr(build, "recipe_builder", False)
    if ours and not any(map(callable, arguments.values())):
        with _WithoutMemory():
            fitting_weights(weights, _built(build, arguments, file), file)
    model = _built(build, arguments, file)
    model.load_state_dict(fitting_weights(weights, model, file))
    return model


def _built(build: Callable[..., Any], arguments: Mapping[str, Any], file: Path) -> nn.Module:
    try:
        with no_random():
            model = build(**arguments)
    except MissingExtraError as error:
        error.add_note(f"while building the model of {file}")
        raise
    except Exception as error:  # anything may go wrong with numbers that no program wrote
        name = getattr(build, "__name__", repr(build))
        raise DataError(f"{file}: model: {name} cannot build it: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise DataError(f"{file}: model: a network is expected, not {describe(model)}")
    return model
