"""Points and boxes that move with their picture.

Coordinates are continuous: the pixel in the upper left corner covers 0 to 1 in x and y, so its middle is (0.5, 0.5),
and a mirrored x is ``width - x``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from laminar.core.errors import DataError
from laminar.core.types import TensorBBox, TensorPoint, metadata, plain

__all__ = ["box_corners", "canvas_of", "move"]

P = TypeVar("P", TensorPoint, TensorBBox)
Canvas = tuple[int, int]  # height, width


def canvas_of(x: TensorPoint | TensorBBox) -> Canvas | None:
    """Height and width of the picture that points or boxes belong to; None when unknown (or scaled to -1 to 1)."""
    found = metadata(x).get("canvas_size")
    return None if found is None else (int(found[0]), int(found[1]))


def box_corners(boxes: Tensor) -> Tensor:
    """The four corners of boxes (x1, y1, x2, y2): ``[..., 4]`` to ``[..., 4, 2]``."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([torch.stack(pair, -1) for pair in ((x1, y1), (x2, y1), (x1, y2), (x2, y2))], -2)


def move(x: P, function: Callable[[Tensor], Tensor], canvas: Canvas | None) -> P:
    """Apply `function` to every position; a box becomes the upright box around its moved corners.

    Rows of zeros among boxes stay so: they are what collating pads with.

    Args:
        x: points ``[..., n, 2]`` or boxes ``[..., n, 4]`` (x1, y1, x2, y2).
        function: maps positions ``[..., m, 2]`` to positions of the same shape.
        canvas: height and width of the picture afterwards.

    Raises:
        DataError: boxes in another format than XYXY.
    """
    values = plain(x)
    if isinstance(x, TensorPoint):
        moved = function(values)
    else:
        kind = getattr(metadata(x).get("format"), "name", "XYXY")
        if kind != "XYXY":
            raise DataError(f"boxes must be in format XYXY (x1, y1, x2, y2) to be transformed, these are {kind}.")
        corners = box_corners(values)
        points = function(corners.flatten(-3, -2)).view(corners.shape)
        moved = torch.cat([points.amin(-2), points.amax(-2)], -1)
        moved = torch.where((values == 0).all(-1, keepdim=True), values, moved)
    return type(x).wrap(moved, x, canvas_size=canvas)
