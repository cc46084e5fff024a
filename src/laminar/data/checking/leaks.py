"""The same file, or the same bytes, in more than one split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from laminar.data.checking.duplicates import same_bytes
from laminar.data.checking.members import Split, split_name

__all__ = ["Leak", "find_leaks", "say_leak"]


class Leak(NamedTuple):
    """One content in several places.

    Attributes:
        places: split, number of the item in it, and file.
        same_file: it is one file that is named more than once, not copies.
    """

    places: list[tuple[int, int, Path]]
    same_file: bool


def find_leaks(splits: Sequence[Split], across: bool = True) -> list[Leak]:
    """Items that are read from one file, or from files that hold the same bytes.

    Args:
        splits: training first.
        across: only those that stand in several splits.
    """
    places: dict[Path, list[tuple[int, int, Path]]] = defaultdict(list)
    for number, split in enumerate(splits):
        for index in range(len(split)):
            file = split.file(index)
            if file is not None:
                places[file].append((number, index, file))
    groups = same_bytes(places)
    copied = {file for group in groups for file in group}
    leaks = [Leak([place for file in group for place in places[file]], False) for group in groups]
    leaks += [Leak(found, True) for file, found in places.items() if file not in copied and len(found) > 1]
    return [leak for leak in leaks if not across or len({split for split, _, _ in leak.places}) > 1]


def say_leak(leak: Leak) -> str:
    """A leak in words."""
    where = ", ".join(f"{file} ({split_name(split)} {index})" for split, index, file in leak.places[:4])
    return ("the same file: " if leak.same_file else "the same bytes: ") + where
