"""`StreamDL`: batches of a data set that can only be gone through from its beginning, perhaps without end."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Iterator, Sized
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Self

import torch
import torch.utils.data as torch_data

from laminar.core.errors import ConfigError
from laminar.data.fetching import BatchRequest, Fetched, Fetcher, SkipItemException, WorkerFailure
from laminar.data.loader import DataLoader
from laminar.data.workers import obey_the_parent_alone

__all__ = ["StreamDL"]

_ORDER = ("shuffle", "sampler", "create_item", "persistent_workers", "restart_workers")


class StreamDL(DataLoader, over_streams=True):
    """A `DataLoader` over an iterable data set: items come in the order in which it gives them.

    ``DataLoader(dataset)`` makes one of these where `dataset` is a torch ``IterableDataset`` (Hugging Face's streamed
    data sets are) or can only be iterated over. An item's address is its place in the stream, so what is drawn for it
    does not depend on the batch size.

    With workers each process goes through the data set on its own, as torch has it: the data set gives each its share
    (``torch.utils.data.get_worker_info()``). A data set with ``set_epoch`` is told the number of each epoch.
    `start_at` reads what it leaves out. With `load_state_dict` a data set goes on at once that can tell its place and
    be put there (``state_dict``, ``load_state_dict``; Hugging Face's can).

    Args:
        dataset: anything that can be iterated over, anew in each epoch.
        bs: items in a batch.
        **options: see `DataLoader`; not `shuffle`, `sampler`, `create_item`, `persistent_workers`, `restart_workers`.

    Raises:
        ConfigError: an option that needs items by number.
    """

    def __init__(self, dataset: Any, bs: int | None = 64, **options: Any) -> None:
        self._place: Any = None  # of the data set, where the next epoch goes on in its middle
        super().__init__(dataset, bs, **options)

    def _check(self) -> None:
        if asked := [name for name in _ORDER if getattr(self, name)]:
            raise ConfigError(
                f"{asked[0]} needs items by number, and {type(self.dataset).__name__} can only be gone through in its"
                " own order. Shuffle the stream itself, or give a data set with a length and items by number."
            )
        if hasattr(self.dataset, "__next__"):
            raise ConfigError(
                f"a {type(self.dataset).__name__} can be gone through once, and each epoch begins anew; give an object"
                " whose __iter__ begins anew, such as a torch IterableDataset"
            )
        self._check_sizes()
        if self.on_bad_item == "skip" and 0 < self.bad_item_budget < 1 and not self._knows_length():
            raise ConfigError("bad_item_budget cannot be a share of a stream without a length; give a number of items")

    def _knows_length(self) -> bool:
        try:
            return self.n_items >= 0
        except TypeError:
            return False

    @property
    def n_items(self) -> int:
        """How many items an epoch has, as far as the stream says so.

        Raises:
            TypeError: it does not.
        """
        if isinstance(self.dataset, Sized):
            count = len(self.dataset)
            return count if self._limit is None else min(self._limit, count)
        raise TypeError(f"{type(self.dataset).__name__} does not say how many items it has")

    def _note_bad_items(self, fetched: Fetched) -> None:
        if fetched.bad:
            self._bad.add(fetched.bad, self.n_items if self._knows_length() else None)

    @property
    def _tells_place(self) -> bool:
        """Whether the data set can say where it is, and be put there; in worker processes it is not asked."""
        tells = hasattr(self.dataset, "state_dict") and hasattr(self.dataset, "load_state_dict")
        return tells and not self.num_workers

    def state_dict(self) -> dict[str, Any]:
        """Where this loader is, and its data set, if that can tell."""
        within = self._tells_place and self._iterating and self._batch > 0
        return {**super().state_dict(), "dataset": copy.deepcopy(self.dataset.state_dict()) if within else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on there: at once where the data set can, else by reading again what comes before, with a warning."""
        super().load_state_dict(state)
        self._place = state.get("dataset")
        if state["batch"] and (self._place is None or not self._tells_place):
            self._place = None
            in_workers = " with workers" * bool(self.num_workers)
            warnings.warn(
                f"{type(self.dataset).__name__} cannot be told where to begin{in_workers}: {state['batch']}"
                " batches are read again. A data set with state_dict and load_state_dict, without workers, begins"
                " anywhere at once.",
                UserWarning,
                stacklevel=2,
            )

    def _fetch_all(self, seed: int, epoch: int, first: int) -> Iterator[tuple[BatchRequest, Fetched]]:
        place, self._place = self._place, None
        if first and place is not None:
            self.dataset.load_state_dict(place)
            yield from _answers(self._fetcher_now(), self._plan(seed, epoch), first)
            return
        answers = self._fetch_in_workers(seed, epoch) if self.num_workers else self._fetch_here(seed, epoch, 0)
        yield from itertools.islice(answers, first, None)

    def _fetch_here(self, seed: int, epoch: int, first: int) -> Iterator[tuple[BatchRequest, Fetched]]:
        return itertools.islice(_answers(self._fetcher_now(), self._plan(seed, epoch)), first, None)

    def _fetch_in_workers(self, seed: int, epoch: int) -> Iterator[tuple[BatchRequest, Fetched]]:
        source = _Shard(self._fetcher_now(), self._plan(seed, epoch))
        settings = {**self._worker_settings(), "worker_init_fn": obey_the_parent_alone}
        loader = torch_data.DataLoader(source, batch_size=None, generator=torch.Generator(), **settings)
        for answer in loader:
            if isinstance(answer, WorkerFailure):
                answer.throw()
            yield answer.request, answer.fetched

    def _plan(self, seed: int, epoch: int) -> _Plan:
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)
        return _Plan(seed, epoch, self._size, self._limit, self.drop_last)

    def _item_source(self) -> Any:
        return Stream(self.dataset)

    def random_batch(self, count: int) -> Any:
        """The first batch: a stream has no items to choose from."""
        return self.one_batch()

    def replay(self, epoch: int, item: int | str | PurePath | None = None, batch: int | None = None) -> Any:
        """Not for streams.

        Raises:
            ConfigError: always; the message says what to do.
        """
        raise ConfigError(
            "what is in a batch of a stream is only known while it runs; loader.item(place, epoch) makes an item again"
        )

    def eval_loader(self) -> Self:
        """The same items, with the transforms of validation."""
        loader = self.new(drop_last=False, split_idx=1)
        loader._bad = self._bad
        return loader

    def __repr__(self) -> str:
        workers = f", {self.num_workers} workers" if self.num_workers else ""
        return f"{type(self).__name__}: a stream ({type(self.dataset).__name__}) in batches of {self._size}{workers}"


