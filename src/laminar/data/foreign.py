"""`ForeignLoader`: any iterable of batches, made to look like a loader of ours as far as it can."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain
from typing import Any, NoReturn, Self

import torch
import torch.utils.data as torch_data
from torch import Tensor

from laminar.core.device import to_cpu, to_device
from laminar.core.errors import ConfigError, DataError
from laminar.core.pipeline import Pipeline
from laminar.core.random import keep_generators
from laminar.core.seed import get_random_states, set_random_states
from laminar.core.types import TensorCategory, TensorMultiCategory, cast
from laminar.data.collation import first_items, uncollate
from laminar.data.items import distinct_items
from laminar.data.showing import DecodesBatches
from laminar.data.transforms import Categorize, MultiCategorize, OneHotEncode
from laminar.data.vocab import CategoryMap

__all__ = ["ForeignLoader", "in_order_of_items"]


class ForeignLoader(DecodesBatches):
    """An iterable of batches (torch's loader, a list, a generator function's object) as a source of training data.

    Batches are moved to the device; with `types`, their parts get a meaning, so that they can be decoded and shown.

    Args:
        batches: the iterable; iterated anew in each epoch.
        device: where batches go; None leaves them where they are.
        types: typed tensor class of each part of a batch.
        n_inp: how many parts are inputs of the model; all but the last when None.
        vocab: names of the classes.
        targets: of batches that are dicts: the keys of the targets. Such a batch becomes a tuple: the dict of all other
            keys (the input of the model), then the targets.
    """

    def __init__(
        self,
        batches: Any,
        device: torch.device | str | int | None = None,
        types: Sequence[type] | None = None,
        n_inp: int | None = None,
        vocab: Sequence[Any] | None = None,
        targets: str | Sequence[str] | None = None,
    ) -> None:
        if not hasattr(batches, "__iter__"):
            items = hasattr(batches, "__getitem__") and hasattr(batches, "__len__")
            remedy = (
                "A data set of items becomes loaders by DataLoaders.from_dsets(train, valid, bs=64)." if items else ""
            )
            raise ConfigError(f"an iterable of batches is needed, got {type(batches).__name__}. {remedy}".rstrip())
        if isinstance(batches, torch_data.IterableDataset):
            raise ConfigError(
                f"{type(batches).__name__} is a stream of items, and batches are needed: "
                "DataLoaders(torch.utils.data.DataLoader(stream, batch_size=64)); "
                "batch_size=None if what it gives are batches already."
            )
        if iter(batches) is batches:
            raise ConfigError(
                f"a {type(batches).__name__} can be gone through only once; training does so in every epoch. "
                "Give something that starts anew each time: a list of batches, a torch DataLoader, "
                "or an object whose __iter__ is a generator."
            )
        self.batches = batches
        self.dataset = getattr(batches, "dataset", None)
        self.device = None if device is None else torch.device(device)
        self.given_types = None if types is None else tuple(types)
        self.targets = None if targets is None else (targets,) if isinstance(targets, str) else tuple(targets)
        self._n_inp, self._vocab = n_inp, None if vocab is None else CategoryMap(vocab, sort=False)
        self.after_item, self.after_batch = Pipeline(), Pipeline()
        self._done = 0  # batches of the epoch that runs
        self._begun: dict[str, Any] | None = None  # random states when it began
        self._drawn_from: list[Tensor] = []  # the states of the iterable's own generators, then
        self._resumed: dict[str, Any] | None = None

    def __len__(self) -> int:
        """How many batches an epoch has.

        Raises:
            TypeError: the iterable does not know.
        """
        if not isinstance(self.batches, Sized):
            raise TypeError(f"{type(self.batches).__name__} does not know how many batches it has")
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        resumed, self._resumed = self._resumed, None
        self._done = 0 if resumed is None else resumed["batch"]
        try:
            for batch in self._rest_of(resumed) if resumed is not None else self._from_the_start():
                self._done += 1
                yield self._finish(batch)
        finally:
            self._done = 0

    def _from_the_start(self) -> Iterable[Any]:
        """All batches; what may draw random numbers for their order may have to draw them again."""
        if not isinstance(self.batches, Sequence):
            self._begun, self._drawn_from = get_random_states(), self._own_states()
        batches: Iterable[Any] = self.batches
        return batches

    def _rest_of(self, place: dict[str, Any]) -> Iterator[Any]:
        """The batches of an epoch from a place on; what cannot begin there is read again up to it, with a warning."""
        count = place["batch"]
        if not count:
            return iter(self._from_the_start())
        if isinstance(self.batches, Sequence):
            return (self.batches[number] for number in range(count, len(self.batches)))
        if place["inner"] is not None and hasattr(self.batches, "load_state_dict"):
            self.batches.load_state_dict(place["inner"])
            return iter(self._from_the_start())
        warnings.warn(
            f"{type(self.batches).__name__} cannot be told where to begin: {count} batches are read again. A DataLoader"
            " of laminar's, or one with state_dict and load_state_dict, begins anywhere at once.",
            UserWarning,
            stacklevel=2,
        )
        now, self._begun, self._drawn_from = get_random_states(), place["begun"], place.get("drawn_from", [])
        if self._begun is not None:
            set_random_states(**self._begun)
        rest: Iterator[Any] = iter(self.batches)
        for _ in range(count):
            next(rest, None)
        set_random_states(**now)
        return rest

    def state_dict(self) -> dict[str, Any]:
        """Where it is in its epoch; after `load_state_dict` it goes on there."""
        tells = hasattr(self.batches, "state_dict") and hasattr(self.batches, "load_state_dict")
        inner = self.batches.state_dict() if tells and self._done else None
        begun = None if inner is not None else self._begun
        drawn_from = self._drawn_from if self._done else self._own_states()
        return {"batch": self._done, "begun": begun, "inner": inner, "drawn_from": drawn_from}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the loader with this `state_dict` was."""
        self._resumed = state
        for generator, drawn_from in zip(self._own_generators(), state.get("drawn_from", []), strict=False):
            generator.set_state(drawn_from.cpu())

    def _own_generators(self) -> list[torch.Generator]:
        """What the iterable draws from besides the global ones: torch's loaders and samplers may be given some."""
        holders = [self.batches, getattr(self.batches, "sampler", None), getattr(self.batches, "batch_sampler", None)]
        found = [getattr(holder, "generator", None) for holder in holders]
        return list({id(one): one for one in found if isinstance(one, torch.Generator)}.values())

    def _own_states(self) -> list[Tensor]:
        return [generator.get_state() for generator in self._own_generators()]

    def _finish(self, batch: Any) -> Any:
        if self.targets is not None:
            batch = self._with_targets(batch)
        if self.device is not None:
            batch = to_device(batch, self.device, non_blocking=True)
        return self.after_batch(self._typed(batch)) if len(self.after_batch) else batch

    def _with_targets(self, batch: Any) -> Any:
        """A dict as (dict of inputs, target, ...), if it was said which are targets."""
        assert self.targets is not None
        missing = [key for key in self.targets if not isinstance(batch, Mapping) or key not in batch]
        if missing:
            got = f"the keys {list(batch)}" if isinstance(batch, Mapping) else f"a {type(batch).__name__}"
            raise ConfigError(f"targets={list(self.targets)}, but a batch of {type(self.batches).__name__} is {got}")
        inputs = {key: part for key, part in batch.items() if key not in self.targets}
        return (inputs, *(batch[key] for key in self.targets))

    def _typed(self, batch: Any) -> Any:
        if self.given_types is None or not isinstance(batch, tuple | list):
            return batch
        return tuple(
            cast(part, kind) if isinstance(part, Tensor) else part
            for part, kind in zip(batch, self.given_types, strict=False)
        )

    def one_batch(self) -> Any:
        """The first batch.

        Raises:
            DataError: there is none.
        """
        for batch in self.batches:
            return self._finish(batch)
        raise DataError(f"{type(self.batches).__name__} gives no batch")

    def first_raw_batch(self, count: int) -> Any:
        """A batch of the first items, as the iterable makes it, where none of its epochs begins for that; else None.

        Args:
            count: how many items, where they can be chosen.
        """
        batch = None
        if isinstance(self.batches, Sequence) and len(self.batches):
            batch = self.batches[0]
        elif type(self.batches) is torch_data.DataLoader and self.batches.batch_size is not None:
            dataset: Any = self.batches.dataset
            if not isinstance(dataset, torch_data.IterableDataset):
                batch = self.batches.collate_fn([dataset[number] for number in range(min(count, len(dataset)))])
        return batch if batch is None or self.targets is None else self._with_targets(batch)

    def peek(self, indices: Sequence[int]) -> Any:
        """The first batch; which items are in it, the iterable decides. Random generators stay as they are."""
        states = self._own_states()
        try:
            with keep_generators():
                return self.one_batch()
        finally:
            for generator, state in zip(self._own_generators(), states, strict=True):
                generator.set_state(state)

    @property
    def types(self) -> tuple[type, ...]:
        """The classes of the parts of a batch: those given, else those found in the first batch."""
        return super().types if self.given_types is None else self.given_types

    def _said_n_inp(self) -> int | None:
        return super()._said_n_inp() if self.targets is None else 1

    def _said_vocab(self) -> Any:
        return getattr(self.dataset, "classes", None)

    def decode_batch(self, b: Any, max_n: int | None = 9, full: bool = True) -> list[Any]:
        """Take a batch apart into typed values that can be shown.

        Raises:
            ConfigError: the types were not given.
        """
        if self.given_types is None:
            self._explain("decode or show")
        batch = self.after_batch.decode(to_cpu(self._typed(first_items(b, max_n))))
        return [tuple(map(self._named, sample)) for sample in uncollate(batch)]

    def _named(self, part: Any) -> Any:
        """The class's name of a number, where the names are known."""
        if self.vocab is None:
            return part
        names = list(self.vocab)
        if isinstance(part, TensorMultiCategory):
            return MultiCategorize(names).decode(OneHotEncode(len(names)).decode(part))
        return Categorize(names).decode(part) if isinstance(part, TensorCategory) else part

    def _explain(self, wish: str) -> NoReturn:
        raise ConfigError(
            f"cannot {wish} batches of {type(self.batches).__name__}: nothing says what their parts mean. Say it: "
            "DataLoaders(train, valid, types=(TensorImage, TensorCategory), vocab=['cat', 'dog'])."
        )

    def eval_loader(self) -> ForeignLoader:
        """The same batches in the order of the data set, as far as can be had: torch's loader is made anew for it."""
        return self._like(in_order_of_items(self.batches))

    def with_batches(self, batches: Any) -> ForeignLoader:
        """Other batches of the same meaning."""
        return self._like(batches)

    def _like(self, batches: Any) -> ForeignLoader:
        other = ForeignLoader(batches, self.device, self.given_types, self._n_inp, self._vocab, self.targets)
        other.after_batch = self.after_batch
        return other

    def add_tfms(self, tfms: Any, event: str = "after_batch") -> None:
        """Add batch transforms; a part's type, which they go by, must have been given."""
        if event != "after_batch":
            raise ConfigError(
                f"the batches of {type(self.batches).__name__} are made elsewhere: only after_batch can be added to"
            )
        if self.given_types is None:
            self._explain("transform")
        self.after_batch = Pipeline([*self.after_batch, *Pipeline(tfms)])

    def to(self, device: torch.device | str | int | None) -> Self:
        """Send batches to `device` from now on."""
        self.device = None if device is None else torch.device(device)
        return self

    def __repr__(self) -> str:
        return f"ForeignLoader({type(self.batches).__name__})"


