"""`DataBlock`: how to get from a source (a folder, a table) to loaders, said once and applied to any source."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any, TypedDict, Unpack

from laminar.core.adapters import to_transform
from laminar.core.errors import ConfigError, DataError, check_keywords, describe
from laminar.core.transform import Transform
from laminar.data.blocks import Steps, TransformBlock, listed, made
from laminar.data.checks import check_not_empty
from laminar.data.datasets import Datasets
from laminar.data.items import as_items
from laminar.data.labels import ItemGetter
from laminar.data.loader import DataLoader, own_settings
from laminar.data.loaders import DataLoaders
from laminar.data.options import LoadersOptions
from laminar.data.splits import Splitter
from laminar.data.splitters import RandomSplitter
from laminar.data.summary import tell_loaders
from laminar.data.transforms import Getter

__all__ = [
    "DataBlock",
    "DataBlockOptions",
]

Getters = Callable[[Any], Any] | Sequence[Callable[[Any], Any]] | None


class ColumnsOptions(TypedDict, total=False):
    """Keyword arguments of `DataBlock.from_columns`, as in `DataBlock`."""

    dl_type: type[DataLoader] | None
    n_inp: int | None
    item_tfms: Steps
    batch_tfms: Steps
    splitter: Splitter | None


class DataBlockOptions(ColumnsOptions, total=False):
    """Keyword arguments of `DataBlock` other than its blocks."""

    getters: Sequence[Any] | None
    get_items: Callable[[Any], Any] | None
    get_x: Getters
    get_y: Getters


class DataBlock:
    """A recipe from a source to loaders. It holds no data, is never changed, and can be applied to any source.

    Args:
        blocks: a block for each input and target: `TransformBlock` objects, or functions that make one.
        dl_type: class of the loaders.
        getters: a function for each block that takes its part out of an item; in place of `get_x` and `get_y`.
        n_inp: how many blocks are inputs; all but the last when None.
        item_tfms: transforms of a sample, besides those of the blocks; one of the same class takes the block's place.
        batch_tfms: transforms of a batch, besides those of the blocks; one of the same class takes the block's place.
        get_items: gets the items from the source; None if the source is the items.
        splitter: divides the items; None puts a random 20 % into validation.
        get_x: takes the input out of an item; a list for several inputs.
        get_y: takes the target out of an item; a list for several targets.

    Raises:
        ConfigError: the number of getters does not fit the blocks.
        TypeError: an unknown argument, with the nearest known one.
    """

    def __init__(
        self, blocks: Sequence[Any] | Any = (TransformBlock, TransformBlock), **options: Unpack[DataBlockOptions]
    ) -> None:
        check_keywords(options, ["blocks", *DataBlockOptions.__annotations__], "DataBlock")
        given = blocks if isinstance(blocks, Sequence) else [blocks]
        self.blocks = [made(block) for block in given]
        count = len(self.blocks)
        if not count:
            raise ConfigError("DataBlock needs at least one block")
        n_inp = options.get("n_inp")
        self.n_inp = max(1, count - 1) if n_inp is None else n_inp
        if not 1 <= self.n_inp <= count:
            raise ConfigError(f"n_inp={n_inp} does not fit {count} blocks")
        self.get_items, self.splitter = options.get("get_items"), options.get("splitter") or RandomSplitter()
        self.get_x, self.get_y = options.get("get_x"), options.get("get_y")
        self.getters = self._getters(options.get("getters"))
        self.user_item_tfms, self.user_batch_tfms = (
            listed(options.get("item_tfms")),
            listed(options.get("batch_tfms")),
        )
        own = [block.dl_type for block in self.blocks if block.dl_type is not None]
        self.dl_type = options.get("dl_type") or (own[0] if own else None)
        self._options = options

    @classmethod
    def from_columns(
        cls,
        blocks: Sequence[Any] | Any = (TransformBlock, TransformBlock),
        getters: Sequence[Any] | None = None,
        get_items: Callable[[Any], Any] | None = None,
        **options: Unpack[ColumnsOptions],
    ) -> DataBlock:
        """A recipe for items that come in columns: `get_items` gives a tuple of lists, one for each block.

        Args:
            blocks: as in `DataBlock`.
            getters: a function for each block that takes its part out of the tuple (one value of each column); None
                takes the value of the block's own column.
            get_items: gets the columns from the source; None if the source is the columns.
            **options: as in `DataBlock`.
        """
        check_keywords(
            options, ["blocks", "getters", "get_items", *ColumnsOptions.__annotations__], "DataBlock.from_columns"
        )
        count = len(blocks) if isinstance(blocks, Sequence) else 1
        own_column = [ItemGetter(i) for i in range(count)]
        return cls(blocks, getters=getters or own_column, get_items=_Zipped(get_items), **options)

    def _getters(self, given: Sequence[Any] | None) -> list[tuple[str, Any]]:
        """A getter for each block (None takes the item itself), each with what it is called in messages."""
        n_targets = len(self.blocks) - self.n_inp
        if given is not None:
            if self.get_x is not None or self.get_y is not None:
                raise ConfigError("getters and get_x/get_y say the same thing; give one of them")
            if len(given) != len(self.blocks):
                raise ConfigError(self._wrong_number("getters", len(given), len(self.blocks)))
            return [(f"getters[{i}]", getter) for i, getter in enumerate(given)]
        getters: list[tuple[str, Any]] = []
        for name, value, count in (("get_x", self.get_x, self.n_inp), ("get_y", self.get_y, n_targets)):
            each = [None] * count if value is None else list(value) if isinstance(value, Sequence) else [value]
            if len(each) != count:
                raise ConfigError(self._wrong_number(name, len(each), count))
            getters += [(name, getter) for getter in each]
        return getters

    def _wrong_number(self, name: str, found: int, wanted: int) -> str:
        return (
            f"{name} has {found} function(s) for {wanted} block(s) (of {len(self.blocks)} blocks, {self.n_inp} are "
            "inputs). To apply several functions one after another to one block, wrap them in Pipeline([...])."
        )

    @property
    def item_tfms(self) -> list[Transform]:
        """Transforms of a sample: those of the blocks, then those given."""
        return merged(*(block.item_tfms for block in self.blocks), self.user_item_tfms)

    @property
    def batch_tfms(self) -> list[Transform]:
        """Transforms of a batch: those of the blocks, then those given; joined as far as the blocks know how."""
        steps = merged(*(block.batch_tfms for block in self.blocks), self.user_batch_tfms)
        for join in dict.fromkeys(block.join_batch_tfms for block in self.blocks if block.join_batch_tfms is not None):
            steps = join(steps)
        return steps

    def new(self, item_tfms: Steps = None, batch_tfms: Steps = None) -> DataBlock:
        """The same recipe with other transforms of items and batches."""
        changed: DataBlockOptions = {**self._options, "item_tfms": item_tfms, "batch_tfms": batch_tfms}
        return DataBlock(self.blocks, **changed)

    def items_of(self, source: Any) -> Any:
        """The items in `source`; a data frame as it is, so that a splitter sees columns of their own types.

        Raises:
            DataError: there are none.
        """
        try:
            found = source if self.get_items is None else self.get_items(source)
            items = found if hasattr(found, "iloc") else as_items(found)
        except Exception as error:
            error.add_note(
                f"in get_items={_called(self.get_items)} of {_named(source)}" if self.get_items else "in DataBlock"
            )
            raise
        if not len(items):
            how = f"get_items={_called(self.get_items)} found" if self.get_items else "there are"
            raise DataError(
                f"{how} no items in {_named(source)}. Is the path right?" if self.get_items else f"{how} no items"
            )
        return items

    def datasets(self, source: Any) -> Datasets:
        """Get the items, divide them, and see them through the transforms of each block's type.

        Args:
            source: what `get_items` takes; the items themselves if there is none.

        Raises:
            DataError: there are no items, or one split has none.
        """
        items = self.items_of(source)
        try:
            splits = self.splitter(items)
        except Exception as error:
            error.add_note(f"in splitter={_called(self.splitter)}, dividing {len(items)} items")
            raise
        lists = [list(split) if not isinstance(split, slice) else split for split in splits]
        check_not_empty([split for split in lists if not isinstance(split, slice)], len(items), _called(self.splitter))
        return Datasets(items, self.type_tfms(), n_inp=self.n_inp, dl_type=self.dl_type, splits=lists)

    def type_tfms(self) -> list[list[Transform]]:
        """For each block its getter and the transforms of its type: new objects, that have learned nothing yet."""
        steps = []
        for (role, getter), block in zip(self.getters, self.blocks, strict=True):
            first = [] if getter is None else [Getter(getter, role)]
            steps.append([*first, *_fresh(block.type_tfms)])
        return steps

    def dataloaders(
        self, source: Any, path: str | Path = ".", bs: int = 64, **options: Unpack[LoadersOptions]
    ) -> DataLoaders:
        """Make the loaders for `source`, and look at a few items of each split at once.

        Args:
            source: what `get_items` takes; the items themselves if there is none.
            path: where the learner keeps what belongs to these data.
            bs: items in a batch.
            **options: see `laminar.data.options.LoadersOptions`; also what the class of the loaders takes besides.

        Raises:
            DataError: what is wrong with the data, with file, label and remedy.
        """
        check_keywords(options, ["path", "bs", *self._known_options(options)], "DataBlock.dataloaders")
        return self._loaders(self.datasets(source), path, bs, options)

    def _known_options(self, given: LoadersOptions) -> list[str]:
        """What loaders may be told, also what only those of this kind know."""
        return [*LoadersOptions.__annotations__, *own_settings(given.get("dl_type") or self.dl_type)]

    def _loaders(self, dsets: Datasets, path: str | Path, bs: int, options: LoadersOptions) -> DataLoaders:
        every: LoadersOptions = {}
        for block in self.blocks:
            every.update(block.dls_kwargs)
        if "before_batch" in every:
            every["before_batch"] = _fresh(listed(every["before_batch"]))
        every.update(options)
        return dsets.dataloaders(
            bs, path, after_item=_fresh(self.item_tfms), after_batch=_fresh(self.batch_tfms), **every
        )

    def summary(
        self,
        source: Any,
        bs: int = 64,
        show_batch: bool = False,
        path: str | Path = ".",
        **options: Unpack[LoadersOptions],
    ) -> None:
        """Print in words what happens to a sample and to a batch on their way, step by step, and whether it works.

        It makes the very loaders that `dataloaders` makes of the same arguments: it fails where that fails, and
        nowhere else. Of a batch it shows four samples. It also looks for files that stand in several splits.

        Args:
            source: as for `dataloaders`.
            bs: as for `dataloaders`.
            show_batch: show a batch at the end.
            path: as for `dataloaders`.
            **options: as for `dataloaders`.

        Raises:
            DataError: as `dataloaders`, after the verdict.
        """
        check_keywords(options, ["path", "bs", "show_batch", *self._known_options(options)], "DataBlock.summary")

        def loaders(dsets: Datasets, checked: bool) -> DataLoaders:
            return self._loaders(dsets, path, bs, options if checked else {**options, "check": False})

        print(f"Getting items from {_named(source)}" if self.get_items else "The source is the items")
        dls = tell_loaders(lambda: self.datasets(source), loaders, print)
        if show_batch:
            dls.show_batch()


class _Zipped:
    """Turns columns into rows: items that are tuples."""

    def __init__(self, get_columns: Callable[[Any], Any] | None) -> None:
        self.get_columns = get_columns

    def __call__(self, source: Any) -> list[tuple[Any, ...]]:
        columns = source if self.get_columns is None else self.get_columns(source)
        sizes = [len(column) for column in columns]
        if len(set(sizes)) > 1:
            raise DataError(f"the columns differ in length: {sizes}")
        return list(zip(*columns, strict=True))

    def __repr__(self) -> str:
        return "columns" if self.get_columns is None else _called(self.get_columns)


def _fresh(steps: Iterable[Any]) -> list[Transform]:
    """Copies of the transforms, so that what one set of data teaches them does not reach the next."""
    return [copy.copy(to_transform(step)) for step in steps]


def merged(*lists: Sequence[Any]) -> list[Transform]:
    """Join lists of transforms: one of a class that an earlier list has too takes its place.

    Within a list all are kept, as many of a class as there are.
    """
    result: list[Transform] = []
    for steps in lists:
        made = [to_transform(step) for step in steps]
        kinds = {_kind(step) for step in made}
        result = [*(step for step in result if _kind(step) not in kinds), *made]
    return result


def _kind(step: Transform) -> Any:
    """What makes two transforms the same: the class, or for a plain function the function."""
    return step.enc if type(step) is Transform and step.enc is not None else type(step)


def _called(function: Any) -> str:
    return function.__qualname__ if isinstance(function, types.FunctionType | types.MethodType) else repr(function)


def _named(source: Any) -> str:
    """A source in messages: a path or text as it is, columns by their length, anything else in a few words."""
    if isinstance(source, str | PurePath):
        return repr(source)
    if isinstance(source, tuple) and all(hasattr(column, "__len__") for column in source):
        return f"({', '.join(f'{type(column).__name__} of {len(column)}' for column in source)})"
    return describe(source)