@dataclass(frozen=True, slots=True)
class _Plan:
    """An epoch of a stream, and whose part of it this is: worker `worker` of `n_workers` has every `n_workers`-th."""

    seed: int
    epoch: int
    size: int
    limit: int | None
    drop_last: bool
    worker: int = 0
    n_workers: int = 1

    def requests(self, first: int = 0) -> Iterator[BatchRequest]:
        """Requests for these places, one batch after another; without end if there is no limit."""
        for batch in itertools.count(first):
            start = batch * self.size * self.n_workers + self.worker
            stop = start + self.size * self.n_workers
            indices = range(start, stop if self.limit is None else min(self.limit, stop), self.n_workers)
            if len(indices) < (self.size if self.drop_last else 1):
                return
            yield BatchRequest(self.seed, self.epoch, batch * self.n_workers + self.worker, indices)


def _answers(fetcher: Fetcher, plan: _Plan, first: int = 0) -> Iterator[tuple[BatchRequest, Fetched]]:
    """Go through the stream once, on an iterator of its own; the stream stands before batch number `first`."""
    fetcher = copy.copy(fetcher)
    fetcher.dataset = stream = Stream(fetcher.dataset.dataset, plan.n_workers, first * plan.size)
    for request in plan.requests(first):
        fetched = fetcher.fetch(request)
        if stream.ended and plan.drop_last:
            return
        if len(fetched.items) or fetched.bad:
            yield request, fetched
        if stream.ended:
            return


class Stream:
    """An iterable data set as items by number; going back begins anew. Beyond its end every item is skipped.

    Args:
        dataset: the iterable.
        n_workers: how many processes share the numbers: in each, every so many-th is of its own stream.
        position: the item that the data set gives next, if it was put there.
    """

    deterministic = False

    def __init__(self, dataset: Any, n_workers: int = 1, position: int = 0) -> None:
        self.dataset, self.n_workers = dataset, n_workers
        self.iterator: Iterator[Any] | None = iter(dataset) if position else None
        self.position, self.ended = position, False

    def __getitem__(self, index: int) -> Any:
        wanted = index // self.n_workers
        if self.iterator is None or wanted < self.position:
            self.iterator, self.position, self.ended = iter(self.dataset), 0, False
        for item in self.iterator:
            self.position += 1
            if self.position == wanted + 1:
                return item
        self.ended = True
        raise SkipItemException(f"the stream ends before item {wanted}")

    def __getstate__(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "n_workers": self.n_workers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # begins anew in another process


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer of a worker, with the request it made up itself. No tuple, for the reason `Fetched` is none."""

    request: BatchRequest
    fetched: Fetched

    def pin_memory(self, device: Any = None) -> _Answer:
        """The same in page-locked memory; torch's loader calls it."""
        return _Answer(self.request, self.fetched.pin_memory(device))


class _Shard(torch_data.IterableDataset[Any]):
    """What a worker process goes through: its share of the stream, in batches."""

    def __init__(self, fetcher: Fetcher, plan: _Plan) -> None:
        self.fetcher, self.plan = fetcher, plan

    def __iter__(self) -> Iterator[_Answer | WorkerFailure]:
        worker = torch_data.get_worker_info()
        assert worker is not None, "made for worker processes"
        plan = replace(self.plan, worker=worker.id, n_workers=worker.num_workers)
        try:
            for request, fetched in _answers(self.fetcher, plan):
                yield _Answer(request, fetched)
        except Exception as error:  # noqa: BLE001  # not hidden: raised again in the main process, with its notes
            yield WorkerFailure(error)
