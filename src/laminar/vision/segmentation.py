"""One call to loaders of pictures and masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Unpack

from laminar.core.errors import check_keywords
from laminar.data.block import DataBlock
from laminar.data.loaders import DataLoaders
from laminar.data.splitters import RandomSplitter
from laminar.vision.blocks import ImageBlock, MaskBlock
from laminar.vision.data import ImageLoadersOptions
from laminar.vision.images import PILImage

__all__ = ["SegmentationDataLoaders"]


class SegmentationDataLoaders(DataLoaders):
    """Loaders of pictures with a class for each pixel."""

    @classmethod
    def from_label_func(
        cls,
        path: str | Path,
        fnames: Sequence[Any],
        label_func: Callable[[Any], Any],
        valid_pct: float = 0.2,
        seed: int | None = None,
        codes: Sequence[str] | None = None,
        ignore_index: int | None = None,
        **options: Unpack[ImageLoadersOptions],
    ) -> DataLoaders:
        """From files and a function that takes a path and gives the path of its mask.

        Args:
            path: where the learner keeps what belongs to these data.
            fnames: the pictures' paths.
            label_func: gives the mask of a path.
            valid_pct: share of the pictures to put into validation at random.
            seed: of that choice.
            codes: names of the classes; index = id in the masks.
            ignore_index: an id that stands for "no class", see `MaskBlock`.
            **options: see `ImageLoadersOptions`.
        """
        own = ["path", "fnames", "label_func", "valid_pct", "seed", "codes", "ignore_index"]
        check_keywords(options, [*own, *ImageLoadersOptions.__annotations__], "SegmentationDataLoaders.from_label_func")
        others: Any = dict(options)
        block = DataBlock(
            blocks=(ImageBlock(others.pop("img_cls", PILImage)), MaskBlock(codes, ignore_index)),
            splitter=RandomSplitter(valid_pct, seed=seed),
            get_y=label_func,
            item_tfms=others.pop("item_tfms", None),
            batch_tfms=others.pop("batch_tfms", None),
        )
        return block.dataloaders(fnames, path=path, **others)
