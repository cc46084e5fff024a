"""What becomes of points and boxes that leave their picture: kept, clipped or dropped, as asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from laminar.core.choices import Choice
from laminar.core.coordinates import Canvas, canvas_of
from laminar.core.errors import DataError
from laminar.core.transform import ItemTransform
from laminar.core.types import TensorBBox, TensorBBoxLabel, TensorMultiCategory, TensorPoint, pad_rows, plain
from laminar.vision.positions import label_index, picture_of

__all__ = ["BoxesOutside", "Outside", "PointsOutside", "bb_pad", "clip_remove_empty", "points_inside"]


class Outside(Choice):
    """What to do with a point or box beyond the edges of its picture."""

    Keep = "keep"
    Clip = "clip"
    Drop = "drop"


def _limits(x: TensorPoint | TensorBBox, sample: Any = None) -> tuple[Tensor, Tensor]:
    """Least and largest (x, y) inside the picture of `x`."""
    values = plain(x)
    if x.scaled:
        return values.new_tensor([-1.0, -1.0]), values.new_tensor([1.0, 1.0])
    canvas: Canvas | None = canvas_of(x)
    if canvas is None:
        found = picture_of(sample)
        canvas = None if found is None else found[0]
    if canvas is None:
        raise DataError(f"whether {type(x).__name__} leaves its picture cannot be told: its canvas is unknown")
    return values.new_zeros(2), values.new_tensor([canvas[1], canvas[0]])


def points_inside(points: TensorPoint) -> Tensor:
    """Which points are seen, inside their picture: bool ``[..., n]``. A dropped point (NaN) is not.

    >>> points_inside(TensorPoint([[1.0, 1.0], [5.0, 1.0]], canvas_size=(4, 4))).tolist()
    [True, False]
    """
    low, high = _limits(points)
    return _inside(plain(points), low, high)


def _inside(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    rounding = (high - low) * 1e-5  # moving there and back must not lose a point on the edge
    inside: Tensor = ((values >= low - rounding) & (values <= high + rounding)).all(-1)
    return inside


class PointsOutside(ItemTransform):
    """Say what becomes of points that leave the picture. Their number stays, so that a model can learn them.

    Args:
        outside: ``keep`` leaves them where they are, ``clip`` moves them to the nearest edge, ``drop`` makes both
            coordinates NaN (the default loss leaves these out; `points_inside` tells which are left).
    """

    order = 97  # after all that moves, before PointScaler
    deterministic = True

    def __init__(self, outside: Outside | str = Outside.Keep) -> None:
        super().__init__()
        self.outside = Outside(outside)

    def encodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # any sample; dispatch is by the bare class
        """The sample or batch, with its points."""
        if self.outside is Outside.Keep:
            return x
        return tuple(self._handled(part, x) if isinstance(part, TensorPoint) else part for part in x)

    def _handled(self, points: TensorPoint, sample: Any) -> TensorPoint:
        low, high = _limits(points, sample)
        values = plain(points)
        if self.outside is Outside.Clip:
            return points.wrap(values.clamp(low, high), points)
        inside = _inside(values, low, high)
        return points.wrap(torch.where(inside[..., None], values, values.new_tensor(float("nan"))), points)


class BoxesOutside(ItemTransform):
    """Say what becomes of boxes that leave the picture; their labels go with them.

    A box that goes is taken out of a sample; in a batch its row, and its label, become zeros, which is what pads.

    Args:
        outside: ``keep`` leaves all as they are; ``clip`` cuts boxes at the edges, and those that have hardly anything
            left go; ``drop`` lets all go that are not wholly inside.
        min_visible: with ``clip``, boxes go of whose area no more than this share is inside, 0 to 1.
    """

    order = 97
    deterministic = True

    def __init__(self, outside: Outside | str = Outside.Clip, min_visible: float = 0.0) -> None:
        super().__init__()
        self.outside, self.min_visible = Outside(outside), min_visible

    def encodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # as above
        """The sample or batch, with its boxes."""
        parts = list(x)
        for index, boxes in enumerate(parts):
            if isinstance(boxes, TensorBBox) and self.outside is not Outside.Keep:
                at = label_index(parts, index)
                clipped, stays = self._handled(boxes, x)
                parts[index] = _only(clipped, stays)
                if at is not None:
                    parts[at] = _only(parts[at], stays)
        return tuple(parts)

    def _handled(self, boxes: TensorBBox, sample: Any) -> tuple[TensorBBox, Tensor]:
        """The boxes, and which of them stay: bool ``[..., n]``."""
        low, high = _limits(boxes, sample)
        values, (inside, visible) = plain(boxes), _visible(plain(boxes), low, high)
        if self.outside is Outside.Drop:
            return boxes, (visible >= 1 - 1e-4) & (_area(values) > 0)
        return boxes.wrap(inside, boxes), visible > self.min_visible


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def _visible(boxes: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes cut at the edges, and the share of their area that this leaves; 0 for boxes without an area."""
    cut = boxes.clamp(low.repeat(2), high.repeat(2))
    area = _area(boxes)
    return cut, torch.where(area > 0, _area(cut) / area.clamp(min=1e-12), torch.zeros_like(area))


def _only(rows: Any, stays: Tensor) -> Any:
    """Rows of boxes or labels that stay; in a batch, the others become zeros."""
    if stays.ndim == 1:
        return rows.wrap(plain(rows)[stays], rows)
    values = plain(rows)
    mask = stays if values.ndim == stays.ndim else stays[..., None]
    return rows.wrap(torch.where(mask, values, torch.zeros_like(values)), rows)


def clip_remove_empty(bbox: TensorBBox, label: TensorMultiCategory) -> tuple[TensorBBox, TensorMultiCategory]:
    """Cut boxes at the edges of their picture, and leave out those that have nothing left, with their labels.

    Args:
        bbox: ``[n, 4]``, scaled to -1 to 1 or in pixels of a known canvas.
        label: ``[n]``.
    """
    cut, visible = _visible(plain(bbox), *_limits(bbox))
    stays = visible > 0
    return bbox.wrap(cut[stays], bbox), label.wrap(plain(label)[stays], label)


def bb_pad(samples: Sequence[tuple[Any, ...]], pad_idx: int = 0) -> list[tuple[Any, ...]]:
    """Bring the boxes of all samples to one number: for ``before_batch``, where zeros will not do as class.

    Without it loaders pad boxes and labels with zeros.

    Args:
        samples: tuples that hold a `TensorBBox` and, behind it, its labels. The boxes are cut at the edges first.
        pad_idx: class of the boxes that are added, whose coordinates are zeros.
    """
    rows = [list(sample) for sample in samples]
    boxes_at = next(i for i, part in enumerate(rows[0]) if isinstance(part, TensorBBox))
    labels_at = label_index(rows[0], boxes_at)
    if labels_at is None:
        raise DataError("bb_pad found no labels behind the boxes; without labels, boxes are padded by the loader")
    for row in rows:
        row[boxes_at], row[labels_at] = clip_remove_empty(row[boxes_at], row[labels_at])
    boxes = pad_rows([row[boxes_at] for row in rows], 0)
    labels = pad_rows([row[labels_at] for row in rows], pad_idx)
    for row, padded, classes in zip(rows, boxes, labels, strict=True):
        row[boxes_at], row[labels_at] = padded, TensorBBoxLabel(plain(classes))
    return [tuple(row) for row in rows]
