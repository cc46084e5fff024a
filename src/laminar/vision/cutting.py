"""Cut a part out of a picture, pad where it reaches beyond the edges, and scale: one description for every type."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from laminar.core.choices import Choice
from laminar.vision.decoding import Resampling
from laminar.vision.images import PILBase

__all__ = ["Cut", "PadMode", "cut_image", "cut_tensor"]

WholeBox = tuple[int, int, int, int]


class PadMode(Choice):
    """What lies beyond the edges of a picture."""

    Zeros = "zeros"
    Border = "border"
    Reflection = "reflection"


@dataclass(frozen=True, slots=True)
class Cut:
    """Take `box` of a picture, scale it to `size` plus `margin`, and take the margin off again.

    Attributes:
        box: left, top, right, bottom in pixels; may reach beyond the edges.
        size: width and height of the result.
        margin: pixels of the scaled picture to take off at the left and top, and at the right and bottom.
    """

    box: WholeBox
    size: tuple[int, int]
    margin: tuple[int, int] = (0, 0)

    @property
    def scaled(self) -> tuple[int, int]:
        """Width and height to scale `box` to."""
        extra = sum(self.margin)
        return self.size[0] + extra, self.size[1] + extra

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the result for one pixel of the picture, in x and y."""
        return self.scaled[0] / (self.box[2] - self.box[0]), self.scaled[1] / (self.box[3] - self.box[1])

    def positions(self, points: Tensor) -> Tensor:
        """Where positions ``[..., 2]`` (x, y) of the picture are in the result."""
        return (points - points.new_tensor(self.box[:2])) * points.new_tensor(self.scale) - self.margin[0]

    def inside(self, size: tuple[int, int]) -> WholeBox:
        """The part of `box` that lies in a picture of `size` (width, height); one pixel at least."""
        left, top = (min(max(edge, 0), length - 1) for edge, length in zip(self.box[:2], size, strict=True))
        return left, top, max(left + 1, min(self.box[2], size[0])), max(top + 1, min(self.box[3], size[1]))


def cut_image(image: PILBase, cut: Cut, pad_mode: PadMode, resample: Resampling) -> PILBase:
    """Apply `cut` to a Pillow image, decoding only what it needs."""
    inside = cut.inside(image.size)
    size = _scaled_inside(cut, inside)
    result = image.resized(size, inside, resample)
    if sum(cut.margin):
        left = cut.margin[0]
        return type(image).cast(result.crop((left, left, left + cut.size[0], left + cut.size[1])))
    if size == cut.size:
        return result
    rows, columns, blank = _padding(cut, inside, size, pad_mode)
    padded = np.asarray(result)[rows][:, columns]
    padded[blank] = 0
    framed = type(image).cast(Image.fromarray(padded))
    if image.mode == "P" and image.palette is not None:
        framed.putpalette(image.palette)
    return framed


def cut_tensor(x: Tensor, cut: Cut, pad_mode: PadMode, resample: Resampling) -> Tensor:
    """Apply `cut` to ``[..., height, width]``, any dtype; with antialiasing unless `resample` is NEAREST."""
    left, top, right, bottom = inside = cut.inside((x.shape[-1], x.shape[-2]))
    size = _scaled_inside(cut, inside)
    result = x[..., top:bottom, left:right]
    if size != (right - left, bottom - top):
        result = _scaled(result, size, resample)
    if sum(cut.margin):
        start = cut.margin[0]
        return result[..., start : start + cut.size[1], start : start + cut.size[0]]
    if size == cut.size:
        return result.clone() if result.data_ptr() == x.data_ptr() else result
    rows, columns, blank = _padding(cut, inside, size, pad_mode)
    padded = result[..., torch.from_numpy(rows).to(x.device), :][..., torch.from_numpy(columns).to(x.device)]
    return padded.masked_fill(torch.from_numpy(blank).to(x.device), 0) if blank.any() else padded


def _scaled(x: Tensor, size: tuple[int, int], resample: Resampling) -> Tensor:
    height, width = x.shape[-2:]
    if resample == Resampling.NEAREST:  # by index: any dtype, and the very pixels Pillow takes
        rows = ((torch.arange(size[1], device=x.device) + 0.5) * (height / size[1])).long().clamp_(max=height - 1)
        columns = ((torch.arange(size[0], device=x.device) + 0.5) * (width / size[0])).long().clamp_(max=width - 1)
        return x[..., rows, :][..., columns]
    mode = {Resampling.BILINEAR: "bilinear", Resampling.BICUBIC: "bicubic"}.get(resample)
    if mode is None:
        raise ValueError(f"tensors are resampled by NEAREST, BILINEAR or BICUBIC, not {Resampling(resample).name}")
    flat = x.reshape(-1, *x.shape[-3:]) if x.ndim >= 3 else x[None, None]
    if flat.dtype is torch.uint8 and flat.device.type != "cpu":
        out = _scaled_as_floats(flat, size, mode)
    else:
        out = F.interpolate(flat, (size[1], size[0]), mode=mode, antialias=True)
    if mode == "bicubic" and out.is_floating_point():
        out = out.clamp_(x.amin(), x.amax())  # bicubic swings beyond the picture's own values
    return out.reshape(*x.shape[:-2], size[1], size[0]) if x.ndim != 3 else out[0]


def _scaled_as_floats(x: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """As torch scales bytes on the CPU, for devices where it scales only floats."""
    out = F.interpolate(x.float(), (size[1], size[0]), mode=mode, antialias=True)
    return out.round_().clamp_(0, 255).to(torch.uint8)


def _scaled_inside(cut: Cut, inside: WholeBox) -> tuple[int, int]:
    """The size that the part inside the picture is scaled to."""
    if inside == cut.box:
        return cut.scaled
    across, down = cut.scale
    width, height = round((inside[2] - inside[0]) * across), round((inside[3] - inside[1]) * down)
    return max(1, min(width, cut.size[0])), max(1, min(height, cut.size[1]))


def _padding(
    cut: Cut, inside: WholeBox, size: tuple[int, int], mode: PadMode
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which row and column of the scaled part each row and column of the result repeats, and where nothing is."""
    start = (
        round((inside[0] - cut.box[0]) * cut.scale[0]),
        round((inside[1] - cut.box[1]) * cut.scale[1]),
    )
    columns = np.arange(cut.size[0]) - min(start[0], cut.size[0] - size[0])
    rows = np.arange(cut.size[1]) - min(start[1], cut.size[1] - size[1])
    outside = [(index < 0) | (index >= length) for index, length in ((rows, size[1]), (columns, size[0]))]
    blank = outside[0][:, None] | outside[1][None, :] if mode is PadMode.Zeros else np.zeros(cut.size[::-1], dtype=bool)
    return _repeated(rows, size[1], mode), _repeated(columns, size[0], mode), blank


def _repeated(index: np.ndarray, length: int, mode: PadMode) -> np.ndarray:
    """Bring indices beyond 0 to `length` - 1 back inside: by mirroring, else to the nearest edge."""
    if mode is PadMode.Reflection and length > 1:
        period = 2 * (length - 1)
        index = np.abs((index + length - 1) % period - (length - 1))
    return np.asarray(np.clip(index, 0, length - 1))
