"""Blocks for pictures: how an input or a target that is a picture is read and batched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from laminar.core.errors import ConfigError, DataError
from laminar.core.transform import Transform
from laminar.core.types import TensorMask, plain
from laminar.data.blocks import TransformBlock
from laminar.data.transforms import IntToFloatTensor, MultiCategorize
from laminar.vision.augment import setup_aug_tfms
from laminar.vision.images import PILBase, PILImage, PILMask
from laminar.vision.outside import BoxesOutside, Outside, PointsOutside
from laminar.vision.positions import AddCanvas, BBoxLabeler, PointScaler, ReadBoxes, ReadPoints

__all__ = ["AddMaskCodes", "BBoxBlock", "BBoxLblBlock", "ImageBlock", "MaskBlock", "OpenImage", "PointBlock"]


class OpenImage(Transform):
    """Make a picture of a path, bytes, array, tensor or Pillow image.

    Args:
        kind: the kind of picture: `PILImage`, `PILImageBW`, or a class of yours.

    >>> import numpy
    >>> OpenImage(PILImage)(numpy.zeros((4, 6, 3), dtype="uint8"))
    <PILImage mode=RGB size=6x4>
    """

    deterministic = True

    def __init__(self, kind: type[PILBase] = PILImage) -> None:
        super().__init__()
        if not (isinstance(kind, type) and issubclass(kind, PILBase)):
            raise ConfigError(
                f"a picture's class must derive from PILBase (PILImage, PILImageBW, PILMask), got {kind!r}"
            )
        self.kind = kind

    @property
    def looks_right(self) -> Callable[[Any], bool] | None:
        """How to see of a file that it can be opened (see `opens_only`); None for a class that reads on its own."""
        return getattr(self.kind.create, "looks_right", None)

    def encodes(self, x: object) -> Any:
        """Open."""
        return self.kind.create(x)


class AddMaskCodes(Transform):
    """Give masks the names of their classes, and refuse those that hold others.

    Args:
        codes: names of the classes; index = id. None to know none, and check nothing.
        ignore_index: an id that stands for "no class", beyond the codes (255 in many data sets).
    """

    order = 6  # after ToTensor
    deterministic = True

    def __init__(self, codes: Sequence[str] | None = None, ignore_index: int | None = None) -> None:
        super().__init__()
        self.codes = None if codes is None else [str(code) for code in codes]
        self.ignore_index = ignore_index

    @property
    def vocab(self) -> list[str] | None:
        """The names of the classes."""
        return self.codes

    @property
    def c(self) -> int | None:
        """How many classes there are."""
        return None if self.codes is None else len(self.codes)

    def encodes(self, x: TensorMask) -> TensorMask:
        """The mask, knowing its codes.

        Raises:
            DataError: it holds an id that no code has.
        """
        if self.codes is None:
            return x
        ids = plain(x)
        n = len(self.codes)
        if ids.numel() and (int(ids.max()) >= n or int(ids.min()) < 0):
            strange = [value for value in ids.unique().tolist() if not 0 <= value < n and value != self.ignore_index]
            if strange:
                raise DataError(
                    f"the mask holds class {strange[0]}, but codes has {n} classes (0 to {n - 1}). Add the class to "
                    f"`codes`; or, if it means no class, pass MaskBlock(codes, ignore_index={strange[0]}) and the same "
                    "ignore_index to the loss."
                )
        return x.wrap(ids, x, codes=self.codes)

    def decodes(self, x: TensorMask) -> TensorMask:
        """The mask (a prediction, perhaps), knowing its codes."""
        return x if self.codes is None else x.wrap(plain(x), x, codes=self.codes)


def ImageBlock(cls: type[PILBase] = PILImage) -> TransformBlock:  # a factory that reads like a class
    """A picture, as input or target. Batch transforms of space and light are joined (see `setup_aug_tfms`).

    Args:
        cls: the kind of picture: `PILImage`, `PILImageBW`, `DeviceImage` (decoded on the device), or a class of yours
            derived from them.
    """
    opening = OpenImage(cls)
    batch_tfms = [*(kind() for kind in cls._batch_tfms), IntToFloatTensor()]
    return TransformBlock(type_tfms=opening, batch_tfms=batch_tfms, join_batch_tfms=setup_aug_tfms)


def MaskBlock(  # a factory that reads like a class
    codes: Sequence[str] | None = None, ignore_index: int | None = None, cls: type[PILBase] = PILMask
) -> TransformBlock:
    """A class for each pixel.

    Args:
        codes: names of the classes; index = id.
        ignore_index: an id that stands for "no class"; give it to the loss too.
        cls: the kind of picture.
    """
    return TransformBlock(
        type_tfms=OpenImage(cls), item_tfms=AddMaskCodes(codes, ignore_index), batch_tfms=IntToFloatTensor()
    )


def PointBlock(outside: Outside | str = Outside.Keep, y_first: bool = False) -> TransformBlock:
    """Key points: the same number for each picture, (x, y) in its pixels; -1 to 1 for the model.

    Args:
        outside: what becomes of points that leave the picture, see `PointsOutside`.
        y_first: the points come as (y, x).
    """
    return TransformBlock(
        type_tfms=ReadPoints(y_first),
        item_tfms=[AddCanvas(), PointsOutside(outside)],
        batch_tfms=[PointsOutside(outside), PointScaler()],
    )


def BBoxBlock(outside: Outside | str = Outside.Clip, min_visible: float = 0.0) -> TransformBlock:
    """Boxes: any number for each picture, also none, (x1, y1, x2, y2) in its pixels; -1 to 1 in batches.

    Args:
        outside: what becomes of boxes that leave the picture, see `BoxesOutside`.
        min_visible: with ``clip``, boxes go of whose area no more than this share is inside.
    """
    return TransformBlock(
        type_tfms=ReadBoxes(),
        item_tfms=[AddCanvas(), BBoxLabeler(), BoxesOutside(outside, min_visible)],
        batch_tfms=[BoxesOutside(outside, min_visible), PointScaler()],
    )


def BBoxLblBlock(vocab: Sequence[Any] | None = None, add_na: bool = True) -> TransformBlock:
    """A class for each box of the block before.

    Args:
        vocab: the classes, whose order is kept; None to find them in the training items.
        add_na: add a class ``"#na#"``, number 0, which is what pads.
    """
    return TransformBlock(type_tfms=MultiCategorize(vocab, add_na=add_na), item_tfms=BBoxLabeler())
