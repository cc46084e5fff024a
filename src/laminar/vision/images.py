"""Pictures as items: Pillow images that read no pixel before one is needed, and decode no more than is needed.

How files are read, for every class here: EXIF orientation is applied; of an animation the first frame is taken;
`PILImage` and `PILImageBW` convert palettes, CMYK and grey to their mode, lay transparency over white, and scale 16-bit
and float pixels to 8 bits by their range (give a subclass ``_open_args = {"mode": "I;16"}`` to keep them); `PILMask`
keeps grey values and palette indices as class ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from laminar.core.errors import DataError
from laminar.core.random import deterministic, opens_only
from laminar.core.show import show_image
from laminar.core.transform import Transform
from laminar.core.types import TensorBase, TensorImage, TensorImageBW, TensorMask, plain
from laminar.data.transforms import ToTensor
from laminar.vision import decoding
from laminar.vision.decoding import Box, Header, Pixels, Resampling, Source
from laminar.vision.first_bytes import begins_like_a_picture
from laminar.vision.jpeg import cut_jpeg, whole_jpeg

__all__ = [
    "PILBase",
    "PILImage",
    "PILImageBW",
    "PILMask",
    "cifar_stats",
    "image2tensor",
    "imagenet_stats",
    "mnist_stats",
]

imagenet_stats = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
cifar_stats = ([0.491, 0.482, 0.447], [0.247, 0.243, 0.261])
mnist_stats = ([0.131], [0.308])


@dataclass(frozen=True, slots=True)
class _Undecoded:
    """A picture still in its file."""

    source: Source
    header: Header
    mode: str | None  # the mode wanted; None for the file's own

    @property
    def name(self) -> str:
        return decoding.name_of(self.source)


class PILBase(Image.Image):
    """A Pillow image that knows how it is opened, shown and made a tensor. Subclass it for a kind of picture of yours.

    Class attributes to override: ``_open_args`` (``{"mode": ...}``, Pillow's mode to convert to), ``_show_args`` (for
    ``Axes.imshow``), ``_tensor_cls`` (the typed tensor `ToTensor` makes), ``_background`` (under transparent pixels),
    ``_resample`` (the filter that scales where none is asked for), ``_batch_tfms`` (classes of transforms that
    `ImageBlock` puts before all others of batches, for a class whose `for_batch` gives no tensor).
    """

    _open_args: ClassVar[dict[str, Any]] = {"mode": "RGB"}
    is_picture: ClassVar[bool] = True
    _show_args: ClassVar[dict[str, Any]] = {"cmap": "viridis"}
    _tensor_cls: ClassVar[type[TensorBase]] = TensorImage
    _background: ClassVar[tuple[int, int, int]] = (255, 255, 255)
    _resample: ClassVar[Resampling] = Resampling.BILINEAR
    _batch_tfms: ClassVar[tuple[type[Transform], ...]] = ()

    filename: str = ""
    _undecoded: _Undecoded | None = None
    _pixels: Pixels | None = None  # instead of Pillow's own memory, until that is needed

    @classmethod
    @opens_only(begins_like_a_picture)
    @deterministic
    def create(cls, source: Any, mode: str | None = None) -> Self:
        """Make a picture of nearly anything.

        Args:
            source: a path (only the header is read now), the bytes of a file, a Pillow image, an array
                ``[height, width]`` or ``[height, width, 1|3|4]``, or a tensor ``[1|3|4, height, width]`` or
                ``[height, width]``: integers 0 to 255, floats 0 to 1, or booleans.
            mode: Pillow's mode to convert to instead of the class's own.

        Raises:
            DataError: no picture can be made of it; the message names the file.
        """
        mode = mode or cls._open_args.get("mode")
        if isinstance(source, Image.Image):
            return cls._of_pillow(source, mode)
        if isinstance(source, Tensor | np.ndarray):
            return cls._convert(cls._of_array(_channels_last(source)), mode)
        if isinstance(source, str):
            if source.startswith(("http://", "https://")):
                raise DataError(
                    f"{source}: {cls.__name__}.create reads no addresses. Fetch the file first, as by "
                    "download_images(folder, urls=[...]), and give its path or content."
                )
            source = Path(source)
        elif isinstance(source, bytearray | memoryview):
            source = bytes(source)
        elif hasattr(source, "read"):  # an open file, an upload
            source = source.read()
        if not isinstance(source, Path | bytes):
            raise DataError(
                f"{cls.__name__}.create takes a path, bytes, an array, a tensor or a Pillow image, got "
                f"{type(source).__name__}."
            )
        image = cls()
        image._undecoded = _Undecoded(source, decoding.read_header(source), mode)
        image._size = image._undecoded.header.upright_size
        image._mode = cls._mode_after(image._undecoded.header.mode, mode)
        image.filename = str(source) if isinstance(source, Path) else ""
        return image

    @classmethod
    def cast(cls, image: Image.Image) -> Self:
        """Give any Pillow image this class, sharing its pixels; nothing is converted."""
        image.load()
        result = cls()
        result._take(image)
        return result

    @classmethod
    def _of_pixels(cls, pixels: Pixels) -> Self:
        """A picture of 8-bit pixels, which are handed to Pillow when it wants them."""
        image = cls()
        image._pixels = pixels
        image._size = (pixels.shape[1], pixels.shape[0])
        image._mode = "L" if pixels.ndim == 2 else "RGB"
        return image

    # What a kind of picture does with pixels; overridden by masks.
    @classmethod
    def _convert(cls, image: Image.Image, mode: str | None, name: str = "picture") -> Self:
        return cls.cast(decoding.convert_picture(image, mode, cls._background))

    @classmethod
    def _of_array(cls, array: np.ndarray) -> Image.Image:
        return decoding.array_to_image(array)

    @classmethod
    def _mode_after(cls, file_mode: str, mode: str | None) -> str:
        return mode or file_mode

    @classmethod
    def _of_pillow(cls, image: Image.Image, mode: str | None) -> Self:
        if isinstance(image, PILBase) and type(image) is cls and image._undecoded is not None:
            return cls.create(image._undecoded.source, mode)
        name = getattr(image, "filename", "") or "picture"
        with decoding.reading(Path(name), "decode"):
            image.load()
        result = cls._convert(decoding.turned_upright(image), mode, name)
        result.filename = str(getattr(image, "filename", ""))
        if result._im is image._im:
            result.im = image.im.copy()
        return result

    def _take(self, image: Image.Image) -> None:
        """Become `image`: share its pixels, size, mode and what the file said."""
        self.im = image.im
        self._mode = image.mode
        self._size = image.size
        self.palette = image.palette
        self.info = decoding.without_orientation(image.info)

    def _new(self, im: Any) -> Self:
        return type(self).cast(super()._new(im))

    def load(self) -> Any:
        """Decode the pixels if that has not happened; Pillow calls this where it needs them.

        Raises:
            DataError: the file is damaged; the message names it.
        """
        waiting = self._undecoded
        if waiting is not None:
            image, _ = decoding.decode(waiting.source, waiting.mode)
            image = decoding.upright(image, waiting.header.orientation)
            self._take(self._convert(image, waiting.mode, waiting.name))
            self._undecoded = None
        elif self._pixels is not None:
            self._take(Image.fromarray(self._pixels))
            self._pixels = None
        return super().load()

    def pixels(self) -> Pixels:
        """A copy of the pixels, ``[height, width]`` or ``[height, width, channels]``, that may be written to."""
        decoded = self.decoded()
        return self._loaded_pixels() if decoded is None else decoded.permute(1, 2, 0).contiguous().numpy()

    def _loaded_pixels(self) -> Pixels:
        return np.array(self) if self._pixels is None else self._pixels.copy()

    def decoded(self) -> Tensor | None:
        """The pixels straight from the file, ``[channels, height, width]``; None where Pillow holds or decodes them.

        Nothing is kept: mostly this is the only time they are asked for.
        """
        waiting = self._undecoded
        return None if waiting is None else whole_jpeg(waiting.source, waiting.header, waiting.mode)

    def for_batch(self) -> Any:
        """What `ToTensor` makes of it: the typed tensor. Override it for a picture that is batched in another form."""
        return image_to_typed(self)

    def resized(self, size: tuple[int, int], box: Box | None = None, resample: int | None = None) -> Self:
        """Crop to `box` and scale to `size` in one resampling, decoding no more of the file than that needs.

        Args:
            size: width and height of the result in pixels.
            box: (left, top, right, bottom) of the part wanted, in pixels, inside the picture; None for all of it.
            resample: NEAREST mixes no pixels; the others smooth when they shrink. None for what suits the class:
                NEAREST for masks, whose class ids must not be mixed, BILINEAR for pictures.

        Raises:
            DataError: the file is damaged; the message names it.
        """
        box = box or (0, 0, *self.size)
        resample = self._resample if resample is None else Resampling(resample)
        waiting = self._undecoded
        if waiting is None:
            return self._resampled(self, size, box, resample)
        turned = waiting.header.orientation >= 5
        stored_size = (size[1], size[0]) if turned else size
        stored_box = waiting.header.stored_box(box)
        pixels = cut_jpeg(waiting.source, waiting.header, waiting.mode, stored_size, stored_box, resample)
        if pixels is not None:
            return self._of_pixels(pixels)
        image, part = decoding.decode_resized(
            waiting.source, waiting.header, waiting.mode, stored_size, stored_box, resample
        )
        image = self._convert(image, waiting.mode, waiting.name)
        small = self._resampled(image, stored_size, part, resample)
        turned_small = decoding.upright(small, waiting.header.orientation)
        return small if turned_small is small else type(self).cast(turned_small)

    @classmethod
    def _resampled(cls, image: Image.Image, size: tuple[int, int], box: Box, resample: int) -> Self:
        pixels = decoding.resample_pixels(image, size, box, resample)
        if pixels is not None:
            return cls._of_pixels(pixels)
        return cls.cast(decoding.resample_picture(image, size, box, resample))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height

    @property
    def n_px(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def to_thumb(self, h: int, w: int | None = None) -> Self:
        """A copy that fits into `h` by `w` pixels (a square when `w` is None), never enlarged."""
        scale = min((h if w is None else w) / self.width, h / self.height, 1.0)
        return self.resized((max(1, round(self.width * scale)), max(1, round(self.height * scale))))

    def reshape(self, h: int, w: int, resample: int | None = None) -> Self:
        """A copy of `h` by `w` pixels, by the filter that suits the class unless another `resample` is asked for."""
        return self.resized((w, h), resample=resample)

    def resize_max(
        self,
        resample: int | None = None,
        max_px: float | None = None,
        max_h: float | None = None,
        max_w: float | None = None,
    ) -> Self:
        """A copy in the same shape with at most, but for rounding, `max_px` pixels, `max_h` rows, `max_w` columns."""
        shares = [1.0, (max_h or self.height) / self.height, (max_w or self.width) / self.width]
        scale = min(*shares, ((max_px or self.n_px) / self.n_px) ** 0.5)
        return self.reshape(max(1, round(self.height * scale)), max(1, round(self.width * scale)), resample)

    def to_bytes_format(self, format: str = "png") -> bytes:
        """The content of a file of this picture, of a kind that Pillow writes."""
        file = BytesIO()
        self.save(file, format=format)
        return file.getvalue()

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]  # Pillow's opens a viewer
        """Draw on axes `ctx` (made when None) and return them; `kwargs` go to ``Axes.imshow``."""
        return show_image(self, ctx=ctx, **{**self._show_args, **kwargs})

    def __repr__(self) -> str:
        source = f" {self.filename}" if self.filename else ""
        return f"<{type(self).__name__}{source} mode={self.mode} size={self.width}x{self.height}>"


class PILImage(PILBase):
    """A colour picture (mode RGB)."""


class PILImageBW(PILImage):
    """A grey picture (mode L)."""

    _open_args: ClassVar[dict[str, Any]] = {"mode": "L"}
    _show_args: ClassVar[dict[str, Any]] = {"cmap": "Greys_r"}
    _tensor_cls: ClassVar[type[TensorBase]] = TensorImageBW


class PILMask(PILBase):
    """The class of each pixel: grey values or palette indices of a file, or an array of integers, are the ids."""

    _open_args: ClassVar[dict[str, Any]] = {"mode": "L"}
    _show_args: ClassVar[dict[str, Any]] = {"alpha": 0.5, "cmap": "tab20", "interpolation": "nearest"}
    _tensor_cls: ClassVar[type[TensorBase]] = TensorMask
    _resample: ClassVar[Resampling] = Resampling.NEAREST

    def resize(self, size: Any, resample: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """As Pillow's, but class ids are fetched and not mixed, unless another `resample` is asked for."""
        return super().resize(size, self._resample if resample is None else resample, *args, **kwargs)

    def thumbnail(self, size: Any, resample: int | None = None, *args: Any, **kwargs: Any) -> None:
        """As Pillow's, but class ids are fetched and not mixed, unless another `resample` is asked for."""
        super().thumbnail(size, Image.Resampling(self._resample if resample is None else resample), *args, **kwargs)

    @classmethod
    def _convert(cls, image: Image.Image, mode: str | None, name: str = "picture") -> Self:
        return cls.cast(decoding.convert_mask(image, name))

    @classmethod
    def _of_array(cls, array: np.ndarray) -> Image.Image:
        if np.issubdtype(array.dtype, np.floating):
            raise DataError(f"A mask holds integer class ids, got {array.dtype}. Convert it: mask.astype('uint8').")
        array = array.squeeze(-1) if array.ndim == 3 and array.shape[-1] == 1 else array
        if array.dtype != np.bool_ and array.size and (array.min() < 0 or array.max() > 65535):
            raise DataError(f"Class ids of a mask must lie in 0 to 65535, got {array.min()} to {array.max()}.")
        wide = array.dtype != np.bool_ and array.size and array.max() > 255
        return decoding.array_to_image(array.astype(np.uint16 if wide else np.uint8))

    @classmethod
    def _mode_after(cls, file_mode: str, mode: str | None) -> str:
        return file_mode if file_mode.startswith("I") else "L"


