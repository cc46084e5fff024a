"""Typed tensors: what a tensor means travels with it, so that it can be transformed rightly and shown.

They stand on torchvision's ``tv_tensors``, so every ``torchvision.transforms.v2`` transform works on them; outside
`typed.py`, which has the mechanism, torchvision's types are named in this file only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self
from typing import cast as typing_cast

import torch
from torch import Tensor
from torchvision.tv_tensors import BoundingBoxes, BoundingBoxFormat, Image, KeyPoints, Mask

from laminar.core.device import tensors_in
from laminar.core.errors import DataError
from laminar.core.show import show_boxes, show_image, show_points, show_title
from laminar.core.typed import (
    TensorBase,
    cast,
    common_metadata,
    explode_types,
    is_showable,
    metadata,
    pad_rows,
    plain,
    retain_type,
    tensor,
)

__all__ = [
    "TensorBase",
    "TensorImageBase",
    "TensorImage",
    "TensorImageBW",
    "TensorMask",
    "TensorPoint",
    "TensorBBox",
    "TensorCategory",
    "TensorMultiCategory",
    "TensorBBoxLabel",
    "TensorText",
    "LMTensorText",
    "TensorFloat",
    "TitledTensorScalar",
    "plain",
    "cast",
    "retain_type",
    "metadata",
    "common_metadata",
    "explode_types",
    "pad_rows",
    "is_showable",
    "is_torchvision_transform",
    "refuse_unknown_canvas",
    "with_canvas_of_picture",
    "tensor",
]


class TensorImageBase(TensorBase, Image):  # type: ignore[misc]  # both define __repr__; ours wins
    """A picture, ``[..., channels, height, width]``, uint8 (0 to 255) or floating point (0 to 1)."""

    is_picture: ClassVar[bool] = True
    _show_args: ClassVar[dict[str, Any]] = {"cmap": "viridis"}

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Draw on axes `ctx` (made when None) and return them; `kwargs` go to ``Axes.imshow``."""
        return show_image(self, ctx=ctx, **{**self._show_args, **kwargs})


class TensorImage(TensorImageBase):
    """A colour picture, ``[..., 3, height, width]``."""


class TensorImageBW(TensorImage):
    """A picture with one channel, ``[..., 1, height, width]``."""

    _show_args: ClassVar[dict[str, Any]] = {"cmap": "Greys_r"}


