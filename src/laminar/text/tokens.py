"""Tokens of a text, and of many texts: numbers that stand for words in a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, overload

import numpy as np

__all__ = ["Lexicon", "Numbers", "TokenStore", "Tokens"]

Numbers = np.ndarray[Any, np.dtype[np.int32]]


class Lexicon:
    """The words that tokens' numbers stand for, shared by many texts.

    Args:
        words: number i stands for word i.
    """

    __slots__ = ("words",)

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)

    def __len__(self) -> int:
        return len(self.words)


class Tokens(Sequence[str]):
    """The tokens of one text: a sequence of words, kept as numbers.

    Args:
        numbers: int32, ``[length]``.
        lexicon: the words they stand for.

    >>> Tokens.of(["to", "be"])
    Tokens: to be
    """

    __slots__ = ("lexicon", "numbers")

    def __init__(self, numbers: Numbers, lexicon: Lexicon) -> None:
        self.numbers, self.lexicon = numbers, lexicon

    @classmethod
    def of(cls, words: Iterable[str]) -> Self:
        """Tokens of words."""
        lexicon = Lexicon(list(words))
        return cls(np.arange(len(lexicon), dtype=np.int32), lexicon)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Tokens: ...

    def __getitem__(self, index: int | slice) -> str | Tokens:
        if isinstance(index, slice):
            return Tokens(self.numbers[index], self.lexicon)
        return self.lexicon.words[int(self.numbers[index])]

    def __iter__(self) -> Iterator[str]:
        return map(self.lexicon.words.__getitem__, self.numbers.tolist())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Tokens | list | tuple):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none

    def __str__(self) -> str:
        return " ".join(self)

    def __repr__(self) -> str:
        return f"Tokens: {self}"


class TokenStore(Sequence[Tokens]):
    """The tokens of many texts, one after another, in memory or in a file that is read where it is needed.

    Args:
        numbers: those of all texts, int32, ``[tokens]``; or the file that holds them.
        lengths: tokens in each text, int64, ``[texts]``.
        lexicon: the words that the numbers stand for.
    """

    def __init__(self, numbers: Numbers | Path, lengths: np.ndarray[Any, Any], lexicon: Lexicon) -> None:
        self.file = numbers if isinstance(numbers, Path) else None
        self.numbers = _mapped(numbers) if isinstance(numbers, Path) else numbers
        self.lengths, self.lexicon = lengths, lexicon
        self.ends = np.cumsum(lengths, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Tokens: ...

    @overload
    def __getitem__(self, index: slice) -> list[Tokens]: ...

    def __getitem__(self, index: int | slice) -> Tokens | list[Tokens]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"text {index} of {len(self)}")
        return Tokens(self.numbers_of(index % len(self)), self.lexicon)

    def numbers_of(self, row: int) -> Numbers:
        """The numbers of one text's tokens."""
        end = self.ends[row]
        return self.numbers[end - self.lengths[row] : end]

    def counter(self, rows: Iterable[int] | None = None) -> Counter[str]:
        """How often each word is there, the most frequent first; words of one count in the order of appearance.

        Args:
            rows: numbers of the texts that count; None for all.
        """
        totals = np.zeros(len(self.lexicon), dtype=np.int64)
        if rows is None:
            for start in range(0, len(self.numbers), 1 << 24):
                totals += np.bincount(self.numbers[start : start + (1 << 24)], minlength=len(totals))
        else:
            waiting: list[Numbers] = []
            for row in rows:
                waiting.append(self.numbers_of(row))
                if len(waiting) == 4096:
                    totals += _counted(waiting, len(totals))
                    waiting.clear()
            totals += _counted(waiting, len(totals))
        order = np.argsort(-totals, kind="stable")
        words = self.lexicon.words
        return Counter({words[number]: int(totals[number]) for number in order if totals[number]})

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: of a file its name."""
        state = dict(self.__dict__)
        if self.file is not None:
            del state["numbers"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.file is not None:
            self.numbers = _mapped(self.file)

    def __repr__(self) -> str:
        return f"TokenStore: {len(self)} texts, {len(self.numbers):,} tokens, {len(self.lexicon):,} different ones"


def _mapped(file: Path) -> Numbers:
    if not file.stat().st_size:
        return np.empty(0, dtype=np.int32)
    return np.memmap(file, dtype=np.int32, mode="r")


def _counted(texts: list[Numbers], size: int) -> np.ndarray[Any, Any]:
    return np.bincount(np.concatenate(texts), minlength=size) if texts else np.zeros(size, dtype=np.int64)
