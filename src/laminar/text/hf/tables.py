"""`HFTableLoaders`: what one-call loaders for models of transformers share: rows of tables, of files, of data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from laminar.core.errors import ConfigError, DataError, require
from laminar.data.block import DataBlock
from laminar.data.conventions import check_options, loaders_of, splitter_of_rows
from laminar.data.loaders import DataLoaders
from laminar.data.options import UnseededLoadersOptions
from laminar.data.splits import Splitter
from laminar.data.tables import read_table

__all__ = ["HFRowsOptions", "HFTableLoaders", "loaders_of_rows"]

_IS_VALID = "is_valid_split"


class HFRowsOptions(UnseededLoadersOptions, total=False):
    """`UnseededLoadersOptions`, and how rows of a table are divided.

    Attributes:
        path: where the learner keeps what belongs to these data.
        bs: items in a batch (default 64).
        valid_pct: share of the rows to put into validation at random (default 0.2).
        seed: of that choice.
        valid_col: column that is true for validation, in place of `valid_pct`.
        splitter: divides the rows, in place of all of these.
    """

    path: str | Path
    bs: int
    valid_pct: float
    seed: int | None
    valid_col: str | int | None
    splitter: Splitter | None


def loaders_of_rows(df: Any, blocks: Any, get_x: Any, options: HFRowsOptions, get_y: Any = None) -> DataLoaders:
    """Loaders of the rows of a data frame.

    Args:
        df: the data frame.
        blocks: see `DataBlock`.
        get_x: gets the input out of a row.
        options: how rows are divided, and what is for the loaders.
        get_y: gets the target out of a row.
    """
    splitter = options.get("splitter") or splitter_of_rows(
        options.get("valid_pct", 0.2), options.get("seed"), options.get("valid_col")
    )
    targets = {} if get_y is None else {"get_y": get_y}
    block = DataBlock(blocks, get_x=get_x, splitter=splitter, **targets)
    return loaders_of(
        block, df, options.get("path", "."), options, ("path", "valid_pct", "seed", "valid_col", "splitter")
    )


class HFTableLoaders(DataLoaders):
    """Loaders from tables: a subclass says in `from_df` what its columns are, and reads files and data sets with it."""

    from_df: Callable[..., DataLoaders]
    """From a data frame, a tokenizer, and the names of columns; each subclass says which."""

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        tokenizer: Any,
        csv_fname: str | Path = "labels.csv",
        *columns: Any,
        header: int | str | None = "infer",
        delimiter: str | None = None,
        **options: Any,
    ) -> DataLoaders:
        """From a table in the file ``path/csv_fname`` (see `from_df`).

        Args:
            path: folder of the table.
            tokenizer: see `from_df`.
            csv_fname: name of the table.
            *columns: as in `from_df`.
            header: number of the row with the names of the columns; None if there is none.
            delimiter: what stands between the cells; None for a comma.
            **options: arguments of `from_df`.

        Raises:
            DataError: there is no such file, or no such column.
        """
        df = read_table(Path(path) / csv_fname, header, delimiter)
        return cls.from_df(df, tokenizer, *columns, **{"path": path, **options})

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        tokenizer: Any,
        *columns: Any,
        train: str = "train",
        valid: str = "validation",
        **options: Any,
    ) -> DataLoaders:
        """From a data set of the package datasets: one, which is divided at random, or one for each split.

        Numbers of classes are read as their names, where the data set has them (``ClassLabel``).

        Args:
            dataset: a ``datasets.Dataset``, or a mapping of these such as ``datasets.DatasetDict``.
            tokenizer: see `from_df`.
            *columns: as in `from_df`.
            train: which of several is for training.
            valid: which of several is for validation.
            **options: arguments of `from_df`.

        Raises:
            ConfigError: there is no such split, or it is something else than a data set.
            DataError: there is no such column.
        """
        if not hasattr(dataset, "keys"):
            return cls.from_df(_frame(dataset), tokenizer, *columns, **options)
        missing = [name for name in (train, valid) if name not in dataset]
        if missing:
            raise ConfigError(
                f"there is no split {missing[0]!r}, only {', '.join(dataset)}: say which to take, train=..., "
                "valid=..., or pass one data set to be divided at random."
            )
        pandas = require("pandas", "text", "from_dataset")
        frames = [_frame(dataset[name]).assign(**{_IS_VALID: name == valid}) for name in (train, valid)]
        together = pandas.concat(frames, ignore_index=True)
        return cls.from_df(together, tokenizer, *columns, **{**options, "valid_col": _IS_VALID})

    @classmethod
    def _check(cls, options: Any, kind: type = HFRowsOptions) -> None:
        """Refuse keywords that `from_df` does not know."""
        check_options(cls.from_df, options, kind)


def _frame(dataset: Any) -> Any:
    """A data set as a data frame, with the names of classes."""
    if not hasattr(dataset, "to_pandas") or not hasattr(dataset, "features"):
        raise ConfigError(f"{type(dataset).__name__} is no data set of the package datasets that has rows by number")
    frame = dataset.with_format(None).to_pandas()
    for name, feature in dataset.features.items():
        names = getattr(feature, "names", None)
        of_words = getattr(getattr(feature, "feature", None), "names", None)
        if of_words is not None:
            frame[name] = [[of_words[number] for number in numbers] for numbers in frame[name]]
        if names is not None:
            frame[name] = _named(frame[name], name, names)
    return frame


def _named(column: Any, name: str, names: Sequence[str]) -> list[str]:
    """The names of the classes in a column of their numbers."""
    unlabelled = column.isna() | (column < 0)
    if unlabelled.any():
        raise DataError(
            f"{int(unlabelled.sum())} of {len(column)} rows have no label in {name!r}; the first is row "
            f"{int(unlabelled.idxmax())}. Leave them out: dataset.filter(lambda row: row[{name!r}] >= 0)."
        )
    return [names[number] for number in column]
