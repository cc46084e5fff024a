"""Doing the same with many items in several threads, in order and with a progress bar."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from laminar.core.lazy import lazy_module

__all__ = ["in_threads"]

fastprogress = lazy_module("fastprogress.fastprogress")
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], n_workers: int | None = None, show_progress: bool = False
) -> Iterator[Result]:
    """The results of `function`, in order; a million items wait in the list, not in the pool.

    Args:
        function: reading and decoding files does not hold Python's lock, so threads do.
        items: one argument for each call.
        n_workers: threads; None for as many as there are processors, at most 16.
        show_progress: show a progress bar.

    >>> list(in_threads(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    workers = min(16, os.cpu_count() or 1) if n_workers is None else max(1, n_workers)
    bar = fastprogress.progress_bar(range(len(items)), leave=False) if show_progress and items else None
    if bar is not None:
        bar.update(0)
    rest, done = iter(items), 0
    with ThreadPoolExecutor(workers) as pool:
        while portion := list(islice(rest, 16 * workers)):
            for result in pool.map(function, portion):
                done += 1
                if bar is not None:
                    bar.update(done)
                yield result
