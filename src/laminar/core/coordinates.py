"""Points and boxes that move with their picture.

Coordinates are continuous: the pixel in the upper left corner covers 0 to 1 in x and y, so its middle is (0.5, 0.5),
and a mirrored x is ``width - x``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from laminar.core.errors import DataError, describe
from laminar.core.types import TensorBBox, TensorPoint, metadata, plain

__all__ = ["box_corners", "canvas_of", "in_pixels", "move", "scaled_to_one"]

P = TypeVar("P", TensorPoint, TensorBBox)
Canvas = tuple[int, int]  # height, width


def canvas_of(x: TensorPoint | TensorBBox) -> Canvas | None:
    """Height and width of the picture that points or boxes belong to; None when unknown: then it is the sample's."""
    found = metadata(x).get("canvas_size")
    return None if found is None else (int(found[0]), int(found[1]))


def scaled_to_one(positions: Tensor, canvas: Canvas) -> Tensor:
    """Positions ``[..., 2]`` (x, y) in pixels as -1 (left, top) to 1 (right, bottom) of a picture of `canvas`."""
    return positions * positions.new_tensor([2 / canvas[1], 2 / canvas[0]]) - 1


def in_pixels(positions: Tensor, canvas: Canvas) -> Tensor:
    """The way back from `scaled_to_one`."""
    return (positions + 1) * positions.new_tensor([canvas[1] / 2, canvas[0] / 2])


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
        DataError: boxes in another format than XYXY, or coordinates that are not in pixels any more.
    """
    values = plain(x)
    if x.scaled and canvas is not None:
        raise DataError(
            f"{describe(x)} is scaled to -1 to 1 and cannot be moved in pixels. Scale last: PointScaler comes after "
            "all transforms that move."
        )
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
