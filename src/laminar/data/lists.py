"""`TfmdLists`: items seen through one pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import DataError, describe
from laminar.core.pipeline import Pipeline
from laminar.core.transform import Transform
from laminar.core.types import is_showable
from laminar.data.compact_names import compacted
from laminar.data.fetching import rows_of
from laminar.data.items import as_items, item_at, take
from laminar.data.loaders import DataLoaders, loaders_of
from laminar.data.options import TransformedLoadersOptions
from laminar.data.splits import Splits, check_splits
from laminar.data.transforms import Getter

__all__ = ["NewItems", "TfmdLists", "decode_at", "show_at"]

S = TypeVar("S", bound=Transform)


class _Unknown:
    """A type that no transform names."""


class TfmdLists(Sequence[Any]):
    """Items seen through a pipeline, one value for each, made when asked for.

    Args:
        items: a list, an array, a data frame, a data set.
        tfms: transforms, or a pipeline.
        splits: the numbers of the items in each split, as a splitter gives them; None for one split with all items.
        split_idx: run the transforms of training (0), validation (1) or of neither (None).
        do_setup: let the transforms learn from the training items what they want to know.
        dl_type: class of the loaders that `dataloaders` makes.

    Raises:
        DataError: an item is in two splits, or a split names an item that does not exist.

    >>> tens = TfmdLists([1, 2, 3], lambda x: x * 10, splits=[[0, 2], [1]])
    >>> list(tens), list(tens.train), list(tens.valid)
    ([10, 20, 30], [10, 30], [20])
    """

    _read_column: tuple[Transform | None, Sequence[Any] | None] = (None, None)

    def __init__(
        self,
        items: Any,
        tfms: Any = None,
        *,
        splits: Splits | None = None,
        split_idx: int | None = None,
        do_setup: bool = True,
        dl_type: type | None = None,
    ) -> None:
        self.items = as_items(items)
        self.tfms = Pipeline(tfms, split_idx=split_idx)
        self.splits = None if splits is None else check_splits(splits, len(self.items))
        self.split_idx, self.dl_type = split_idx, dl_type
        self.item_type: type | None = type(item_at(self.items, 0)) if len(self.items) else None
        if do_setup:
            self.tfms.setup(self, train_setup=True)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        """The transformed item; for a slice or several numbers, the list of them."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if isinstance(index, list | tuple):
            return [self[i] for i in index]
        column = self._column()
        return self.encode(item_at(self.items, index)) if column is None else self.tfms(column[index], first=1)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def encode(self, item: Any) -> Any:
        """Transform a raw item."""
        return self.tfms(item)

    def _column(self) -> Sequence[Any] | None:
        """What the first transform gives for all rows of a data frame; None if it does not read whole columns.

        Making an object of a row, only to read one cell of it, takes longer than most of what follows.
        """
        first = self.tfms.transforms[0] if len(self.tfms) else None
        if self._read_column[0] is not first:
            getter = first.getter if type(first) is Getter else first
            read = getattr(getter, "column_of", None) if hasattr(self.items, "columns") else None
            self._read_column = first, None if read is None else read(self.items)
        return self._read_column[1]

    def decode(self, o: Any, full: bool = True) -> Any:
        """Undo the transforms; not `full`: only until the value can be shown."""
        return self.tfms.decode(o, full=full)

    def show(self, o: Any, ctx: Any = None, **kwargs: Any) -> Any:
        """Decode a value until it can be shown, and show it on axes `ctx`."""
        return self.tfms.show(o, ctx=ctx, **kwargs)

    # ---- splits

    @property
    def n_subsets(self) -> int:
        """How many splits there are."""
        return 1 if self.splits is None else len(self.splits)

    def subset(self, i: int) -> Self:
        """The items of split `i`, with the transforms of that split (all but the first have those of validation)."""
        items = self.items if self.splits is None and i == 0 else self._split_items[i] if self.splits else []
        return self._like(items, min(i, 1))

    @cached_property
    def _split_items(self) -> list[Any]:
        return [take(self.items, split) for split in self.splits or ()]

    @property
    def train(self) -> Self:
        """The training split."""
        return self.subset(0)

    @property
    def valid(self) -> Self:
        """The validation split; empty if the items were not split."""
        return self.subset(1)

    def with_split(self, split_idx: int | None) -> Self:
        """The same items, with the transforms of another split."""
        return self._like(self.items, split_idx, self.splits)

    def new_empty(self) -> Self:
        """The same transforms without items."""
        return self._like([], self.split_idx)

    def for_workers(self) -> Self:
        """The same for worker processes: a long list of names takes little memory in each."""
        items = compacted(self.items)
        return self if items is self.items else self.with_items(items, self.split_idx)

    def with_items(self, items: Any, split_idx: int | None) -> Self:
        """Other items with these transforms, as they are for split `split_idx`."""
        return self._like(items, split_idx)

    def up_to(self, transform: Transform) -> Self:
        """The same items, transformed only by what comes before `transform`."""
        steps = self.tfms.transforms[: self.tfms.transforms.index(transform)]
        return self._like(self.items, self.split_idx, self.splits, Pipeline(steps, split_idx=self.split_idx))

    def _like(
        self, items: Any, split_idx: int | None, splits: Splits | None = None, tfms: Pipeline | None = None
    ) -> Self:
        """Another one with the same fitted transforms."""
        other = type(self).__new__(type(self))
        other.items, other.splits, other.split_idx = (
            items,
            None if splits is None else list(map(list, splits)),
            split_idx,
        )
        other.tfms = self.tfms.with_split(split_idx) if tfms is None else tfms
        other.dl_type, other.item_type = self.dl_type, self.item_type
        return other

    # ---- what the transforms know

    @property
    def deterministic(self) -> bool:
        """Whether making an item draws no random numbers."""
        quiet_items = getattr(self.items, "deterministic", hasattr(self.items, "iloc") or _in_memory(self.items))
        return self.tfms.deterministic and bool(quiet_items)

    @property
    def vocab(self) -> Any:
        """The classes (or words) of the first transform that has some; None if none has."""
        return self.fitted("vocab")

    @property
    def c(self) -> int | None:
        """How many outputs a model needs for this value, as far as a transform says so."""
        found = self.fitted("c")
        return None if found is None else int(found)

    def fitted(self, name: str) -> Any:
        """What the first transform that has an attribute `name` says."""
        values = (getattr(transform, name, None) for transform in self.tfms.transforms)
        return next((value for value in values if value is not None), None)

    def whole_batches(self) -> Any:
        """How a loader gets a batch at once: only for arrays and tensors that no transform touches."""
        if len(self.tfms) or not isinstance(self.items, Tensor | np.ndarray):
            return None
        rows = self.items if isinstance(self.items, Tensor) else _as_tensor(self.items)
        return partial(rows_of, rows)

    # ---- new items

    def infer_idx(self, x: Any) -> int:
        """The number of the transform with which to begin for a new item that may be no raw item.

        A raw item begins at the beginning. Anything else leaves the getters out and begins where a transform names its
        type; failing that, at the first transform that takes everything, or behind it, where that makes such values:
        tuples of a class of the user's, with pictures or tensors inside. A value that shows itself, and that no
        transform takes, is at the end already.

        Raises:
            DataError: no transform takes it.
        """
        if self.item_type is not None and isinstance(x, self.item_type):
            return 0
        steps = [(i, step) for i, step in enumerate(self.tfms.transforms) if not isinstance(step, Getter)]
        if not steps:
            return len(self.tfms)
        named = (i for i, step in steps if step.touches(x) and not step.touches(_Unknown()))
        start = next(named, None)
        if start is None:
            start = next((i for i, step in steps if step.touches(x)), None)
            start = start + 1 if start is not None and _is_made_of_an_item(x) else start
        if start is None and is_showable(x):
            start = len(self.tfms)
        if start is None:
            raise DataError(
                f"{describe(x)} is nothing that these transforms take: {self.tfms!r}."
                + (f" The items they were made for are of type {self.item_type.__name__}." if self.item_type else "")
            )
        return start

    def infer(self, x: Any, start: int | None = None) -> Any:
        """Transform a new item, beginning at transform number `start`; None for the first that is for its type."""
        if self.item_type is not None and not isinstance(x, self.item_type):
            if isinstance(x, str) and issubclass(self.item_type, Path):
                x = x if any(step.tells_apart(str, Path) for step in self.tfms.transforms) else Path(x)
            elif isinstance(x, tuple) and issubclass(self.item_type, list):  # which transforms take as a whole
                x = list(x)
        start = self.infer_idx(x) if start is None else start
        return (self.tfms if start == 0 else Pipeline(self.tfms.transforms[start:], split_idx=self.split_idx))(x)

    def test_set(self, test_items: Any, with_labels: bool = False, rm_type_tfms: int | None = None) -> NewItems:
        """New items through the transforms of validation; see `DataLoaders.test_dl`."""
        return NewItems(self, test_items, rm_type_tfms)

    # ---- loaders

    def dataloaders(
        self, bs: int = 64, path: str | Path = ".", **options: Unpack[TransformedLoadersOptions]
    ) -> DataLoaders:
        """Make a loader for each split: the training one shuffled, the others in order.

        Args:
            bs: items in a batch.
            path: where the learner keeps what belongs to these data.
            **options: see `laminar.data.options.TransformedLoadersOptions`.
        """
        return loaders_of(self, bs=bs, path=path, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {len(self)} items, {self.tfms!r}"


class NewItems(TfmdLists):
    """Items that came later (to predict, to test on): each begins at the first transform that is for its type.

    Args:
        like: has the transforms.
        items: the new items.
        start: the number of the transform with which all begin, in place of that.
    """

    def __init__(self, like: TfmdLists, items: Any, start: int | None = None) -> None:
        self.start = start
        self.items, self.splits, self.split_idx = as_items(items), None, 1
        self.tfms = like.tfms.with_split(1)
        self.dl_type, self.item_type = like.dl_type, like.item_type

    def _like(
        self, items: Any, split_idx: int | None, splits: Splits | None = None, tfms: Pipeline | None = None
    ) -> Self:
        other = super()._like(items, split_idx, splits, tfms)
        other.start = self.start
        return other

    def encode(self, item: Any) -> Any:
        """Transform a new item."""
        return self.infer(item, self.start)

    def whole_batches(self) -> Any:
        """Never at once: each item may be of another type."""
        return None

    def _column(self) -> None:
        """Never at once, as above."""


def decode_at(o: Any, idx: int) -> Any:
    """Item `idx` of lists or data sets after its transforms and back again."""
    return o.decode(o[idx])


def show_at(o: Any, idx: int, **kwargs: Any) -> Any:
    """Show item `idx` of lists or data sets, transformed.

    Args:
        o: `TfmdLists` or `Datasets`.
        idx: number of the item.
        **kwargs: for its ``show``: ``ctx`` for the axes to draw on.
    """
    return o.show(o[idx], **kwargs)


def _is_made_of_an_item(x: Any) -> bool:
    """Whether a value is a tuple that shows itself, of what has been opened: made of a raw item, and none itself."""
    opened = isinstance(x, tuple) and any(isinstance(part, Tensor) or is_showable(part) for part in x)
    return opened and is_showable(x)


def _in_memory(items: Any) -> bool:
    return isinstance(items, list | tuple | range | np.ndarray | Tensor)


def _as_tensor(items: np.ndarray[Any, Any]) -> Tensor:
    tensor = torch.as_tensor(items)
    return tensor.float() if tensor.dtype in (torch.float64, torch.uint16) else tensor
