"""Steps that change colours: each is a linear map in logit space, or a turn of the hue, for each picture of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.core.transform import Transform
from laminar.core.types import TensorImageBase, plain
from laminar.vision.lighting import apply_light, byte_table, is_grey_map, light_map, turn_hue
from laminar.vision.moving import BatchTransform, Draw, drawn_values

__all__ = ["Brightness", "Contrast", "Hue", "LightTransform", "Saturation", "lighting"]

_NO_LIGHT = torch.eye(3, 4)


@dataclass(eq=False, repr=False)
class LightTransform(BatchTransform):
    """A step that changes colours, by one linear map in logit space for each picture. Subclass it and write `lights`.

    Args:
        batch: all pictures of a batch get the same draw.
    """

    order = 40.0

    batch: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        Transform.__init__(self)

    def lights(self, n: int) -> Tensor:
        """Draw a map for each of `n` pictures: float32 ``[n, 3, 4]`` on the CPU, see `lighting.light_map`."""
        return _NO_LIGHT.expand(n, 3, 4)

    def hues(self, n: int) -> Tensor:
        """Draw a turn of the hue for each of `n` pictures, 1 is a full turn: float32 ``[n]`` on the CPU."""
        return torch.zeros(n)

    def draw_state(self, n: int) -> None:
        """Draw maps and turns."""
        self._lights, self._hues = self.lights(n), self.hues(n)

    def encodes(self, x: TensorImageBase) -> Any:
        """Bytes stay bytes, floats of 0 to 1 stay such."""
        pictures = plain(x) if x.ndim == 4 else plain(x)[None]
        out = lighting(pictures, self._lights, self._hues)(slice(None))
        if not pictures.is_floating_point():
            out = out.mul(255).round_().to(pictures.dtype)
        elif out.data_ptr() == pictures.data_ptr():
            out = out.clone()
        return x.wrap(out if x.ndim == 4 else out[0], x)


def lighting(pictures: Tensor, lights: Tensor, hues: Tensor) -> Callable[[slice], Tensor]:
    """How to get some pictures of a batch with their colours changed; what can be done once for all is done now.

    Args:
        pictures: ``[n, channels, height, width]``, bytes or floats of 0 to 1.
        lights: maps ``[n, 3, 4]`` on the CPU.
        hues: turns ``[n]`` on the CPU.

    Returns:
        A function of a slice of the batch; it gives floating point.
    """
    turned = pictures.shape[1] == 3 and bool((hues != 0).any())
    if pictures.dtype is torch.uint8 and not pictures.is_cuda and not turned and is_grey_map(lights):
        tables = byte_table(lights)
        return lambda part: _look_up(tables[part], pictures[part])

    def change(part: slice) -> Tensor:
        some = pictures[part]
        lit = apply_light(some if some.is_floating_point() else some.float().div_(255), lights[part])
        return turn_hue(lit, hues[part]) if turned else lit

    return change


def _look_up(tables: Tensor, pictures: Tensor) -> Tensor:
    """Replace each byte of picture i by an entry of row i of `tables` ``[n, 256]``, keeping the order in memory."""
    n, channels, height, width = pictures.shape
    channels_last = pictures.permute(0, 2, 3, 1)
    in_order = channels_last if channels_last.is_contiguous() else pictures.contiguous()
    index = in_order.reshape(n, -1).int()
    if n > 1:
        index += torch.arange(0, 256 * n, 256, dtype=torch.int32)[:, None]
    found = torch.index_select(tables.flatten(), 0, index.flatten())
    if in_order is channels_last:
        return found.view(n, height, width, channels).permute(0, 3, 1, 2)
    return found.view(n, channels, height, width)


@dataclass(eq=False, repr=False)
class Brightness(LightTransform):
    """Shift in logit space, as if the light were changed.

    Args:
        max_lighting: largest change, 0 to 1: of middle grey to ``0.5 * (1 +- max_lighting)``.
        p: probability for each picture.
        draw: fixes what middle grey becomes: a number, one for each picture, or a function of their number.
    """

    max_lighting: float = 0.2
    p: float = 0.75
    draw: Draw = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_largest(self)

    def lights(self, n: int) -> Tensor:
        """Shifts."""
        low, high = 0.5 * (1 - self.max_lighting), 0.5 * (1 + self.max_lighting)
        middle = drawn_values(n, low, high, 0.5, p=self.p, draw=self.draw, batch=self.batch)
        return light_map(torch.ones(n), torch.logit(middle), torch.ones(n))


@dataclass(eq=False, repr=False)
class Contrast(LightTransform):
    """Scale in logit space.

    Args:
        max_lighting: the scale lies between ``1 - max_lighting`` and ``1 / (1 - max_lighting)``.
        p: probability for each picture.
        draw: fixes the scale: a number, one for each picture, or a function of their number.
    """

    max_lighting: float = 0.2
    p: float = 0.75
    draw: Draw = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_largest(self)

    def lights(self, n: int) -> Tensor:
        """Scales."""
        return light_map(_scales(self, n), torch.zeros(n), torch.ones(n))


@dataclass(eq=False, repr=False)
class Saturation(LightTransform):
    """Mix with the picture's grey (or away from it) in logit space; pictures without colours stay as they are.

    Args:
        max_lighting: the colour's share lies between ``1 - max_lighting`` and ``1 / (1 - max_lighting)``.
        p: probability for each picture.
        draw: fixes the share: a number, one for each picture, or a function of their number.
    """

    max_lighting: float = 0.2
    p: float = 0.75
    draw: Draw = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_largest(self)

    def lights(self, n: int) -> Tensor:
        """Shares of the colour."""
        return light_map(torch.ones(n), torch.zeros(n), _scales(self, n))


def _check_largest(step: Brightness | Contrast | Saturation) -> None:
    if not 0 <= step.max_lighting < 1:
        name = type(step).__name__
        raise ConfigError(
            f"{name}: max_lighting is 0 to less than 1 (which is black, or no colours at all), got {step.max_lighting}."
        )


def _scales(step: Contrast | Saturation, n: int) -> Tensor:
    span = -math.log(1 - step.max_lighting)
    draw = step.draw
    if draw is not None:
        return drawn_values(n, 1, 1, 1, p=step.p, draw=draw, batch=step.batch)
    return drawn_values(n, -span, span, 0, p=step.p, batch=step.batch).exp()


@dataclass(eq=False, repr=False)
class Hue(LightTransform):
    """Turn the hues, in HSV space.

    Args:
        max_hue: largest turn either way; 1 is a full turn.
        p: probability for each picture.
        draw: fixes the turn: a number, one for each picture, or a function of their number.
    """

    max_hue: float = 0.1
    p: float = 0.75
    draw: Draw = None

    def hues(self, n: int) -> Tensor:
        """Turns."""
        return drawn_values(n, -self.max_hue, self.max_hue, 0, p=self.p, draw=self.draw, batch=self.batch)
