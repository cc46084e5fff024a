"""The eight symmetries of the square, exact, numbered as Pillow and fastai do.

0 nothing · 1 mirror left-right · 2 mirror top-bottom · 3 quarter turn against the clock · 4 half turn · 5 quarter turn
with the clock · 6 transpose · 7 transverse.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from laminar.core.coordinates import Canvas, move
from laminar.core.types import TensorBBox, TensorPoint

__all__ = ["matrix_of", "turn_image", "turn_positions", "turn_tensor"]

P = TypeVar("P", TensorPoint, TensorBBox)

# Each symmetry as (transposed, then mirrored in x, then mirrored in y) of the picture.
_STEPS = (
    (False, False, False),
    (False, True, False),
    (False, False, True),
    (True, False, True),
    (False, True, True),
    (True, True, False),
    (True, False, False),
    (True, True, True),
)


def turn_image(image: Image.Image, k: int) -> Image.Image:
    """Symmetry `k` of a Pillow image."""
    return image if k == 0 else image.transpose(Image.Transpose(k - 1))


def turn_tensor(x: Tensor, k: int) -> Tensor:
    """Symmetry `k` of the last two dimensions; the input is not changed."""
    transposed, across, down = _STEPS[k]
    turned = x.transpose(-1, -2) if transposed else x
    axes = [axis for axis, mirrored in ((-1, across), (-2, down)) if mirrored]
    return turned.flip(axes) if axes else turned.clone()


def turn_positions(x: P, k: int, canvas: Canvas) -> P:
    """Symmetry `k` of points or boxes in a picture of `canvas` (height, width) pixels."""
    transposed, across, down = _STEPS[k]
    height, width = (canvas[1], canvas[0]) if transposed else canvas

    def turned(points: Tensor) -> Tensor:
        xs, ys = points.flip(-1).unbind(-1) if transposed else points.unbind(-1)
        return torch.stack([width - xs if across else xs, height - ys if down else ys], -1)

    return move(x, turned, (height, width))


def matrix_of(k: int) -> list[list[float]]:
    """Symmetry `k` as a 2 by 2 matrix from positions in the result to positions in the picture, around its centre."""
    transposed, across, down = _STEPS[k]
    x, y = -1.0 if across else 1.0, -1.0 if down else 1.0
    return [[0.0, y], [x, 0.0]] if transposed else [[x, 0.0], [0.0, y]]
