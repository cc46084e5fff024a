"""Getting the label (or the input) out of an item: from its path, a row's columns, a tuple's members."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from laminar.core.errors import ConfigError, DataError, describe, suggest
from laminar.core.random import deterministic
from laminar.core.transform import ItemTransform
from laminar.data.items import folder_above

__all__ = ["parent_label", "RegexLabeller", "ColReader", "ItemGetter", "AttrGetter", "using_attr"]


@deterministic
def parent_label(o: str | Path) -> str:
    """The name of the folder that a file lies in.

    >>> parent_label("clothing/train/hat/17.jpg")
    'hat'
    """
    return folder_above(o, 1)


class RegexLabeller(ItemTransform):
    r"""Label a file by the first group of a regular expression, tried on its path with ``/`` between the parts.

    Args:
        pat: the expression, with one group.
        match: it must match from the path's beginning; otherwise it may match anywhere.

    >>> RegexLabeller(r"([^/]+)_\d+.jpg$")("pets/great_pyrenees_173.jpg")
    'great_pyrenees'
    """

    deterministic = True

    def __init__(self, pat: str | re.Pattern[str], match: bool = False) -> None:
        super().__init__()
        self.pat, self.match = pat if isinstance(pat, str) else pat.pattern, match
        self._compiled = re.compile(pat)
        if self._compiled.groups < 1:
            raise ConfigError(
                f"the pattern {self.pat!r} has no group; put round brackets around the part that is the label"
            )

    def encodes(self, o: object) -> object:
        """The label of path `o`."""
        path = o.as_posix() if isinstance(o, PurePath) else str(o).replace(os.sep, "/")
        found = self._compiled.match(path) if self.match else self._compiled.search(path)
        if found is None:
            raise DataError(f"the pattern {self.pat!r} does not match the path {path!r}")
        return found.group(1)

    def __repr__(self) -> str:
        return f"RegexLabeller({self.pat!r})"


class ColReader(ItemTransform):
    """Read one or several columns of a row (of a data frame, dict, named tuple or sequence).

    Args:
        cols: name or number of the column, or a list of them (then the result is a list).
        pref: put before the value; a `Path` is a folder, that values which are absolute paths are not put into.
        suff: put after the value, ``".jpg"`` for instance.
        label_delim: split the value here into a list of labels; an empty value has none.

    >>> ColReader("tags", label_delim=" ")({"tags": "clear road"})
    ['clear', 'road']
    """

    deterministic = True

    def __init__(
        self,
        cols: str | int | Sequence[str | int],
        pref: str | Path = "",
        suff: str = "",
        label_delim: str | None = None,
    ) -> None:
        super().__init__()
        self.cols = cols
        self.pref = f"{pref}{os.path.sep}" if isinstance(pref, Path) else pref
        self.suff, self.label_delim = suff, label_delim

    def encodes(self, row: object) -> object:
        """The value in `row`, or the list of values."""
        if isinstance(self.cols, str | int):
            return self._read(row, self.cols)
        return [self._read(row, column) for column in self.cols]

    def column_of(self, frame: Any) -> list[Any] | None:
        """What `encodes` gives for each row of a data frame, read at once; None if rows are to be read one by one."""
        if isinstance(self.cols, bool) or not isinstance(self.cols, str | int):
            return None
        if self.pref or self.suff or self.label_delim is not None:
            return None
        try:
            column = frame.iloc[:, self.cols] if isinstance(self.cols, int) else frame[self.cols]
        except (KeyError, IndexError):
            return None  # reading a row says what is wrong
        return column.tolist() if column.ndim == 1 else None

    def _read(self, row: Any, column: str | int) -> Any:
        value = _cell(row, column)
        if self.label_delim is not None:
            return str(value).split(self.label_delim) if _filled(value) else []
        if not self.pref and not self.suff:
            return value
        name, folder = f"{value}{self.suff}", self.pref.endswith(os.path.sep)
        return os.path.join(self.pref, name) if folder else f"{self.pref}{name}"

    def __repr__(self) -> str:
        return f"ColReader({self.cols!r})"


def _filled(value: Any) -> bool:
    """Whether a cell holds something: not None, not NaN, not an empty text."""
    return value is not None and value == value and value != ""


def _cell(row: Any, column: str | int) -> Any:
    if isinstance(row, dict) and isinstance(column, int) and column not in row:
        row = tuple(row.values())
    try:
        if isinstance(column, int) and hasattr(row, "iloc"):
            return row.iloc[column]
        if isinstance(column, str) and hasattr(row, "_fields"):
            return getattr(row, column)
        return row[column]
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        names = _column_names(row)
        raise DataError(
            f"there is no {column!r} in {describe(row)}.{suggest(str(column), names)}"
            + (f" It has: {', '.join(names)}." if names else "")
        ) from error


def _column_names(row: Any) -> list[str]:
    if isinstance(row, dict):
        return [str(name) for name in row]
    names = getattr(row, "_fields", None) or (row.index if hasattr(row, "iloc") else ())
    return [str(name) for name in names]


class ItemGetter(ItemTransform):
    """Get member `i` of an item that is a tuple, list or dict."""

    deterministic = True

    def __init__(self, i: int | str) -> None:
        super().__init__()
        self.i = i

    def encodes(self, o: object) -> object:
        """Member `i` of `o`."""
        return _cell(o, self.i)

    def __repr__(self) -> str:
        return f"ItemGetter({self.i!r})"


class AttrGetter(ItemTransform):
    """Get attribute `nm` of an item, `default` where it has none."""

    deterministic = True

    def __init__(self, nm: str, default: Any = None) -> None:
        super().__init__()
        self.nm, self.default = nm, default

    def encodes(self, o: object) -> object:
        """The attribute of `o`."""
        return getattr(o, self.nm, self.default)

    def __repr__(self) -> str:
        return f"AttrGetter({self.nm!r})"


def using_attr(f: Callable[[Any], Any], attr: str) -> Callable[[Any], Any]:
    r"""A function that applies `f` to an attribute of what it is given.

    >>> using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name")(Path("pets/great_pyrenees_173.jpg"))
    'great_pyrenees'
    """
    function = partial(_apply_to_attribute, f, attr)
    function.deterministic = getattr(f, "deterministic", False)  # type: ignore[attr-defined]  # as of any function
    return function


def _apply_to_attribute(f: Callable[[Any], Any], attr: str, o: Any) -> Any:
    return f(getattr(o, attr))
