"""`Datasets`: items seen through several pipelines at once, one for each input and target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, Unpack

from laminar.core.errors import ConfigError
from laminar.core.types import is_showable
from laminar.data.items import as_items
from laminar.data.lists import TfmdLists
from laminar.data.loader import DataLoader
from laminar.data.loaders import DataLoaders, loaders_of
from laminar.data.options import TransformedLoadersOptions
from laminar.data.orders import PartialDL, WeightedDL
from laminar.data.splits import Splits, check_splits

__all__ = ["Datasets"]


class Datasets(Sequence[tuple[Any, ...]]):
    """Items seen through several pipelines: a tuple for each, made when asked for.

    Args:
        items: a list, an array, a data frame, a data set.
        tfms: a list of transforms for each member of the tuple.
        tls: made lists, in place of `items` and `tfms`.
        n_inp: how many members are inputs of the model; all but the last when None.
        dl_type: class of the loaders that `dataloaders` makes.
        splits: the numbers of the items in each split, as a splitter gives them; None for one split with all items.
        do_setup: let the transforms learn from the training items what they want to know.

    Raises:
        DataError: an item is in two splits, or a split names an item that does not exist.

    >>> pairs = Datasets([1, 2, 3], [[lambda x: x * 10], [str]], splits=[[0, 2], [1]])
    >>> pairs[1], list(pairs.train)
    ((20, '2'), [(10, '1'), (30, '3')])
    """

    def __init__(
        self,
        items: Any = None,
        tfms: Sequence[Any] | None = None,
        tls: Sequence[TfmdLists] | None = None,
        n_inp: int | None = None,
        dl_type: type | None = None,
        *,
        splits: Splits | None = None,
        do_setup: bool = True,
    ) -> None:
        if tls is None:
            items = as_items(items)
            checked = None if splits is None else check_splits(splits, len(items))
            tls = [
                TfmdLists(items, steps, splits=checked, do_setup=do_setup, dl_type=dl_type) for steps in tfms or [None]
            ]
        self.tls = list(tls)
        if not self.tls:
            raise ConfigError("Datasets needs a list of transforms for each input and target, got none")
        if n_inp is not None and not 1 <= n_inp <= len(self.tls):
            raise ConfigError(f"n_inp={n_inp} does not fit samples of {len(self.tls)} members")
        self.n_inp = max(1, len(self.tls) - 1) if n_inp is None else n_inp
        self.dl_type = dl_type
        self._without_items: list[TfmdLists] = []  # the targets of new items without labels: they decode predictions

    @property
    def items(self) -> Any:
        """The raw items."""
        return self.tls[0].items

    @property
    def splits(self) -> list[list[int]] | None:
        """The numbers of the items in each split."""
        return self.tls[0].splits

    @property
    def split_idx(self) -> int | None:
        """Which split's transforms run."""
        return self.tls[0].split_idx

    def __len__(self) -> int:
        return len(self.tls[0])

    def __getitem__(self, index: Any) -> Any:
        """The tuple for an item; for a slice or several numbers, the list of them."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if isinstance(index, list | tuple):
            return [self[i] for i in index]
        return tuple([tl[index] for tl in self.tls])

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return (self[index] for index in range(len(self)))

    def decode(self, o: tuple[Any, ...], full: bool = True) -> tuple[Any, ...]:
        """Undo the transforms of each member; not `full`: only until it can be shown.

        Args:
            o: a sample; where items have no labels, predictions may stand behind the inputs.
            full: undo everything.
        """
        return tuple(tl.decode(part, full=full) for part, tl in zip(o, [*self.tls, *self._without_items], strict=False))

    def show(self, o: tuple[Any, ...], ctx: Any = None, **kwargs: Any) -> Any:
        """Decode each member until it can be shown, and show all on the same axes `ctx`."""
        for part in self.decode(o, full=False):
            if is_showable(part):
                ctx = part.show(ctx=ctx, **kwargs)
        return ctx

    # ---- splits

    @property
    def n_subsets(self) -> int:
        """How many splits there are."""
        return self.tls[0].n_subsets

    def subset(self, i: int) -> Self:
        """The items of split `i`, with the transforms of that split (all but the first have those of validation)."""
        first, *others = self.tls
        part = first.subset(i)  # its items are there once for all members
        return self._of(
            [
                part,
                *(
                    tl.with_items(part.items, part.split_idx) if tl.items is first.items else tl.subset(i)
                    for tl in others
                ),
            ]
        )

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
        return self._of([tl.with_split(split_idx) for tl in self.tls])

    def new_empty(self) -> Self:
        """The same transforms without items."""
        return self._of([tl.new_empty() for tl in self.tls])

    def for_workers(self) -> Self:
        """The same for worker processes: a long list of names takes little memory in each."""
        first, *others = self.tls
        compact = first.for_workers()
        if compact is first:
            return self
        # All members see the same items, which are to be there once.
        return self._of(
            [compact, *(tl.with_items(compact.items, tl.split_idx) if tl.items is first.items else tl for tl in others)]
        )

    def _of(self, tls: list[TfmdLists]) -> Self:
        made = type(self)(tls=tls, n_inp=min(self.n_inp, len(tls)), dl_type=self.dl_type)
        made._without_items = self._without_items
        return made

    def test_set(self, test_items: Any, with_labels: bool = False, rm_type_tfms: int | None = None) -> Self:
        """New items through the transforms of validation: the inputs alone, or with their labels (see `test_dl`)."""
        tls = self.tls if with_labels else self.tls[: self.n_inp]
        items = as_items(test_items)
        made = self._of([tl.test_set(items, rm_type_tfms=rm_type_tfms) for tl in tls])
        made._without_items = self._without_items + [tl.new_empty() for tl in self.tls[len(tls) :]]
        return made

    # ---- what the transforms know

    @property
    def deterministic(self) -> bool:
        """Whether making an item draws no random numbers."""
        return all(tl.deterministic for tl in self.tls)

    @property
    def vocab(self) -> Any:
        """The classes (or words) of the member that has some; a list of them if several have; None if none has."""
        found = [vocab for tl in self.tls if (vocab := tl.vocab) is not None]
        return (found[0] if len(found) == 1 else found) if found else None

    @property
    def c(self) -> int | None:
        """How many outputs a model needs: what the last target that knows it says."""
        found = [count for tl in self.tls[self.n_inp :] or self.tls if (count := tl.c) is not None]
        return found[-1] if found else None

    def whole_batches(self) -> Callable[[Sequence[int]], Any] | None:
        """How a loader gets a batch at once: only if every member is an array or tensor that no transform touches."""
        members = [tl.whole_batches() for tl in self.tls]
        return None if any(member is None for member in members) else partial(_each_of, members)

    # ---- loaders

    def dataloaders(
        self, bs: int | None = 64, path: str | Path = ".", **options: Unpack[TransformedLoadersOptions]
    ) -> DataLoaders:
        """Make a loader for each split: the training one shuffled, the others in order.

        Args:
            bs: items in a batch; None if each item is a batch already.
            path: where the learner keeps what belongs to these data.
            **options: see `laminar.data.options.TransformedLoadersOptions`.
        """
        return loaders_of(self, bs=bs, path=path, **options)

    def weighted_dataloaders(
        self,
        wgts: Sequence[float],
        bs: int = 64,
        path: str | Path = ".",
        **options: Unpack[TransformedLoadersOptions],
    ) -> DataLoaders:
        """Make loaders of which the training one draws items by weight (see `WeightedDL`).

        Args:
            wgts: a weight for each training item, or for each item of all splits.
            bs: items in a batch.
            path: where the learner keeps what belongs to these data.
            **options: as for `dataloaders`.
        """
        splits = self.tls[0].splits
        weights = [wgts[index] for index in splits[0]] if splits and len(wgts) == len(self) else wgts
        return self.dataloaders(bs, path, **self._trained_with(WeightedDL, {"wgts": weights}, options))

    def partial_dataloaders(
        self, partial_n: int, bs: int = 64, path: str | Path = ".", **options: Unpack[TransformedLoadersOptions]
    ) -> DataLoaders:
        """Make loaders of which the training one takes other `partial_n` items in each epoch (see `PartialDL`).

        Args:
            partial_n: items in an epoch.
            bs: items in a batch.
            path: where the learner keeps what belongs to these data.
            **options: as for `dataloaders`.
        """
        return self.dataloaders(bs, path, **self._trained_with(PartialDL, {"partial_n": partial_n}, options))

    def _trained_with(self, kind: type[DataLoader], settings: dict[str, Any], options: Any) -> Any:
        """The options, with a class of loaders and settings for the training one."""
        given = options.get("dl_kwargs") or [{}] * self.n_subsets
        return {**options, "dl_type": kind, "dl_kwargs": [{**given[0], **settings}, *given[1:]]}

    def __repr__(self) -> str:
        members = ", ".join(repr(tl.tfms) for tl in self.tls)
        return f"{type(self).__name__}: {len(self)} items, {self.n_inp} input(s); {members}"


def _each_of(members: list[Callable[[Sequence[int]], Any]], indices: Sequence[int]) -> tuple[Any, ...]:
    return tuple(member(indices) for member in members)
