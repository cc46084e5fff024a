"""Random changes of whole batches on their device: different for each picture, the same for all parts of a sample.

`aug_transforms` gives the usual recipe. However many steps there are, a picture is resampled once and lit once: each
step of space is a matrix (`space.py`), each step of light too (`light.py`), and `Augment` multiplies them. It lights
first, since for bytes that is a table look-up which converts to floating point on the way; the other order gives the
same but for rounding along sharp edges. All of this runs on training batches only and changes no batch it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from laminar.core.adapters import to_transform
from laminar.core.transform import Transform
from laminar.vision.cutting import PadMode
from laminar.vision.homography import Size
from laminar.vision.light import Brightness, Contrast, Hue, LightTransform, Saturation, lighting
from laminar.vision.lighting import compose_light
from laminar.vision.moving import MovingTransform, SizeArgument, as_size
from laminar.vision.space import (
    DeterministicDihedral,
    DeterministicDraw,
    DeterministicFlip,
    Dihedral,
    Flip,
    RandomResizedCropGPU,
    Rotate,
    SpaceTransform,
    Warp,
    Zoom,
)

__all__ = [
    "Augment",
    "Brightness",
    "Contrast",
    "DeterministicDihedral",
    "DeterministicDraw",
    "DeterministicFlip",
    "Dihedral",
    "Flip",
    "Hue",
    "LightTransform",
    "RandomResizedCropGPU",
    "Rotate",
    "Saturation",
    "SpaceTransform",
    "Warp",
    "Zoom",
    "aug_transforms",
    "setup_aug_tfms",
]


@dataclass(eq=False, repr=False)
class Augment(MovingTransform):
    """Several steps of space and of light as one: one resampling, one pass over the colours, conversion included.

    Takes bytes or floats of 0 to 1 and gives floats of 0 to 1, so it runs before `IntToFloatTensor`, which then has
    nothing to do.

    Args:
        space: steps that move pixels, in order.
        light: steps that change colours, in order.
        size: height and width of the result, or one number, for validation too; None keeps them.
        mode: resampling of pictures: "bilinear", "nearest" or "bicubic".
        pad_mode: what lies beyond the edges.
        mode_mask: resampling of masks.
        align_corners: as in `torch.nn.functional.grid_sample`.
    """

    order = 9.0

    space: Sequence[SpaceTransform] = ()
    light: Sequence[LightTransform] = ()
    size: SizeArgument = None
    mode: str = "bilinear"
    pad_mode: PadMode | str = PadMode.Reflection
    mode_mask: str = "nearest"
    align_corners: bool = True

    def draw_state(self, n: int) -> None:
        """Draw every step, and multiply."""
        self._maps = _product(n, (step.maps(n, self._picture_size) for step in self.space))
        self._set_light(n, self.light)

    def rest_state(self, n: int) -> None:
        """Scale only."""
        super().rest_state(n)
        self._set_light(n, ())

    def _set_light(self, n: int, steps: Sequence[LightTransform]) -> None:
        self._lights = reduce(compose_light, (step.lights(n) for step in steps), torch.eye(3, 4).expand(n, 3, 4))
        self._hues = reduce(torch.add, (step.hues(n) for step in steps), torch.zeros(n))

    def still_maps(self, n: int, size: Size) -> Tensor:
        """All steps, in order."""
        return _product(n, (step.still_maps(n, size) for step in self.space))

    def moved_pictures(self, pictures: Tensor) -> Tensor:
        """Light, convert and resample ``[n, channels, height, width]``, a few pictures at a time."""
        return self.resampled(pictures, lighting(pictures, self._lights, self._hues), self.mode)


def _product(n: int, maps: Iterable[Tensor]) -> Tensor:
    return reduce(torch.matmul, maps, torch.eye(3).expand(n, 3, 3))


_SETTINGS = ("size", "mode", "pad_mode", "mode_mask", "align_corners")


def setup_aug_tfms(tfms: Iterable[Any]) -> list[Transform]:
    """Join all steps of space and of light of a list into one `Augment`; the other transforms stay as they are.

    The list and its transforms are not changed.

    Args:
        tfms: batch transforms. Size, modes and padding are each taken from the first step in which they are not the
            default.
    """
    space: list[SpaceTransform] = []
    light: list[LightTransform] = []
    others: list[Transform] = []
    settings: dict[str, Any] = {}
    for step in map(to_transform, tfms):
        if isinstance(step, Augment | SpaceTransform):
            given = {name: getattr(step, name) for name in _SETTINGS}
            settings = {name: value for name, value in given.items() if value != getattr(Augment, name)} | settings
        if isinstance(step, Augment):
            space += step.space
            light += step.light
        elif isinstance(step, SpaceTransform):
            space.append(step)
        elif isinstance(step, LightTransform):
            light.append(step)
        else:
            others.append(step)
    if not space and not light and "size" not in settings:
        return others
    return [Augment(space, light, **settings), *others]


def aug_transforms(
    mult: float = 1.0,
    do_flip: bool = True,
    flip_vert: bool = False,
    max_rotate: float = 10.0,
    min_zoom: float = 1.0,
    max_zoom: float = 1.1,
    max_lighting: float = 0.2,
    max_warp: float = 0.2,
    p_affine: float = 0.75,
    p_lighting: float = 0.75,
    xtra_tfms: Sequence[Any] | None = None,
    size: SizeArgument = None,
    mode: str = "bilinear",
    pad_mode: PadMode | str = PadMode.Reflection,
    align_corners: bool = True,
    batch: bool = False,
    min_scale: float = 1.0,
) -> list[Transform]:
    """The usual augmentation of photos: flips, small rotations, zooms and warps, changes of light.

    Args:
        mult: factor on `max_rotate`, `max_lighting` and `max_warp`.
        do_flip: mirror left to right, with probability 0.5.
        flip_vert: all eight symmetries of the square instead.
        max_rotate: largest angle, degrees.
        min_zoom: least factor of enlargement.
        max_zoom: largest factor of enlargement.
        max_lighting: see `Brightness` and `Contrast`.
        max_warp: see `Warp`.
        p_affine: probability of each of rotation, zoom and warp.
        p_lighting: probability of each of brightness and contrast.
        xtra_tfms: more batch transforms; steps of space and light among them are joined in.
        size: height and width of the result, or one number, for validation too; None keeps them.
        mode: resampling of pictures; this, `size`, `pad_mode` and `align_corners`, left at their defaults, are those of
            `xtra_tfms`.
        pad_mode: what lies beyond the edges.
        align_corners: as in `torch.nn.functional.grid_sample`.
        batch: all pictures of a batch get the same draw.
        min_scale: below 1: crop a random part of at least this share of the area, see `RandomResizedCropGPU`.

    >>> [type(step).__name__ for step in aug_transforms(max_lighting=0.0, max_warp=0.0)[0].space]
    ['Flip', 'Rotate', 'Zoom']
    """
    max_rotate, max_lighting, max_warp = max_rotate * mult, max_lighting * mult, max_warp * mult
    steps: list[Any] = [Augment(size=size, mode=mode, pad_mode=pad_mode, align_corners=align_corners)]
    if do_flip or flip_vert:
        steps.append(Dihedral(p=0.5, batch=batch) if flip_vert else Flip(p=0.5, batch=batch))
    if max_warp:
        steps.append(Warp(max_warp, p=p_affine, batch=batch))
    if max_rotate:
        steps.append(Rotate(max_rotate, p=p_affine, batch=batch))
    if min_zoom < 1 or max_zoom > 1:
        steps.append(Zoom(min_zoom, max_zoom, p=p_affine, batch=batch))
    if min_scale != 1.0:
        steps.append(RandomResizedCropGPU(size, min_scale=min_scale, ratio=_aspect(size), batch=batch))
    if max_lighting:
        steps += [
            Brightness(max_lighting, p=p_lighting, batch=batch),
            Contrast(max_lighting, p=p_lighting, batch=batch),
        ]
    return setup_aug_tfms([*steps, *(xtra_tfms or ())])


def _aspect(size: SizeArgument) -> tuple[float, float] | None:
    """Least and largest width over height of a part that is scaled to `size` and shall not be distorted."""
    wanted = as_size(size)
    return None if wanted is None else (wanted[1] / wanted[0],) * 2
