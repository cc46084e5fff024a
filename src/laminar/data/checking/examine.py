"""`examine`: what is to be known about a part of a sample, whatever its type. Applications register theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from laminar.core.dispatch import OpenFunction
from laminar.core.transform import Transform
from laminar.core.types import TensorCategory, plain

__all__ = ["Facts", "Surroundings", "examine"]


@dataclass
class Facts:
    """What is known about a part of a sample.

    Attributes:
        size: width and height in pixels, if it is a picture.
        mode: how it stores values: ``"RGB"``, ``"uint8"``.
        thumbnail: the picture in ``[16, 16]`` grey values, by which copies are found; None if it is no picture.
        troubles: what is wrong with it: a kind in a few words, and what exactly.
    """

    size: tuple[int, int] | None = None
    mode: str | None = None
    thumbnail: npt.NDArray[np.uint8] | None = None
    troubles: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Surroundings:
    """What stands around a part: what its sample told so far, and the transforms the sample will meet.

    Attributes:
        before: facts of the parts before this one.
        transforms: those of its own pipeline, then those of samples.
    """

    before: Sequence[Facts]
    transforms: Iterable[Transform]

    @property
    def picture_size(self) -> tuple[int, int] | None:
        """Width and height of the picture in this sample, if one came before."""
        return next((facts.size for facts in self.before if facts.size is not None), None)

    def fitted(self, name: str) -> Any:
        """What the first transform that has an attribute `name` says."""
        values = (getattr(transform, name, None) for transform in self.transforms)
        return next((value for value in values if value is not None), None)


examine = OpenFunction.public(
    "examine",
    "Tell the `Facts` about a part of a sample: ``examine(part, surroundings)``. Register a function for a type of "
    "yours: ``@examine.register`` on ``def _(x: Wave, around: Surroundings) -> Facts``.",
)


@examine.register
def _(x: object, around: Surroundings) -> Facts:
    return Facts()


@examine.register
def _(x: Tensor, around: Surroundings) -> Facts:
    facts = Facts(mode=str(x.dtype).removeprefix("torch."))
    values = plain(x)
    if values.is_floating_point() and not torch.isfinite(values).all():
        bad = int((~torch.isfinite(values)).sum())
        facts.troubles.append(("not a number", f"{bad} of {values.numel()} values are NaN or infinite"))
    return facts


@examine.register
def _(x: TensorCategory, around: Surroundings) -> Facts:
    return Facts()


@examine.register
def _(x: float, around: Surroundings) -> Facts:
    missing = x != x or abs(x) == float("inf")
    return Facts(troubles=[("not a number", f"the value is {x}")] if missing else [])
