"""Texts of one batch brought to one length, by a word that means nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.core.random import deterministic
from laminar.core.transform import Transform
from laminar.core.types import TensorText, cast, plain
from laminar.text.numericalize import Numericalize
from laminar.text.special_tokens import SPECIAL_TOKENS

__all__ = ["Pad_Chunk", "Pad_Input", "pad_chunk", "pad_input", "pad_input_chunk", "reverse_text"]

_PAD_IDX = SPECIAL_TOKENS.index("xxpad")


@deterministic
def reverse_text(x: TensorText) -> TensorText:
    """A text from its end to its beginning, for models that read backwards.

    Args:
        x: int64, ``[length]``.
    """
    return cast(x.flip(0), TensorText)  # type: ignore[no-any-return]  # of that type


def pad_chunk(
    x: Tensor, pad_idx: int = _PAD_IDX, pad_first: bool = True, seq_len: int = 72, pad_len: int = 10
) -> Tensor:
    """Lengthen a text so that, cut into pieces, it begins with a piece of its own.

    As many whole pieces as there are go before the text (or behind it), the rest behind.

    Args:
        x: ``[length]``.
        pad_idx: the number to lengthen with.
        pad_first: put whole pieces before the text.
        seq_len: length of a piece.
        pad_len: length of the result.

    >>> import torch
    >>> pad_chunk(torch.tensor([5, 6]), seq_len=3, pad_len=6)
    tensor([1, 1, 1, 5, 6, 1])
    """
    missing = pad_len - len(x)
    padded = x.new_full((pad_len,), pad_idx)
    start = missing // seq_len * seq_len if pad_first else 0
    padded[start : start + len(x)] = x
    return padded


class Pads(Transform):
    """What transforms of a list of samples have in common that bring the texts in it to one length.

    Args:
        pad_idx: the number to lengthen with; None for that of the vocabulary's ``xxpad``.
    """

    deterministic = True

    def __init__(self, pad_idx: int | None = None) -> None:
        super().__init__()
        self.pad_idx = pad_idx

    def setups(self, loader: object) -> None:
        """Learn the number of the word that pads from the loader's vocabulary."""
        dataset = getattr(loader, "dataset", None)
        for member in getattr(dataset, "tls", [dataset]):
            numbers = member.tfms.find(Numericalize) if hasattr(member, "tfms") else None
            if self.pad_idx is None and numbers is not None:
                self.pad_idx = numbers.pad_idx

    def encodes(self, samples: list) -> list:  # type: ignore[type-arg]  # overloads are chosen by class
        """The samples, with texts of one length."""
        if not samples or not isinstance(samples[0], tuple):
            return [sample for (sample,) in self._padded([(sample,) for sample in samples])]
        return self._padded(samples)

    def _padded(self, samples: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        fields = self.fields(samples[0]) if samples else []
        number = _PAD_IDX if self.pad_idx is None else self.pad_idx
        columns = list(zip(*samples, strict=True))
        for field in fields:
            texts = [self.shortened(plain(text)) for text in columns[field]]
            longest = max(map(len, texts))
            rows = texts[0].new_full((len(texts), longest), number)
            for row, text in zip(rows, texts, strict=True):
                self.fill(row, text)
            columns[field] = tuple(row.as_subclass(type(columns[field][0])) for row in rows)
        return list(zip(*columns, strict=True))

    def fields(self, sample: tuple[Any, ...]) -> list[int]:
        """Which parts of a sample are lengthened."""
        return [number for number, part in enumerate(sample) if isinstance(part, TensorText)]

    def shortened(self, text: Tensor) -> Tensor:
        """What is kept of a text: here, all."""
        return text

    def fill(self, row: Tensor, text: Tensor) -> None:
        """Put a text into its row, which holds the padding."""
        raise NotImplementedError(f"{type(self).__name__} must define fill")


class Pad_Input(Pads):
    """Lengthens the texts in a list of samples to that of the longest, behind or before.

    Args:
        pad_idx: the number to lengthen with; None for that of the vocabulary's ``xxpad``.
        pad_fields: number of the part of a sample that is a text, or several.
        pad_first: lengthen before the text.
        backwards: turn texts round, padding included.

    >>> Pad_Input()([(TensorText([5, 6]), 0), (TensorText([7]), 1)])
    [(TensorText([5, 6]), 0), (TensorText([7, 1]), 1)]
    """

    def __init__(
        self,
        pad_idx: int | None = None,
        pad_fields: int | Sequence[int] = 0,
        pad_first: bool = False,
        backwards: bool = False,
    ) -> None:
        super().__init__(pad_idx)
        self.pad_fields, self.pad_first, self.backwards = pad_fields, pad_first, backwards

    def fields(self, sample: tuple[Any, ...]) -> list[int]:
        """Those that were named."""
        return [self.pad_fields] if isinstance(self.pad_fields, int) else list(self.pad_fields)

    def fill(self, row: Tensor, text: Tensor) -> None:
        """At the end or the beginning of its row."""
        if self.backwards:
            text = text.flip(0)
        start = len(row) - len(text) if self.pad_first else 0
        row[start : start + len(text)] = text


pad_input = Pad_Input()
"""Lengthens texts behind (see `Pad_Input`)."""


class Pad_Chunk(Pads):
    """Lengthens the texts in a list of samples so that each, cut into pieces, begins with a piece of its own.

    Args:
        pad_idx: the number to lengthen with; None for that of the vocabulary's ``xxpad``.
        pad_first: put whole pieces before the text.
        seq_len: length of a piece.
        max_words: words that are kept of a text, those at its end; None for all. All texts of a batch are lengthened
            to the longest, so that one enormous text would take the memory of `bs` such texts.

    Raises:
        ConfigError: pieces without length, or no words.
    """

    def __init__(
        self, pad_idx: int | None = None, pad_first: bool = True, seq_len: int = 72, max_words: int | None = 50_000
    ) -> None:
        super().__init__(pad_idx)
        if seq_len < 1 or (max_words is not None and max_words < 1):
            raise ConfigError(f"seq_len and max_words must be at least 1, got {seq_len} and {max_words}")
        self.pad_first, self.seq_len, self.max_words = pad_first, seq_len, max_words

    def shortened(self, text: Tensor) -> Tensor:
        """The words at the end of a text."""
        return text if self.max_words is None else text[-self.max_words :]

    def fill(self, row: Tensor, text: Tensor) -> None:
        """Where a piece begins."""
        start = (len(row) - len(text)) // self.seq_len * self.seq_len if self.pad_first else 0
        row[start : start + len(text)] = text


def pad_input_chunk(
    samples: list[tuple[Any, ...]], n_inp: int = 1, pad_idx: int = _PAD_IDX, pad_first: bool = True, seq_len: int = 72
) -> list[tuple[Any, ...]]:
    """Lengthen the first `n_inp` parts of samples by pieces (see `pad_chunk`).

    Args:
        samples: a list of tuples.
        n_inp: how many parts are texts.
        pad_idx: see `pad_chunk`.
        pad_first: see `pad_chunk`.
        seq_len: see `pad_chunk`.
    """
    longest = max(len(part) for sample in samples for part in sample[:n_inp])
    return [
        (*(pad_chunk(part, pad_idx, pad_first, seq_len, longest) for part in sample[:n_inp]), *sample[n_inp:])
        for sample in samples
    ]
