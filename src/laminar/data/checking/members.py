"""What a check sees of a data set: its members one by one, and the file each item comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from laminar.core.pipeline import Pipeline
from laminar.core.transform import Transform
from laminar.data.items import item_at, name_of
from laminar.data.transforms import Getter

__all__ = ["Split", "split_name"]

_ENDING = re.compile(r"\.\w{1,8}")


def split_name(number: int) -> str:
    """What a split is called: training, validation, split 2, ..."""
    return {0: "training", 1: "validation"}.get(number, f"split {number}")


class Split:
    """The data set of a split, as a check sees it.

    Args:
        dataset: of one split: `Datasets`, `TfmdLists`, or anything with a length and items by number.
        after_item: transforms of a sample that follow.
    """

    def __init__(self, dataset: Any, after_item: Pipeline) -> None:
        self.dataset = dataset
        self.after_item: list[Transform] = list(after_item)
        own = getattr(dataset, "tls", None) or ([dataset] if hasattr(dataset, "tfms") else [])
        self.members: list[Any] = list(own)
        self.n_inp: int = getattr(dataset, "n_inp", 1)

    def __len__(self) -> int:
        return len(self.dataset)

    def part(self, index: int, member: int) -> Any:
        """The value of a member for an item."""
        return self.members[member][index]

    def parts(self, index: int) -> Sequence[Any]:
        """The sample, if the data set has no members of its own."""
        sample = self.dataset[index]
        return sample if isinstance(sample, tuple | list) else (sample,)

    def transforms(self, member: int) -> list[Transform]:
        """The transforms that a member meets."""
        own = self.members[member].tfms.transforms if member < len(self.members) else []
        return [*own, *self.after_item]

    def name(self, index: int) -> str:
        """What an item is called."""
        file = self.file(index)
        if file is not None:
            return str(file)
        raw = getattr(self.dataset, "items", None)
        return f"item {index}" if raw is None or callable(raw) else name_of(item_at(raw, index))

    def file(self, index: int) -> Path | None:
        """The file of an item's first input: what the getter of the input gives, or the item itself."""
        raw = getattr(self.dataset, "items", None)
        if raw is None or callable(raw):
            return None
        item = item_at(raw, index)
        got = None if self._getter is None else _got(self._getter, item)
        return _as_file(item) if got is None else got

    @cached_property
    def _getter(self) -> Getter | None:
        """The getter of the input, if it tells where items are: one that opens them is not called for all of them."""
        first = self.members[0].tfms.transforms[:1] if self.members else []
        if not first or not isinstance(first[0], Getter) or not len(self):
            return None
        looked_at = (item_at(self.dataset.items, index) for index in {0, len(self) // 2, len(self) - 1})
        return first[0] if any(_got(first[0], item) is not None for item in looked_at) else None


def _got(getter: Getter, item: Any) -> Path | None:
    try:
        return _as_file(getter(item))
    except Exception:  # noqa: BLE001  # whoever makes the item will tell what the getter raises
        return None


def _as_file(item: Any) -> Path | None:
    """A path, or a text that ends as names of files do."""
    if isinstance(item, PurePath):
        return Path(item)
    if isinstance(item, str) and len(item) < 4096 and "\n" not in item and _ENDING.fullmatch(Path(item).suffix):
        return Path(item)
    return None
