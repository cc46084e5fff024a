"""Values that are no tensors and yet show themselves: class names, numbers, texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from laminar.core.show import show_title

__all__ = [
    "ShowTitle",
    "TitledInt",
    "TitledFloat",
    "TitledStr",
    "TitledTuple",
    "Category",
    "MultiCategory",
]


class ShowTitle:
    """Mixin: shown as the title of axes, as a cell of a pandas row, or printed."""

    _show_args: dict[str, Any] = {"label": "text"}

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Show as a title of `ctx`; without one, print."""
        return show_title(str(self), ctx=ctx, **{**self._show_args, **kwargs})


class TitledInt(int, ShowTitle):
    """An int that shows itself."""

    __str__ = int.__repr__


class TitledFloat(float, ShowTitle):
    """A float that shows itself."""

    __str__ = float.__repr__


class TitledStr(str, ShowTitle):
    """A str that shows itself."""

    def truncate(self, n: int) -> TitledStr:
        """The first `n` words."""
        return TitledStr(" ".join(self.split(" ")[:n]))


class TitledTuple(tuple[Any, ...], ShowTitle):
    """A tuple that shows itself as one text."""


class Category(str, ShowTitle):
    """The name of a class."""

    _show_args = {"label": "category"}


class MultiCategory(list[str], ShowTitle):
    """The names of the classes an item belongs to, shown joined by ";"."""

    _show_args = {"label": "category"}

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__(names)

    def __str__(self) -> str:
        return ";".join(map(str, self))
