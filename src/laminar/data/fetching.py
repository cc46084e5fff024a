"""What a loader asks its data for, and how the answer is made: the same here and in worker processes.

A request carries its whole address (seed, epoch, number of the batch, items), so what comes back does not depend on who
answers it, nor on what was asked before.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset, get_worker_info

from laminar.core.device import apply
from laminar.core.errors import DataError
from laminar.core.pipeline import Pipeline
from laminar.core.random import item_random
from laminar.data.bad_items import BadItem, Origin
from laminar.data.collation import collate
from laminar.data.items import item_at, name_of
from laminar.data.passing import packed, unpacked

__all__ = ["BatchRequest", "Fetched", "Fetcher", "SkipItemException", "WorkerFailure"]


class SkipItemException(Exception):
    """Raised by a transform to leave an item out of its batch."""


class BatchRequest(NamedTuple):
    """The address of a batch.

    Attributes:
        seed: of the run.
        epoch: how often the data had been gone through before.
        number: of the batch in its epoch.
        indices: numbers of the items in the data set.
    """

    seed: int
    epoch: int
    number: int
    indices: Sequence[int]


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answered request: the collated batch, the numbers of the items that are in it, and those left out as bad.

    No tuple: torch's loader turns tuples it does not know into lists, on the way from a worker and when it pins memory.
    """

    batch: Any
    items: Sequence[int]
    bad: tuple[BadItem, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (packed(self.batch), self.items, self.bad)

    def pin_memory(self, device: Any = None) -> Fetched:
        """The same with all tensors in page-locked memory; torch's loader calls it."""
        batch = apply(lambda part: part.pin_memory() if isinstance(part, Tensor) else part, self.batch)
        return Fetched(batch, self.items, self.bad)


def _received(batch: Any, items: Sequence[int], bad: tuple[BadItem, ...]) -> Fetched:
    return Fetched(unpacked(batch), items, bad)


class WorkerFailure:
    """An exception on its way from a worker process, with its notes and the text of its traceback."""

    def __init__(self, error: Exception) -> None:
        self.text = "".join(traceback.format_exception(error))
        try:
            ForkingPickler.loads(ForkingPickler.dumps(error))
            self.error: Exception | None = error
        except Exception:  # noqa: BLE001  # an exception's own pickling may fail in any way; its text travels then
            self.error = None
            self.kind = type(error).__name__

    def throw(self) -> None:
        """Raise the exception again, here."""
        if self.error is None:
            raise RuntimeError(f"{self.kind} in a worker process:\n{self.text}")
        self.error.add_note(f"Where it happened, in a worker process:\n{self.text}")
        raise self.error


class Fetcher(Dataset[Any]):
    """Answers requests: items, item transforms, collation. A map-style data set for torch's loader.

    Args:
        dataset: what items come from.
        after_item: transforms of an item.
        before_batch: transforms of the list of samples.
        create_item: makes an item of its number; None indexes `dataset`.
        create_batch: makes a batch of samples; None collates them.
        origin: what the items are called in messages.
        skip_bad: leave out items that cannot be made, and tell of them in the answer.
    """

    def __init__(
        self,
        dataset: Any,
        after_item: Pipeline,
        before_batch: Pipeline,
        create_item: Callable[[int], Any] | None,
        create_batch: Callable[[list[Any]], Any] | None,
        origin: Origin,
        skip_bad: bool = False,
    ) -> None:
        self.dataset, self.after_item, self.before_batch = dataset, after_item, before_batch
        self.create_item, self.create_batch, self.origin = create_item, create_batch, origin
        self.skip_bad = skip_bad

    @property
    def deterministic(self) -> bool:
        """Whether making a sample draws no random numbers."""
        return self.after_item.deterministic and self.create_item is None and _draws_nothing(self.dataset)

    def __getitem__(self, request: BatchRequest) -> Fetched | WorkerFailure:
        """Answer for torch's loader, in a worker process."""
        try:
            return self.fetch(request)
        except Exception as error:  # noqa: BLE001  # not hidden: raised again in the main process, with its notes
            return WorkerFailure(error)

    def fetch(self, request: BatchRequest) -> Fetched:
        """Make the batch that `request` addresses."""
        whole = self._whole_batches()
        if whole is not None:
            return Fetched(whole(request.indices), request.indices)
        quiet, quiet_batch = self.deterministic, self.before_batch.deterministic and self.create_batch is None
        with self._generators_kept(request, quiet and quiet_batch):
            kept, samples, bad = self._samples(request, quiet)
            if not samples:
                return Fetched(None, (), bad)
            with _drawing(request.seed, request.epoch, -1 - request.number, quiet_batch):
                return Fetched(self.make_batch(samples, kept), kept, bad)

    def _whole_batches(self) -> Callable[[Sequence[int]], Any] | None:
        """How to get a whole batch at once, if nothing is to be done for each item."""
        if len(self.after_item) or len(self.before_batch) or self.create_item or self.create_batch:
            return None
        return _whole_batches(self.dataset)

    def make_batch(self, samples: list[Any], kept: Sequence[int]) -> Any:
        """Run what stands between samples and their batch; `kept` are the numbers of their items."""
        try:
            samples = self.before_batch(samples)
            if self.create_batch is not None:
                return self.create_batch(samples)
            return collate(samples, lambda i: self.name_of(kept[i]) if i < len(kept) else f"sample {i}")
        except Exception as error:
            first, count = self.name_of(kept[0]), len(kept)
            error.add_note(f"while making a batch of {count} items of the {self.origin.items}, beginning with {first}")
            raise

    def _samples(self, request: BatchRequest, quiet: bool) -> tuple[Sequence[int], list[Any], tuple[BadItem, ...]]:
        """The numbers of the items that were made, the samples, and the items that could not be."""
        many = getattr(self.dataset, "__getitems__", None)
        if many is not None and quiet and not self.skip_bad:
            samples = list(many(list(request.indices)))
            if len(self.after_item):
                samples = [self.after_item(sample) for sample in samples]
            return request.indices, samples, ()
        create = partial(item_at, self.dataset) if self.create_item is None else self.create_item
        transform = self.after_item if len(self.after_item) else None
        kept, samples, bad = [], [], []
        for index in request.indices:
            try:
                with _drawing(request.seed, request.epoch, index, quiet):
                    item = create(index)
                    samples.append(item if transform is None else transform(item))
                kept.append(index)
            except SkipItemException:
                continue
            except Exception as error:
                again = self.origin.reproducing(request.seed, request.epoch, index)
                if self.skip_bad:
                    bad.append(BadItem.of(error, self.origin.split, index, self.name_of(index), again))
                    continue
                error.add_note(f"while making item {index} of the {self.origin.items}: {self.name_of(index)}")
                if self.origin.loader:
                    error.add_note(f"This line makes it again: {again}")
                raise
        return kept, samples, tuple(bad)

    def item(self, seed: int, epoch: int, index: int) -> Any:
        """Make one sample, and leave the caller's generators as they were.

        Raises:
            SkipItemException: the item is to be left out.
        """
        request, quiet = BatchRequest(seed, epoch, 0, (index,)), self.deterministic
        with self._generators_kept(request, quiet):
            kept, samples, bad = self._samples(request, quiet)
        if bad:
            raise DataError(f"item {index} of the {self.origin.items}, {bad[0].name}, cannot be made: {bad[0].error}")
        if not kept:
            raise SkipItemException(f"item {index} of the {self.origin.items} is left out: {self.name_of(index)}")
        return samples[0]

    @staticmethod
    def _generators_kept(request: BatchRequest, quiet: bool) -> contextlib.AbstractContextManager[None]:
        """Give the caller's generators back at the end, once for the batch; in a worker process nobody looks."""
        if quiet or get_worker_info() is not None or not request.indices:
            return _NOTHING
        return item_random(request.seed, request.epoch, request.indices[0], restore=True)

    def name_of(self, index: int) -> str:
        """What to call item number `index` in a message: its file, where that is known."""
        raw = getattr(self.dataset, "items", None)
        if raw is None or callable(raw):
            return f"item {index} of {type(self.dataset).__name__}"
        return name_of(item_at(raw, index))


_NOTHING = contextlib.nullcontext()


def _drawing(seed: int, epoch: int, address: int, quiet: bool) -> contextlib.AbstractContextManager[None]:
    """Seed the global generators from an address; where nothing is drawn, nothing is paid."""
    return _NOTHING if quiet else item_random(seed, epoch, address, restore=False)


def _draws_nothing(dataset: Any) -> bool:
    """Whether getting an item draws no random numbers. A data set of unknown kind may well do so."""
    known = isinstance(dataset, list | tuple | range | Tensor | TensorDataset) or hasattr(dataset, "iloc")
    return bool(getattr(dataset, "deterministic", known or hasattr(dataset, "dtype")))


def _whole_batches(dataset: Any) -> Callable[[Sequence[int]], Any] | None:
    """How to get a whole batch at once, without a step for each item; None if the data is not in memory."""
    if type(dataset) is TensorDataset:
        return partial(rows_of, dataset.tensors)
    if isinstance(dataset, Tensor):
        return partial(rows_of, dataset)
    whole: Callable[[], Callable[[Sequence[int]], Any] | None] | None = getattr(dataset, "whole_batches", None)
    return None if whole is None else whole()


def rows_of(data: Any, indices: Sequence[int]) -> Any:
    """The rows of a tensor, or of each tensor in a tuple."""
    rows = torch.as_tensor(indices if isinstance(indices, list) else list(indices))
    return data[rows] if isinstance(data, Tensor) else tuple(tensor[rows] for tensor in data)
