"""The loss that fits a kind of target, for learners that are given none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from laminar.core.errors import ConfigError
from laminar.core.types import (
    TensorBBox,
    TensorCategory,
    TensorFloat,
    TensorMask,
    TensorMultiCategory,
    TensorPoint,
    TensorText,
    TitledTensorScalar,
)
from laminar.nn.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, LossFunction, MSELossFlat

__all__ = ["known_loss", "loss_for", "register_loss"]

_LOSSES: dict[type, Callable[[], LossFunction]] = {
    TensorCategory: CrossEntropyLossFlat,
    TensorMultiCategory: BCEWithLogitsLossFlat,
    TensorMask: lambda: CrossEntropyLossFlat(axis=1),
    TensorText: CrossEntropyLossFlat,
    TensorFloat: MSELossFlat,
    TitledTensorScalar: MSELossFlat,
    TensorPoint: lambda: MSELossFlat(ignore_nan=True),  # points that left their picture may have been dropped
    TensorBBox: MSELossFlat,
}


def register_loss(target: type, make: Callable[[], LossFunction]) -> None:
    """Say which loss learners take for a kind of target (and for its subclasses).

    Args:
        target: class of the targets.
        make: called without arguments; returns the loss.
    """
    _LOSSES[target] = make


def known_loss(dls: Any) -> LossFunction | None:
    """The loss for the targets of `dls`, None if none follows from them."""
    own = getattr(dls, "loss_func", None)
    if callable(own):
        return own  # type: ignore[no-any-return]  # the data's word is taken for it
    kinds = tuple(getattr(dls, "target_types", ()))
    found = (kind for kind in kinds[0].__mro__ if kind in _LOSSES) if len(kinds) == 1 else iter(())
    kind = next(found, None)
    return None if kind is None else _LOSSES[kind]()


def loss_for(dls: Any) -> LossFunction:
    """The loss for the targets of `dls`: what the data bring themselves (``loss_func``), else by the target's class.

    Raises:
        ConfigError: the targets have no class that says so, or there are several.
    """
    known = known_loss(dls)
    if known is not None:
        return known
    kinds = tuple(getattr(dls, "target_types", ()))
    found = ", ".join(kind.__name__ for kind in kinds) or "unknown"
    raise ConfigError(
        f"no loss follows from the data: the targets are {found}. Pass one: Learner(dls, model,"
        " loss_func=CrossEntropyLossFlat()); or register one for your class of targets with register_loss."
    )
