"""What a model of transformers reads: the numbers of a text's tokens, and what belongs to them, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from laminar.core.named_tensors import NamedTensors
from laminar.core.titled import ShowTitle

__all__ = ["EncodedTexts", "TokenizedText", "WORD_IDS", "Words"]

WORD_IDS = "word_ids"
"""Name of the numbers of the words that tokens come from (-1: of none), where texts are lists of words."""


class TokenizedText(NamedTensors):
    """A text as its tokenizer gives it: ``input_ids``, perhaps ``token_type_ids`` and others, int64 ``[length]``.

    In a batch ``[batch, length]``, with ``attention_mask``.
    """

    @property
    def n_tokens(self) -> int:
        """How many tokens the text has; in a batch with padding."""
        return int(self["input_ids"].shape[-1])


class Words(list[str], ShowTitle):
    """The words of a text, shown joined by spaces."""

    _show_args = {"label": "text"}

    def __init__(self, words: Iterable[str] = ()) -> None:
        super().__init__(words)

    def __str__(self) -> str:
        return " ".join(self)


class EncodedTexts:
    """The tokens of many texts, in a few arrays.

    Args:
        parts: for each name the numbers of all texts, one after another, int32.
        lengths: how many tokens each text has.
        n_truncated: how many texts were cut.
    """

    def __init__(self, parts: Mapping[str, np.ndarray[Any, Any]], lengths: Sequence[int], n_truncated: int = 0) -> None:
        self.parts, self.n_truncated = dict(parts), n_truncated
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)])

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> TokenizedText:
        """A text."""
        start, stop = self._starts[row], self._starts[row + 1]
        return TokenizedText(
            {name: torch.from_numpy(numbers[start:stop].astype(np.int64)) for name, numbers in self.parts.items()}
        )

    @classmethod
    def of(cls, texts: Sequence[Mapping[str, Sequence[int]]], n_truncated: int = 0) -> EncodedTexts:
        """Those of some texts that have been tokenized one by one."""
        names = list(texts[0]) if texts else []
        parts = {
            name: np.fromiter((number for text in texts for number in text[name]), dtype=np.int32) for name in names
        }
        return cls(parts, [len(text[names[0]]) for text in texts], n_truncated)

    @classmethod
    def joined(cls, several: Sequence[EncodedTexts]) -> EncodedTexts:
        """Several one after another."""
        if len(several) == 1:
            return several[0]
        names = list(several[0].parts) if several else []
        return cls(
            {name: np.concatenate([one.parts[name] for one in several]) for name in names},
            np.concatenate([one.lengths for one in several]).tolist() if several else [],
            sum(one.n_truncated for one in several),
        )
