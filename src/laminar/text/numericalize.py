"""`Numericalize`: tokens to their numbers in a vocabulary, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from laminar.core.errors import ConfigError, DataError
from laminar.core.transform import Transform
from laminar.core.types import TensorText, plain
from laminar.text.special_tokens import PAD, SPECIAL_TOKENS, UNK
from laminar.text.tokenizer import Tokenizer
from laminar.text.tokens import Lexicon, Tokens

__all__ = ["Numericalize", "make_vocab"]

FAKE = "xxfake"
"""Fills a vocabulary up to a size that accelerators like; it stands for nothing."""


def make_vocab(
    count: Mapping[str, int], min_freq: int = 3, max_vocab: int = 60000, special_toks: Sequence[str] | None = None
) -> list[str]:
    """The words of a vocabulary: the special ones, then the most frequent first.

    Its size is a multiple of 8 (accelerators multiply such matrices fastest), filled up with ``xxfake``.

    Args:
        count: how often each word is there; words of one count keep their order.
        min_freq: leave out rarer words.
        max_vocab: leave out the rarest beyond so many words.
        special_toks: words to begin with, whatever their count; None for `SPECIAL_TOKENS`.

    >>> make_vocab({"the": 9, "cat": 3, "sat": 2}, special_toks=["xxunk", "xxpad"])[:5]
    ['xxunk', 'xxpad', 'the', 'cat', 'xxfake']
    """
    special = list(dict.fromkeys(SPECIAL_TOKENS if special_toks is None else special_toks))
    frequent = sorted(((word, n) for word, n in count.items() if n >= min_freq), key=lambda pair: -pair[1])
    vocab = list(dict.fromkeys([*special, *(word for word, _ in frequent)]))[: max(max_vocab, len(special))]
    return vocab + [FAKE] * (-len(vocab) % 8)


class Numericalize(Transform):
    """Gives tokens their numbers in a vocabulary; the way back gives tokens, without those that fill up.

    Args:
        vocab: the words, number i is word i; None to make it of the training texts (see `make_vocab`), or to take that
            of the tokenizer where it has one.
        min_freq: leave out rarer words.
        max_vocab: leave out the rarest beyond so many words.
        special_toks: words to begin with; None for `SPECIAL_TOKENS`.
        unk: the word in place of those that the vocabulary lacks.
        pad: the word that fills up.

    >>> to_numbers = Numericalize(vocab=["xxunk", "xxpad", "to", "be"])
    >>> to_numbers(["to", "be", "or"]), to_numbers.decode(to_numbers(["to", "be"]))
    (TensorText([2, 3, 0]), Tokens: to be)
    """

    deterministic = True
    train_setup = True

    def __init__(
        self,
        vocab: Sequence[str] | None = None,
        min_freq: int = 3,
        max_vocab: int = 60000,
        special_toks: Sequence[str] | None = None,
        unk: str = UNK,
        pad: str = PAD,
    ) -> None:
        super().__init__()
        self.min_freq, self.max_vocab, self.special_toks = min_freq, max_vocab, special_toks
        self.unk, self.pad = unk, pad
        self.vocab: list[str] | None = None
        if vocab is not None:
            self._take(vocab)

    def _take(self, vocab: Sequence[str]) -> None:
        self.vocab = [str(word) for word in vocab]
        if not self.vocab:
            raise ConfigError("the vocabulary is empty")
        self.o2i = {word: number for number, word in reversed(list(enumerate(self.vocab))) if word != FAKE}
        self.unk_idx, self.pad_idx = self.o2i.get(self.unk), self.o2i.get(self.pad)
        self._lexicon, self._table = Lexicon(self.vocab), np.empty(0, dtype=np.int64)
        self._table_of: Lexicon | None = None

    def setups(self, items: object) -> None:
        """Make the vocabulary of training items, if none was given."""
        if self.vocab is not None:
            return
        tokenizer: Tokenizer | None = items.tfms.find(Tokenizer) if hasattr(items, "tfms") else None
        own = getattr(tokenizer.tok, "vocab", None) if tokenizer is not None else None
        if own is not None and tokenizer is not None:
            self.unk, self.pad = getattr(tokenizer.tok, "unk", self.unk), getattr(tokenizer.tok, "pad", self.pad)
            self._take(own)
            return
        count = tokenizer.counter(items) if tokenizer is not None and _follows(items, tokenizer) else None
        if count is None:
            count = Counter(token for tokens in _listed(items) for token in tokens)
        self._take(make_vocab(count, self.min_freq, self.max_vocab, self.special_toks))

    def table(self, lexicon: Lexicon) -> np.ndarray[Any, Any]:
        """For each word of a list its number in the vocabulary, int64.

        Raises:
            DataError: the vocabulary lacks one, and has no word for what it lacks.
        """
        if self._table_of is not lexicon:
            self._table, self._table_of = self._numbers(lexicon.words), lexicon
        return self._table

    def _numbers(self, words: Iterable[str]) -> Any:
        if self.vocab is None:
            raise ConfigError("Numericalize has no vocabulary yet: give it one, or set it up with items")
        unknown, numbers = -1 if self.unk_idx is None else self.unk_idx, self.o2i
        found = [numbers.get(word, unknown) for word in words]
        if unknown < 0 and -1 in found:
            raise DataError(f"{list(words)[found.index(-1)]!r} is not in the vocabulary, and neither is {self.unk!r}")
        return np.array(found, dtype=np.int64)

    def encodes(self, x: Tokens) -> TensorText:
        """The numbers of tokens."""
        if len(x.lexicon) > len(x):  # the words of many texts: their numbers are looked up once
            return TensorText(torch.from_numpy(self.table(x.lexicon)[x.numbers]))
        return TensorText(torch.from_numpy(self._numbers(x)))

    def encodes(self, x: list) -> TensorText:  # type: ignore[type-arg]  # overloads are chosen by class
        """The numbers of tokens."""
        return TensorText(torch.from_numpy(self._numbers(x)))

    def decodes(self, x: TensorText) -> Tokens:
        """The tokens of numbers."""
        numbers = plain(x).cpu().numpy().astype(np.int32)
        if self.pad_idx is not None:
            numbers = numbers[numbers != self.pad_idx]
        return Tokens(numbers, self._lexicon)


def _follows(items: Any, tokenizer: Tokenizer) -> bool:
    """Whether the items come from the tokenizer as it made them."""
    steps: list[Any] = items.tfms.transforms
    return steps[-1] is tokenizer


def _listed(items: Any) -> Iterable[Sequence[str]]:
    for tokens in items:
        if isinstance(tokens, str) or not isinstance(tokens, Sequence):
            raise DataError(
                f"Numericalize needs lists of tokens, got {type(tokens).__name__}: put a Tokenizer before it"
            )
        yield tokens
