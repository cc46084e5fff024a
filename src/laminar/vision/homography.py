"""Resampling a batch of pictures through one projective map for each: rotation, zoom, flip and warp are all such maps.

A map is a 3 by 3 matrix from positions in the result to positions in the picture, both in coordinates where the centre
is 0 and the edges are -1 and 1. Maps compose by matrix multiplication, so any number of steps costs one resampling; a
map that is a symmetry of the square is carried out by moving pixels, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from laminar.vision.symmetries import matrix_of, turn_tensor

__all__ = ["affine_map", "map_positions", "perspective_map", "resample", "symmetry_of"]

Size: TypeAlias = tuple[int, int]  # height, width
_CHUNK = 2**17
"""Values that a thread works on at a time: few enough to stay in its cache, enough to make up for the calls."""
Prepare: TypeAlias = Callable[[slice], Tensor]  # some pictures of a batch, as [n, channels, height, width]


def affine_map(xx: Tensor, xy: Tensor, yx: Tensor, yy: Tensor, x0: Tensor, y0: Tensor) -> Tensor:
    """Maps ``[n, 3, 3]`` that send (x, y) to (xx·x + xy·y + x0, yx·x + yy·y + y0); every argument is ``[n]``."""
    zero, one = torch.zeros_like(xx), torch.ones_like(xx)
    return torch.stack([xx, xy, x0, yx, yy, y0, zero, zero, one], 1).view(-1, 3, 3)


def perspective_map(corners: Tensor) -> Tensor:
    """Maps ``[n, 3, 3]`` that send the corners (-1, -1), (1, -1), (-1, 1), (1, 1) to `corners` ``[n, 4, 2]``."""
    square = corners.new_tensor([[-1, -1], [1, -1], [-1, 1], [1, 1]])
    x, y = square.unbind(1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    tx, ty = corners.unbind(-1)
    rows = torch.stack([x, y, one, zero, zero, zero], 1).expand(len(corners), 4, 6)
    lower = torch.stack([zero, zero, zero, x, y, one], 1).expand(len(corners), 4, 6)
    for_x = torch.cat([rows, torch.stack([-tx * x, -tx * y], -1)], -1)
    for_y = torch.cat([lower, torch.stack([-ty * x, -ty * y], -1)], -1)
    system = torch.cat([for_x, for_y], 1).double()
    solved = torch.linalg.solve(system, torch.cat([tx, ty], 1).double())
    return torch.cat([solved, solved.new_ones(len(corners), 1)], 1).float().view(-1, 3, 3)


_SYMMETRIES = torch.eye(3).repeat(8, 1, 1)
_SYMMETRIES[:, :2, :2] = torch.tensor([matrix_of(k) for k in range(8)])


def symmetry_of(maps: Tensor) -> list[int]:
    """Which of the 8 symmetries each of the maps ``[n, 3, 3]`` is, -1 for none."""
    same = (maps[:, None] == _SYMMETRIES).flatten(2).all(-1)
    found: list[int] = torch.where(same.any(1), same.int().argmax(1), -1).tolist()
    return found


def map_positions(maps: Tensor, points: Tensor, size: Size, out_size: Size, align_corners: bool) -> Tensor:
    """Where positions of the pictures are in the results: the inverse of how pixels are fetched.

    Args:
        maps: ``[n, 3, 3]``.
        points: ``[n, m, 2]`` (x, y), continuous pixel coordinates of the pictures.
        size: height and width of the pictures.
        out_size: height and width of the results.
        align_corners: -1 and 1 are the middles of the outermost pixels, else their outer edges.
    """
    inner = 0.5 if align_corners else 0.0

    def half_extent(of: Size) -> Tensor:
        return points.new_tensor([max(of[1] / 2 - inner, 0.5), max(of[0] / 2 - inner, 0.5)])

    centred = (points - points.new_tensor([size[1] / 2, size[0] / 2])) / half_extent(size)
    homogeneous = torch.cat([centred, torch.ones_like(centred[..., :1])], -1)
    inverse = torch.linalg.inv(maps.double()).to(points)
    moved = homogeneous @ inverse.transpose(1, 2)
    centre = points.new_tensor([out_size[1] / 2, out_size[0] / 2])
    return torch.addcmul(centre, moved[..., :2] / moved[..., 2:], half_extent(out_size))


def _axis(length: int, align_corners: bool, device: torch.device) -> Tensor:
    """Coordinates of the pixels' middles along an axis."""
    if align_corners:
        return torch.linspace(-1, 1, length, device=device) if length > 1 else torch.zeros(1, device=device)
    return (torch.arange(length, device=device) * 2 + 1) / length - 1


