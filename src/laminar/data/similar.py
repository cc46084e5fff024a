"""Loaders like those at hand: of new items, of none, with more transforms, on another device."""

from __future__ import annotations

from typing import Any

import torch

from laminar.core.errors import ConfigError
from laminar.core.pipeline import Pipeline
from laminar.data.bad_items import Origin
from laminar.data.foreign import ForeignLoader
from laminar.data.loader import DataLoader

__all__ = ["AnyLoader", "loader_of", "loader_of_nothing", "on_device", "set_up", "with_more"]

AnyLoader = DataLoader | ForeignLoader


def loader_of(
    items: Any,
    model: AnyLoader,
    with_labels: bool = False,
    bs: int | None = None,
    num_workers: int | None = None,
    rm_type_tfms: int | None = None,
) -> AnyLoader:
    """Make a loader of new items with the transforms of `model`, a loader for validation.

    Args:
        items: see `laminar.data.loaders.DataLoaders.test_dl`.
        model: the loader to be like.
        with_labels: read the labels too.
        bs: items in a batch; None for that of `model`.
        num_workers: processes; None for none where the items are few, else as many as `model` has.
        rm_type_tfms: leave out so many of the first transforms, in place of beginning by type.

    Raises:
        ConfigError: the data set of `model` does not know how to make items.
    """
    if isinstance(model, ForeignLoader):
        return model.with_batches(items)
    if not hasattr(model.dataset, "test_set"):
        raise ConfigError(
            f"{type(model.dataset).__name__} cannot make new items of what it is given. "
            "Build the loaders from Datasets or a DataBlock, or call the model yourself."
        )
    dataset = model.dataset.test_set(items, with_labels=with_labels, rm_type_tfms=rm_type_tfms)
    bs = model.bs if bs is None else bs
    if num_workers is None:
        num_workers = model.num_workers if len(dataset) > (bs or 1) else 0
    return model.new(
        dataset, bs=bs, num_workers=num_workers, shuffle=False, drop_last=False, sampler=None, n=None,
        split_idx=1, create_item=None, persistent_workers=False,
        prefetch_factor=model.prefetch_factor if num_workers else None,
    ).peeking_with(model).called(Origin("new items"))  # fmt: skip


def loader_of_nothing(model: AnyLoader) -> DataLoader:
    """Make a loader with the transforms and settings of `model`, and without items.

    Raises:
        ConfigError: its items are made elsewhere.
    """
    if isinstance(model, ForeignLoader) or not hasattr(model.dataset, "new_empty"):
        raise ConfigError(f"{model!r} cannot be emptied: its items are made elsewhere")
    empty = model.new(
        model.dataset.new_empty(),
        sampler=None,
        drop_last=False,
        shuffle=False,
        num_workers=0,
        prefetch_factor=None,
    )
    empty.remember_types(model.types)
    return empty


def with_more(model: AnyLoader, added: Pipeline) -> AnyLoader:
    """Make a loader like `model` with more batch transforms, which have yet to learn from it (`set_up`)."""
    other: AnyLoader = model.with_batches(model.batches) if isinstance(model, ForeignLoader) else model.new()
    other.add_tfms(added)
    return other


def set_up(loader: AnyLoader, added: Pipeline) -> None:
    """Let transforms that were added to a loader learn from its batches, as these are before each."""
    for transform in added:
        steps = loader.after_batch.transforms
        loader.after_batch.transforms = steps[: steps.index(transform)]
        try:
            transform.setup(loader)
        finally:
            loader.after_batch.transforms = steps


def on_device(loader: AnyLoader, device: torch.device) -> AnyLoader:
    """Return the loader itself if its batches go there, else another one whose batches do."""
    if loader.device == device:
        return loader
    if isinstance(loader, ForeignLoader):
        return loader.with_batches(loader.batches).to(device)
    return loader.new(device=device)
