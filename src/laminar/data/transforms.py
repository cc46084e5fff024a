"""Transforms between raw labels or pictures and tensors, with their way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import ConfigError, DataError, describe
from laminar.core.titled import Category, MultiCategory, TitledFloat, TitledTuple
from laminar.core.transform import ItemTransform, Transform
from laminar.core.types import (
    TensorCategory,
    TensorFloat,
    TensorImageBase,
    TensorMask,
    TensorMultiCategory,
    plain,
)
from laminar.data.items import item_at, name_of
from laminar.data.vocab import CategoryMap, is_missing

__all__ = [
    "Getter",
    "Categorize",
    "MultiCategorize",
    "OneHotEncode",
    "EncodedMultiCategorize",
    "RegressionSetup",
    "ToTensor",
    "IntToFloatTensor",
]


class Getter(ItemTransform):
    """Take the input or the label out of a raw item, with a function.

    It is a class of its own so that new items, which have no label and may not be raw items at all, can do without it.

    Args:
        getter: takes the whole item, also when that is a tuple.
        role: what it is called in messages: ``get_x``, ``get_y``.
    """

    def __init__(self, getter: Callable[[Any], Any], role: str = "getter") -> None:
        super().__init__()
        self.getter, self.role = getter, role
        self.deterministic = getattr(getter, "deterministic", False)

    def encodes(self, x: object) -> object:
        """Call the getter."""
        return self.getter(x)

    def __repr__(self) -> str:
        return f"{self.role}={getattr(self.getter, '__qualname__', None) or repr(self.getter)}"


class Categorize(Transform):
    """Number the classes; the way back gives a `Category`.

    Args:
        vocab: the classes, whose order is kept; None to find them in the training items.
        sort: sort the classes that were found.
        add_na: add a class ``"#na#"``, number 0, for labels that are none of the classes.

    Attributes:
        given: whether the classes were given, not found.
    """

    order = 1
    deterministic = True

    def __init__(self, vocab: Sequence[Any] | None = None, sort: bool = True, add_na: bool = False) -> None:
        super().__init__()
        self.given = vocab is not None
        self.vocab = None if vocab is None else _as_vocab(vocab, add_na)
        self.sort, self.add_na = sort, add_na

    @property
    def c(self) -> int:
        """How many classes there are."""
        return len(_known(self.vocab, self))

    def setups(self, items: object) -> None:
        """Find the classes in `items`."""
        if self.vocab is None and items is not None:
            labels = list(_iterable(items))
            if not self.add_na:
                _refuse_missing(labels, items)
            self.vocab = CategoryMap(labels, self.sort, self.add_na)

    def encodes(self, o: object) -> TensorCategory:
        """Number of a class."""
        return torch.tensor(_known(self.vocab, self).number_of(o)).as_subclass(TensorCategory)

    def decodes(self, o: object) -> Category:
        """Class of a number."""
        return Category(_class_of(_known(self.vocab, self), o))


class MultiCategorize(ItemTransform):
    """Number the classes of items that belong to several (or to none); the way back gives a `MultiCategory`.

    Args:
        vocab: the classes, whose order is kept; None to find them in the training items.
        add_na: add a class ``"#na#"``, number 0, for labels that are none of the classes.

    Attributes:
        given: whether the classes were given, not found.
    """

    order = 1
    deterministic = True

    def __init__(self, vocab: Sequence[Any] | None = None, add_na: bool = False) -> None:
        super().__init__()
        self.given = vocab is not None
        self.vocab = None if vocab is None else _as_vocab(vocab, add_na)
        self.add_na = add_na

    def setups(self, items: object) -> None:
        """Find the classes in `items`."""
        if self.vocab is None and items is not None:
            every = (label for labels in _iterable(items) for label in _several(labels))
            self.vocab = CategoryMap(every, add_na=self.add_na)

    def encodes(self, o: object) -> object:
        """Numbers of several classes, int64 ``[n]``."""
        numbers = _known(self.vocab, self).map_objs(_several(o))
        return TensorMultiCategory(torch.tensor(numbers, dtype=torch.int64))

    def decodes(self, o: object) -> object:
        """Classes of several numbers."""
        vocab = _known(self.vocab, self)
        return MultiCategory([str(_class_of(vocab, number)) for number in _iterable(o)])


class OneHotEncode(Transform):
    """Turn numbers of classes into a vector with ones at these places, float32 ``[c]``.

    Args:
        c: how many classes there are; None to take it from the classes of the items' vocabulary.
    """

    order = 2
    deterministic = True

    def __init__(self, c: int | None = None) -> None:
        super().__init__()
        self.c = c

    def setups(self, items: object) -> None:
        """Take the number of classes from the vocabulary of `items`."""
        vocab = getattr(items, "vocab", None)
        if self.c is None and vocab is not None:
            self.c = len(vocab)

    def encodes(self, o: TensorCategory) -> TensorMultiCategory:
        """The vector."""
        if self.c is None:
            raise ConfigError("OneHotEncode does not know how many classes there are; pass OneHotEncode(c=...)")
        vector = torch.zeros(self.c)
        vector[plain(o).long()] = 1.0
        return TensorMultiCategory(vector)

    def decodes(self, o: Tensor) -> TensorMultiCategory:
        """The places of the ones."""
        return TensorMultiCategory(plain(o).nonzero().flatten())


class EncodedMultiCategorize(ItemTransform):
    """Take labels that come as a vector of zeros and ones; the way back gives a `MultiCategory`.

    Args:
        vocab: the classes, in the order of the vector.
    """

    order = 1
    deterministic = True

    def __init__(self, vocab: Sequence[Any]) -> None:
        super().__init__()
        self.vocab = CategoryMap(vocab, sort=False)

    @property
    def c(self) -> int:
        """How many classes there are."""
        return len(self.vocab)

    def encodes(self, o: object) -> object:
        """The vector, float32 ``[c]``."""
        vector = TensorMultiCategory(np.asarray(o, dtype=np.float32))
        if vector.shape != (self.c,):
            raise DataError(f"a vector of {self.c} zeros and ones is needed (one for each class), got {describe(o)}")
        return vector

    def decodes(self, o: object) -> object:
        """The classes with a one."""
        return MultiCategory([str(label) for label, chosen in zip(self.vocab, _iterable(o), strict=True) if chosen > 0])


class RegressionSetup(ItemTransform):
    """Make one or several quantities to predict float32.

    Args:
        c: how many quantities there are; None to take it from the first training item.
    """

    deterministic = True

    def __init__(self, c: int | None = None) -> None:
        super().__init__()
        self.c = c

    def setups(self, items: object) -> None:
        """Count the quantities of the first of `items`."""
        if self.c is None and items is not None and len(items):  # type: ignore[arg-type]  # items have a length
            self.c = int(np.asarray(item_at(items, 0)).size)

    def encodes(self, o: object) -> object:
        """float32, ``[]`` or ``[c]``."""
        try:
            values = np.asarray(o, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"a number (or several) is needed as target, got {describe(o)}. "
                "For names of classes, use CategoryBlock in place of RegressionBlock."
            ) from error
        if not np.isfinite(values).all():
            raise DataError(
                f"the target is {values.tolist()}, from {describe(o)}. Drop such items or fill the value in."
            )
        return TensorFloat(values)

    def decodes(self, o: object) -> object:
        """A titled number or tuple of numbers."""
        values = np.asarray(plain(o)).tolist()
        return TitledTuple(values) if isinstance(values, list) else TitledFloat(values)


class ToTensor(Transform):
    """Make a tensor of what is none yet. Which types it knows is said where these are defined, by ``@ToTensor``."""

    order = 5
    deterministic = True


class IntToFloatTensor(Transform):
    """Make pictures floating point, 0 to 1, and masks int64. Runs on the batch, where the batch is.

    A picture that is floating point already is left alone.

    Args:
        div: what a picture's bytes are divided by.
        div_mask: what a mask's numbers are divided by (255 for masks painted in black and white).
    """

    order = 10
    deterministic = True

    def __init__(self, div: float = 255.0, div_mask: int = 1) -> None:
        super().__init__()
        self.div, self.div_mask = div, div_mask

    def encodes(self, o: TensorImageBase) -> TensorImageBase:
        """float32."""
        pixels = plain(o)
        return o if pixels.is_floating_point() else o.wrap(pixels.float().div_(self.div), o)

    def encodes(self, o: TensorMask) -> TensorMask:
        """int64."""
        numbers = plain(o).long()
        return o.wrap(numbers if self.div_mask == 1 else numbers.div(self.div_mask, rounding_mode="floor"), o)

    def decodes(self, o: TensorImageBase) -> TensorImageBase:
        """Clipped to what can be shown."""
        return o.wrap(plain(o).clamp(0.0, 1.0), o) if self.div else o


def _as_vocab(vocab: Sequence[Any], add_na: bool) -> CategoryMap:
    """The classes as given; only repeated ones are an error."""
    classes = CategoryMap(vocab, sort=False, add_na=add_na)
    if len(classes) != len(vocab) + (add_na and "#na#" not in vocab):
        raise ConfigError(f"vocab names a class twice, or a missing value: {list(vocab)}")
    return classes


def _known(vocab: CategoryMap | None, transform: Transform) -> CategoryMap:
    if vocab is None:
        raise ConfigError(f"{transform.name} has seen no items yet, and got no vocab: it does not know the classes")
    return vocab


def _class_of(vocab: CategoryMap, number: Any) -> Any:
    index = int(number)
    if not 0 <= index < len(vocab):
        raise DataError(f"class number {index} is beyond the {len(vocab)} classes (0 to {len(vocab) - 1})")
    return vocab[index]


def _several(labels: Any) -> list[Any]:
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise DataError(
            f"a list of labels is needed for each item, got {describe(labels)}. "
            "Split a text with ColReader(..., label_delim=' '), or use CategoryBlock for one label an item."
        )
    return list(labels)


def _iterable(items: Any) -> Iterable[Any]:
    return items  # type: ignore[no-any-return]  # whatever it is, it says so itself when it cannot be iterated


def _refuse_missing(labels: list[Any], items: Any) -> None:
    missing = [index for index, label in enumerate(labels) if is_missing(label)]
    if missing:
        raw = getattr(items, "items", None)
        first = f"item {missing[0]}" if raw is None or callable(raw) else name_of(item_at(raw, missing[0]))
        raise DataError(
            f"{len(missing)} of {len(labels)} items have no label; the first is {first}. Drop them, or use add_na=True."
        )
