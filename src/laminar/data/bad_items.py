"""Items that cannot be made: said where and how to look at them again, and left out if the user wants it so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from laminar.core.errors import ConfigError, DataError

__all__ = ["BadItem", "BadItems", "Origin"]

_SPLITS = {0: "training split", 1: "validation split", None: "data"}
_LOADERS = {0: "dls.train", 1: "dls.valid"}


@dataclass(frozen=True, slots=True)
class Origin:
    """What a loader's items are called in messages, and how a user gets at the loader.

    Attributes:
        items: such as ``"training split"``.
        loader: an expression such as ``"dls.train"``; empty for a loader that is not in `DataLoaders`, or not yet.
        split: number of the split they are of, whatever they are made for; None where data are not split.
    """

    items: str
    loader: str = ""
    split: int | None = None

    @classmethod
    def of_split(cls, split: int | None) -> Origin:
        """That of a loader on its own."""
        return cls(_SPLITS.get(split, f"split {split}"), split=split)

    @classmethod
    def of_member(cls, number: int) -> Origin:
        """That of loader `number` of `DataLoaders`."""
        return cls(_SPLITS.get(number, f"split {number}"), _LOADERS.get(number, f"dls[{number}]"), number)

    def reproducing(self, seed: int, epoch: int, index: int) -> str:
        """A line that makes an item again, with the draws it had.

        >>> Origin.of_member(0).reproducing(42, 3, 12)
        'dls.train.new(seed=42).item(12, epoch=3)'
        """
        return f"{self.loader or 'loader'}.new(seed={seed}).item({index}, epoch={epoch})"


@dataclass(frozen=True, slots=True)
class BadItem:
    """An item that was left out since it could not be made.

    Attributes:
        split: 0 for training, 1 for validation, None where data are not split.
        index: number of the item in its split.
        name: its file, or a few words about it.
        error: what was raised, with its notes (transform, types and shapes).
        reproduce: a line of code that raises it again; "loader" in it is the loader, where `DataLoaders` have it not.
    """

    split: int | None
    index: int
    name: str
    error: str
    reproduce: str

    @classmethod
    def of(cls, error: Exception, split: int | None, index: int, name: str, reproduce: str) -> BadItem:
        """Keep of an exception what can be read, also in another process."""
        text = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        return cls(split, index, name, text, reproduce)


class BadItems:
    """The items a loader left out, and how many there may be.

    Args:
        policy: ``"raise"`` lets an error end the run; ``"skip"`` leaves the item out and goes on.
        budget: with ``"skip"``, how many items may be left out: a number, or a share (a float below 1) of all.

    Raises:
        ConfigError: an unknown policy, or a negative budget.
    """

    def __init__(self, policy: str, budget: float) -> None:
        if policy not in ("raise", "skip"):
            raise ConfigError(f'on_bad_item is "raise" or "skip", not {policy!r}')
        if budget < 0:
            raise ConfigError(f"bad_item_budget is a number of items, or a share of them, not {budget}")
        self.policy, self.budget = policy, budget
        self.found: dict[int, BadItem] = {}

    def limit(self, n_items: int | None) -> int:
        """How many of `n_items` may be left out: at least one, unless the budget is 0."""
        if n_items is not None and 0 < self.budget < 1:
            return max(1, int(self.budget * n_items))
        return int(self.budget)

    def add(self, items: Iterable[BadItem], n_items: int | None) -> None:
        """Count items, each once; there are `n_items`, as far as that is known.

        Raises:
            DataError: there are more than the budget allows.
        """
        for item in items:
            self.found.setdefault(item.index, item)
        if len(self.found) > self.limit(n_items):
            named = "\n".join(f"  {bad.name}: {bad.error.splitlines()[0]}" for bad in list(self.found.values())[:5])
            of_all = "" if n_items is None else f" of {n_items}"
            raise DataError(
                f"{len(self.found)} items could not be made, more than bad_item_budget={self.budget} allows{of_all}. "
                f"The first of them:\n{named}\nFind all of them with dls.check(), or raise the budget."
            )
