"""Putting noise in place of parts of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from laminar.core.random import rand_per_item, uniform_per_item
from laminar.core.transform import Transform
from laminar.core.types import TensorImageBase, plain
from laminar.data.normalize import Normalize
from laminar.vision.moving import BatchTransform

__all__ = ["RandomErasing", "cutout_gaussian", "norm_apply_denorm"]

T = TypeVar("T", bound=Tensor)


@dataclass(eq=False, repr=False)
class RandomErasing(BatchTransform):
    """Put noise into rectangles, others in each picture (Zhong et al., "Random erasing data augmentation", 2017).

    Runs last, on normalised pictures; the noise is N(0, 1).

    Args:
        p: probability for each picture.
        sl: least share of the area to erase in all.
        sh: largest share of the area to erase in all.
        min_aspect: least height over width of a rectangle; the largest is its inverse.
        max_count: most rectangles in a picture.
    """

    order = 100.0

    p: float = 0.5
    sl: float = 0.0
    sh: float = 0.3
    min_aspect: float = 0.3
    max_count: int = 1

    def __post_init__(self) -> None:
        Transform.__init__(self)

    def draw_state(self, n: int) -> None:
        """Draw whom to erase, how often, and for each rectangle its area, shape, place and noise."""
        self._chosen = (rand_per_item(n) < self.p).tolist()
        self._counts = uniform_per_item(n, 1, self.max_count + 1).int().clamp(max=self.max_count).tolist()
        limits = (self.sl, self.sh), (math.log(self.min_aspect), -math.log(self.min_aspect)), (0, 1), (0, 1), (0, 2**24)
        drawn = [[uniform_per_item(n, *limit) for limit in limits] for _ in range(self.max_count)]
        self._rectangles = torch.stack([torch.stack(one, -1) for one in drawn], 1).tolist()

    def encodes(self, x: TensorImageBase) -> Any:
        """Returns new memory where something is erased."""
        if not any(self._chosen):
            return x
        out = plain(x).clone()
        for picture, chosen, count, rectangles in zip(
            out if x.ndim == 4 else out[None], self._chosen, self._counts, self._rectangles, strict=True
        ):
            for rectangle in rectangles[:count] if chosen else ():
                *area, seed = _rectangle(picture.shape, rectangle[0] / count, *rectangle[1:])
                generator = torch.Generator(device=picture.device).manual_seed(seed)
                _put_noise(picture, (area[0], area[1], area[2], area[3]), generator)
        return x.wrap(out, x)


def _rectangle(
    shape: torch.Size, share: float, log_aspect: float, across: float, down: float, seed: float
) -> tuple[int, int, int, int, int]:
    """Top, bottom, left and right of a rectangle in a picture of `shape`, and the seed of its noise."""
    height, width = shape[-2:]
    area, aspect = share * height * width, math.exp(log_aspect)
    high, wide = min(height, round(math.sqrt(area * aspect))), min(width, round(math.sqrt(area / aspect)))
    top, left = int(down * (height - high + 1)), int(across * (width - wide + 1))
    return top, top + high, left, left + wide, int(seed)


def _put_noise(pictures: Tensor, area: tuple[int, int, int, int], generator: torch.Generator | None) -> None:
    """Replace a rectangle of `pictures` ``[..., height, width]`` by noise, in place."""
    top, bottom, left, right = area
    hole = pictures[..., top:bottom, left:right]
    noise = torch.randn(hole.shape, generator=generator, device=pictures.device)
    hole.copy_(noise if pictures.is_floating_point() else noise.mul_(64).add_(128).clamp_(0, 255))


def cutout_gaussian(x: T, areas: Iterable[tuple[int, int, int, int]]) -> T:
    """Pictures with noise from N(0, 1) in place of rectangles; `x` is not changed.

    Args:
        x: normalised pictures ``[..., height, width]``.
        areas: top, bottom, left and right of each rectangle, in pixels.

    >>> holes = cutout_gaussian(torch.zeros(1, 4, 4), [(0, 2, 1, 3)]) != 0
    >>> holes.sum().item(), holes[0, :2, 1:3].all().item()
    (4, True)
    """
    out = x.clone()
    for area in areas:
        _put_noise(out, area, None)
    return out  # type: ignore[return-value]  # cloning keeps the class


def norm_apply_denorm(x: Tensor, f: Callable[[Tensor], Tensor], nrm: Normalize) -> Tensor:
    """Normalise, apply `f`, and go back to 0 to 1: to look at what is done to normalised pictures.

    Args:
        x: ``[batch, channels, height, width]``, 0 to 1.
        f: takes and gives normalised pictures.
        nrm: `Normalize` with its statistics.
    """
    back: Tensor = plain(nrm.decode(f(nrm(x))))
    return back.clamp(0, 1)