def _channels_last(data: Tensor | np.ndarray) -> np.ndarray:
    """Bring a tensor ``[channels, height, width]`` into the order of arrays; an array has it already."""
    if isinstance(data, np.ndarray):
        return data
    tensor = plain(data).detach().cpu()
    if tensor.ndim == 3:
        tensor = tensor.permute(1, 2, 0)
    return np.asarray((tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).numpy())


def image2tensor(image: Image.Image) -> Tensor:
    """The pixels as ``[channels, height, width]``, in memory in the order height, width, channels.

    8-bit pictures stay uint8; 16-bit ones become float32 of 0 to 1, so that no value is lost.
    """
    if not isinstance(image, PILBase):
        pixels = np.array(image)  # a copy, which may be written to
    elif (decoded := image.decoded()) is not None:
        return decoded
    else:
        pixels = image._loaded_pixels()
    if image.mode.startswith("I"):
        pixels = pixels.astype(np.float32) / 65535
    elif pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    tensor = torch.from_numpy(pixels)
    return tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1)


def mask2tensor(image: Image.Image) -> Tensor:
    """The class ids as ``[height, width]``: uint8, or int32 when the file has 16 bits."""
    pixels = np.array(image)
    return torch.from_numpy(pixels if pixels.dtype == np.uint8 else pixels.astype(np.int32))


def image_to_typed(image: PILBase) -> TensorBase:
    """The typed tensor of a picture: `TensorImage`, `TensorImageBW`, `TensorMask` or the class's own."""
    kind = image._tensor_cls
    if issubclass(kind, TensorMask):
        return kind(mask2tensor(image))
    tensor = image2tensor(image)
    return (TensorImageBW if kind is TensorImage and tensor.shape[0] == 1 else kind)(tensor)


@ToTensor  # the class as decorator adds an overload, see core/transform.py
def encodes(self: ToTensor, x: PILBase) -> Any:
    """What goes into the batch."""
    return x.for_batch()
