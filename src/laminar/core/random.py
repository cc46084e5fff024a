"""Addressed randomness: what is drawn depends on (seed, epoch, item), never on what was drawn before.

So a run is the same whatever the number of workers, one item can be looked at again alone, and a run continued in the
middle of an epoch equals one that never stopped. The caller's global generators are given back as they were.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "address_hash",
    "current_seed",
    "deterministic",
    "keep_generators",
    "item_random",
    "batch_random",
    "rand_per_item",
    "uniform_per_item",
    "opens_only",
    "permutation",
    "random_generator",
]

F = TypeVar("F", bound=Callable[..., Any])
_MASK = (1 << 64) - 1


def deterministic(function: F) -> F:
    """Mark a function as drawing no random numbers, so that nothing is spent on seeding for it."""
    function.deterministic = True  # type: ignore[attr-defined]  # a mark, read with getattr
    return function


def opens_only(looks_right: Callable[[Any], bool]) -> Callable[[F], F]:
    """Mark a reader of files as one that only opens them and decodes later, so that all can be tried beforehand.

    Args:
        looks_right: says of a source, for the price of its first bytes, that it can surely be opened.
    """

    def mark(function: F) -> F:
        function.looks_right = looks_right  # type: ignore[attr-defined]  # a mark, read with getattr
        return function

    return mark


def current_seed() -> int:
    """The seed of torch's generator, as `torch.manual_seed` or `set_seed` set it; read without disturbing it."""
    return torch.initial_seed()


def address_hash(*parts: int) -> int:
    """Mix integers into one of 64 bits, each combination giving another.

    SplitMix64 over the parts (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
    """
    state = 0
    for part in parts:
        state = (state ^ (part & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def _hash_items(base: int, items: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """`address_hash` of (base, item) for many items at once."""
    state = (np.uint64(base) ^ items) + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _seed_globals(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.default_generator.manual_seed(seed)


class _OneThread:
    """Lets one thread in at a time, and into a forked process nobody who is still in the other."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.lock = threading.RLock()


_one_thread = _OneThread()


@contextlib.contextmanager
def keep_generators(device: torch.device | None = None) -> Iterator[None]:
    """Give back Python's, numpy's and torch's (CPU, and `device`'s) global generators as they were.

    They are the process's, so one thread is inside at a time.
    """
    cuda = device if device is not None and device.type == "cuda" else None
    with _one_thread.lock:
        yield from _keep(cuda)


def _keep(cuda: torch.device | None) -> Iterator[None]:
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda_before = None if cuda is None else torch.cuda.get_rng_state(cuda)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
        if cuda is not None and cuda_before is not None:
            torch.cuda.set_rng_state(cuda_before, cuda)


@contextlib.contextmanager
def item_random(seed: int, epoch: int, item: int, restore: bool = True) -> Iterator[None]:
    """Inside, `random`, `numpy.random` and `torch` draw what belongs to this item in this epoch.

    Args:
        seed: of the run.
        epoch: how often the data had been gone through before.
        item: the item's number in its data set.
        restore: give the caller's generators back; False inside `keep_generators` or in a process of ours.
    """
    with keep_generators() if restore else contextlib.nullcontext():
        _seed_globals(address_hash(seed, epoch, item))
        yield


class _BatchDraws:
    """Per-item random numbers of one batch: pure functions of (seed, epoch, item, number of the draw)."""

    def __init__(self, seed: int, epoch: int, items: Sequence[int]) -> None:
        self.base = address_hash(seed, epoch, 0xBA7C4)
        self.items = np.asarray(items, dtype=np.int64).astype(np.uint64)
        self.count = 0

    def next(self) -> Tensor:
        self.count += 1
        bits = _hash_items(address_hash(self.base, self.count), self.items)
        return torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24))


_draws: contextvars.ContextVar[_BatchDraws | None] = contextvars.ContextVar("batch_draws", default=None)


@contextlib.contextmanager
def batch_random(
    seed: int, epoch: int, number: int, items: Sequence[int], device: torch.device | None = None
) -> Iterator[None]:
    """Inside, `rand_per_item` draws what belongs to the batch's items, and global generators what belongs to the batch.

    Args:
        seed: of the run.
        epoch: how often the data had been gone through before.
        number: of the batch in its epoch; addresses users' own calls of global generators.
        items: each item's number in its data set.
        device: where the batch is; its generator is seeded too.
    """
    with keep_generators(device):
        _seed_globals(address_hash(seed, epoch, number, 1))
        if device is not None and device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(address_hash(seed, epoch, number, 2))
        token = _draws.set(_BatchDraws(seed, epoch, items))
        try:
            yield
        finally:
            _draws.reset(token)


def rand_per_item(n: int) -> Tensor:
    """A uniform number in [0, 1) for each of a batch's `n` items: float32 ``[n]`` on the CPU.

    Under a loader it depends on (seed, epoch, item, how many draws came before in this batch), so that an item's
    augmentation does not depend on its neighbours; elsewhere it comes from torch's global generator.
    """
    draws = _draws.get()
    return draws.next() if draws is not None and len(draws.items) == n else torch.rand(n)


def uniform_per_item(n: int, low: float, high: float) -> Tensor:
    """A uniform number in [low, high) for each of a batch's `n` items, like `rand_per_item`."""
    return rand_per_item(n) * (high - low) + low


def random_generator(seed: int, epoch: int) -> np.random.Generator:
    """A generator for an epoch, a function of (seed, epoch) alone."""
    return np.random.Generator(np.random.Philox(key=address_hash(seed, epoch, 0x0D3B)))


def permutation(n: int, seed: int, epoch: int) -> list[int]:
    """The order of `n` items in an epoch, a function of (n, seed, epoch) alone."""
    return random_generator(seed, epoch).permutation(n).tolist()  # type: ignore[no-any-return]  # a list of ints
