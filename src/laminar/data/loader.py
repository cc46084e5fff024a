"""`DataLoader`: batches whose content depends on an address (seed, epoch, items) and on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from typing import Any, ClassVar, Literal, Never, Self, Unpack

import torch

from laminar.core.device import to_device
from laminar.core.errors import ConfigError, check_keywords
from laminar.core.pipeline import Pipeline
from laminar.core.random import batch_random, current_seed, permutation
from laminar.data.bad_items import BadItem, BadItems, Origin
from laminar.data.compact_names import compacted
from laminar.data.fetching import BatchRequest, Fetched, Fetcher
from laminar.data.items import distinct_items, is_stream
from laminar.data.loader_options import Device, LoaderOptions, Transforms, settings_of
from laminar.data.looking import Given, LooksAtItems, Peeks
from laminar.data.prefetch import copied_ahead
from laminar.data.sampling import sampled_order
from laminar.data.workers import Workers

__all__ = ["DataLoader", "TfmdDL", "own_settings"]

_SKIPPING = frozenset(["on_bad_item", "bad_item_budget"])
_MAKES_TYPES = frozenset(["after_item", "before_batch", "after_batch", "create_item", "create_batch", "split_idx"])


class DataLoader(LooksAtItems):
    """Batches of a data set, transformed item by item (in workers, if asked) and batch by batch (on the device).

    What an item looks like depends on (seed, epoch, item) alone: it is the same for every number of workers and every
    batch size, and can be looked at again with `item`. The caller's global random generators are left as they were.
    Each iteration is one epoch.

    Args:
        dataset: anything with a length and items by number.
        bs: items in a batch, None if each item of the data set is a batch already; ``batch_size``, torch's name for it,
            will do too.
        shuffle: another order in each epoch.
        drop_last: leave out the last batch if it is smaller.
        num_workers: processes that make batches; 0 makes them here.
        sampler: the numbers of the items in the order wanted, iterated anew in each epoch; in place of `shuffle`.
        n: use only the first `n` items.
        device: where batches go; None leaves them where they are.
        after_item: transforms of a sample.
        before_batch: transforms of a list of samples.
        after_batch: transforms of a batch, on the device.
        create_item: makes an item of its number, in place of ``dataset[number]``.
        create_batch: makes a batch of a list of samples, in place of `laminar.data.collation.collate`.
        pin_memory: collate into page-locked memory; None does so with workers and a CUDA device.
        persistent_workers: keep the processes from one epoch to the next.
        prefetch_factor: batches each process makes ahead.
        timeout: seconds to wait for a process, 0 for ever.
        restart_workers: how often in an epoch to start processes anew when one was killed or has crashed; the batches
            it owed are made again, the same.
        multiprocessing_context: how to start processes: "fork", "spawn", "forkserver" or a context.
        seed: of the order and of all that is drawn; None takes the seed set for the run when an epoch begins.
        split_idx: 0 training, 1 validation, for transforms that run on one of them; None takes the data set's.
        do_setup: let the transforms learn from this loader what they want to know.
        on_bad_item: what to do when an item cannot be made: ``"raise"``, or ``"skip"`` to leave it out, and keep what
            was wrong in `bad_items`.
        bad_item_budget: how many items ``"skip"`` may leave out: a number, or a share (a float below 1) of all.

    Raises:
        ConfigError: the arguments contradict each other, or leave no batch.
        TypeError: an unknown argument, with the nearest known one.

    >>> [batch.tolist() for batch in DataLoader(range(5), bs=2)]
    [[0, 1], [2, 3], [4]]
    """

    _over_streams: ClassVar[type[DataLoader]]  # what is made where the data set has no items by number

    def __init_subclass__(cls, over_streams: bool = False) -> None:
        if over_streams:
            DataLoader._over_streams = cls

    def __new__(cls, dataset: Any = None, *args: Any, **options: Any) -> DataLoader:
        """Make a `StreamDL` of what has no items by number but can be iterated over."""
        return super().__new__(cls._over_streams if cls is DataLoader and is_stream(dataset) else cls)

    def __init__(
        self,
        dataset: Any,
        bs: int | None = 64,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        num_workers: int = 0,
        sampler: Iterable[int] | None = None,
        n: int | None = None,
        device: Device = None,
        after_item: Transforms = None,
        before_batch: Transforms = None,
        after_batch: Transforms = None,
        create_item: Callable[[int], Any] | None = None,
        create_batch: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool | None = None,
        persistent_workers: bool = False,
        prefetch_factor: int | None = None,
        timeout: float = 0,
        restart_workers: int = 0,
        multiprocessing_context: Any = None,
        seed: int | None = None,
        split_idx: int | None = None,
        do_setup: bool = True,
        on_bad_item: Literal["raise", "skip"] = "raise",
        bad_item_budget: float = 0.05,
        batch_size: int | None = None,
        **unknown: Never,
    ) -> None:
        check_keywords(unknown, ["dataset", *settings_of(DataLoader), "do_setup"], type(self).__name__)
        self.dataset = dataset
        self.bs, self.shuffle, self.drop_last, self._limit = batch_size or bs, shuffle, drop_last, n
        self.num_workers, self.sampler, self.seed = num_workers, sampler, seed
        self.device = None if device is None else torch.device(device)
        self.create_item, self.create_batch = create_item, create_batch
        self.pin_memory, self.persistent_workers = pin_memory, persistent_workers
        self.prefetch_factor, self.timeout = prefetch_factor, timeout
        self.multiprocessing_context, self.restart_workers = multiprocessing_context, restart_workers
        self.on_bad_item, self.bad_item_budget = on_bad_item, bad_item_budget
        self._bad = BadItems(on_bad_item, bad_item_budget)
        self.split_idx = getattr(dataset, "split_idx", None) if split_idx is None else split_idx
        self._origin = Origin.of_split(self.split_idx)
        self.after_item = _pipeline(after_item, self.split_idx)
        self.before_batch = _pipeline(before_batch, self.split_idx)
        self.after_batch = _pipeline(after_batch, self.split_idx)
        self._check()
        self._epoch, self._batch, self._iterating = 0, 0, False
        self._peeks, self._given = Peeks(), Given()
        self._fetcher: Fetcher | None = None
        self._kept_workers: Workers | None = None
        if do_setup:
            self.setup()

    def _check(self) -> None:
        if not hasattr(self.dataset, "__len__") or not hasattr(self.dataset, "__getitem__"):
            raise ConfigError(
                "DataLoader needs a data set with a length and items by number, or one to be iterated over, got "
                f"{type(self.dataset).__name__}."
            )
        self._check_sizes()
        if self.shuffle and self.sampler is not None:
            raise ConfigError("shuffle=True and a sampler both say in what order items come; give one of them")
        if self.sampler is not None and not isinstance(self.sampler, Sized):
            raise ConfigError(f"the sampler ({type(self.sampler).__name__}) must have a length")
        count = self.n_items
        if self.drop_last and 0 < count < self._size:
            raise ConfigError(
                f"no batch at all: there are {count} items, a batch takes bs={self.bs}, and drop_last=True leaves out "
                f"the incomplete one. Pass bs={count} or less, or drop_last=False."
            )

    def _check_sizes(self) -> None:
        if self._size < 1 or self.num_workers < 0:
            raise ConfigError(f"bs must be at least 1 and num_workers at least 0, got {self.bs} and {self.num_workers}")
        if self.restart_workers < 0:
            raise ConfigError(f"restart_workers={self.restart_workers}: how often, 0 or more")

    def setup(self) -> None:
        """Let the transforms of items, of lists of samples and of batches learn from this loader, one after another."""
        for pipeline in (self.after_item, self.before_batch, self.after_batch):
            if len(pipeline):
                pipeline.setup(self)

    # ---- how much there is

    @property
    def n_items(self) -> int:
        """How many items an epoch has."""
        count = len(self.sampler) if isinstance(self.sampler, Sized) else len(self.dataset)
        return count if self._limit is None else min(self._limit, count)

    @property
    def n(self) -> int:
        """The same as `n_items`, under the name of the argument that limits it."""
        return self.n_items

    @property
    def bad_items(self) -> list[BadItem]:
        """The items that were left out so far since they could not be made (``on_bad_item="skip"``)."""
        return list(self._bad.found.values())

    def _note_bad_items(self, fetched: Fetched) -> None:
        if fetched.bad:
            self._bad.add(fetched.bad, self.n_items)

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return self.n_items // self._size if self.drop_last else -(-self.n_items // self._size)

    @property
    def _size(self) -> int:
        """Items in a request."""
        return 1 if self.bs is None else self.bs

    # ---- iterating

    @property
    def epoch(self) -> int:
        """Number of the epoch that runs now, or that comes next if none does."""
        return self._epoch

    def start_at(self, epoch: int, batch: int = 0) -> None:
        """Let the next iteration begin with this batch of this epoch, as if all before had been done."""
        self._epoch, self._batch, self._iterating = epoch, batch, False

    def __iter__(self) -> Iterator[Any]:
        """Give the batches of the next epoch (of the rest of it, after `start_at`)."""
        if self._iterating:  # an iteration was left in the middle: its epoch is over
            self._epoch, self._batch = self._epoch + 1, 0
        epoch, self._iterating = self._epoch, True
        seed, count = self._seed(), 0
        for request, fetched in self._fetch_all(seed, epoch, self._batch):
            if self._epoch == epoch:  # nobody began another epoch meanwhile
                self._batch += 1
            self._note_bad_items(fetched)
            if len(fetched.items):
                batch = self._finish(request, fetched)
                self._given.append((count, fetched.items))
                count += 1
                yield batch
        if self._epoch == epoch:
            self._epoch, self._batch, self._iterating = epoch + 1, 0, False

    def state_dict(self) -> dict[str, Any]:
        """Where this loader is: with `load_state_dict`, another one goes on with the next batch."""
        place = {"epoch": self._epoch, "batch": self._batch, "running": self._iterating}
        return {**place, "peeks": self._peeks.count, "seed": self._seed()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the loader with this `state_dict` was."""
        self.seed, self._peeks.count = state["seed"], state["peeks"]
        self.start_at(state["epoch"], state["batch"])

    def _seed(self) -> int:
        return current_seed() if self.seed is None else self.seed

    def order(self, seed: int, epoch: int) -> Sequence[int]:
        """The numbers of an epoch's items in the order in which they come. Override it for another order.

        Args:
            seed: of the run.
            epoch: number of the epoch; the same seed and epoch must give the same order.
        """
        if self.sampler is None:
            return permutation(self.n_items, seed, epoch) if self.shuffle else range(self.n_items)
        return sampled_order(self.sampler, seed, epoch)[: self.n_items]

    def _requests(self, seed: int, epoch: int, first: int) -> Iterator[BatchRequest]:
        order = self.order(seed, epoch)
        for number in range(first, len(self)):
            yield BatchRequest(seed, epoch, number, order[number * self._size : (number + 1) * self._size])

    def _fetch_all(self, seed: int, epoch: int, first: int) -> Iterator[tuple[BatchRequest, Fetched]]:
        if not self.num_workers:
            yield from self._fetch_here(seed, epoch, first)
            return
        workers, self._kept_workers = self._kept_workers or self._workers(), None  # nobody else's until we are done
        made_for = self._fetcher, self.device
        try:
            yield from copied_ahead(workers.answers(list(self._requests(seed, epoch, first))), self.device)
        finally:
            if self.persistent_workers and made_for == (self._fetcher, self.device):
                self._kept_workers = workers

    def _fetch_here(self, seed: int, epoch: int, first: int) -> Iterator[tuple[BatchRequest, Fetched]]:
        fetcher = self._fetcher_now()
        for request in self._requests(seed, epoch, first):
            yield request, fetcher.fetch(request)

    def _item_source(self) -> Any:
        """The data set as a fetcher gets it: for worker processes, with long lists of names in little memory."""
        if not self.num_workers:
            return self.dataset
        return self.dataset.for_workers() if hasattr(self.dataset, "for_workers") else compacted(self.dataset)

    def _workers(self) -> Workers:
        settings = {**self._worker_settings(), "persistent_workers": self.persistent_workers}
        return Workers(self._fetcher_now(), self.restart_workers, **settings)

    def _worker_settings(self) -> dict[str, Any]:
        on_cuda = self.device is not None and self.device.type == "cuda"
        return {
            "num_workers": self.num_workers,
            "pin_memory": on_cuda if self.pin_memory is None else self.pin_memory,
            "timeout": self.timeout,
            "multiprocessing_context": self.multiprocessing_context,
            "prefetch_factor": self.prefetch_factor,
        }

    def _fetcher_now(self) -> Fetcher:
        if self._fetcher is None:
            self._fetcher = Fetcher(
                self._item_source(),
                self.after_item,
                self.before_batch,
                self.create_item,
                _only if self.bs is None and self.create_batch is None else self.create_batch,
                self._origin,
                self.on_bad_item == "skip",
            )
        return self._fetcher

    def _finish(self, request: BatchRequest, fetched: Fetched) -> Any:
        """Bring a batch to the device and run the batch transforms there."""
        batch = fetched.batch
        if self.device is not None:
            batch = to_device(batch, self.device, non_blocking=self.device.type == "cuda")
        if self.after_batch.deterministic:
            return self.after_batch(batch)
        with batch_random(request.seed, request.epoch, request.number, list(fetched.items), self.device):
            return self.after_batch(batch)

    def new(self, dataset: Any = None, **changes: Unpack[LoaderOptions]) -> Self:
        """A loader with the same settings but for `changes`; transforms count as set up, unless do_setup=True."""
        kind: Any = type(self)
        check_keywords(changes, [*settings_of(kind), "do_setup"], f"{kind.__name__}.new")
        settings: dict[str, Any] = {name: getattr(self, name) for name in settings_of(kind) if name != "n"}
        settings["n"] = self._limit
        other = type(self)(self.dataset if dataset is None else dataset, **{**settings, "do_setup": False, **changes})
        if dataset is None and _MAKES_TYPES.isdisjoint(changes):
            other._types, other._origin = self._types, self._origin
            if _SKIPPING.isdisjoint(changes):
                other._bad = self._bad
        other._n_inp, other._vocab = self._n_inp, self._vocab
        return other

    def eval_loader(self) -> Self:
        """The same items in the order of the data set, with the transforms of validation: for predictions.

        A sampler that chooses some of the items is kept to; one that gives an item more than once is a way to train,
        and all items are taken.
        """
        dataset = self.dataset.with_split(1) if hasattr(self.dataset, "with_split") else self.dataset
        chosen = None
        if self.sampler is not None:
            chosen = distinct_items(self.order(self._seed(), self._epoch), len(self.dataset))
        loader = self.new(
            dataset, shuffle=False, drop_last=False, sampler=chosen, split_idx=1, persistent_workers=False
        )
        loader._bad = self._bad
        found_by = f"{self._origin.loader}.eval_loader()" if self._origin.loader else ""
        return loader.peeking_with(self).called(replace(self._origin, loader=found_by))

    def called(self, origin: Origin) -> Self:
        """Call the items so in messages from now on."""
        if origin != self._origin:
            self._origin, self._fetcher, self._kept_workers = origin, None, None
        return self

    def to(self, device: Device) -> Self:
        """Send batches to `device` from now on."""
        self.device = None if device is None else torch.device(device)
        self._kept_workers = None
        return self

    def add_tfms(self, tfms: Transforms, event: str = "after_batch") -> None:
        """Add transforms to ``after_item``, ``before_batch`` or ``after_batch``, as they are."""
        if event not in ("after_item", "before_batch", "after_batch"):
            raise ConfigError(f"event is one of after_item, before_batch, after_batch, not {event!r}")
        pipeline = Pipeline([*getattr(self, event), *Pipeline(tfms)], split_idx=self.split_idx)
        setattr(self, event, pipeline)
        self._fetcher = self._kept_workers = self._types = None

    def __repr__(self) -> str:
        workers = f", {self.num_workers} workers" if self.num_workers else ""
        batches = "each a batch" if self.bs is None else f"in {len(self)} batches of {self.bs}"
        return f"{type(self).__name__}: {self.n_items} items {batches}{workers}"


TfmdDL = DataLoader


def _only(samples: list[Any]) -> Any:
    """The batch that the data set made."""
    return samples[0]


def own_settings(kind: Any) -> list[str]:
    """The names of the arguments that a class of loaders has besides those of `DataLoader`; none of anything else."""
    if not (isinstance(kind, type) and issubclass(kind, DataLoader)):
        return []
    common = settings_of(DataLoader)
    return [name for name in settings_of(kind) if name not in common]  # type: ignore[arg-type]  # classes can be hashed


def _pipeline(transforms: Transforms, split_idx: int | None) -> Pipeline:
    """A pipeline for this split; one that is for it already is shared."""
    if isinstance(transforms, Pipeline) and transforms.split_idx == split_idx:
        return transforms
    return Pipeline(transforms, split_idx=split_idx)
