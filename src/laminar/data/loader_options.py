"""The keyword arguments of a loader, and of kinds of loaders that have further ones."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypedDict

import torch

from laminar.core.pipeline import Pipeline

__all__ = ["Device", "LoaderOptions", "Transforms", "settings_of"]

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
    restart_workers: int
    multiprocessing_context: Any
    seed: int | None
    split_idx: int | None
    do_setup: bool
    on_bad_item: Literal["raise", "skip"]
    bad_item_budget: float


@functools.cache
def settings_of(kind: type) -> tuple[str, ...]:
    """Return the names of a loader class's arguments that are kept as attributes, its base classes' included."""
    left_out = ("self", "dataset", "do_setup", "batch_size")
    names: dict[str, None] = {}
    for base in kind.__mro__:  # a subclass hands its **options on
        if base is object or "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]  # of the class given
        names |= dict.fromkeys(
            p.name for p in parameters if p.name not in left_out and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        )
    return tuple(names)
