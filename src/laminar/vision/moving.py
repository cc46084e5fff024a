"""The base of all batch transforms of pictures: who they are for, how many, and how each type of a sample is moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from laminar.core.coordinates import canvas_of, in_pixels, move, scaled_to_one
from laminar.core.device import tensors_in
from laminar.core.errors import ConfigError, DataError, describe
from laminar.core.random import rand_per_item, uniform_per_item
from laminar.core.transform import RandTransform, Transform
from laminar.core.types import TensorBBox, TensorImageBase, TensorMask, TensorPoint, plain
from laminar.vision.aligned import check_shapes, inputs_of
from laminar.vision.cutting import PadMode
from laminar.vision.homography import Size, map_positions, resample

__all__ = ["LARGEST", "BatchTransform", "Draw", "MovingTransform", "SizeArgument", "as_size", "drawn_values"]

Draw = float | Sequence[float] | Callable[[int], Tensor] | None
SizeArgument = int | tuple[int, int] | None
LARGEST = 2**28
"""Most pixels that a picture is scaled to."""
MODES = ("bilinear", "nearest", "bicubic")
P = TypeVar("P", TensorPoint, TensorBBox)


def as_size(size: SizeArgument) -> Size | None:
    """Height and width of what users give: one number stands for both."""
    return (size, size) if isinstance(size, int) else size


def drawn_values(
    n: int, low: float, high: float, neutral: float, *, p: float = 1.0, draw: Draw = None, batch: bool = False
) -> Tensor:
    """A value for each of `n` pictures, float32 ``[n]`` on the CPU.

    Args:
        n: number of pictures.
        low: least value.
        high: largest value.
        neutral: value of the pictures that are not chosen.
        p: probability to be chosen.
        draw: takes the place of drawing: a number, one for each picture, or a function of their number.
        batch: all pictures get what the first one draws.

    Raises:
        ConfigError: `draw` gives another number of values.
    """
    chance, values = rand_per_item(n), uniform_per_item(n, low, high)
    if batch:
        chance, values = chance[:1].expand(n), values[:1].expand(n)
    if draw is not None:
        values = torch.as_tensor(draw(n) if callable(draw) else draw, dtype=torch.float32)
        if values.ndim and values.shape != (n,):
            raise ConfigError(
                f"draw gives {tuple(values.shape)} values, the batch has {n} pictures. Give one for each."
            )
        values = values.expand(n)
    return torch.where(chance < p, values, torch.tensor(float(neutral)))


class BatchTransform(RandTransform):
    """Draws for each picture of a batch; write `draw_state`, which learns how many pictures there are."""

    _picture_size: Size = (0, 0)

    def before_call(self, b: Any, split_idx: int | None) -> None:
        """Look at the first picture of the batch, then draw.

        Raises:
            DataError: there is no picture.
        """
        self.draw_state(self._look_at(b))

    def _look_at(self, b: Any) -> int:
        """Remember how large pictures are; returns how many there are."""
        for part in tensors_in(b):
            if isinstance(part, TensorImageBase | TensorMask):
                single = part.ndim < (4 if isinstance(part, TensorImageBase) else 3)
                self._picture_size = (part.shape[-2], part.shape[-1])
                return 1 if single else part.shape[0]
            if isinstance(part, TensorPoint | TensorBBox) and canvas_of(part) is not None:
                self._picture_size = canvas_of(part) or (0, 0)
                return 1 if part.ndim == 2 else part.shape[0]
        raise DataError(
            f"{self!r} found no picture in {describe(b)}. Make it a TensorImage (ToTensor does, of a PILImage)."
        )

    def draw_state(self, n: int) -> None:
        """Draw what ``encodes`` needs for `n` pictures, and keep it on `self`."""
        raise NotImplementedError


class MovingTransform(BatchTransform):
    """Moves pixels, points and boxes through a projective map for each picture, kept in ``_maps`` by `draw_state`.

    With a `size`, validation pictures are scaled to it too, and nothing else is done to them.
    """

    draws_in_validation = False

    size: SizeArgument = None
    mode: str = "bilinear"
    mode_mask: str = "nearest"
    pad_mode: PadMode | str = PadMode.Reflection
    align_corners: bool = True
    _maps: Tensor
    _n_inp = None

    def setups(self, items: object) -> None:
        """Note which parts of a batch are targets, which have to fit the inputs."""
        self._n_inp = inputs_of(items)

    def __post_init__(self) -> None:
        Transform.__init__(self)
        self.pad_mode = PadMode(self.pad_mode)
        height, width = as_size(self.size) or (1, 1)
        if height < 1 or width < 1 or height * width > LARGEST:
            raise ValueError(f"size must be 1 to {LARGEST} pixels in all, got {self.size!r}")
        for name in ("mode", "mode_mask"):
            if getattr(self, name) not in MODES:
                raise ConfigError(f"{name} is one of {', '.join(MODES)}, not {getattr(self, name)!r}.")
        self.split_idx = None if self.size is not None else type(self).split_idx

    def before_call(self, b: Any, split_idx: int | None) -> None:
        """Look at the first picture of the batch, then draw; in validation nothing is random.

        Raises:
            DataError: there is no picture, or a mask, points, boxes or target pictures of another shape.
        """
        n = self._look_at(b)
        check_shapes(b, self, n_inp=self._n_inp)
        if split_idx:
            self.rest_state(n)
        else:
            self.draw_state(n)

    def rest_state(self, n: int) -> None:
        """Keep on `self` what ``encodes`` needs to scale `n` validation pictures to `size`."""
        self._maps = self.still_maps(n, self._picture_size)

    def still_maps(self, n: int, size: Size) -> Tensor:
        """What part of each of `n` validation pictures of `size` (height, width) to take: maps ``[n, 3, 3]``."""
        return torch.eye(3).expand(n, 3, 3)

    def encodes(self, x: TensorImageBase) -> Any:
        """Bytes stay bytes, floats stay floats."""
        pictures = plain(x) if x.ndim == 4 else plain(x)[None]
        out = self.moved_pictures(pictures)
        return x.wrap(out if x.ndim == 4 else out[0], x)

    def encodes(self, x: TensorMask) -> Any:
        """Class ids are fetched, never mixed."""
        mask = plain(x)
        batch = mask.reshape(-1, 1, *mask.shape[-2:])
        out = self.resampled(batch, lambda part: batch[part].float(), self.mode_mask).to(mask.dtype)
        return x.wrap(out.view(*mask.shape[:-2], *out.shape[-2:]), x)

    def encodes(self, x: TensorPoint) -> Any:
        """Points go where their pixel goes, also beyond the edges."""
        return self._moved_positions(x)

    def encodes(self, x: TensorBBox) -> Any:
        """The upright box around the moved corners."""
        return self._moved_positions(x)

    def moved_pictures(self, pictures: Tensor) -> Tensor:
        """Resample ``[n, channels, height, width]``."""
        if pictures.is_floating_point():
            return self.resampled(pictures, lambda part: pictures[part], self.mode)
        return self.resampled(pictures, lambda part: pictures[part].float(), self.mode).round_().to(pictures.dtype)

    def resampled(self, batch: Tensor, prepare: Callable[[slice], Tensor], mode: str) -> Tensor:
        """Fetch each picture that `prepare` gives through its map."""
        return resample(
            prepare,
            batch,
            self._maps,
            as_size(self.size),
            mode=mode,
            pad_mode=str(self.pad_mode),
            align_corners=self.align_corners,
        )

    def _moved_positions(self, x: P) -> P:
        """Coordinates scaled to -1 to 1 are scaled back to pixels for it, and stay scaled."""
        size = self._picture_size
        out_size = as_size(self.size) or size

        def through(points: Tensor) -> Tensor:
            pixels = in_pixels(points, size) if x.scaled else points
            out = map_positions(
                self._maps, pixels if pixels.ndim == 3 else pixels[None], size, out_size, self.align_corners
            )
            out = out if points.ndim == 3 else out[0]
            return scaled_to_one(out, out_size) if x.scaled else out

        return move(x, through, None if x.scaled else out_size)
