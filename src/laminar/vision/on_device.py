"""JPEG files decoded on the device of their batch, by torchcodec: workers send bytes, a GPU makes pixels of them.

Each file that the device cannot decode is decoded on the CPU, and each that torchcodec cannot by Pillow: other kinds of
files, pictures to be turned upright, colours for printing, and pictures that an item transform wants to look at, in the
worker; the rest where it turns out, in the main process.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from laminar.core.transform import Transform
from laminar.core.types import TensorImage, plain
from laminar.data.collation import collate
from laminar.vision.crop import CutTransform
from laminar.vision.cutting import Cut, PadMode, cut_image, cut_tensor
from laminar.vision.decoding import Resampling, content_of
from laminar.vision.images import PILImage, image_to_typed
from laminar.vision.jpeg import decoder, decodes

__all__ = ["DecodePictures", "DeviceImage", "EncodedPicture", "EncodedPictures"]

_CPU = torch.device("cpu")


class _CutArguments(NamedTuple):
    """What `cut_image` and `cut_tensor` want to know."""

    cut: Cut
    pad_mode: PadMode
    resample: Resampling


@dataclass(frozen=True, slots=True, repr=False)
class EncodedPicture:
    """A picture on its way to the device.

    Attributes:
        content: the bytes of a JPEG file, ``[length]`` uint8; or the pixels, if they had to be decoded before.
        name: of its file, for messages; empty if there is none.
        is_file: whether `content` is that of a file.
        cut: what to take of the decoded file; None for all of it.
    """

    content: Tensor
    name: str
    is_file: bool
    cut: _CutArguments | None = None

    @classmethod
    def collate(cls, values: Sequence[EncodedPicture]) -> EncodedPictures:
        """The batch; how pictures of several sizes fit each other is seen when they are decoded."""
        content = torch.cat([plain(value.content).reshape(-1) for value in values])  # one memory, which workers share
        shapes = [value.content.shape for value in values]
        empty = torch.empty(0, dtype=torch.uint8)
        return EncodedPictures(content, shapes, [replace(value, content=empty) for value in values])

    def __repr__(self) -> str:
        return f"{self.name or 'no name'}: {'bytes of a file' if self.is_file else 'pixels'}"


@dataclass(frozen=True, slots=True, repr=False)
class EncodedPictures:
    """A batch of pictures of which some are still the bytes of their files. On the CPU, where decoders want them.

    Attributes:
        content: that of all pictures, one after another, ``[length]`` uint8.
        shapes: of each picture's share of `content`.
        pictures: what is known of each, without its content.
        device: where the pixels are wanted.
    """

    content: Tensor
    shapes: Sequence[torch.Size]
    pictures: Sequence[EncodedPicture]
    device: torch.device = _CPU

    def __len__(self) -> int:
        return len(self.shapes)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> EncodedPictures:
        """The same for another device; the bytes stay where they are."""
        return replace(self, device=torch.device(device))

    def decoded(self) -> TensorImage:
        """The pixels, ``[batch, 3, height, width]`` uint8, on `device`.

        Raises:
            DataError: a file is damaged, or the pictures differ in size; the message names them.
        """
        parts = torch.split(self.content, [shape.numel() for shape in self.shapes])
        files = [index for index, picture in enumerate(self.pictures) if picture.is_file]
        names = [picture.name for picture in self.pictures]
        pixels = [part.reshape(shape).to(self.device) for part, shape in zip(parts, self.shapes, strict=True)]
        found = _decoded([parts[index] for index in files], [names[index] for index in files], self.device)
        for index, picture in zip(files, found, strict=True):
            cut = self.pictures[index].cut
            pixels[index] = picture if cut is None else cut_tensor(picture, *cut)
        batch: TensorImage = collate(list(map(TensorImage, pixels)), names.__getitem__)
        return batch

    def __repr__(self) -> str:
        return (
            f"{len(self)}, {sum(picture.is_file for picture in self.pictures)} of them to be decoded on {self.device}"
        )


class DecodePictures(Transform):
    """Decode what `DeviceImage` has put off. `ImageBlock(DeviceImage)` puts it before all other batch transforms."""

    order = -20
    deterministic = True

    def encodes(self, x: EncodedPictures) -> TensorImage:
        """The pictures, uint8."""
        return x.decoded()


class DeviceImage(PILImage):
    """A colour picture whose JPEG file is decoded on the device of its batch, where that is possible.

    For ``ImageBlock(DeviceImage)`` and ``img_cls=DeviceImage``, with a GPU that would wait for its workers otherwise.
    The first transform that crops and scales (`Resize`, `RandomResizedCrop`, ...) is done on the device too; whatever
    else an item transform does to the picture decodes it in the worker. Files are decoded at full size: for photos
    much larger than what is wanted of them, `PILImage`, which decodes at a reduced scale, may be the faster one.
    """

    _batch_tfms: ClassVar[tuple[type[Transform], ...]] = (DecodePictures,)
    _whole: DeviceImage | None = None
    _put_off: _CutArguments | None = None

    def cut_later(self, cut: Cut, pad_mode: PadMode, resample: Resampling) -> DeviceImage | None:
        """The part that `cut` says, as a picture of which nothing is decoded yet; None where that cannot wait."""
        if not self._can_wait or resample not in (Resampling.BILINEAR, Resampling.BICUBIC, Resampling.NEAREST):
            return None
        part = type(self)()
        part._whole, part._put_off = self, _CutArguments(cut, pad_mode, resample)
        part._size, part._mode, part.filename = cut.size, self._mode, self.filename
        return part

    @property
    def _can_wait(self) -> bool:
        waiting = self._undecoded
        return waiting is not None and decoder() is not None and decodes(waiting.header, waiting.mode)

    def load(self) -> Any:
        """Decode the pixels if that has not happened; Pillow calls this where it needs them."""
        if self._whole is not None and self._put_off is not None:
            whole, self._whole = self._whole, None
            self._take(cut_image(whole, *self._put_off))
        return super().load()

    def for_batch(self) -> EncodedPicture:
        """The picture as it goes to the device: the bytes of its file, or its pixels."""
        whole = self if self._whole is None else self._whole
        if whole._undecoded is None or not whole._can_wait:
            return EncodedPicture(image_to_typed(self), self.filename, is_file=False)
        content = torch.frombuffer(bytearray(content_of(whole._undecoded.source)), dtype=torch.uint8)
        return EncodedPicture(content, self.filename, is_file=True, cut=self._put_off)


def _decoded(files: Sequence[Tensor], names: Sequence[str], device: torch.device) -> list[Tensor]:
    """Decode JPEG files, each ``[3, height, width]``, all at once on `device`; one by one if that fails."""
    decode_jpeg = decoder()
    if decode_jpeg is None or not files:
        return [_decoded_by_pillow(file, name, device) for file, name in zip(files, names, strict=True)]
    try:
        together: list[Tensor] = decode_jpeg(list(files), mode="RGB", device=device)
        return together
    except RuntimeError:  # of one or of all: it does not tell
        pass
    alone: list[Tensor | None] = []
    reason = ""
    for file in files:
        try:
            alone.append(decode_jpeg(file, mode="RGB", device=device))
        except RuntimeError as error:
            alone.append(None)
            reason = str(error).splitlines()[0][:200]
    if all(pixels is None for pixels in alone) and device.type != "cpu":
        warnings.warn(
            f"{device} decodes none of {len(files)} JPEG files ({reason}): all pictures are decoded in the main "
            "process, by the CPU. PILImage, in place of DeviceImage, leaves that to the workers.",
            stacklevel=2,
        )
    return [
        _decoded_by_pillow(file, name, device) if pixels is None else pixels
        for file, name, pixels in zip(files, names, alone, strict=True)
    ]


def _decoded_by_pillow(file: Tensor, name: str, device: torch.device) -> Tensor:
    """What the device could not decode; Pillow's error names the file."""
    picture = PILImage.create(Path(name) if name else file.numpy().tobytes())
    return image_to_typed(picture).as_subclass(Tensor).to(device)


@CutTransform  # type: ignore[arg-type]  # the class as decorator adds an overload, see core/transform.py
def encodes(self: CutTransform, x: DeviceImage) -> Any:
    """The part of the picture, decoded later if that can be."""
    cut = self.cut(x.size)
    later = x.cut_later(cut, self.pad_mode, self.resamples[0])
    return cut_image(x, cut, self.pad_mode, self.resamples[0]) if later is None else later
