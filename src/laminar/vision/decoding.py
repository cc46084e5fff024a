"""From bytes to pixels: opening, orientation, modes and reduced-scale decoding of picture files, as functions.

What `images.py` promises is done here. Nothing is guessed from values: a file's mode and header decide.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from io import BytesIO
from math import ceil
from pathlib import Path
from struct import error as StructError
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from laminar.core.errors import DataError, MissingFileError
from laminar.vision.header import Box, Header, jpeg_header

__all__ = [
    "Box",
    "Header",
    "Pixels",
    "Resampling",
    "Source",
    "convert_mask",
    "convert_picture",
    "decode",
    "read_header",
    "resample_picture",
    "resample_pixels",
    "scale_pixels",
    "scales_by_torch",
    "whole_box",
]

Source: TypeAlias = Path | bytes
Pixels: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Transpose = Image.Transpose

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_ENDINGS = (".jpg", ".jpeg", ".png", ".JPG", ".webp", ".bmp", ".tif")  # that a table may leave out
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")


class Resampling(IntEnum):
    """Pillow's filters, by the same numbers; a class of our own, so that transforms can be written as data."""

    NEAREST = 0
    LANCZOS = 1
    BILINEAR = 2
    BICUBIC = 3
    BOX = 4
    HAMMING = 5


_TORCH_FILTERS: dict[int, str] = {Resampling.BILINEAR: "bilinear", Resampling.BICUBIC: "bicubic"}


def name_of(source: Source) -> str:
    """How an error message calls `source`."""
    return str(source) if isinstance(source, Path) else f"<{len(source)} bytes>"


@contextmanager
def reading(source: Source, doing: str) -> Iterator[None]:
    """Turn what Pillow raises for a damaged file into one error that names the file; the file system's own pass.

    Raises:
        DataError: the content cannot be read as a picture.
    """
    try:
        yield
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{name_of(source)}: {error} If you trust the file, raise the limit (PIL.Image.MAX_IMAGE_PIXELS = ...)."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, StructError, IndexError, KeyError) as error:
        if isinstance(error, DataError) or (isinstance(error, OSError) and error.errno is not None):
            raise  # a missing file, no permission: these name the file already
        raise DataError(
            f"{name_of(source)}: cannot {doing} this picture, the file is damaged, truncated or of another kind "
            f"({_reason(source, error)}). Find all such files with verify_images(files) and remove them."
        ) from error


def _reason(source: Source, error: Exception) -> str:
    """What Pillow says, or where it says nothing but an address in memory, what the file begins with."""
    if not isinstance(error, UnidentifiedImageError):
        return f"{type(error).__name__}: {error}"
    content = content_of(source)
    return f"it begins with {content[:12]!r}, which Pillow does not know" if content else "it is empty"


class _LastRead(threading.local):
    """The file whose header this thread read last, with its content: mostly its pixels are wanted next.

    One for each thread, so that any number of unread pictures holds the content of no more than one file.
    """

    path: Path | None = None
    content = b""
    image: Image.Image | None = None


_last_read = _LastRead()


def content_of(source: Source) -> bytes:
    """The bytes of a file, which are kept until another one is read by this thread.

    Raises:
        MissingFileError: it is not there.
    """
    if isinstance(source, bytes):
        return source
    if _last_read.path is not source:
        try:
            content = source.read_bytes()
        except FileNotFoundError as error:
            raise MissingFileError.at(source, _ENDINGS) from error
        except ValueError as error:  # a name with a null byte
            raise DataError(f"{str(source)!r} is no name of a file: {error}") from error
        _last_read.content, _last_read.path, _last_read.image = content, source, None
    return _last_read.content


def open_source(source: Source) -> Image.Image:
    """Open with Pillow; looks at the header only. What this thread opened last is not opened again."""
    content = content_of(source)
    opened, _last_read.image = _last_read.image, None
    return opened if opened is not None and source is _last_read.path else Image.open(BytesIO(content))


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation still to be applied, 1 to 8. (Pillow itself turns TIFF files upright.)"""
    if "exif" not in image.info or image.format == "TIFF":
        return 1
    found = image.getexif().get(_ORIENTATION_TAG, 1)
    return found if found in _UPRIGHT else 1


def read_header(source: Source) -> Header:
    """Read size, mode and orientation.

    Raises:
        DataError: not a picture that Pillow knows.
    """
    content = content_of(source)
    if (header := jpeg_header(content)) is not None:
        return header
    with reading(source, "open"):
        image = open_source(source)
        header = Header(image.size, image.mode, orientation_of(image), image.format or "")
    if source is _last_read.path:
        _last_read.image = image
    return header


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Apply an EXIF orientation."""
    return image if orientation == 1 else image.transpose(_UPRIGHT[orientation])


