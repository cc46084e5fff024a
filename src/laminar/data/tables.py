"""Tables of items and labels: reading them, which columns there are, and what kind of target labels are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laminar.core.errors import DataError, require, suggest
from laminar.data.blocks import CategoryBlock, MultiCategoryBlock, RegressionBlock

__all__ = ["Columns", "block_of_columns", "block_of_labels", "check_columns", "read_table"]

Columns = str | int | Sequence[str | int]


def read_table(file: Path, header: int | str | None = "infer", delimiter: str | None = None) -> Any:
    """Read a table of text, as `pandas.read_csv` does.

    Args:
        file: the table.
        header: number of the row with the names of the columns; None if there is none.
        delimiter: what stands between the cells; None for a comma.

    Returns:
        A data frame.

    Raises:
        DataError: there is no such file, or it is no table.
    """
    if not file.is_file():
        there = sorted(other.name for other in file.parent.glob("*.csv"))
        raise DataError(f"there is no file {file}. Tables in that folder: {', '.join(there) or 'none'}.")
    pandas = require("pandas", "tabular", "reading a table")
    try:
        return pandas.read_csv(file, header=header, sep="," if delimiter is None else delimiter)
    except (ValueError, OverflowError) as error:  # pandas' own errors and those of decoding are ValueErrors
        raise DataError(
            f"{file} is no table of text in UTF-8, with {delimiter or 'commas'!r} between its cells: {error} Read it"
            " with pandas.read_csv(..., encoding=..., sep=...) and pass the data frame to from_df."
        ) from error


def check_columns(df: Any, asked: Mapping[str, Columns | None]) -> None:
    """Refuse columns that `df` does not have, before anything is read."""
    names = [str(name) for name in df.columns]
    for argument, given in asked.items():
        for column in [] if given is None else [given] if isinstance(given, str | int) else given:
            known = -len(names) <= column < len(names) if isinstance(column, int) else column in df.columns
            if not known:
                hint = "" if isinstance(column, int) else suggest(column, names)
                raise DataError(
                    f"{argument}={column!r} is no column of the data frame.{hint} It has {len(names)}: "
                    f"{', '.join(names)}. (Columns may be given by name, or by number from 0.)"
                )


def block_of_columns(df: Any, label_col: Columns, label_delim: str | None) -> Any:
    """The block for labels in columns: a delimiter says that there are several classes, whatever the cells hold."""
    if label_delim is not None:
        return MultiCategoryBlock
    names = [label_col] if isinstance(label_col, str | int) else list(label_col)
    columns = [df.iloc[:, name] if isinstance(name, int) else df[name] for name in names]
    return _target_block({column.dtype.kind for column in columns}, several=len(columns) > 1)


def block_of_labels(labels: Sequence[Any]) -> Any:
    """The block for labels in a list."""
    several = any(np.ndim(label) for label in labels)
    values = [value for label in labels for value in label] if several else list(labels)
    return _target_block({np.asarray(values).dtype.kind} if values else set(), several)


def _target_block(kinds: set[str], several: bool) -> Any:
    """Quantities where there are only numbers, some of them floating point; else classes.

    Args:
        kinds: numpy's letters for the kinds of the labels' values.
        several: each item has a list of them.
    """
    if "f" in kinds and kinds <= set("fiu"):
        return RegressionBlock
    return MultiCategoryBlock if several else CategoryBlock
