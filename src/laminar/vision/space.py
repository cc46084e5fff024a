"""Steps that move pixels: each is a projective map for each picture of a batch, so that several make one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.vision.cutting import PadMode
from laminar.vision.homography import Size, affine_map, perspective_map
from laminar.vision.moving import Draw, MovingTransform, SizeArgument, drawn_values
from laminar.vision.symmetries import matrix_of

__all__ = [
    "DeterministicDihedral",
    "DeterministicDraw",
    "DeterministicFlip",
    "Dihedral",
    "Flip",
    "RandomResizedCropGPU",
    "Rotate",
    "SpaceOptions",
    "SpaceTransform",
    "Warp",
    "Zoom",
]


@dataclass(eq=False, repr=False)
class SpaceTransform(MovingTransform):
    """A step that moves pixels by one projective map for each picture. Subclass it as a dataclass and write `maps`.

    Args:
        size: height and width of the result, or one number, for validation too; None keeps them.
        mode: resampling of pictures: "bilinear", "nearest" or "bicubic".
        pad_mode: what lies beyond the edges.
        mode_mask: resampling of masks.
        align_corners: as in `torch.nn.functional.grid_sample`.
        batch: all pictures of a batch get the same draw.
    """

    order = 30.0

    size: SizeArgument = field(default=None, kw_only=True)
    mode: str = field(default="bilinear", kw_only=True)
    pad_mode: PadMode | str = field(default=PadMode.Reflection, kw_only=True)
    mode_mask: str = field(default="nearest", kw_only=True)
    align_corners: bool = field(default=True, kw_only=True)
    batch: bool = field(default=False, kw_only=True)

    def maps(self, n: int, size: Size) -> Tensor:
        """Draw a map for each of `n` pictures of `size` (height, width): float32 ``[n, 3, 3]`` on the CPU.

        From positions in the result to positions in the picture; the centre is 0, the edges are -1 and 1.
        """
        raise NotImplementedError

    def draw_state(self, n: int) -> None:
        """Draw the maps."""
        self._maps = self.maps(n, self._picture_size)

    def values(self, n: int, low: float, high: float, neutral: float, draw: Draw = None) -> Tensor:
        """`drawn_values` with this step's ``p`` and ``batch``."""
        return drawn_values(n, low, high, neutral, p=self.p, draw=draw, batch=self.batch)


@dataclass(eq=False, repr=False)
class Flip(SpaceTransform):
    """Mirror left to right, exactly.

    Args:
        p: probability for each picture.
        draw: fixes the choice (1 mirrors): a number, one for each picture, or a function of their number.
    """

    p: float = 0.5
    draw: Draw = None

    def maps(self, n: int, size: Size) -> Tensor:
        """-1 on the x axis mirrors."""
        sign = 1 - 2 * self.values(n, 1, 1, 0, self.draw)
        one, zero = torch.ones(n), torch.zeros(n)
        return affine_map(sign, zero, zero, one, zero, zero)


@dataclass(eq=False, repr=False)
class Dihedral(SpaceTransform):
    """One of the 8 symmetries of the square, exactly; for pictures that are no squares one of 4.

    Args:
        p: probability for each picture.
        draw: fixes the symmetry (0 to 7): a number, one for each picture, or a function of their number.
    """

    p: float = 0.5
    draw: Draw = None

    def maps(self, n: int, size: Size) -> Tensor:
        """The matrices of the symmetries drawn."""
        offered = range(8) if size[0] == size[1] else (0, 1, 2, 4)
        drawn = self.values(n, 0, len(offered), 0, self.draw)
        kinds = [int(k) if self.draw is not None else offered[min(int(k), len(offered) - 1)] for k in drawn.tolist()]
        maps = torch.eye(3).repeat(n, 1, 1)
        maps[:, :2, :2] = torch.tensor([matrix_of(kind) for kind in kinds])
        return maps


class DeterministicDraw:
    """For ``draw=``: the first value for all pictures of the first batch, the second for the next, and round again.

    Args:
        vals: the values.

    >>> draw = DeterministicDraw([0, 1])
    >>> [draw(2).tolist() for _ in range(3)]
    [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    """

    def __init__(self, vals: Sequence[float]) -> None:
        self.vals, self.count = list(vals), -1

    def __call__(self, n: int) -> Tensor:
        """The next value, `n` times."""
        self.count += 1
        return torch.full((n,), float(self.vals[self.count % len(self.vals)]))


class SpaceOptions(TypedDict, total=False):
    """Keyword arguments of every `SpaceTransform`."""

    size: SizeArgument
    mode: str
    pad_mode: PadMode | str
    mode_mask: str
    align_corners: bool


def DeterministicFlip(**options: Unpack[SpaceOptions]) -> Flip:  # a factory that reads like a class, as people know it
    """`Flip` for none and all in turn: each second batch is mirrored.

    Args:
        **options: see `SpaceTransform`.
    """
    return Flip(p=1.0, draw=DeterministicDraw([0, 1]), **options)


def DeterministicDihedral(**options: Unpack[SpaceOptions]) -> Dihedral:  # see DeterministicFlip
    """`Dihedral` with the 8 symmetries in turn, one for each batch.

    Args:
        **options: see `SpaceTransform`.
    """
    return Dihedral(p=1.0, draw=DeterministicDraw(range(8)), **options)