def decode(source: Source, mode: str | None, smallest: tuple[float, float] | None = None) -> tuple[Image.Image, float]:
    """Decode the pixels as stored: orientation not applied, mode not converted. Of an animation, the first frame.

    Args:
        source: path or content of the file.
        mode: mode that will be wanted; a JPEG wanted as "L" is decoded without its colours.
        smallest: width and height that suffice for the whole picture; a JPEG is decoded at 1/2, 1/4 or 1/8 of its
            size as long as that is not smaller. None for full size.

    Returns:
        The picture, and how many pixels of the file one of its pixels stands for (1, 2, 4 or 8).

    Raises:
        DataError: the file is damaged.
    """
    with reading(source, "decode"), open_source(source) as image:
        reduction = 1.0
        if smallest is not None or mode == "L":
            full = image.size
            width, height = full if smallest is None else smallest
            draft = image.draft("L" if mode == "L" else "RGB", (max(1, ceil(width)), max(1, ceil(height))))
            reduction = full[0] / draft[1][2] if draft else 1.0
        image.load()
        return image, reduction


def convert_picture(image: Image.Image, mode: str | None, background: tuple[int, int, int]) -> Image.Image:
    """Convert to `mode` (None: as it is) without losing what can be seen.

    Transparency is laid over `background`; palettes become their colours; 16-bit values (and "I", which Pillow uses
    for them) are scaled to 8 bits by their range 0 to 65535, floats by 0 to 1; grey is repeated for colours.
    """
    if mode is None or image.mode == mode:
        return image
    if mode in ("L", "RGB"):
        if image.mode in _SIXTEEN_BITS:
            values = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
            image = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
        elif image.mode == "F":
            image = Image.fromarray(_unit_floats_to_bytes(np.asarray(image)))
        elif image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            layer = image.convert("RGBA")
            image = Image.new("RGB", image.size, background)
            image.paste(layer, mask=layer.getchannel("A"))
    if image.mode == "LAB" and mode == "L":
        return image.getchannel("L")  # Pillow converts it to RGB only
    return image if image.mode == mode else image.convert(mode)


def convert_mask(image: Image.Image, name: str) -> Image.Image:
    """Make a picture of class ids: palette indices and grey values are ids; black and white is 0 and 1.

    Raises:
        DataError: the picture has colours, which do not say which class they are.
    """
    if image.mode == "1":
        return Image.fromarray(np.asarray(image).astype(np.uint8))
    if image.mode == "P":
        return Image.fromarray(np.asarray(image))
    if image.mode in ("L", *_SIXTEEN_BITS):
        return image
    first, *others = [np.asarray(band) for band in image.split()[: 1 if image.mode == "LA" else 3]]
    if image.mode not in ("LA", "RGB", "RGBA") or not all(np.array_equal(first, band) for band in others):
        what = "fractions" if image.mode == "F" else "colours"
        raise DataError(
            f"{name}: a mask needs one whole number for each pixel, this file holds {what} (mode {image.mode}). "
            f"Write a getter that turns {what} into ids and returns PILMask.create(array of ids)."
        )
    return Image.fromarray(first)


def _unit_floats_to_bytes(values: np.ndarray) -> np.ndarray:
    """Scale floats of 0 to 1 to bytes of 0 to 255.

    Raises:
        DataError: values outside 0 to 1.
    """
    if values.size and not (values.min() >= -1e-4 and values.max() <= 1 + 1e-4):  # also refuses nan
        raise DataError(
            f"Floating point pixels must lie in 0 to 1, got {values.min():.4g} to {values.max():.4g}. "
            "Scale them, undo a normalisation (dls.decode_batch), or pass uint8 values of 0 to 255."
        )
    return np.asarray(np.rint(np.clip(values, 0, 1) * 255), dtype=np.uint8)