def in_order_of_items(batches: Any) -> Any:
    """The items of a torch loader in the order of its data set; any other iterable of batches as it is.

    A sampler (or batch sampler) that chooses some of the items is kept to; one that gives an item more than once is a
    way to train, and all items are taken.
    """
    if type(batches) is not torch_data.DataLoader or isinstance(batches.dataset, torch_data.IterableDataset):
        return batches
    shared: dict[str, Any] = {
        name: getattr(batches, name)
        for name in ("collate_fn", "num_workers", "pin_memory", "worker_init_fn", "timeout", "multiprocessing_context")
    }
    shared["generator"] = torch.Generator()  # what torch draws for its workers does not come from the caller's
    size: int | None
    with keep_generators():
        if batches.batch_size is None and batches.batch_sampler is not None:  # batches of the user's own making
            groups = list(batches.batch_sampler)
            chosen, size = list(chain.from_iterable(groups)), max(map(len, groups), default=1)
        else:
            chosen, size = list(batches.sampler), batches.batch_size
    if any(not isinstance(index, int) for index in chosen):
        return batches  # a data set with keys of its own kind
    order = distinct_items(chosen, len(batches.dataset))  # type: ignore[arg-type]  # a data set with a sampler has a length
    return torch_data.DataLoader(batches.dataset, batch_size=size, sampler=order, **shared)