class TensorMask(TensorBase, Mask):
    """Class of each pixel, ``[..., height, width]``, integer.

    Args:
        data: the class ids.
        codes: names of the classes; index = id.
    """

    codes: Sequence[str] | None
    is_picture: ClassVar[bool] = True
    _show_args: ClassVar[dict[str, Any]] = {"alpha": 0.5, "cmap": "tab20", "interpolation": "nearest"}

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Draw half transparent over what `ctx` holds already; colours are fixed by `codes` where there are some."""
        codes = metadata(self).get("codes")
        limits = {} if codes is None else {"vmin": 0, "vmax": len(codes)}
        return show_image(self, ctx=ctx, **{**self._show_args, **limits, **kwargs})


# Operations that leave coordinates what they are: moves, copies, selections, joins.
_KEEPS_COORDINATES = {
    Tensor.clone, Tensor.to, Tensor.detach, Tensor.requires_grad_, Tensor.pin_memory, Tensor.cpu, Tensor.cuda,
    Tensor.contiguous, Tensor.float, Tensor.double, Tensor.half, Tensor.__getitem__, Tensor.index_select, Tensor.select,
    Tensor.unsqueeze, Tensor.squeeze, Tensor.view, Tensor.reshape, Tensor.unbind, Tensor.split, Tensor.chunk,
    torch.clone, torch.unsqueeze, torch.squeeze, torch.stack, torch.cat, torch.reshape, torch.unbind, torch.chunk,
    torch.split, torch.index_select,
}  # fmt: skip


class _Coordinates(TensorBase):
    """Positions in a picture. Arithmetic on them makes the canvas size unknown (None), rather than wrong.

    Attributes:
        canvas_size: height and width of the picture; None when unknown: then it is the picture in the same sample.
        scaled: the coordinates run from -1 to 1 over the picture, in place of pixels.
    """

    canvas_size: tuple[int, int] | None
    scaled: bool = False

    def _stale_after(self, func: Callable[..., Any] | None) -> tuple[str, ...]:
        return () if func in _KEEPS_COORDINATES else ("canvas_size",)


def _in_rows(numbers: Any, width: int, meaning: str) -> Tensor:
    try:
        values = tensor(numbers).float()
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{meaning}, {width} numbers each, and an empty list where there are none; got {str(numbers)[:200]}"
        ) from error
    if values.numel() % width:
        raise DataError(f"{meaning}, {width} numbers each; got {values.numel()} numbers: {str(numbers)[:200]}")
    return values.reshape(-1, width)


class TensorPoint(_Coordinates, KeyPoints):  # type: ignore[misc]  # see TensorImageBase; a canvas may be unknown here
    """Key points as ``[..., n, 2]`` (x, y) in pixels of a canvas of ``(height, width)``.

    Args:
        data: the coordinates.
        canvas_size: height and width of the picture, None when unknown.
    """

    def __new__(cls, data: Any, *, canvas_size: tuple[int, int] | None = None, **meta: Any) -> Self:
        known = metadata(data).get("canvas_size") if canvas_size is None else canvas_size
        return super().__new__(cls, data, canvas_size=known, **meta)

    @classmethod
    def create(cls, points: Any, img_size: tuple[int, int] | None = None) -> Self:
        """Make points of any sequence of (x, y); `img_size` is (height, width)."""
        return cls(_in_rows(points, 2, "points are (x, y)"), canvas_size=img_size)

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Draw as dots on axes `ctx`."""
        return show_points(self, ctx=ctx, **kwargs)


class TensorBBox(_Coordinates, BoundingBoxes):  # type: ignore[misc]  # see TensorPoint
    """Boxes as ``[n, 4]``, by default (x1, y1, x2, y2) in pixels of a canvas of ``(height, width)``.

    Args:
        data: the coordinates.
        format: torchvision's ``BoundingBoxFormat`` or its name.
        canvas_size: height and width of the picture, None when unknown.
        clamping_mode: as in torchvision.
    """

    def __new__(
        cls,
        data: Any,
        *,
        format: BoundingBoxFormat | str = BoundingBoxFormat.XYXY,
        canvas_size: tuple[int, int] | None = None,
        clamping_mode: str | None = "soft",
        **meta: Any,
    ) -> Self:
        given = metadata(data)
        kind = BoundingBoxFormat[format.upper()] if isinstance(format, str) else format
        return super().__new__(
            cls,
            data,
            format=given.get("format", kind),
            canvas_size=canvas_size or given.get("canvas_size"),
            clamping_mode=given.get("clamping_mode", clamping_mode),
            **meta,
        )

    @classmethod
    def create(cls, boxes: Any, img_size: tuple[int, int] | None = None) -> Self:
        """Make boxes of any sequence of (x1, y1, x2, y2), also an empty one; `img_size` is (height, width)."""
        return cls(_in_rows(boxes, 4, "boxes are (x1, y1, x2, y2)"), canvas_size=img_size)

    @classmethod
    def collate(cls, values: Sequence[Self]) -> Self:
        """Make a batch ``[batch, most, 4]``: pictures with fewer boxes get rows of zeros."""
        return typing_cast(Self, pad_rows(values, 0))

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Draw as outlines on axes `ctx`."""
        return show_boxes(self, ctx=ctx, **kwargs)


class TensorCategory(TensorBase):
    """Index of a class, int64, ``[]`` for an item or ``[batch]``."""


class TensorMultiCategory(TensorCategory):
    """One-hot encoded set of classes, floating point, ``[classes]`` or ``[batch, classes]``."""


class TensorBBoxLabel(TensorMultiCategory):
    """Class of each box, int64, ``[n]`` or ``[batch, n]``; row i belongs to row i of the boxes."""

    @classmethod
    def collate(cls, values: Sequence[Self]) -> Self:
        """Make a batch ``[batch, most]``: pictures with fewer boxes get zeros."""
        return typing_cast(Self, pad_rows(values, 0))


class TensorText(TensorBase):
    """Numbers of the words of a text, int64, ``[length]`` or ``[batch, length]``."""


class LMTensorText(TensorText):
    """A text from which a language model learns: its target is the same text, one word later."""


class TensorFloat(TensorBase):
    """A quantity to be predicted, float32, ``[]`` or ``[n]`` for an item."""

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Show the number or numbers as a title, to five digits."""
        values = [float(f"{value:.5g}") for value in plain(self).flatten().tolist()]
        return show_title(values[0] if len(values) == 1 else values, ctx=ctx, **kwargs)


