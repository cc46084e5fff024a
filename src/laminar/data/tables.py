"""Tables of items and labels: reading them, which columns there are, and what kind of target labels are."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laminar.core.errors import DataError, require, suggest
from laminar.data.blocks import CategoryBlock, MultiCategoryBlock, RegressionBlock

__all__ = ["Columns", "block_of_columns", "block_of_labels", "check_columns", "read_table"]

Columns = str | int | Sequence[str | int]


def read_table(
    file: Path,
    header: int | str | None = "infer",
    delimiter: str | None = None,
    *,
    quoting: int = csv.QUOTE_MINIMAL,
    encoding: str = "utf-8",
) -> Any:
    """Read a table of text, as `pandas.read_csv` does.

    Args:
        file: the table.
        header: number of the row with the names of the columns; None if there is none.
        delimiter: what stands between the cells; None for a comma.
        quoting: how cells are quoted, one of `csv`'s constants.
        encoding: of the file.

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
        return pandas.read_csv(
            file, header=header, sep="," if delimiter is None else delimiter, quoting=quoting, encoding=encoding
        )
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not {encoding} text: {_place_of(file, encoding)}.") from error
    except (ValueError, OverflowError) as error:  # pandas' own errors and those of decoding are ValueErrors
        raise DataError(
            f"{file} is no table of text, with {delimiter or 'commas'!r} between its cells: {error} Read it"
            " with pandas.read_csv(..., encoding=..., sep=...) and pass the data frame to from_df."
        ) from error


def _place_of(file: Path, encoding: str) -> str:
    """Where the first line is that cannot be read, and how to read it; pandas knows the place in its buffer only."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                return (
                    f"line {number} has the byte {line[error.start]:#04x} behind {line[: error.start][-30:]!r}. Read "
                    "it with its encoding, such as pandas.read_csv(..., encoding='latin-1'), and pass the data frame "
                    "to from_df; from_csv of texts takes encoding= itself"
                )
    return "pass the table's encoding"


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
