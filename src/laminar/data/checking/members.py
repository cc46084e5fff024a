"""What a check sees of a data set: its members one by one, and the file each item comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from laminar.core.pipeline import Pipeline
from laminar.core.transform import Transform
from laminar.data.items import item_at, name_of
from laminar.data.transforms import Getter

__all__ = ["Split", "split_name"]


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
        """The file of an item's first input: the item itself, or what the getter of the input gives."""
        raw = getattr(self.dataset, "items", None)
        if raw is None or callable(raw):
            return None
        item = item_at(raw, index)
        first = self.members[0].tfms.transforms[:1] if self.members else []
        if first and isinstance(first[0], Getter):
            try:
                item = first[0](item)
            except Exception:  # noqa: BLE001  # whoever makes the item will tell what the getter raises
                return None
        if isinstance(item, PurePath):
            return Path(item)
        if isinstance(item, str) and len(item) < 4096 and "\n" not in item and Path(item).suffix:
            return Path(item)
        return None
