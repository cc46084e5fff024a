"""`CompactNames`: a million file names as two blocks of memory, which worker processes share without copying them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CompactNames", "compacted"]

_WORTH_IT = 1000  # fewer names take no memory to speak of
_CODING = ("utf-8", "surrogatepass")  # file systems may hold names that are no valid text


class CompactNames(Sequence[Any]):
    """Texts or paths of one class, kept as bytes in one buffer; each is made anew when it is asked for.

    A forked process shares its parent's memory until one of them writes. Looking at a Python object writes, since it
    counts who refers to it: each worker that goes through a list of a million paths ends with a copy of all of them.
    Two blocks of memory have two counts.

    Args:
        names: texts or paths, all of one class.

    >>> CompactNames(["a.jpg", "b.jpg"])[1]
    'b.jpg'
    """

    deterministic = True

    def __init__(self, names: Sequence[str] | Sequence[Path]) -> None:
        self.kind: type = type(names[0]) if len(names) else str
        encoded = [os.fspath(name).encode(*_CODING) for name in names]
        self.ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        self.text = b"".join(encoded)
        self._made: tuple[int, Any] = (-1, None)  # the last one: inputs and targets ask for it one after another

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: Any) -> Any:
        """The name of that number; for a slice, the list of them."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"number {index} of {len(self)} names")
        made_for, name = self._made
        if made_for != number:
            text = self.text[self.ends[number] : self.ends[number + 1]].decode(*_CODING)
            name = text if self.kind is str else self.kind(text)
            self._made = number, name
        return name

    @property
    def nbytes(self) -> int:
        """Bytes of memory for all names."""
        return len(self.text) + self.ends.nbytes

    def __repr__(self) -> str:
        return f"CompactNames: {len(self)} in {self.nbytes} bytes"


def compacted(items: Any) -> Any:
    """A long list of texts or of paths, in little memory; anything else as it is."""
    if not isinstance(items, list) or len(items) < _WORTH_IT or type(items[0]) not in (str, type(Path())):
        return items
    kind = type(items[0])
    return CompactNames(items) if all(type(item) is kind for item in items) else items
