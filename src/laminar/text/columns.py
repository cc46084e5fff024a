"""Texts out of rows and lists: one column or several, and what is to be said of rows without a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from laminar.core.errors import DataError, describe, suggest
from laminar.core.transform import ItemTransform
from laminar.data.labels import ColReader
from laminar.data.transforms import Getter
from laminar.text.special_tokens import FLD

__all__ = ["JoinColumns", "TextColumns", "check_texts", "column_read_by", "column_texts", "columns_of", "plain_texts"]

Columns = str | int | Sequence[str | int]


def columns_of(text_cols: Columns) -> list[str | int]:
    """One column or several, as a list."""
    return [text_cols] if isinstance(text_cols, str | int) else list(text_cols)


def joined(fields: Sequence[str], mark_fields: bool) -> str:
    """One text of several fields; if marked, each begins with ``xxfld`` and its number."""
    if not mark_fields:
        return " ".join(fields)
    return " ".join(f"{FLD} {number} {field}" for number, field in enumerate(fields, 1))


def column_texts(df: Any, text_cols: Columns, mark_fields: bool | None = None) -> list[str]:
    """The texts in one or several columns of a data frame.

    Args:
        df: a pandas data frame.
        text_cols: one column or several, by name or number.
        mark_fields: begin each column's text with ``xxfld`` and its number; None does so with several columns.

    Raises:
        DataError: there is no such column, or a row has no text.
    """
    columns = []
    for column in columns_of(text_cols):
        if not (isinstance(column, int) and -len(df.columns) <= column < len(df.columns)) and column not in df.columns:
            names = [str(name) for name in df.columns]
            raise DataError(
                f"there is no column {column!r} of texts.{suggest(str(column), names)} The data frame has: "
                f"{', '.join(names)}."
            )
        values = (df.iloc[:, column] if isinstance(column, int) else df[column]).tolist()
        check_texts(values, df.index, f"column {column!r}")
        columns.append(values)
    if len(columns) == 1 and not mark_fields:
        texts: list[str] = columns[0]
        return texts
    marked = len(columns) > 1 if mark_fields is None else mark_fields
    return [joined(fields, marked) for fields in zip(*columns, strict=True)]


def check_texts(values: Sequence[Any], names: Iterable[Any] | None = None, where: str = "the items") -> None:
    """Refuse values that are neither texts nor paths.

    Args:
        values: one for each item.
        names: what each is called, such as the labels of rows; None for their numbers.
        where: what they are, for the message.

    Raises:
        DataError: some are missing or of another kind; the message names the rows.
    """
    if all(map(_is_text, values)):
        return
    called = list(range(len(values)) if names is None else names)
    wrong = [place for place, value in enumerate(values) if not _is_text(value)]
    rows = ", ".join(str(called[place]) for place in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
    first = values[wrong[0]]
    if first is None or first != first:
        empty = [place for place in wrong if values[place] is None or values[place] != values[place]]
        raise DataError(
            f"{where}: {len(empty)} of {len(values)} rows have no text (row {rows}). "
            "Drop them, df.dropna(subset=[...]), or say that they are empty: df.fillna('')."
        )
    raise DataError(
        f"{where}: {len(wrong)} of {len(values)} rows hold something else than text (row {rows}); the first is "
        f"{describe(first)}. Make it text: df[column].astype(str)."
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str | Path)


class TextColumns(ItemTransform):
    """Get the text out of a row: one column, or several joined to one text.

    Args:
        text_cols: one column or several, by name or number.
        mark_fields: begin each column's text with ``xxfld`` and its number; None does so with several columns.

    >>> TextColumns(["title", "text"])({"title": "News", "text": "None today."})
    'xxfld 1 News xxfld 2 None today.'
    """

    deterministic = True

    def __init__(self, text_cols: Columns = "text", mark_fields: bool | None = None) -> None:
        super().__init__()
        self.text_cols, self.mark_fields = text_cols, mark_fields

    def encodes(self, row: object) -> str:
        """The text in `row`."""
        columns = columns_of(self.text_cols)
        fields = [ColReader(column)(row) for column in columns]
        for column, field in zip(columns, fields, strict=True):
            if not isinstance(field, str):
                raise DataError(f"column {column!r} has no text, but {describe(field)}, in row {describe(row)}")
        marked = len(columns) > 1 if self.mark_fields is None else self.mark_fields
        return joined(fields, marked) if len(fields) > 1 or marked else fields[0]

    def column_of(self, frame: Any) -> list[str]:
        """The texts of all rows of a data frame."""
        return column_texts(frame, self.text_cols, self.mark_fields)


class JoinColumns(Getter):
    """Give rows a column with the text of one or several others, before a getter reads it.

    Args:
        text_cols: one column or several, by name or number.
        tok_text_col: the new column.
        mark_fields: see `TextColumns`.
    """

    order = -1
    deterministic = True

    def __init__(
        self, text_cols: Columns = "text", tok_text_col: str = "text", mark_fields: bool | None = None
    ) -> None:
        super().__init__(TextColumns(text_cols, mark_fields), "text_cols")
        self.text_cols, self.tok_text_col, self.mark_fields = text_cols, tok_text_col, mark_fields
        self.deterministic = True

    def encodes(self, row: object) -> object:
        """A row with one more column."""
        together: Any = row.copy()  # type: ignore[attr-defined]  # a row of a data frame, or a dict
        together[self.tok_text_col] = self.getter(row)
        return together


def column_read_by(step: Any) -> str | int | None:
    """The column that a step reads, as it is, out of a row; None if it does something else."""
    reader: object = step.getter if type(step) is Getter else getattr(step, "enc", None) or step
    if isinstance(reader, attrgetter):
        names = reader.__reduce__()[1]
        return str(names[0]) if len(names) == 1 and "." not in names[0] else None
    if not isinstance(reader, ColReader) or reader.pref or reader.suff or reader.label_delim:
        return None
    return reader.cols if isinstance(reader.cols, str | int) else None


def plain_texts(items: Any, steps: Sequence[Any], text_cols: Columns | None = None) -> Sequence[Any] | None:
    """What `steps` make of all `items`, read a column at a time; None if these steps can only be taken one by one.

    Args:
        items: a data frame, or a list of texts or paths.
        steps: what comes before the tokenizer.
        text_cols: the columns that it reads itself.
    """
    if not hasattr(items, "columns"):
        return items if not steps and isinstance(items, Sequence) else None
    if not steps:
        return None if text_cols is None else column_texts(items, text_cols)
    column = column_read_by(steps[-1])
    if len(steps) == 1:
        read = getattr(steps[0].getter if type(steps[0]) is Getter else steps[0], "column_of", None)
        if read is not None:
            return read(items)  # type: ignore[no-any-return]  # a list of texts
        return column_texts(items, column) if column is not None and column in items.columns else None
    join = steps[0]
    if len(steps) == 2 and isinstance(join, JoinColumns) and column == join.tok_text_col:
        return column_texts(items, join.text_cols, join.mark_fields)
    return None
