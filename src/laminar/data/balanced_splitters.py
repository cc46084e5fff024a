"""Random splits that look at the items: every class in its true proportion, or whole groups on one side.

Both take `by`: what an item belongs to. It is a function of an item (`parent_label`), the name or number of a data
frame's column, or a sequence with one value for each item.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from laminar.core.errors import ConfigError, DataError, suggest
from laminar.data.items import name_of
from laminar.data.splits import TwoSplits, check_share, each_item, number_of, permuted, shuffled, stratified

__all__ = ["By", "StratifiedSplitter", "GroupedSplitter"]

By: TypeAlias = Callable[[Any], Any] | str | int | Sequence[Any]


@dataclass(frozen=True)
class StratifiedSplitter:
    """Put a random share of the items into validation, the same share of each class.

    Each class keeps an item for training at least; one that is too small for the share has none in validation.

    Args:
        by: the class of an item: a function, a data frame's column, or a class for each item.
        valid_pct: the share, between 0 and 1.
        seed: of the split; None takes the seed that was set for the run (``set_seed``).

    >>> train, valid = StratifiedSplitter(str.lower, 0.25, seed=1)(["a", "B", "A", "b", "a", "B", "A", "b"])
    >>> len(train), len(valid)
    (6, 2)
    """

    by: By = field(repr=False)
    valid_pct: float = 0.2
    seed: int | None = None

    def __post_init__(self) -> None:
        check_share(self.valid_pct)

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`.

        Raises:
            DataError: every class has a single item.
        """
        classes = values_by(self.by, items)
        order = stratified(shuffled(items, self.seed), classes)
        wanted = number_of(self.valid_pct, len(order), "valid_pct")
        last_of = {classes[index]: index for index in order}  # stays in training
        free = [index for index in order if last_of[classes[index]] != index]
        if not free:
            raise DataError(
                f"StratifiedSplitter: each of the {len(order)} items is alone in its class (for example "
                f"{classes[0]!r}), so none can be validated on. Does `by` give classes?"
            )
        chosen = set(free[:wanted])
        return [index for index in order if index not in chosen], free[:wanted]


@dataclass(frozen=True)
class GroupedSplitter:
    """Put random whole groups into validation: all pictures of one patient, all frames of one film.

    Items of a group are alike; with some of them in training, validation would measure memory.

    Args:
        by: the group of an item: a function, a data frame's column, or a group for each item.
        valid_pct: share of the items, between 0 and 1; it is met as nearly as whole groups allow.
        seed: of the split; None takes the seed that was set for the run (``set_seed``).

    >>> train, valid = GroupedSplitter(lambda name: name[0], 0.4, seed=0)(["a1", "a2", "b1", "b2", "c1"])
    >>> len(valid)
    2
    """

    by: By = field(repr=False)
    valid_pct: float = 0.2
    seed: int | None = None

    def __post_init__(self) -> None:
        check_share(self.valid_pct)

    def __call__(self, items: Any) -> TwoSplits:
        """Split `items`.

        Raises:
            DataError: there is one group only.
        """
        groups: dict[Any, list[int]] = defaultdict(list)
        for index, group in enumerate(values_by(self.by, items)):
            groups[group].append(index)
        if len(groups) < 2:
            raise DataError(
                f"GroupedSplitter: all {len(items)} items belong to one group, {next(iter(groups), None)!r}; "
                "at least 2 groups are needed. Does `by` give groups?"
            )
        names = sorted(groups, key=repr)  # whatever order the items were listed in
        mixed = [groups[names[index]] for index in permuted(len(names), self.seed)]
        wanted = self.valid_pct * len(items)
        train: list[int] = []
        valid: list[int] = []
        for members in mixed:
            nearer = abs(len(valid) + len(members) - wanted) < abs(len(valid) - wanted)
            (valid if nearer else train).extend(members)
        if not train or not valid:
            smallest = min(mixed, key=len)
            rest = [index for members in mixed if members is not smallest for index in members]
            return (rest, smallest) if not valid else (smallest, rest)
        return train, valid


def values_by(by: By, items: Any) -> list[Any]:
    """What each item belongs to.

    Raises:
        ConfigError: `by` is a column and `items` no data frame, or has another number of values than there are items.
        DataError: there is no such column.
    """
    if callable(by):
        return [_value(by, item, index) for index, item in enumerate(each_item(items))]
    if isinstance(by, str | int):
        values = list(_column(by, items))
    else:
        values = list(by)
    if len(values) != len(items):
        raise ConfigError(f"`by` has {len(values)} values for {len(items)} items; one for each is needed")
    return values


def _value(by: Callable[[Any], Any], item: Any, index: int) -> Any:
    try:
        return by(item)
    except Exception as error:
        error.add_note(f"in by={getattr(by, '__name__', by)}, for item {index}: {name_of(item)}")
        raise


def _column(by: str | int, items: Any) -> Any:
    if not hasattr(items, "iloc") or not hasattr(items, "columns"):
        raise ConfigError(
            f"by={by!r} names a column, but the items are no data frame ({type(items).__name__}). "
            "Give a function of an item, or a value for each item."
        )
    if isinstance(by, int) and by not in items.columns:
        return items.iloc[:, by]
    if by not in items.columns:
        names = [str(name) for name in items.columns]
        raise DataError(f"there is no column {by!r}.{suggest(str(by), names)} The columns are: {', '.join(names)}.")
    return items[by]
