"""Whether the masks, points, boxes and target pictures of a sample have the shape of the picture they belong to."""

from __future__ import annotations

from typing import Any

from PIL import Image

from laminar.core.coordinates import canvas_of
from laminar.core.errors import DataError, describe
from laminar.core.types import TensorBBox, TensorImageBase, TensorMask, TensorPoint
from laminar.vision.images import PILMask

__all__ = ["check_shapes", "inputs_of", "same_shape"]

Size = tuple[int, int]  # width, height


def same_shape(one: Size, other: Size) -> bool:
    """Whether one size (width, height) is the other scaled, but for rounding to whole pixels.

    >>> same_shape((1000, 667), (300, 200)), same_shape((640, 480), (480, 640))
    (True, False)
    """
    small, large = sorted((one, other), key=lambda size: size[0] * size[1])
    return abs(small[0] * large[1] - small[1] * large[0]) <= sum(large)  # each side of the small may be one pixel off


def inputs_of(items: object) -> int | None:
    """How many parts of a sample are inputs, as far as the data of a loader say so."""
    known: int | None = getattr(getattr(items, "dataset", None), "n_inp", None)
    return known


def check_shapes(sample: Any, asking: object, any_scale: bool = True, n_inp: int | None = None) -> None:
    """Refuse a mask, points, boxes or a target picture of another shape than the picture: moved together, they would
    not fit it.

    Pictures that are inputs both, as pairs to be compared, may differ.

    Args:
        sample: any; a mask that is the picture scaled is fine, and of several pictures one has to fit.
        asking: the transform that is about to move the parts.
        any_scale: a target may be larger or smaller than its picture; False where pixels are cut out and not scaled.
        n_inp: how many parts of the sample are inputs; None if that is not known, and pictures are no targets.

    Raises:
        DataError: with the files and sizes of both.
    """
    if not isinstance(sample, tuple):
        return
    pictures = [(part, size) for part in sample[:n_inp] if (size := _picture_size(part)) is not None]
    if not pictures:  # a picture of a mask
        n_inp, pictures = None, [(part, size) for part in sample if (size := _picture_size(part)) is not None]
    if not pictures:
        return
    for number, part in enumerate(sample):
        is_target = n_inp is not None and number >= n_inp
        size = _target_size(part) or (_picture_size(part) if is_target else None)
        if size is None or any(size == other or (any_scale and same_shape(size, other)) for _, other in pictures):
            continue
        picture, other = pictures[0]
        remedy = "Do they belong together, and is neither turned?" if not same_shape(size, other) else "Resize first."
        if _target_size(part) is None:
            remedy += " Pictures that need not fit each other are inputs both: n_inp=2."
        raise DataError(
            f"{describe(part)} is made for {size[0]}x{size[1]} pixels (width x height), its picture, "
            f"{describe(picture)}, has {other[0]}x{other[1]}. {type(asking).__name__} would move them apart. {remedy}"
        )


def _picture_size(part: Any) -> Size | None:
    if isinstance(part, Image.Image) and not isinstance(part, PILMask):
        return part.size
    return (int(part.shape[-1]), int(part.shape[-2])) if isinstance(part, TensorImageBase) else None


def _target_size(part: Any) -> Size | None:
    """Width and height of a mask, or of the picture that points and boxes say they are of."""
    if isinstance(part, PILMask):
        return part.size
    if isinstance(part, TensorMask):
        return int(part.shape[-1]), int(part.shape[-2])
    canvas = canvas_of(part) if isinstance(part, TensorPoint | TensorBBox) and not part.scaled else None
    return None if canvas is None else (canvas[1], canvas[0])
