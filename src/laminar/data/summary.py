"""Walking one sample, then a batch, through a data block, telling in words what each step did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from laminar.core.device import to_device
from laminar.core.errors import describe
from laminar.core.pipeline import Pipeline
from laminar.core.random import batch_random, item_random
from laminar.core.transform import Transform
from laminar.core.types import plain
from laminar.data.checking.members import Split
from laminar.data.datasets import Datasets
from laminar.data.fetching import BatchRequest, SkipItemException
from laminar.data.items import item_at, name_of
from laminar.data.loader import DataLoader
from laminar.data.loaders import DataLoaders

__all__ = ["tell_loaders"]

Say = Callable[[str], None]

_TOLD = 4  # samples in the batch that is followed
_TRIED = 3  # items that are followed, one after another, until one can be made
_COMPARED = 20_000  # of more items, only the names are compared between splits, not what is in the files


def tell_loaders(
    make_datasets: Callable[[], Datasets], make_loaders: Callable[[Datasets, bool], DataLoaders], say: Say
) -> DataLoaders:
    """Make loaders, and tell what happens to a sample and to a batch on their way, and whether it works.

    Whether it works is for the making of the loaders to say, and for nothing else: where a step fails that they do
    without (an item that is left out), that is told, and no error.

    Args:
        make_datasets: as for the loaders to come.
        make_loaders: of the data sets; with all checks, or without.
        say: takes each line.
    """
    try:
        dsets = make_datasets()
    except Exception as error:
        say(f"\nVerdict: making the data sets fails: {_words(error)}")
        raise
    try:
        dls = make_loaders(dsets, True)
    except Exception as error:
        _tell_all(dsets, lambda: make_loaders(dsets, False), say)
        say(f"\nVerdict: making the loaders fails: {_words(error)}")
        raise
    troubles = _tell_all(dsets, lambda: dls, say)
    leaks = _tell_leaks(dls, say)
    works = "the loaders can be made" if troubles else "this works"
    say(f"\nVerdict: {works}{', but ' if troubles or leaks else ''}{'; '.join(troubles + leaks)}.")
    return dls


def _tell_all(dsets: Datasets, made: Callable[[], DataLoaders], say: Say) -> list[str]:
    """Follow a sample and a batch all the way, as far as it goes; gives what went wrong, in words."""
    index: int | None = 0
    troubles: list[str] = []
    try:
        loader = made().train
    except Exception:  # noqa: BLE001  # why, the verdict says
        loader = None
    sizes = ", ".join(str(len(dsets.subset(i))) for i in range(dsets.n_subsets))
    say(f"{len(dsets)} items, divided into {sizes}")
    if isinstance(loader, DataLoader) and loader.create_item is not None:
        say(f"\nItems are made by create_item={loader.create_item!r}, not by the blocks")
    else:
        skips = isinstance(loader, DataLoader) and loader.on_bad_item == "skip"
        index, troubles = _tell_item(dsets.train, skips, say)
    if index is not None and isinstance(loader, DataLoader):
        try:
            _tell_loader(loader, index, say)
        except Exception as error:  # noqa: BLE001  # told; the making of the loaders decides whether it is raised
            say(f"  fails: {_words(error)}")
            troubles.append(f"the batch followed above fails: {_words(error)}")
    return troubles


def _tell_item(train: Datasets, skips: bool, say: Say) -> tuple[int | None, list[str]]:
    """Follow the first training item; where it is left out, the next. Gives the number of one that can be made."""
    troubles: list[str] = []
    for index in range(min(_TRIED, len(train))):
        item = item_at(train.items, index)
        say(f"\nThe {'first' if not index else 'next'} training item: {name_of(item)}")
        try:
            with item_random(0, 0, index):
                _tell_members(train, item, say)
        except Exception as error:  # noqa: BLE001  # told; the making of the loaders decides whether it is raised
            say(f"  fails: {_words(error)}")
            if not isinstance(error, SkipItemException):
                troubles.append(f"item {index} of training, {name_of(item)}, cannot be made{_remedy(skips)}")
            if not skips and not isinstance(error, SkipItemException):
                break
        else:
            return index, troubles
    return None, troubles


def _remedy(skips: bool) -> str:
    return ", and is left out" if skips else ': training will end there (on_bad_item="skip" leaves such items out)'


def _tell_members(train: Datasets, item: Any, say: Say) -> None:
    for number, tl in enumerate(train.tls):
        role = "input" if number < train.n_inp else "target"
        say(f"\nMember {number} ({role}):")
        _follow(tl.tfms, item, say)
        if tl.vocab is not None:
            say(f"  classes: {len(tl.vocab)}")


def _tell_loader(loader: DataLoader, first: int, say: Say) -> None:
    """Follow a sample through the item transforms, then a batch of some samples through the batch transforms."""
    count = min(_TOLD, loader.n_items - first, loader.bs or 1)
    if count < 1:
        return
    sample = loader.new(after_item=None, before_batch=None, after_batch=None).item(first)
    say("\nItem transforms, on the sample:")
    with item_random(0, 0, first):
        _follow(loader.after_item, sample, say)
    collating = loader.new(after_batch=None, bad_item_budget=count)
    raw = collating.answer(BatchRequest(0, 0, 0, list(range(first, first + count))))
    split = Split(loader.dataset, loader.after_item)
    say(f"\nA batch of {len(raw.items)} samples: " + ", ".join(split.name(index) for index in raw.items))
    if len(loader.before_batch):
        say("  the list of samples, before it is made a batch:")
        with item_random(0, 0, -1):
            _follow(loader.before_batch, [loader.item(index) for index in raw.items], say)
    say(f"  {describe(raw.batch)}")
    say(f"\nBatch transforms, on {loader.device or 'the CPU'}:")
    with batch_random(0, 0, 0, raw.items, loader.device):
        _follow(loader.after_batch, _on(loader.device, raw.batch), say)


def _on(device: torch.device | None, batch: Any) -> Any:
    return batch if device is None else to_device(batch, device)


def _tell_leaks(dls: DataLoaders, say: Say) -> list[str]:
    """Whether validation is to be trusted: no file of training in it."""
    if any(not isinstance(loader, DataLoader) for loader in dls):
        return []
    count = sum(len(loader.dataset) for loader in dls)
    leaks = dls.leaks(by_bytes=count <= _COMPARED)
    if count > _COMPARED:
        say(f"\nOnly the names of {count} files were compared between splits; dls.leaks() compares what is in them.")
    if not leaks:
        return []
    say(f"\nIn more than one split: {len(leaks)}")
    for leak in leaks[:5]:
        say(f"  {leak}")
    if len(leaks) > 5:
        say("  ... all of them: dls.leaks()")
    return [f"{len(leaks)} file(s) stand in more than one split, so validation will look better than it is"]


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _follow(pipeline: Pipeline, value: Any, say: Say) -> None:
    if not len(pipeline):
        say(f"  no transforms; it stays {_tell(value)}")
        return
    say(f"  {_tell(value)}")
    for step in pipeline:
        value = _one_step(pipeline, step, value, say)


def _one_step(pipeline: Pipeline, step: Transform, value: Any, say: Say) -> Any:
    alone = Pipeline([step], split_idx=pipeline.split_idx)
    if step.split_idx not in (None, pipeline.split_idx):
        say(f"  {step!r}: runs on another split")
        return value
    if not step.touches(value):
        say(f"  {step!r}: touches nothing here")
        return value
    try:
        result = alone(value)
    except Exception:
        say(f"  {step!r} fails here")
        raise
    say(f"  {step!r} leaves it as it is" if _same(value, result) else f"  {step!r} makes it {_tell(result)}")
    return result


def _same(before: Any, after: Any) -> bool:
    """Whether a step changed nothing: a tuple is made anew, its parts are looked at."""
    if isinstance(before, tuple | list) and type(before) is type(after) and len(before) == len(after):
        return all(map(_same, before, after))
    if isinstance(before, Tensor) and type(before) is type(after) and before.dtype == after.dtype:
        return before.shape == after.shape and torch.equal(plain(before), plain(after))
    return before is after


def _tell(value: Any) -> str:
    """What a value is, for tensors from where to where its numbers go, for pictures how large they are."""
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_tell, value)) + ")"
    numbers = list(_ranges([value]))
    return describe(value) + (f" from {numbers[0]}" if numbers else "") + _picture_size(value)


def _picture_size(value: Any) -> str:
    """Of a picture in a file, whose header is read and no more: width, height, mode."""
    size, mode, file = (getattr(value, name, None) for name in ("size", "mode", "filename"))
    return f", {size[0]}x{size[1]} {mode}" if isinstance(size, tuple) and file else ""


def _ranges(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, Tensor) and value.numel() > 1 and not value.is_complex():
            bare = plain(value)
            yield f"{bare.min().item():.4g} to {bare.max().item():.4g}"
