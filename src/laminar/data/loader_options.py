"""The keyword arguments of a loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypedDict

import torch

from laminar.core.pipeline import Pipeline

__all__ = ["Device", "LoaderOptions", "Transforms"]

Transforms = Callable[[Any], Any] | Iterable[Callable[[Any], Any]] | Pipeline | None
Device = torch.device | str | int | None


class LoaderOptions(TypedDict, total=False):
    """Keyword arguments of `DataLoader`, which documents them."""

    bs: int | None
    shuffle: bool
    drop_last: bool
    num_workers: int
    sampler: Iterable[int] | None
    n: int | None
    device: Device
    after_item: Transforms
    before_batch: Transforms
    after_batch: Transforms
    create_item: Callable[[int], Any] | None
    create_batch: Callable[[list[Any]], Any] | None
    pin_memory: bool | None
    persistent_workers: bool
    prefetch_factor: int | None
    timeout: float
    multiprocessing_context: Any
    seed: int | None
    split_idx: int | None
    do_setup: bool
    on_bad_item: Literal["raise", "skip"]
    bad_item_budget: float