class TitledTensorScalar(TensorBase):
    """A single number that shows itself as a title."""

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Show the number as a title."""
        return show_title(self.item(), ctx=ctx, **kwargs)


# What torch.load(weights_only=True) may build again: torch asks that a type of tensor be named beforehand.
torch.serialization.add_safe_globals(
    [
        TensorBase, TensorImageBase, TensorImage, TensorImageBW, TensorMask, TensorPoint, TensorBBox, TensorCategory,
        TensorMultiCategory, TensorBBoxLabel, TensorText, LMTensorText, TensorFloat, TitledTensorScalar,
        BoundingBoxFormat,
    ]
)  # fmt: skip


def refuse_unknown_canvas(sample: Any, asking: object) -> None:
    """Refuse points and boxes in a sample (or batch) that are not in pixels of a known canvas.

    Args:
        sample: a value, or nested tuples, lists and dicts of values.
        asking: who needs the canvas, for the message.

    Raises:
        DataError: there are such points or boxes; the message says how to give them a canvas.
    """
    for part in tensors_in(sample):
        if isinstance(part, _Coordinates) and metadata(part).get("canvas_size") is None:
            kind = type(part).__name__
            unknown = f"their canvas is unknown. Give it: {kind}(positions, canvas_size=(height, width))."
            scaled = "these are scaled to -1 to 1. Scale them afterwards: PointScaler comes last."
            raise DataError(f"{asking!r} moves {kind} in pixels, but {scaled if part.scaled else unknown}")


def with_canvas_of_picture(sample: Any) -> Any:
    """Give points and boxes the canvas that the pictures beside them have, if these are of one size.

    torchvision computes both, and in some transforms (rotation with ``expand``) they differ by a pixel.
    """
    if not isinstance(sample, tuple | list):
        return sample
    sizes = {size for part in sample if (size := _picture_size(part)) is not None}
    if len(sizes) != 1:
        return sample
    canvas = sizes.pop()
    wrong = [isinstance(part, _Coordinates) and tuple(part.canvas_size or ()) != canvas for part in sample]
    if not any(wrong):
        return sample
    parts = [
        part.wrap(plain(part), part, canvas_size=canvas) if off else part
        for part, off in zip(sample, wrong, strict=True)
    ]
    return type(sample)(*parts) if hasattr(sample, "_fields") else type(sample)(parts)


def _picture_size(part: Any) -> tuple[int, int] | None:
    """Height and width of a tensor that is a picture, or of a Pillow image."""
    if isinstance(part, Tensor):
        return (int(part.shape[-2]), int(part.shape[-1])) if isinstance(part, Image | Mask) else None
    width_height = getattr(part, "size", None) if hasattr(part, "mode") else None
    return (width_height[1], width_height[0]) if isinstance(width_height, tuple) else None


def is_torchvision_transform(function: object) -> bool:
    """Whether `function` is a ``torchvision.transforms.v2`` transform, which wants a whole sample at once.

    A module that was never imported cannot have instances, so nothing is imported here.
    """
    v2 = sys.modules.get("torchvision.transforms.v2")
    return v2 is not None and isinstance(function, v2.Transform)