@dataclass(eq=False, repr=False)
class Rotate(SpaceTransform):
    """Turn by up to `max_deg` degrees either way, against the clock for positive angles; no distortion on any shape.

    Args:
        max_deg: largest angle.
        p: probability for each picture.
        draw: fixes the angle in degrees: a number, one for each picture, or a function of their number.
    """

    max_deg: float = 10.0
    p: float = 0.5
    draw: Draw = None

    def maps(self, n: int, size: Size) -> Tensor:
        """Rotations in pixels, written in coordinates of -1 to 1."""
        angle = self.values(n, -self.max_deg, self.max_deg, 0, self.draw) * (math.pi / 180)
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(n)
        aspect = size[0] / size[1]
        return affine_map(cos, -sin * aspect, sin / aspect, cos, zero, zero)


@dataclass(eq=False, repr=False)
class Zoom(SpaceTransform):
    """Enlarge by a factor, around a random point.

    Args:
        min_zoom: least factor; below 1 the picture gets smaller.
        max_zoom: largest factor.
        p: probability for each picture.
        draw: fixes the factor: a number, one for each picture, or a function of their number.
        draw_x: fixes where to zoom in, 0 (left) to 1.
        draw_y: the same from top to bottom.
    """

    min_zoom: float = 1.0
    max_zoom: float = 1.1
    p: float = 0.5
    draw: Draw = None
    draw_x: Draw = None
    draw_y: Draw = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.min_zoom <= self.max_zoom:
            raise ConfigError(f"Zoom needs 0 < min_zoom <= max_zoom, got {self.min_zoom} and {self.max_zoom}.")

    def maps(self, n: int, size: Size) -> Tensor:
        """The part of the picture that fills the result."""
        share = 1 / self.values(n, self.min_zoom, self.max_zoom, 1, self.draw)
        x, y = (drawn_values(n, 0, 1, 0.5, draw=draw, batch=self.batch) for draw in (self.draw_x, self.draw_y))
        zero = torch.zeros(n)
        return affine_map(share, zero, zero, share, (1 - share) * (2 * x - 1), (1 - share) * (2 * y - 1))


@dataclass(eq=False, repr=False)
class Warp(SpaceTransform):
    """Look from another side: a change of perspective.

    Args:
        magnitude: largest shift of the corners, in halves of the picture's extent.
        p: probability for each picture.
        draw_x: fixes the shift in x, -1 to 1: a number, one for each picture, or a function of their number.
        draw_y: fixes the shift in y.
    """

    magnitude: float = 0.2
    p: float = 0.5
    draw_x: Draw = None
    draw_y: Draw = None

    def maps(self, n: int, size: Size) -> Tensor:
        """Two opposite sides grow, the other way for the other two."""
        x = self.values(n, -self.magnitude, self.magnitude, 0, self.draw_x)
        y = self.values(n, -self.magnitude, self.magnitude, 0, self.draw_y)
        corners = [(-1 - y, -1 - x), (1 + y, -1 + x), (-1 + y, 1 + x), (1 - y, 1 - x)]
        maps = perspective_map(torch.stack([torch.stack(corner, -1) for corner in corners], 1))
        maps[(x == 0) & (y == 0)] = torch.eye(3)  # without rounding
        return maps


@dataclass(eq=False, repr=False)
class RandomResizedCropGPU(SpaceTransform):
    """Scale a random part of each picture to `size`, on the device; in validation the middle.

    Args:
        size: height and width of the result, or one number.
        min_scale: least share of the area.
        ratio: least and largest width over height of the part, in pixels; parts that do not fit are made smaller. None
            keeps the picture's own.
        max_scale: largest share of the area.
        p: probability for each picture; the others are scaled whole.
        valid_scale: share of height and width that is taken in validation, of the largest part in the middle that has
            a shape that `ratio` allows.
    """

    size: SizeArgument = None
    min_scale: float = 0.08
    ratio: tuple[float, float] | None = (3 / 4, 4 / 3)
    max_scale: float = 1.0
    p: float = 1.0
    valid_scale: float = 1.0

    def maps(self, n: int, size: Size) -> Tensor:
        """A part with sides between 0 and 1 of the picture's, anywhere inside it."""
        least, largest = self._shapes(size)
        area = self.values(n, self.min_scale, self.max_scale, 0)
        shape = drawn_values(n, math.log(least), math.log(largest), 0, batch=self.batch).exp()
        x, y = (drawn_values(n, -1, 1, 0, batch=self.batch) for _ in range(2))
        wide, high = (area * shape).sqrt(), (area / shape).sqrt()
        fit = torch.maximum(wide, high).clamp(min=1)
        wide, high = torch.where(area > 0, wide / fit, 1.0), torch.where(area > 0, high / fit, 1.0)
        return _part(wide, high, x, y)

    def still_maps(self, n: int, size: Size) -> Tensor:
        """The middle."""
        least, largest = self._shapes(size)
        shape = min(max(1.0, least), largest)
        wide, high = (self.valid_scale * min(1.0, side) for side in (shape, 1 / shape))
        middle = torch.zeros(n)
        return _part(torch.full((n,), wide), torch.full((n,), high), middle, middle)

    def _shapes(self, size: Size) -> tuple[float, float]:
        """Least and largest width over height of the part, relative to a picture of `size` (height, width)."""
        if self.ratio is None:
            return 1.0, 1.0
        return self.ratio[0] * size[0] / size[1], self.ratio[1] * size[0] / size[1]


def _part(wide: Tensor, high: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Maps that fetch a part with these shares of width and height, placed from -1 (left, top) to 1."""
    zero = torch.zeros_like(wide)
    return affine_map(wide, zero, zero, high, (1 - wide) * x, (1 - high) * y)
