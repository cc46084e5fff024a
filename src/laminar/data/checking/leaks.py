"""The same file, or the same bytes, in more than one split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from laminar.data.checking.duplicates import same_bytes
from laminar.data.checking.members import Split, split_name

__all__ = ["Leak", "find_leaks"]


class Leak(NamedTuple):
    """One content in several places.

    Attributes:
        places: split, number of the item in it, and file.
        same_file: it is one file that is named more than once, not copies.
    """

    places: list[tuple[int, int, Path]]
    same_file: bool

    def __str__(self) -> str:
        """It in words."""
        where = ", ".join(f"{file} ({split_name(split)} {index})" for split, index, file in self.places[:4])
        more = f", ... {len(self.places)} in all" if len(self.places) > 4 else ""
        return ("the same file: " if self.same_file else "the same bytes: ") + where + more


def find_leaks(splits: Sequence[Split], across: bool = True, by_bytes: bool = True) -> list[Leak]:
    """Items that are read from one file, or from files that hold the same bytes.

    Args:
        splits: training first.
        across: only those that stand in several splits.
        by_bytes: compare what is in the files; False compares names only.
    """
    places: dict[Path, list[tuple[int, int, Path]]] = defaultdict(list)
    for number, split in enumerate(splits):
        for index in range(len(split)):
            file = split.file(index)
            if file is not None:
                places[file].append((number, index, file))
    groups = same_bytes(places) if by_bytes else []
    copied = {file for group in groups for file in group}
    leaks = [Leak([place for file in group for place in places[file]], False) for group in groups]
    leaks += [
        Leak(found, True) for file, found in places.items() if file not in copied and len(found) > 1 and file.is_file()
    ]
    return [leak for leak in leaks if not across or len({split for split, _, _ in leak.places}) > 1]