def array_to_image(array: np.ndarray) -> Image.Image:
    """Make a Pillow image of ``[height, width]`` or ``[height, width, channels]``, 1, 3 or 4 channels.

    Floats are 0 to 1, integers 0 to 255, booleans black and white; uint16 keeps its 16 bits (mode I;16).

    Raises:
        DataError: another shape, or values outside those ranges.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or array.size == 0 or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise DataError(
            f"A picture is [height, width] or [height, width, channels] with 1, 3 or 4 channels (a tensor: channels "
            f"first), got shape {tuple(array.shape)}."
        )
    if array.dtype == np.uint16 and array.ndim == 2:
        return Image.fromarray(array)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        array = _unit_floats_to_bytes(array)
    elif array.dtype != np.uint8:
        if array.min() < 0 or array.max() > 255:
            raise DataError(f"Integer pixels must lie in 0 to 255, got {array.min()} to {array.max()}.")
        array = array.astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(array))


def whole_box(box: Box) -> tuple[int, int, int, int]:
    """The nearest whole pixels."""
    left, top, right, bottom = map(round, box)
    return left, top, right, bottom


def scales_by_torch(size: tuple[int, int], box: Box, resample: int) -> bool:
    """Whether torch has what a crop to `box` scaled to `size` needs: filter, whole pixels, and something to scale."""
    whole = whole_box(box)
    return resample in _TORCH_FILTERS and whole == box and (whole[2] - whole[0], whole[3] - whole[1]) != size


def scale_pixels(pixels: Tensor, size: tuple[int, int], resample: int) -> Pixels:
    """Scale by torch's kernel for bytes, which agrees with Pillow's to 1/255 and takes a third of its time.

    Args:
        pixels: uint8 ``[height, width, channels]``, contiguous.
        size: width and height of the result.
        resample: BILINEAR or BICUBIC; with antialiasing.
    """
    channels_last = pixels[None].permute(0, 3, 1, 2)  # of four dimensions, so that torch sees the order and keeps it
    out = F.interpolate(channels_last, (size[1], size[0]), mode=_TORCH_FILTERS[resample], antialias=True)
    return out[0].permute(1, 2, 0).numpy()


def resample_pixels(image: Image.Image, size: tuple[int, int], box: Box, resample: int) -> Pixels | None:
    """Crop to `box` and scale to `size` by torch.

    Returns:
        uint8 ``[height, width]`` or ``[height, width, 3]``; None where Pillow has to do it (`resample_picture`): other
        filters and modes, boxes that are no whole pixels, nothing to scale.
    """
    if image.mode not in ("RGB", "L") or not scales_by_torch(size, box, resample):
        return None
    whole = whole_box(box)
    cropped = image if whole == (0, 0, *image.size) else image.crop(whole)
    pixels = torch.from_numpy(np.array(cropped)).view(cropped.height, cropped.width, -1)
    out = scale_pixels(pixels, size, resample)
    return out[:, :, 0] if image.mode == "L" else out


def resample_picture(image: Image.Image, size: tuple[int, int], box: Box, resample: int) -> Image.Image:
    """Crop to `box` and scale to `size` by Pillow, in one step, with antialiasing unless `resample` is NEAREST."""
    whole = whole_box(box)
    if (whole[2] - whole[0], whole[3] - whole[1]) == size and whole == box:
        return image.crop(whole)
    return image.resize(size, Image.Resampling(resample), box=box)


def decode_resized(
    source: Source, header: Header, mode: str | None, size: tuple[int, int], box: Box, resample: Resampling
) -> tuple[Image.Image, Box]:
    """Decode no more than a crop to `box`, scaled to `size`, needs.

    Args:
        source: path or content of the file.
        header: its header.
        mode: mode that will be wanted.
        size: width and height of the result as stored (orientation not applied).
        box: what is wanted of the stored picture.
        resample: NEAREST decodes in full, so that no pixel is a mixture.

    Returns:
        The decoded picture and the box in its pixels.
    """
    smallest = None
    if resample != Resampling.NEAREST:
        smallest = (header.size[0] * size[0] / (box[2] - box[0]), header.size[1] * size[1] / (box[3] - box[1]))
    image, reduction = decode(source, mode, smallest)
    if box == (0, 0, *header.size):
        return image, (0, 0, *image.size)
    left, top, right, bottom = (edge / reduction for edge in box)
    return image, (left, top, min(right, image.width), min(bottom, image.height))


def without_orientation(info: dict[str | tuple[int, int], object]) -> dict[str | tuple[int, int], object]:
    """Metadata of a picture that has been turned upright: EXIF would say to turn it again."""
    return {key: value for key, value in info.items() if key not in ("exif", "Raw profile type exif", "xmp")}


def turned_upright(image: Image.Image) -> Image.Image:
    """Apply the orientation that a Pillow image still carries in its EXIF data, if any."""
    return image if "exif" not in image.info else ImageOps.exif_transpose(image)
