"""Many texts as one stream of word numbers, read anywhere without being put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from laminar.core.errors import DataError, describe
from laminar.core.types import plain
from laminar.data.datasets import Datasets
from laminar.data.lists import NewItems, TfmdLists
from laminar.text.numericalize import Numericalize
from laminar.text.padding import reverse_text
from laminar.text.tokenizer import Tokenizer

__all__ = ["TextPlaces", "text_lengths", "text_places"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TextPlaces:
    """Where the numbers of each text are.

    Attributes:
        numbers: of all texts, in any order; may be a file.
        starts: where in `numbers` each text begins.
        lengths: of each text.
        table: number in the vocabulary for each of `numbers`; None if they are that already.
        backwards: texts are read from their ends.
    """

    numbers: Array
    starts: Array
    lengths: Array
    table: Array | None = None
    backwards: bool = False

    def stream(self, order: Array) -> Stream:
        """The texts one after another, in an order."""
        return Stream(self, order)


class Stream:
    """Texts one after another.

    Args:
        places: where the texts are.
        order: numbers of texts.
    """

    def __init__(self, places: TextPlaces, order: Array) -> None:
        self.places, self.order = places, order
        self.ends = np.cumsum(places.lengths[order], dtype=np.int64)

    def at(self, positions: Array) -> torch.Tensor:
        """The numbers at these positions of the stream, int64, of the same shape."""
        places = self.places
        texts = np.searchsorted(self.ends, positions, side="right")
        rows = self.order[texts]
        offsets = positions - (self.ends[texts] - places.lengths[rows])
        if places.backwards:
            offsets = places.lengths[rows] - 1 - offsets
        numbers = places.numbers[places.starts[rows] + offsets]
        return torch.from_numpy(numbers.astype(np.int64) if places.table is None else places.table[numbers])


def text_places(dataset: Any) -> TextPlaces:
    """Where the numbers of a data set's texts are: in a tokenizer's store if they come from there, else read once.

    Args:
        dataset: a list of texts' numbers, or of tuples that begin with them.

    Raises:
        DataError: an item is no text.
    """
    found = _stored(dataset)
    if found is not None:
        store, rows, table, backwards = found
        return TextPlaces(store.numbers, (store.ends - store.lengths)[rows], store.lengths[rows], table, backwards)
    texts = [_numbers(dataset[index], index) for index in range(len(dataset))]
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    return TextPlaces(np.concatenate([np.empty(0, np.int64), *texts]), np.cumsum(lengths) - lengths, lengths)


def text_lengths(dataset: Any) -> Array | None:
    """Tokens in each text of a data set, if a tokenizer's store has them; no item is made."""
    found = _stored(dataset)
    return None if found is None else found[0].lengths[found[1]]


def _stored(dataset: Any) -> tuple[Any, Array, Array, bool] | None:
    texts = dataset.tls[0] if isinstance(dataset, Datasets) else dataset
    if not isinstance(texts, TfmdLists) or isinstance(texts, NewItems):
        return None
    steps = list(texts.tfms.transforms)
    backwards = bool(steps) and steps[-1].enc is reverse_text
    *_, tokenizer, numbers = [None, None, *(steps[:-1] if backwards else steps)]
    if not isinstance(tokenizer, Tokenizer) or not isinstance(numbers, Numericalize) or tokenizer.known is None:
        return None
    rows = tokenizer.rows_of(texts)
    if rows is None:
        return None
    store = tokenizer.known.store
    return store, rows, numbers.table(store.lexicon), backwards


def _numbers(item: Any, index: int) -> Array:
    text = item[0] if isinstance(item, tuple) else item
    numbers: Array = plain(text).numpy() if isinstance(text, torch.Tensor) else np.asarray(text)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise DataError(f"item {index} is {describe(text)}, not the numbers of a text's words")
    return numbers.astype(np.int64)
