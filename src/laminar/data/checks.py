"""Looking at data before training starts, so that what is wrong with them is said at once and by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from laminar.core.errors import DataError
from laminar.core.random import permutation
from laminar.data.items import item_at, name_of
from laminar.data.showing import types_of
from laminar.data.transforms import Categorize, MultiCategorize
from laminar.data.vocab import CategoryMap, as_label, is_missing, listed

__all__ = ["check_files", "check_first_items", "check_not_empty", "check_targets"]

_SECONDS = 1.0  # for opening files
_NAMED = 5  # files in a message
_LOOKED_AT = (8, 2)  # items of training, and of each other split, that are made and collated when loaders are built


def check_not_empty(splits: list[list[int]] | None, count: int, where: str) -> None:
    """Refuse splits without items.

    Args:
        splits: numbers of the items in each split.
        count: how many items there are.
        where: what made the splits, for the message.

    Raises:
        DataError: naming the empty split and the sizes of all.
    """
    if count == 0:
        raise DataError(f"there are no items to load ({where})")
    for number, split in enumerate(splits or ()):
        if not split:
            name = {0: "the training split", 1: "the validation split"}.get(number, f"split {number}")
            sizes = ", ".join(str(len(other)) for other in splits or ())
            raise DataError(
                f"{name} is empty: {where} divided {count} items into {sizes}. "
                "Give a splitter that finds items for both, for example splitter=RandomSplitter(0.2)."
            )


def check_targets(lists: Iterable[Any]) -> None:
    """Check the labels of all splits against the classes that training knows.

    Args:
        lists: the `TfmdLists` of the targets.

    Raises:
        DataError: there is one class only, or a label of another split is no class; naming labels and files.
    """
    for tl in lists:
        for transform in tl.tfms.transforms:
            if isinstance(transform, Categorize | MultiCategorize) and transform.vocab is not None:
                _check_classes(tl, transform, transform.vocab)


def _check_classes(tl: Any, transform: Categorize | MultiCategorize, vocab: CategoryMap) -> None:
    if isinstance(transform, Categorize) and len(vocab) < 2 and not transform.add_na:
        raise DataError(
            f"there is one class only, {vocab[0]!r}, in all {len(tl)} items: there is nothing to tell apart. "
            "Does the label function (get_y, label_func, the folders) give what you mean? "
            f"It gives {vocab[0]!r} for {name_of(item_at(tl.items, 0))}."
            if len(vocab)
            else f"none of the {len(tl)} items has a label"
        )
    if transform.add_na:
        return
    raw = tl.up_to(transform)
    for number in range(0 if transform.given else 1, tl.n_subsets):
        _check_known(raw.subset(number), transform, vocab, number)


def _check_known(raw: Any, transform: Categorize | MultiCategorize, vocab: CategoryMap, number: int) -> None:
    unknown: dict[Any, list[str]] = {}
    for index in range(len(raw)):
        labels = raw[index]
        for label in labels if isinstance(transform, MultiCategorize) else [labels]:
            if is_missing(label) or as_label(label) not in vocab.o2i:
                unknown.setdefault(as_label(label), []).append(name_of(item_at(raw.items, index)))
    if unknown:
        label, files = max(unknown.items(), key=lambda found: len(found[1]))
        where = {0: "training", 1: "validation"}.get(number, f"split {number}")
        others = f" (so are {listed(other for other in unknown if other != label)})" if len(unknown) > 1 else ""
        known = "none of the classes in vocab" if transform.given else "no class of the training items"
        raise DataError(
            f"label {label!r}{others}, found in {where}, is {known}: {listed(vocab)}. "
            f"It belongs to {len(files)} item(s): {', '.join(files[:5])}{', ...' if len(files) > 5 else ''}. "
            "Put such items into training too, leave them out, or give all classes: CategoryBlock(vocab=[...])."
        )


def check_files(loaders: Iterable[Any]) -> None:
    """Look at the beginning of the files that are to be decoded later: what is no such file is named now.

    Of very many files, or on a slow disk, as many are looked at as a second allows, from all over each split; files
    that are cut short show only when they are decoded (`DataLoaders.check`).

    Args:
        loaders: one for each split, training first.

    Raises:
        DataError: a file cannot be read; a note names others.
        OSError: so says the file system.
    """
    lists = [tl for loader in loaders for tl in getattr(loader.dataset, "tls", [loader.dataset])]
    readers = [(tl, step) for tl in lists for step in getattr(tl, "tfms", ()) if _first_look(step) is not None]
    total, begun = sum(len(tl) for tl, _ in readers), time.perf_counter()
    bad: dict[str, Exception] = {}
    looked_at = allowed = 0
    for tl, reader in readers:
        sources, allowed = tl.up_to(reader), allowed + len(tl)
        for index in permutation(len(tl), 0, 0):
            if time.perf_counter() - begun > _SECONDS * allowed / total:
                break
            source, looked_at = sources[index], looked_at + 1
            if (error := _why_unreadable(reader, source)) is not None:
                bad[name_of(source)] = error
    if bad:
        names = sorted(bad)
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        bad[names[0]].add_note(
            f"{len(bad)} of {looked_at} files cannot be read: {', '.join(names[:_NAMED])}{more}. Leave them"
            ' out (verify_images(files) finds them), or have them skipped: on_bad_item="skip".'
        )
        raise bad[names[0]]


def _why_unreadable(reader: Any, source: Any) -> Exception | None:
    """What `reader` raises for a source that does not look right at first sight."""
    looks_right = _first_look(reader)
    if looks_right is None or looks_right(source):
        return None
    try:
        reader(source)
    except (DataError, OSError) as error:
        return error
    return None


def _first_look(step: Any) -> Callable[[Any], bool] | None:
    """How to see that a step can open a source, for those that only open (see `laminar.core.random.opens_only`)."""
    return getattr(step, "looks_right", None) or getattr(step.enc, "looks_right", None)


def check_first_items(loaders: Iterable[Any]) -> None:
    """Make a small batch of items from all over each loader's data: what cannot be made or collated says so now.

    Args:
        loaders: one for each split, training first.
    """
    for number, loader in enumerate(loaders):
        count = loader.n_items
        wanted = min(_LOOKED_AT[min(number, 1)], count, loader.bs or 1)
        if loader.sampler is None and wanted:
            batch = loader.peek([i * (count - 1) // max(1, wanted - 1) for i in range(wanted)])
            loader.remember_types(types_of(batch))