def _grids(maps: Tensor, xs: Tensor, ys: Tensor) -> Callable[[slice], Tensor]:
    """How to find, for some of the results, where each pixel is fetched: ``[n, height, width, 2]``."""
    along = (maps[:, :, 0, None] * xs)[:, :, None, :]
    down = torch.addcmul(maps[:, :, 2, None], maps[:, :, 1, None], ys)[..., None]
    affine = not maps.is_cuda and bool((maps[:, 2, :2] == 0).all())

    def grid(part: slice) -> Tensor:
        x, y = along[part], down[part]
        found = x.new_empty(len(x), len(ys), len(xs), 2)
        if affine:
            torch.add(x[:, 0], y[:, 0], out=found[..., 0])
            torch.add(x[:, 1], y[:, 1], out=found[..., 1])
        else:
            depth = x[:, 2] + y[:, 2]
            torch.div(x[:, 0] + y[:, 0], depth, out=found[..., 0])
            torch.div(x[:, 1] + y[:, 1], depth, out=found[..., 1])
        return found

    return grid


def _sample(pictures: Tensor, grid: Tensor, mode: str, pad_mode: str, align_corners: bool) -> Tensor:
    high, wide = pictures.shape[-2] / grid.shape[1], pictures.shape[-1] / grid.shape[2]
    if mode != "nearest" and min(high, wide) > 2:  # bilinear looks at 4 pixels only: average first
        pictures = F.interpolate(pictures, (2 * grid.shape[1], 2 * grid.shape[2]), mode="area")
    return F.grid_sample(pictures, grid, mode=mode, padding_mode=pad_mode, align_corners=align_corners)


def resample(
    prepare: Prepare,
    like: Tensor,
    maps: Tensor,
    size: Size | None = None,
    *,
    mode: str = "bilinear",
    pad_mode: str = "reflection",
    align_corners: bool = True,
) -> Tensor:
    """Fetch every picture of a batch through its map.

    On the CPU a few pictures at a time, so that each is converted, lit and resampled while it is in the cache.

    Args:
        prepare: gives some pictures of the batch as floating point ``[n, channels, height, width]``.
        like: the batch as it is now ``[n, channels, height, width]``, for shape, device and memory format.
        maps: ``[n, 3, 3]`` float32 on the CPU.
        size: height and width of the result; None keeps them.
        mode: "bilinear", "nearest" or "bicubic".
        pad_mode: "zeros", "border" or "reflection".
        align_corners: as in `torch.nn.functional.grid_sample`.

    Returns:
        ``[n, channels, *size]``, new memory, channels-last where `like` is.
    """
    n, channels, *found = like.shape
    height, width = size or (found[0], found[1])
    kinds = symmetry_of(maps)
    if (height, width) != tuple(found):
        kinds = [-1] * n
    elif height != width:
        kinds = [kind if kind in (0, 1, 2, 4) else -1 for kind in kinds]
    layout = torch.channels_last if _is_channels_last(like) else torch.contiguous_format
    out = torch.empty((n, channels, height, width), device=like.device, memory_format=layout)
    xs, ys = _axis(width, align_corners, like.device), _axis(height, align_corners, like.device)
    grid_of = _grids(maps.to(like.device, non_blocking=True), xs, ys)
    step = n if like.device.type != "cpu" else max(1, _CHUNK // (channels * height * width)) * torch.get_num_threads()
    for start in range(0, n, step):
        chunk = slice(start, min(start + step, n))
        pictures, chunk_kinds = prepare(chunk), kinds[chunk]
        if -1 in chunk_kinds:
            out[chunk] = _sample(pictures, grid_of(chunk), mode, pad_mode, align_corners)
        for kind in set(chunk_kinds) - {-1}:
            if len(set(chunk_kinds)) == 1:
                out[chunk] = turn_tensor(pictures, kind) if kind else pictures
            else:
                chosen = [index for index, found_kind in enumerate(chunk_kinds) if found_kind == kind]
                rows = torch.tensor(chosen, device=like.device)
                out[rows + start] = turn_tensor(pictures[rows], kind)
    return out


def _is_channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and x.shape[1] > 1 and x.stride(1) == 1
