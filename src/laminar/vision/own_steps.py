"""Steps of augmentation from functions of yours, and the matrices and spaces that such functions are made of.

Whoever writes a class derives from `SpaceTransform` or `LightTransform`; a function will do here: of pictures to
matrices (`AffineCoordTfm`, which joins the one resampling of all steps), or of values in another space (`LightingTfm`
for logits, `HSVTfm` for hue, saturation and value, `SpaceTfm` for one of your own).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from laminar.core.random import rand_per_item
from laminar.core.transform import RandTransform
from laminar.core.types import TensorImageBase, plain
from laminar.vision.homography import Size, affine_map
from laminar.vision.lighting import hsv2rgb, rgb2hsv
from laminar.vision.moving import Draw
from laminar.vision.space import Dihedral, Flip, Rotate, SpaceTransform, Zoom

__all__ = [
    "AffineCoordTfm",
    "HSVTfm",
    "LightingTfm",
    "SpaceTfm",
    "affine_grid",
    "affine_mat",
    "apply_perspective",
    "dihedral_mat",
    "find_coeffs",
    "flip_mat",
    "mask_tensor",
    "rotate_mat",
    "zoom_mat",
]

Change: TypeAlias = Callable[[Tensor], Tensor]
_EPS = 1e-7


def affine_mat(*ms: Tensor) -> Tensor:
    """Matrices ``[n, 3, 3]`` of six vectors ``[n]``: two rows of three, above a row of 0, 0, 1.

    >>> affine_mat(*torch.arange(6.0)[:, None]).tolist()
    [[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [0.0, 0.0, 1.0]]]
    """
    xx, xy, x0, yx, yy, y0 = ms
    return affine_map(xx, xy, yx, yy, x0, y0)


def mask_tensor(x: Tensor, p: float = 0.5, neutral: float = 0.0, batch: bool = False) -> Tensor:
    """Keep each value of `x` ``[n]`` with probability `p`; the others become `neutral`.

    Args:
        x: one value for each picture.
        p: probability to be kept.
        neutral: what changes nothing.
        batch: keep all, or none.
    """
    chance = rand_per_item(len(x)).to(x.device)
    return torch.where((chance[:1] if batch else chance) < p, x, torch.full_like(x, neutral))


def _maps(step: SpaceTransform, x: Tensor) -> Tensor:
    return step.maps(len(x), (x.shape[-2], x.shape[-1])).to(x.device)


def flip_mat(x: Tensor, p: float = 0.5, draw: Draw = None, batch: bool = False) -> Tensor:
    """Draw the matrices of `Flip` for pictures ``[n, channels, height, width]``: ``[n, 3, 3]``."""
    return _maps(Flip(p, draw, batch=batch), x)


def dihedral_mat(x: Tensor, p: float = 0.5, draw: Draw = None, batch: bool = False) -> Tensor:
    """Draw the matrices of `Dihedral` for pictures ``[n, channels, height, width]``: ``[n, 3, 3]``."""
    return _maps(Dihedral(p, draw, batch=batch), x)


def rotate_mat(x: Tensor, max_deg: float = 10.0, p: float = 0.5, draw: Draw = None, batch: bool = False) -> Tensor:
    """Draw the matrices of `Rotate` for pictures ``[n, channels, height, width]``: ``[n, 3, 3]``."""
    return _maps(Rotate(max_deg, p, draw, batch=batch), x)


def zoom_mat(
    x: Tensor,
    min_zoom: float = 1.0,
    max_zoom: float = 1.1,
    p: float = 0.5,
    draw: Draw = None,
    draw_x: Draw = None,
    draw_y: Draw = None,
    batch: bool = False,
) -> Tensor:
    """Draw the matrices of `Zoom` for pictures ``[n, channels, height, width]``: ``[n, 3, 3]``."""
    return _maps(Zoom(min_zoom, max_zoom, p, draw, draw_x, draw_y, batch=batch), x)


def find_coeffs(p1: Tensor, p2: Tensor) -> Tensor:
    """The eight numbers of the perspective that sends four points to four others, see `apply_perspective`.

    Args:
        p1: from here, ``[n, 4, 2]`` (x, y), no three on a line.
        p2: to here, ``[n, 4, 2]``.

    Returns:
        ``[n, 8, 1]``.
    """
    x, y = p1.unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    for_x = torch.stack([x, y, one, zero, zero, zero, -p2[..., 0] * x, -p2[..., 0] * y], -1)
    for_y = torch.stack([zero, zero, zero, x, y, one, -p2[..., 1] * x, -p2[..., 1] * y], -1)
    solved: Tensor = torch.linalg.solve(torch.cat([for_x, for_y], 1), torch.cat([p2[..., 0], p2[..., 1]], 1)[..., None])
    return solved


def apply_perspective(coords: Tensor, coeffs: Tensor) -> Tensor:
    """Move positions by a perspective.

    Args:
        coords: ``[n, ..., 2]`` (x, y).
        coeffs: ``[n, 8, 1]``, as from `find_coeffs`.

    >>> square = torch.tensor([[[-1.0, -1], [1, -1], [-1, 1], [1, 1]]])
    >>> torch.allclose(apply_perspective(square, find_coeffs(square, square * 3)), square * 3, atol=1e-5)
    True
    """
    matrices = torch.cat([coeffs.flatten(1), coeffs.new_ones(len(coeffs), 1)], 1).view(-1, 3, 3)
    flat = coords.flatten(1, -2)
    moved = torch.cat([flat, torch.ones_like(flat[..., :1])], -1) @ matrices.transpose(1, 2)
    return (moved[..., :2] / moved[..., 2:]).view(coords.shape)


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where `torch.nn.functional.grid_sample` is to fetch each pixel under affine maps.

    Args:
        theta: ``[n, 2, 3]``, or ``[n, 3, 3]`` with a last row of 0, 0, 1.
        size: of the result: n, channels, height, width.
        align_corners: as in torch.
    """
    return F.affine_grid(theta[:, :2], list(size), align_corners=align_corners)


