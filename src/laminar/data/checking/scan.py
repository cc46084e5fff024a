"""Going through every item of all splits, and noting what is wrong with each and with all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from laminar.core.random import keep_generators
from laminar.core.types import TensorCategory
from laminar.data.checking.duplicates import Place, near_copies
from laminar.data.checking.examine import Facts, Surroundings, examine
from laminar.data.checking.leaks import find_leaks
from laminar.data.checking.members import Split, split_name
from laminar.data.checking.report import CheckReport, Finding
from laminar.data.fetching import SkipItemException
from laminar.data.parallel import in_threads

__all__ = ["scan"]


@dataclass
class _Item:
    """What was seen of an item."""

    place: Place
    name: str
    file: Path | None
    facts: list[Facts] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)


def scan(splits: Sequence[Split], n_workers: int | None, show_progress: bool, near: bool) -> CheckReport:
    """Make every item of all splits in full and look at it.

    Args:
        splits: training first.
        n_workers: threads; None for as many as there are processors.
        show_progress: show a progress bar.
        near: look for pictures that are nearly the same too.
    """
    places = [(number, index) for number, split in enumerate(splits) for index in range(len(split))]
    with keep_generators():
        items = list(in_threads(partial(_look_at, splits), places, n_workers, show_progress))
    findings = [
        Finding(kind, *item.place, item.name, message, item.file) for item in items for kind, message in item.troubles
    ]
    findings += _rare_modes(items)
    findings += _copies(splits, items, near)
    findings += _lonely_labels(items)
    counts = _counts(items)
    sizes = Counter(size for item in items for size in _sizes(item))
    modes = Counter(facts.mode for item in items for facts in item.facts[:1] if facts.mode)
    return CheckReport([split.dataset for split in splits], findings, counts, sizes, modes)


def _look_at(splits: Sequence[Split], place: Place) -> _Item:
    """Make an item's members one by one, so that what is wrong with one does not hide the others."""
    number, index = place
    split = splits[number]
    item = _Item(place, split.name(index), split.file(index))
    if not split.members:
        try:
            for part in split.parts(index):
                _note(item, part, split, len(item.facts))
        except Exception as error:  # noqa: BLE001  # kept and told: finding all of them is what this is for
            item.troubles.append((_kind(error, True), _words(error)))
        return item
    for member in range(len(split.members)):
        try:
            part = split.part(index, member)
            _note(item, part, split, member)
        except Exception as error:  # noqa: BLE001  # as above
            item.facts.append(Facts())
            item.troubles.append((_kind(error, member < split.n_inp), _words(error)))
    return item


def _note(item: _Item, part: Any, split: Split, member: int) -> None:
    facts: Facts = examine(part, Surroundings(item.facts, split.transforms(member)))
    item.facts.append(facts)
    item.troubles += facts.troubles
    if isinstance(part, TensorCategory) and member < len(split.members):
        decoded = split.members[member].decode(part)
        several = isinstance(decoded, list | tuple)
        item.labels += [str(label) for label in decoded] if several else [str(decoded)]


def _kind(error: Exception, of_input: bool) -> str:
    if isinstance(error, SkipItemException):
        return "left out"
    return "unreadable" if of_input else "bad target"


def _words(error: Exception) -> str:
    first_note = next(iter(getattr(error, "__notes__", ())), "")
    return f"{type(error).__name__}: {error}" + (f" ({first_note})" if first_note else "")


def _sizes(item: _Item) -> Iterable[tuple[int, int]]:
    return (facts.size for facts in item.facts[:1] if facts.size is not None)


def _rare_modes(items: Sequence[_Item]) -> Iterator[Finding]:
    """Pictures that are stored in another way than nearly all others."""
    modes = Counter(item.facts[0].mode for item in items if item.facts and item.facts[0].mode)
    if len(modes) < 2:
        return
    usual, count = modes.most_common(1)[0]
    for item in items:
        mode = item.facts[0].mode if item.facts else None
        if mode and mode != usual and modes[mode] * 20 <= count:
            yield Finding("rare mode", *item.place, item.name, f"{mode}; {count} others are {usual}", item.file)


def _copies(splits: Sequence[Split], items: Sequence[_Item], near: bool) -> Iterator[Finding]:
    known: dict[Place, _Item] = {item.place: item for item in items}
    exact: set[frozenset[Place]] = set()
    for leak in find_leaks(splits, across=False):
        first, *others = leak.places
        for other in others:
            exact.add(frozenset([first[:2], other[:2]]))
            yield _copy("same file" if leak.same_file else "same bytes", known[other[:2]], known[first[:2]])
    if not near:
        return
    thumbnails = {
        item.place: facts.thumbnail for item in items for facts in item.facts[:1] if facts.thumbnail is not None
    }
    for earlier, later in near_copies(thumbnails):
        a, b = known[earlier], known[later]
        if frozenset([earlier, later]) not in exact and (a.file is None or a.file != b.file):
            yield _copy("looks the same", b, a)


def _copy(kind: str, item: _Item, other: _Item) -> Finding:
    across = item.place[0] != other.place[0]
    message = f"as {other.name}, {split_name(other.place[0])} {other.place[1]}"
    return Finding(f"{kind}, other split" if across else kind, *item.place, item.name, message, item.file, other.place)


def _counts(items: Sequence[_Item]) -> dict[str, dict[int, int]]:
    counts: dict[str, dict[int, int]] = {}
    for item in items:
        for label in item.labels:
            of_label = counts.setdefault(label, {})
            of_label[item.place[0]] = of_label.get(item.place[0], 0) + 1
    return dict(sorted(counts.items()))


def _lonely_labels(items: Sequence[_Item]) -> Iterator[Finding]:
    """Labels that one item only has: either a misprint, or nothing to learn from."""
    counts = Counter(label for item in items for label in item.labels)
    for item in items:
        for label in item.labels:
            if counts[label] == 1:
                yield Finding("label occurs once", *item.place, item.name, f"no other item has {label!r}", item.file)
