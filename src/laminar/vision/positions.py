"""Points and boxes as targets: what they need beside the picture to be transformed, batched, predicted and shown.

On their way: `AddCanvas` tells them the size of their picture when it has been opened, `BBoxLabeler` ties classes to
boxes, every transform of pictures moves them in pixels, `outside.py` says what becomes of those that leave the picture,
and `PointScaler`, last of all, brings them to the coordinates that a model predicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from laminar.core.coordinates import Canvas, canvas_of, in_pixels, scaled_to_one
from laminar.core.device import tensors_in
from laminar.core.errors import DataError
from laminar.core.show import show_boxes
from laminar.core.transform import ItemTransform
from laminar.core.types import (
    TensorBBox,
    TensorBBoxLabel,
    TensorImageBase,
    TensorMask,
    TensorMultiCategory,
    TensorPoint,
    metadata,
    plain,
)

__all__ = ["AddCanvas", "BBoxLabeler", "LabeledBBox", "PointScaler", "ReadBoxes", "ReadPoints", "picture_of"]


def picture_of(sample: Any) -> tuple[Canvas, bool] | None:
    """Height and width of the first picture in a sample or batch, and whether it is a batch of pictures.

    None if there is no picture.
    """
    for part in sample if isinstance(sample, tuple) else (sample,):
        if isinstance(part, Image.Image):
            return (part.height, part.width), False
        if isinstance(part, tuple) and (inside := picture_of(part)) is not None:
            return inside
        if isinstance(part, TensorImageBase | TensorMask):
            single = 3 if isinstance(part, TensorImageBase) else 2
            return (int(part.shape[-2]), int(part.shape[-1])), part.ndim > single
    return None


class ReadPoints(ItemTransform):
    """Make `TensorPoint` of any sequence of positions.

    Args:
        y_first: the positions are (y, x), not (x, y).
    """

    deterministic = True

    def __init__(self, y_first: bool = False) -> None:
        super().__init__()
        self.y_first = y_first

    def encodes(self, x: object) -> TensorPoint:
        """The points, ``[n, 2]``."""
        points = TensorPoint.create(x)
        return points.wrap(plain(points).flip(-1), points) if self.y_first else points


class ReadBoxes(ItemTransform):
    """Make `TensorBBox` of any sequence of (x1, y1, x2, y2)."""

    deterministic = True

    def encodes(self, x: object) -> TensorBBox:
        """The boxes, ``[n, 4]``."""
        return TensorBBox.create(x)


class AddCanvas(ItemTransform):
    """Tell points and boxes that do not know it how large their picture is: the first one in the sample."""

    order = -10  # before the picture changes
    deterministic = True

    def encodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # any sample; dispatch is by the bare class
        """The sample, with canvas sizes."""
        found = picture_of(x)
        return x if found is None else tuple(_on_canvas(part, found[0]) for part in x)


def _on_canvas(part: Any, canvas: Canvas) -> Any:
    if isinstance(part, TensorPoint | TensorBBox) and canvas_of(part) is None and not part.scaled:
        return part.wrap(plain(part), part, canvas_size=canvas)
    return part


class BBoxLabeler(ItemTransform):
    """Tie each box to its class: checks that there are as many, and takes away on decoding what padded them.

    The classes are the first several (not one-hot encoded) categories behind the boxes in the sample.
    """

    order = -5
    deterministic = True

    def encodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # as above
        """The sample, with labels that know what they are.

        Raises:
            DataError: there are more boxes than classes or fewer, a box ends before it begins, or is not finite.
        """
        parts = list(x)
        for index, boxes in enumerate(parts):
            if isinstance(boxes, TensorBBox):
                _check_order(boxes)
                at = label_index(parts, index)
                if at is not None:
                    parts[at] = _labels_of(boxes, parts[at])
        return tuple(parts)

    def decodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # as above
        """The sample without rows of zeros among the boxes, and without their labels."""
        parts = list(x)
        for index, boxes in enumerate(parts):
            if isinstance(boxes, TensorBBox) and boxes.ndim == 2:
                real = ~(plain(boxes) == 0).all(-1)
                at = label_index(parts, index)
                if at is not None and len(parts[at]) == len(boxes):
                    parts[at] = parts[at][real]
                parts[index] = boxes[real]
        return tuple(parts)


def label_index(parts: Sequence[Any], boxes_index: int) -> int | None:
    """Where in a sample the classes of its boxes are; None if there are none."""
    for index in range(boxes_index + 1, len(parts)):
        part = parts[index]
        if isinstance(part, TensorBBox):
            return None
        if isinstance(part, TensorMultiCategory) and not part.is_floating_point():
            return index
    return None


def _labels_of(boxes: TensorBBox, labels: TensorMultiCategory) -> TensorBBoxLabel:
    if len(labels) != len(boxes):
        raise DataError(f"there are {len(boxes)} boxes and {len(labels)} labels for them: {labels.tolist()}")
    return TensorBBoxLabel(plain(labels).long())


def _check_order(boxes: TensorBBox) -> None:
    corners = plain(boxes)
    if corners.ndim != 2 or getattr(metadata(boxes).get("format"), "name", "XYXY") != "XYXY":
        return
    unknown = (~corners.isfinite()).any(-1).nonzero().flatten().tolist()
    if unknown:
        raise DataError(
            f"box {unknown[0]} is {corners[unknown[0]].tolist()}: leave out boxes whose corners are unknown."
        )
    wrong = (corners[:, 2:] < corners[:, :2]).any(-1).nonzero().flatten().tolist()
    if wrong:
        raise DataError(
            f"box {wrong[0]} is {corners[wrong[0]].tolist()}, but boxes are (x1, y1, x2, y2) with x1 <= x2 and "
            "y1 <= y2. If these are (x, y, width, height), add x and y to the last two, as get_annotations does."
        )


class PointScaler(ItemTransform):
    """Scale points and boxes to -1 (left, top) to 1 (right, bottom), last of all; the way back gives pixels.

    Args:
        do_scale: False leaves pixels.
        c: how many numbers a model predicts for the points of a picture; None to take it from the first item.
    """

    order = 98  # after all that moves; before Normalize
    deterministic = True

    def __init__(self, do_scale: bool = True, c: int | None = None) -> None:
        super().__init__()
        self.do_scale, self.c = do_scale, c

    def setups(self, items: Any) -> None:
        """Count the coordinates of the first item's points."""
        dataset = getattr(items, "dataset", items)
        if self.c is None and dataset is not None and len(dataset):
            try:
                first = dataset[0]
            except Exception as error:
                error.add_note(f"while making the first item, {next(iter(getattr(dataset, 'items', [])), 'item 0')}")
                raise
            found = [part for part in tensors_in(first) if isinstance(part, TensorPoint)]
            self.c = found[0].numel() if found else None

    def encodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # as above
        """The sample or batch, scaled."""
        found = picture_of(x)
        return tuple(self._scaled(part, found) for part in x) if self.do_scale else x

    def _scaled(self, part: Any, picture: tuple[Canvas, bool] | None) -> Any:
        if not isinstance(part, TensorPoint | TensorBBox) or part.scaled:
            return part
        canvas = canvas_of(part) or (picture and picture[0])
        if canvas is None:
            raise DataError(
                f"{type(part).__name__} cannot be scaled: there is no picture beside it, and it has no canvas_size."
            )
        return _through(part, lambda positions: scaled_to_one(positions, canvas), canvas_size=None, scaled=True)

    def decodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # as above
        """The sample or batch in pixels; predictions in one row become points again."""
        found = picture_of(x)
        if found is None:
            return x
        return tuple(self._unscaled(part, *found) for part in x)

    def _unscaled(self, part: Any, canvas: Canvas, is_batch: bool) -> Any:
        if not isinstance(part, TensorPoint | TensorBBox) or canvas_of(part) is not None:
            return part
        width = 2 if isinstance(part, TensorPoint) else 4
        values = plain(part)
        leading = (len(values),) if is_batch else ()
        shaped = values.reshape(*leading, values.numel() // (width * math.prod(leading)), width)
        back = part.wrap(shaped, part)
        if not self.do_scale:
            return back.wrap(shaped, back, canvas_size=canvas)
        return _through(back, lambda positions: in_pixels(positions, canvas), canvas_size=canvas, scaled=False)


def _through(part: Any, function: Any, **meta: Any) -> Any:
    """Apply `function` to all positions ``[..., 2]``; rows of zeros among boxes, which pad, stay."""
    values = plain(part)
    values = values if values.is_floating_point() else values.float()
    moved: Tensor = function(values.unflatten(-1, (-1, 2))).flatten(-2)
    if isinstance(part, TensorBBox):
        moved = torch.where((values == 0).all(-1, keepdim=True), values, moved)
    return type(part).wrap(moved, part, **meta)


class LabeledBBox(tuple[Any, ...]):
    """Boxes with the names of their classes, which shows itself.

    Args:
        bbox: ``[n, 4]``.
        lbl: n names.
    """

    def __new__(cls, bbox: TensorBBox, lbl: Sequence[str]) -> LabeledBBox:
        return super().__new__(cls, (bbox, lbl))

    @property
    def bbox(self) -> TensorBBox:
        """The boxes."""
        return self[0]  # type: ignore[no-any-return]  # see __new__

    @property
    def lbl(self) -> Sequence[str]:
        """The names of their classes."""
        return self[1]  # type: ignore[no-any-return]  # see __new__

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Draw the boxes with their names on axes `ctx`."""
        return show_boxes(self.bbox, ctx=ctx, labels=[str(name) for name in self.lbl], **kwargs)
