"""The keyword arguments that are handed on to the loaders of all splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict

from laminar.data.loader import DataLoader
from laminar.data.loader_options import Device, LoaderOptions, Transforms

__all__ = ["LoadersOptions", "TransformedLoadersOptions", "UnseededLoadersOptions"]


class UnseededLoadersOptions(TypedDict, total=False):
    """Keyword arguments for making one loader for each split, but for the seed.

    Attributes:
        val_bs: items in a batch of the splits other than training; None for the same.
        shuffle: mix the training items in each epoch (default True).
        drop_last: leave out training's last batch if it is smaller; None (default) does so when shuffling, unless there
            would be no batch left.
        n: use only the first `n` training items.
        num_workers: processes for each loader; None (default) takes one for each core, at most 16, to feed an
            accelerator, and none where the cores do the training.
        device: where batches go; None for the accelerator if there is one.
        before_batch: transforms of a list of samples.
        create_item: makes an item of its number.
        create_batch: makes a batch of a list of samples.
        pin_memory: see `DataLoader`.
        persistent_workers: see `DataLoader`.
        prefetch_factor: see `DataLoader`.
        timeout: see `DataLoader`.
        restart_workers: see `DataLoader`.
        multiprocessing_context: see `DataLoader`.
        dl_type: class of the loaders.
        dl_kwargs: arguments for single loaders: a dict for each split.
        check: make a few items of each split at once, to find what is wrong with them (default True).
        on_bad_item: see `DataLoader`.
        bad_item_budget: see `DataLoader`.
    """

    val_bs: int | None
    shuffle: bool
    drop_last: bool | None
    n: int | None
    num_workers: int | None
    device: Device
    before_batch: Transforms
    create_item: Callable[[int], Any] | None
    create_batch: Callable[[list[Any]], Any] | None
    pin_memory: bool | None
    persistent_workers: bool
    prefetch_factor: int | None
    timeout: float
    restart_workers: int
    multiprocessing_context: Any
    dl_type: type[DataLoader] | None
    dl_kwargs: Sequence[LoaderOptions] | None
    check: bool
    on_bad_item: Literal["raise", "skip"]
    bad_item_budget: float


class LoadersOptions(UnseededLoadersOptions, total=False):
    """Keyword arguments for making one loader for each split.

    Attributes:
        seed: see `DataLoader`.
    """

    seed: int | None


class TransformedLoadersOptions(LoadersOptions, total=False):
    """`LoadersOptions`, with transforms.

    Attributes:
        after_item: transforms of a sample.
        after_batch: transforms of a batch, on the device.
    """

    after_item: Transforms
    after_batch: Transforms
