"""`KnownTexts`: the tokens of texts that have been tokenized, found again by the text itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from laminar.text.fingerprint import digests
from laminar.text.tokens import TokenStore

__all__ = ["KnownTexts", "keys_of"]


def keys_of(texts: Sequence[Any]) -> list[bytes]:
    """16 bytes that stand for each text, or for the path of each file."""
    return digests(text if isinstance(text, str) else f"file {text}" for text in texts)


_REMEMBERED = 4  # lists of items: those of training, of validation, and two that may be asked about between
Rows = np.ndarray[Any, np.dtype[np.int64]]


class KnownTexts:
    """Finds the row of a text in a store.

    Args:
        store: the tokens.
        keys: for each row of the store, `keys_of` its text.
    """

    def __init__(self, store: TokenStore, keys: Sequence[bytes]) -> None:
        self.store = store
        halves = np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2)
        order = np.lexsort((halves[:, 1], halves[:, 0]))
        self._first = np.ascontiguousarray(halves[order, 0])
        self._second = np.ascontiguousarray(halves[order, 1])
        self._rows = order
        self._asked: list[tuple[Any, Sequence[Any], Rows | None]] = []

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: without the lists that were asked about here."""
        return {**self.__dict__, "_asked": []}

    def row(self, text: Any) -> int | None:
        """The row of a text (or path), None if it is not there."""
        key = keys_of([text])[0]
        first, second = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
        place = int(self._first.searchsorted(np.uint64(first)))
        if place == len(self._rows) or self._first[place] != first or self._second[place] != second:
            return None
        return int(self._rows[place])

    def rows_of(self, source: Any, before: Sequence[Any], texts_of: Callable[[], Sequence[Any] | None]) -> Rows | None:
        """The rows of all texts that come from a source; a loader, its vocabulary and its order ask for the same.

        Args:
            source: the items.
            before: the steps that make texts of them.
            texts_of: makes the texts; None if there are none.
        """
        for known, steps, rows in self._asked:
            if known is source and steps == before and (rows is None or len(rows) == len(source)):
                return rows
        texts = texts_of()
        rows = None if texts is None else self.rows(texts)
        self._asked = [(source, before, rows), *self._asked[: _REMEMBERED - 1]]
        return rows

    def rows(self, texts: Sequence[Any]) -> Rows | None:
        """The rows of several texts; None if one of them is not there."""
        if not len(self._rows):
            return None if len(texts) else np.empty(0, dtype=np.int64)
        halves = np.frombuffer(b"".join(keys_of(texts)), dtype="<u8").reshape(-1, 2)
        places = np.minimum(np.searchsorted(self._first, halves[:, 0]), len(self._rows) - 1)
        if not ((self._first[places] == halves[:, 0]) & (self._second[places] == halves[:, 1])).all():
            return None
        return self._rows[places]
