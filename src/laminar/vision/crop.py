"""Item transforms that give all pictures one size, in the workers: resize, crop, pad.

One draw serves every part of a sample: pictures (Pillow or tensor), masks (nearest neighbour), points and boxes. On
training data (``split_idx`` 0, or none given) positions are random; on validation data they are central.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from laminar.core.choices import Choice
from laminar.core.coordinates import canvas_of, move
from laminar.core.errors import DataError, describe
from laminar.core.transform import RandTransform
from laminar.core.types import TensorBBox, TensorImageBase, TensorMask, TensorPoint, plain
from laminar.vision.aligned import check_shapes, inputs_of
from laminar.vision.cutting import Cut, PadMode, cut_image, cut_tensor
from laminar.vision.decoding import Resampling
from laminar.vision.images import PILBase, PILMask
from laminar.vision.moving import LARGEST
from laminar.vision.positions import picture_of

__all__ = [
    "CropPad",
    "CutTransform",
    "PadMode",
    "RandomCrop",
    "RandomResizedCrop",
    "RatioResize",
    "Resize",
    "ResizeMethod",
    "first_size",
]

Size = tuple[int, int]  # width, height: inside this file, as in Pillow
SizeArgument = int | Sequence[int]  # height and width, or one number for both: what users give
Resamples = tuple[Resampling, Resampling]
ResamplesArgument = Sequence[int]  # of pictures and of masks; Pillow's or ours
_SMOOTH: Resamples = (Resampling.BILINEAR, Resampling.NEAREST)


class ResizeMethod(Choice):
    """What to do where picture and wanted size differ in shape."""

    Squish = "squish"
    Crop = "crop"
    Pad = "pad"


def _width_height(size: SizeArgument) -> Size:
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    if height < 1 or width < 1 or height * width > LARGEST:
        raise ValueError(f"size must be 1 to {LARGEST} pixels in all, got {size!r} (one number, or height and width)")
    return width, height


def _filters(resamples: ResamplesArgument) -> Resamples:
    pictures, masks = resamples
    filters = Resampling(pictures), Resampling(masks)
    return _SMOOTH if filters == _SMOOTH else filters  # the very default, which need not be told


def first_size(sample: Any, asking: object) -> Size:
    """Size of the first picture in a sample.

    Raises:
        DataError: there is none, so the transform would do nothing, in silence.
    """
    found = picture_of(sample)
    if found is not None:
        return found[0][1], found[0][0]
    plain_tensor = any(type(part) is Tensor for part in (sample if isinstance(sample, tuple) else (sample,)))
    remedy = "Make the tensor a TensorImage (or TensorMask)." if plain_tensor else "Open files with PILImage.create."
    raise DataError(f"{asking!r} found no picture in {describe(sample)}. {remedy}")


class CutTransform(RandTransform):
    """Cuts a part out of each picture of a sample and scales it; subclasses say which part."""

    split_idx = None
    order = 1.0
    draws_in_validation = False
    pad_mode: PadMode
    resamples: Resamples
    any_scale = True  # masks larger or smaller than their picture end up like it
    _sample_size: Size = (1, 1)
    _n_inp: int | None = None

    def setups(self, items: object) -> None:
        """Note which parts of a sample are targets, which have to fit the inputs."""
        self._n_inp = inputs_of(items)

    def before_call(self, b: Any, split_idx: int | None) -> None:
        """Draw the position; the size of the first picture serves points and boxes that do not know theirs.

        Raises:
            DataError: there is no picture, or a mask, points, boxes or a target picture of another shape.
        """
        self._sample_size = first_size(b, self)
        check_shapes(b, self, self.any_scale, self._n_inp)
        self.draw(training=not split_idx and (self.p >= 1.0 or random.random() < self.p))

    def draw(self, training: bool) -> None:
        """Draw what `cut` needs, on `self`."""
        raise NotImplementedError

    def cut(self, size: Size) -> Cut:
        """What to take of a picture of `size` (width, height)."""
        raise NotImplementedError

    def encodes(self, x: PILBase) -> Any:
        """Decodes no more of a file than is needed."""
        return cut_image(x, self.cut(x.size), self.pad_mode, self.resamples[0])

    def encodes(self, x: Image.Image) -> Any:  # any other Pillow image
        return cut_image(PILBase.cast(x), self.cut(x.size), self.pad_mode, self.resamples[0])

    def encodes(self, x: PILMask) -> Any:
        return cut_image(x, self.cut(x.size), self.pad_mode, self.resamples[1])

    def encodes(self, x: TensorImageBase) -> Any:
        cut = self.cut((x.shape[-1], x.shape[-2]))
        return x.wrap(cut_tensor(plain(x), cut, self.pad_mode, self.resamples[0]), x)

    def encodes(self, x: TensorMask) -> Any:
        cut = self.cut((x.shape[-1], x.shape[-2]))
        return x.wrap(cut_tensor(plain(x), cut, self.pad_mode, self.resamples[1]), x)

    def encodes(self, x: TensorPoint) -> Any:
        return self._moved(x)

    def encodes(self, x: TensorBBox) -> Any:
        return self._moved(x)

    def _moved(self, x: Any) -> Any:
        canvas = canvas_of(x)
        cut = self.cut(self._sample_size if canvas is None else (canvas[1], canvas[0]))
        return move(x, cut.positions, (cut.size[1], cut.size[0]))


class Resize(CutTransform):
    """Scale every picture to one size.

    Args:
        size: height and width, or one number for both.
        method: ``Crop`` the longer side (at a random place in training), ``Pad`` the shorter, or ``Squish``.
        pad_mode: what ``Pad`` fills with.
        resamples: Pillow's filters for pictures and for masks.
        p: probability of a random place in training; the others are treated as in validation.

    >>> Resize((192, 256), method="pad").size
    (192, 256)
    """

    def __init__(
        self,
        size: SizeArgument,
        method: ResizeMethod | str = ResizeMethod.Crop,
        pad_mode: PadMode | str = PadMode.Reflection,
        resamples: ResamplesArgument = _SMOOTH,
        *,
        p: float = 1.0,
    ) -> None:
        super().__init__(p=p)
        self.size = size
        self.method = ResizeMethod(method)
        self.pad_mode = PadMode(pad_mode)
        self.resamples = _filters(resamples)
        self._place = (0.5, 0.5)
        _width_height(size)

    @property
    def deterministic(self) -> bool:  # type: ignore[override]  # depends on the method
        """Squishing draws nothing."""
        return self.method is ResizeMethod.Squish

    def draw(self, training: bool) -> None:
        """Draw where to crop."""
        if self.method is not ResizeMethod.Squish and training:
            self._place = (random.random(), random.random())

    def cut(self, size: Size) -> Cut:
        """The largest part of the right shape (or the smallest around the picture, to pad)."""
        wanted = _width_height(self.size)
        if self.method is ResizeMethod.Squish:
            return Cut((0, 0, *size), wanted)
        scales = (size[0] / wanted[0], size[1] / wanted[1])
        scale = max(scales) if self.method is ResizeMethod.Pad else min(scales)
        width, height = max(1, int(scale * wanted[0])), max(1, int(scale * wanted[1]))
        left, top = int(self._place[0] * (size[0] - width)), int(self._place[1] * (size[1] - height))
        return Cut((left, top, left + width, top + height), wanted)


class RandomResizedCrop(CutTransform):
    """Crop a random part of random size and shape in training, and scale it.

    (Szegedy et al., "Going deeper with convolutions", 2015.) In validation the whole picture is squished to a little
    more than `size` and the middle taken.

    Args:
        size: height and width, or one number for both.
        min_scale: least share of the picture's area.
        max_scale: largest share of the picture's area.
        ratio: least and largest width over height of the part.
        resamples: Pillow's filters for pictures and for masks.
        val_xtra: in validation, how much larger than `size` to squish to before the middle is taken (rounded up to
            multiples of 8 pixels).
        p: probability of a random part in training; the others are treated as in validation.
    """

    pad_mode = PadMode.Zeros  # never needed: the part lies inside

    def __init__(
        self,
        size: SizeArgument,
        min_scale: float = 0.08,
        *,
        max_scale: float = 1.0,
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        resamples: ResamplesArgument = _SMOOTH,
        val_xtra: float = 0.14,
        p: float = 1.0,
    ) -> None:
        super().__init__(p=p)
        if not 0 < min_scale <= max_scale <= 1:
            raise ValueError(f"needs 0 < min_scale <= max_scale <= 1, got {min_scale} and {max_scale}")
        self.size = size
        self.min_scale, self.max_scale, self.ratio = min_scale, max_scale, ratio
        self.resamples, self.val_xtra = _filters(resamples), val_xtra
        self._tries: list[tuple[float, float, float, float]] | None = None
        _width_height(size)

    def draw(self, training: bool) -> None:
        """Draw ten parts; `cut` takes the first that fits into the picture."""
        shapes = math.log(self.ratio[0]), math.log(self.ratio[1])
        if training:
            self._tries = [
                (
                    random.uniform(self.min_scale, self.max_scale),
                    math.exp(random.uniform(*shapes)),
                    random.random(),
                    random.random(),
                )
                for _ in range(10)
            ]

    def cut(self, size: Size) -> Cut:
        """The part drawn, or the middle in validation and where no draw fits."""
        wanted, (width, height) = _width_height(self.size), size
        if self._tries is None:
            extra = math.ceil(max(wanted) * self.val_xtra / 8) * 8
            return Cut((0, 0, width, height), wanted, margin=(extra // 2, extra - extra // 2))
        for area, ratio, across, down in self._tries:
            wide = max(1, round(math.sqrt(area * width * height * ratio)))
            high = max(1, round(math.sqrt(area * width * height / ratio)))
            if wide <= width and high <= height:
                left, top = int(across * (width - wide + 1)), int(down * (height - high + 1))
                return Cut((left, top, left + wide, top + high), wanted)
        wide, high = width, height
        if width / height < self.ratio[0]:
            high = max(1, int(width / self.ratio[0]))
        elif width / height > self.ratio[1]:
            wide = max(1, int(height * self.ratio[1]))
        left, top = (width - wide) // 2, (height - high) // 2
        return Cut((left, top, left + wide, top + high), wanted)


class RandomCrop(CutTransform):
    """Take a part of `size` unscaled: at a random place in training, the middle in validation; zeros beyond the edges.

    Args:
        size: height and width, or one number for both.
        p: probability of a random place in training; the others are treated as in validation.
    """

    any_scale = False
    pad_mode = PadMode.Zeros
    resamples = _SMOOTH

    def __init__(self, size: SizeArgument, *, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.size = size
        self._place: tuple[float, float] | None = None
        _width_height(size)

    def draw(self, training: bool) -> None:
        """Draw where to crop."""
        if training:
            self._place = (random.random(), random.random())

    def cut(self, size: Size) -> Cut:
        """The part drawn, or the middle."""
        wanted = _width_height(self.size)
        spare = (size[0] - wanted[0], size[1] - wanted[1])
        if self._place is None:
            left, top = spare[0] // 2, spare[1] // 2
        else:
            left, top = (
                math.floor(place * (extra + 1)) if extra >= 0 else math.ceil(place * (extra - 1))
                for place, extra in zip(self._place, spare, strict=True)
            )
        return Cut((left, top, left + wanted[0], top + wanted[1]), wanted)


class RatioResize(CutTransform):
    """Scale every picture, in its own shape, so that its longer side has `max_sz` pixels.

    Args:
        max_sz: pixels of the longer side.
        resamples: Pillow's filters for pictures and for masks.
    """

    deterministic = True
    pad_mode = PadMode.Zeros  # never needed

    def __init__(self, max_sz: int, resamples: ResamplesArgument = _SMOOTH) -> None:
        super().__init__()
        self.max_sz, self.resamples = max_sz, _filters(resamples)
        _width_height(max_sz)

    def draw(self, training: bool) -> None:
        """Nothing is random."""

    def cut(self, size: Size) -> Cut:
        """The whole picture."""
        scale = self.max_sz / max(size)
        return Cut((0, 0, *size), (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))


class CropPad(CutTransform):
    """Take the middle of each picture at `size`, padding where the picture is smaller; nothing is scaled.

    Args:
        size: height and width, or one number for both.
        pad_mode: what to fill with.
    """

    any_scale = False
    deterministic = True
    resamples = _SMOOTH

    def __init__(self, size: SizeArgument, pad_mode: PadMode | str = PadMode.Zeros) -> None:
        super().__init__()
        self.size = size
        self.pad_mode = PadMode(pad_mode)
        _width_height(size)

    def draw(self, training: bool) -> None:
        """Nothing is random."""

    def cut(self, size: Size) -> Cut:
        """The middle."""
        wanted = _width_height(self.size)
        left, top = (size[0] - wanted[0]) // 2, (size[1] - wanted[1]) // 2
        return Cut((left, top, left + wanted[0], top + wanted[1]), wanted)
