"""`CategoryMap`: which number stands for which class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor

from laminar.core.errors import DataError, suggest

__all__ = ["CategoryMap", "NA", "is_missing"]

NA = "#na#"


def is_missing(label: object) -> bool:
    """Whether a label is absent: None, NaN, or pandas' NA and NaT."""
    return (
        label is None or (isinstance(label, float) and label != label) or type(label).__name__ in ("NAType", "NaTType")
    )


def as_label(label: Any) -> Any:
    """Make numpy's and torch's numbers Python's own, so that equal labels are one label."""
    if isinstance(label, np.generic) or (isinstance(label, Tensor | np.ndarray) and label.ndim == 0):
        return label.item()
    return label


def _check_labels(col: object) -> None:
    if isinstance(col, str | bytes):
        raise DataError(f"{col!r} is one text, and each of its letters would be a class. Give a list: [{col!r}].")
    if hasattr(col, "iloc") and hasattr(col, "columns"):
        raise DataError(
            "a whole data frame was given, and the classes would be its columns' names. Give one of its columns: "
            f"{', '.join(map(str, col.columns))}."
        )


class CategoryMap(list[Any]):
    """The classes, in the order of their numbers; missing values are no class.

    Args:
        col: the labels, of which each counts once; a categorical column of pandas keeps its own order.
        sort: sort the classes, else they come in the order of first occurrence.
        add_na: put the class ``"#na#"`` first, to which every unknown label belongs.
        strict: of a categorical column, keep only the categories that occur.

    Raises:
        DataError: `col` is no collection of labels: one text, or a whole data frame.

    Attributes:
        o2i: number of each class.

    >>> classes = CategoryMap(["dog", "cat", "dog"])
    >>> classes, classes.o2i["dog"], classes.map_ids([1, 0])
    (['cat', 'dog'], 1, ['dog', 'cat'])
    """

    def __init__(self, col: Iterable[Any] = (), sort: bool = True, add_na: bool = False, strict: bool = False) -> None:
        _check_labels(col)
        categories = getattr(getattr(col, "cat", None), "categories", None)
        if categories is not None:
            present = {as_label(label) for label in col if not is_missing(label)} if strict else None
            found = [as_label(label) for label in categories]
            found = [label for label in found if present is None or label in present]
        else:
            found = list(dict.fromkeys(as_label(label) for label in col if not is_missing(label)))
            if sort:
                found = _sorted(found)
        super().__init__([NA, *(label for label in found if label != NA)] if add_na else found)
        self.add_na = add_na
        self.o2i: dict[Any, int] = {label: index for index, label in enumerate(self)}

    def number_of(self, label: Any) -> int:
        """The number of one class; 0 for an unknown one if there is a class for these.

        Raises:
            DataError: the label is none of the classes.
        """
        if type(label) is str and label in self.o2i:  # nearly always
            return self.o2i[label]
        label = as_label(label)
        number = None if is_missing(label) else self.o2i.get(label)
        if number is not None:
            return number
        if self.add_na:
            return 0
        if is_missing(label):
            raise DataError(f"the label is missing ({label!r}). Drop such items, or use add_na=True.")
        raise DataError(
            f"label {label!r} is none of the {len(self)} classes: {listed(self)}.{suggest(str(label), map(str, self))} "
            "Give all classes with vocab=[...], or use add_na=True."
        )

    def map_objs(self, objs: Iterable[Any]) -> list[int]:
        """The numbers of many classes."""
        return [self.number_of(label) for label in objs]

    def map_ids(self, ids: Iterable[int]) -> list[Any]:
        """The classes of many numbers."""
        return [self[int(number)] for number in ids]


def listed(labels: Iterable[Any], most: int = 8) -> str:
    """Some labels in words, with how many there are besides."""
    every = list(labels)
    shown = ", ".join(repr(label) for label in every[:most])
    return f"{shown} and {len(every) - most} more" if len(every) > most else shown


def _sorted(labels: list[Any]) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels})
        raise DataError(
            f"labels of different types cannot be sorted: {' and '.join(kinds)}, for example {listed(labels, 4)}. "
            "Make them all texts (str(label)), or pass sort=False or vocab=[...]."
        ) from error