@dataclass(eq=False, repr=False)
class AffineCoordTfm(SpaceTransform):
    """A step of space from functions that give matrices; joined with all others into one resampling.

    Args:
        aff_fs: functions of pictures ``[n, channels, height, width]``, of which only shape, dtype and device can be
            asked, to maps ``[n, 3, 3]``, or None to change nothing. They go from positions in the result to positions
            in the picture, of -1 to 1.

    >>> turned = AffineCoordTfm([lambda x: rotate_mat(x, draw=90, p=1.0), flip_mat])
    """

    aff_fs: Sequence[Callable[[Tensor], Tensor | None]] | Callable[[Tensor], Tensor | None] = ()

    def maps(self, n: int, size: Size) -> Tensor:
        """The product of what the functions give."""
        shape = torch.zeros(1).expand(n, 3, *size)
        found = (function(shape) for function in _several(self.aff_fs))
        return reduce(torch.matmul, (maps for maps in found if maps is not None), torch.eye(3).expand(n, 3, 3))


class SpaceTfm(RandTransform):
    """Change the values of pictures in a space of your choice.

    Args:
        fs: functions of values in that space, in order; one that has a ``before_call(x)`` is asked to draw there.
        space_fn: ``(pictures of 0 to 1, function)``: goes there, applies the function, and comes back.
        p: probability for the batch.
    """

    order = 40.0

    def __init__(
        self, fs: Iterable[Change] | Change, space_fn: Callable[[Tensor, Change], Tensor], p: float = 1.0
    ) -> None:
        super().__init__(p=p)
        self.fs, self.space_fn = _several(fs), space_fn

    def before_call(self, b: Any, split_idx: int | None) -> None:
        """Let the functions draw, on copies of themselves."""
        super().before_call(b, split_idx)
        self.fs = [copy.copy(function) for function in self.fs]
        for function in self.fs:
            if hasattr(function, "before_call"):
                function.before_call(b[0] if isinstance(b, tuple) else b)

    def encodes(self, x: TensorImageBase) -> Any:
        """Bytes stay bytes, floats of 0 to 1 stay such."""
        pictures = plain(x)
        values = pictures if pictures.is_floating_point() else pictures.float() / 255
        out = self.space_fn(values, self._all)
        return x.wrap(out if pictures.is_floating_point() else (out * 255).round().to(pictures.dtype), x)

    def _all(self, values: Tensor) -> Tensor:
        return reduce(lambda changed, function: function(changed), self.fs, values)


class LightingTfm(SpaceTfm):
    """Change pictures in logit space, ``log(x / (1 - x))``: whatever is done there, they stay between 0 and 1.

    Args:
        fs: functions of logits ``[..., channels, height, width]``.
        p: probability for the batch.

    >>> brighter = LightingTfm(lambda logits: logits + 1)
    """

    def __init__(self, fs: Iterable[Change] | Change, p: float = 1.0) -> None:
        super().__init__(fs, _in_logits, p)


class HSVTfm(SpaceTfm):
    """Change hue, saturation and value, each 0 to 1; hues beyond go round.

    Args:
        fs: functions of ``[n, 3, height, width]``.
        p: probability for the batch.
    """

    def __init__(self, fs: Iterable[Change] | Change, p: float = 1.0) -> None:
        super().__init__(fs, _in_hsv, p)


def _in_logits(pictures: Tensor, change: Change) -> Tensor:
    return change(torch.logit(pictures, eps=_EPS)).sigmoid()


def _in_hsv(pictures: Tensor, change: Change) -> Tensor:
    return hsv2rgb(change(rgb2hsv(pictures)))


def _several(functions: Any) -> list[Any]:
    return [functions] if callable(functions) else list(functions)
