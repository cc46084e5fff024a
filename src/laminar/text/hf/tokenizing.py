"""Texts to tokens by a tokenizer of transformers, and batches of them at one length."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from laminar.core.errors import ConfigError, DataError, describe
from laminar.core.titled import TitledStr
from laminar.core.transform import ItemTransform, Transform
from laminar.core.types import TensorBase, plain
from laminar.data.labels import ColReader
from laminar.data.orders import SortedDL
from laminar.text.columns import Columns, check_texts, column_texts, columns_of, plain_texts
from laminar.text.hf.inputs import WORD_IDS, EncodedTexts, TokenizedText, Words
from laminar.text.hf.tokenizer import HFTokenizer
from laminar.text.tokenizing import read_text

__all__ = ["HFPad", "HFTextDL", "HFTokenize", "TextFields", "TokenTargets"]

IGNORED = -100
"""The target of a token that nothing is to be said about, as torch's and transformers' losses have it."""


class TokenTargets(TensorBase):
    """A target for each token, int64, ``[length]`` or ``[batch, length]``; -100 where there is none."""


class TextFields(ItemTransform):
    """Get a text out of a row, or the two texts of a pair.

    Args:
        text_cols: a column, or two for a pair of texts (premise and hypothesis, question and answer).

    >>> TextFields(["premise", "hypothesis"])({"premise": "It rains.", "hypothesis": "It is wet."})
    ('It rains.', 'It is wet.')
    """

    deterministic = True

    def __init__(self, text_cols: Columns = "text") -> None:
        super().__init__()
        if not 1 <= len(columns_of(text_cols)) <= 2:
            raise ConfigError(f"a model reads a text or a pair of texts; got {len(columns_of(text_cols))} columns")
        self.text_cols = text_cols

    def encodes(self, row: object) -> object:
        """The text or the pair."""
        values = [ColReader(column)(row) for column in columns_of(self.text_cols)]
        return values[0] if len(values) == 1 else tuple(values)

    def column_of(self, frame: Any) -> list[Any]:
        """The texts of all rows of a data frame."""
        names = columns_of(self.text_cols)
        cells = [frame.iloc[:, name] if isinstance(name, int) else frame[name] for name in names]
        if len(cells) == 1 and holds_lists(cells[0]):
            return list(cells[0])
        columns = [column_texts(frame, column) for column in names]
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


class HFTokenize(ItemTransform):
    """Texts, pairs of texts or lists of words to tokens; the way back gives the text.

    All texts of a data set are tokenized at once when it is set up, and kept as numbers.

    Args:
        tokenizer: of transformers.
        max_length: cut texts after so many tokens; None for as many as the tokenizer says that its model takes, with a
            warning that says how many were cut.
        is_split_into_words: the texts are lists of words.
        encoding: of files.
    """

    deterministic = True
    train_setup = False

    def __init__(
        self,
        tokenizer: HFTokenizer,
        max_length: int | None = None,
        is_split_into_words: bool = False,
        encoding: str = "utf-8",
    ) -> None:
        super().__init__()
        if max_length is not None and max_length < 1:
            raise ConfigError(f"max_length must be at least 1, got {max_length}")
        self.tokenizer, self.max_length = tokenizer, max_length
        self.is_split_into_words, self.encoding = is_split_into_words, encoding
        self._known: dict[Any, int] = {}
        self._store = EncodedTexts({}, [])

    @property
    def limit(self) -> int | None:
        """After how many tokens texts are cut; None: never."""
        return self.tokenizer.max_length if self.max_length is None else self.max_length

    @property
    def n_truncated(self) -> int:
        """How many of the texts it was set up with were cut."""
        return self._store.n_truncated

    @property
    def longest(self) -> int:
        """Tokens of the longest of the texts it was set up with."""
        return int(self._store.lengths.max(initial=0))

    def setups(self, items: object) -> None:
        """Tokenize all items; what cannot be tokenized says so now."""
        texts = texts_before(self, items)
        index = getattr(getattr(items, "items", None), "index", None)
        names = None if index is None or callable(index) else list(index)
        if texts and isinstance(texts[0], str | Path):
            check_texts(texts, names)
        read = [self._read(text) for text in texts]
        self._store = self.tokenizer.encode(read, self.limit, self.is_split_into_words)
        self._refuse_empty(texts, names)
        self._known = {_key(text): row for row, text in enumerate(texts)}
        if self.max_length is None:
            tell_truncated(self._store, self.limit, "texts", "max_length")

    def _refuse_empty(self, texts: Sequence[Any], names: list[Any] | None) -> None:
        empty = [row for row, length in enumerate(self._store.lengths) if not length]
        if empty:
            first = empty[0] if names is None else names[empty[0]]
            raise DataError(
                f"{len(empty)} of {len(texts)} texts have no tokens; the first is {describe(texts[empty[0]])} (row "
                f"{first}). Leave them out: df = df[df['text'].str.strip() != '']."
            )

    def lengths_of(self, items: Any) -> list[int] | None:
        """How many tokens each of some items has; None if they have not been tokenized yet."""
        texts = texts_before(self, items)
        rows = [row for text in texts if (row := self._known.get(_key(text))) is not None]
        found: list[int] = self._store.lengths[rows].tolist()
        return found if len(found) == len(texts) else None

    def encodes(self, x: object) -> object:
        """The tokens of a text, of a pair of texts, or of a list of words."""
        if isinstance(x, TokenizedText):
            return x
        row = self._known.get(_key(x))
        if row is not None:
            return self._store[row]
        text = self.tokenizer.encode([self._read(x)], self.limit, self.is_split_into_words)[0]
        if not text.n_tokens:
            raise DataError(f"the text {describe(x)} has no tokens")
        return text

    def decodes(self, x: TokenizedText) -> object:
        """The text, or its words where these were given."""
        numbers = plain(x["input_ids"])
        if WORD_IDS in x:
            of_word: dict[int, list[int]] = {}
            for number, word in zip(numbers.tolist(), plain(x[WORD_IDS]).tolist(), strict=True):
                of_word.setdefault(word, []).append(number)
            return Words(self.tokenizer.decode(of_word[word]).strip() for word in sorted(of_word) if word >= 0)
        if "attention_mask" in x:
            numbers = numbers[plain(x["attention_mask"]).bool()]
        return TitledStr(" ".join(self.tokenizer.decode(numbers.tolist()).split()))

    def _read(self, x: Any) -> Any:
        """What the tokenizer takes, of what a data set holds or a user asks."""
        if self.is_split_into_words:
            if isinstance(x, str) or not _is_list_of_texts(x) or not len(x):
                raise DataError(
                    f"a list of words is needed, got {describe(x)}. Cut the text: text.split(); or make the block "
                    "without is_split_into_words."
                )
            return list(x)
        if isinstance(x, Path):
            return read_text(x, self.encoding)
        if isinstance(x, tuple | list) and len(x) == 2 and _is_list_of_texts(x):
            return tuple(x)
        if not isinstance(x, str):
            raise DataError(
                f"a text, or a pair of texts, is needed, got {describe(x)}. Say where an item has it: "
                "get_x=ColReader('text'); for lists of words, is_split_into_words=True."
            )
        return x


def texts_before(transform: Transform, items: Any) -> Sequence[Any]:
    """What comes to a transform from a list of items, read a column at a time where that can be.

    Args:
        transform: among the transforms of `items`, or to be added to them.
        items: a `TfmdLists`; or the texts.
    """
    if not hasattr(items, "tfms"):
        return list(items)
    before = items.up_to(transform) if transform in items.tfms.transforms else items
    texts = plain_texts(before.items, before.tfms.transforms)
    return list(before) if texts is None else texts


def tell_truncated(texts: EncodedTexts, limit: int | None, what: str, argument: str) -> None:
    """Say how many of some texts were cut where nobody has asked for it.

    Args:
        texts: their tokens.
        limit: after how many tokens they were cut.
        what: what they are called.
        argument: what says after how many tokens to cut.
    """
    if texts.n_truncated:
        warnings.warn(
            f"{texts.n_truncated} of {len(texts)} {what} have more than {limit} tokens and are cut there, since the"
            f" tokenizer says that its model takes no more. {argument}={limit} says that you know.",
            UserWarning,
            stacklevel=2,
        )


def holds_lists(cells: Any) -> bool:
    """Whether a column holds lists (of words, of labels), as its first cell tells."""
    first = cells.iloc[0] if len(cells) else None
    return not isinstance(first, str) and hasattr(first, "__len__")


def _is_list_of_texts(x: Any) -> bool:
    return hasattr(x, "__len__") and not isinstance(x, dict) and all(isinstance(part, str) for part in x)


def _key(text: Any) -> Any:
    """What a text is found again by."""
    return tuple(text) if isinstance(text, list) or hasattr(text, "tolist") else text


class HFPad(Transform):
    """Bring the texts of a list of samples to the length of the longest, and say which tokens are there.

    Args:
        pad_to_multiple_of: lengthen to a multiple of this (8 suits tensor cores).
        pad_idx: number of the token to lengthen with; None for that of the texts' tokenizer.
        pad_type_idx: the ``token_type_ids`` there; None for the tokenizer's.
        padding_side: ``'right'`` or ``'left'``; None for the tokenizer's.
    """

    deterministic = True

    def __init__(
        self,
        pad_to_multiple_of: int | None = None,
        pad_idx: int | None = None,
        pad_type_idx: int | None = None,
        padding_side: str | None = None,
    ) -> None:
        super().__init__()
        self.pad_to_multiple_of = pad_to_multiple_of
        self.pad_idx, self.pad_type_idx, self.padding_side = pad_idx, pad_type_idx, padding_side

    def setups(self, loader: object) -> None:
        """Take what is not given from the tokenizer of the loader's texts."""
        tokenize = tokenize_of(loader)
        if tokenize is None:
            return
        hf = tokenize.tokenizer.hf
        self.pad_idx = hf.pad_token_id if self.pad_idx is None else self.pad_idx
        self.pad_type_idx = hf.pad_token_type_id if self.pad_type_idx is None else self.pad_type_idx
        self.padding_side = hf.padding_side if self.padding_side is None else self.padding_side

    def encodes(self, samples: list) -> list:  # type: ignore[type-arg]  # overloads are chosen by class
        """The samples, with texts of one length, and targets of tokens with them."""
        columns = [self._padded(list(column)) for column in zip(*samples, strict=True)]
        return list(zip(*columns, strict=True))

    def _padded(self, parts: list[Any]) -> list[Any]:
        if isinstance(parts[0], TokenizedText):
            length = self._rounded(max(part.n_tokens for part in parts))
            return [self._text(part, length) for part in parts]
        if isinstance(parts[0], TokenTargets):
            length = self._rounded(max(map(len, parts)))
            return [self._filled(part, length, IGNORED).as_subclass(type(part)) for part in parts]
        return parts

    def _rounded(self, length: int) -> int:
        multiple = self.pad_to_multiple_of or 1
        return -(-length // multiple) * multiple

    def _text(self, text: TokenizedText, length: int) -> TokenizedText:
        with_mask = {"attention_mask": torch.ones_like(text["input_ids"]), **text}
        numbers = {"input_ids": self.pad_idx or 0, "token_type_ids": self.pad_type_idx or 0, WORD_IDS: -1}
        return type(text)({name: self._filled(part, length, numbers.get(name, 0)) for name, part in with_mask.items()})

    def _filled(self, part: Tensor, length: int, number: int) -> Tensor:
        values: Tensor = plain(part)
        row = values.new_full((length,), number)
        start = length - len(values) if self.padding_side == "left" else 0
        row[start : start + len(values)] = values
        return row


def tokenize_of(loader: Any) -> HFTokenize | None:
    """What tokenizes the texts of a loader; None if nothing of ours does."""
    dataset = getattr(loader, "dataset", None)
    for member in getattr(dataset, "tls", [dataset]):
        found = member.tfms.find(HFTokenize) if hasattr(member, "tfms") else None
        if found is not None:
            return found  # type: ignore[no-any-return]  # of that class
    return None


class HFTextDL(SortedDL):
    """`SortedDL` that knows how many tokens texts have, where they have been tokenized already.

    Args:
        dataset: see `DataLoader`.
        bs: texts in a batch.
        **options: see `SortedDL`.
    """

    def lengths(self) -> Sequence[float]:
        """How many tokens each text has."""
        if self.res is None:
            tokenize, first = tokenize_of(self), getattr(self.dataset, "tls", [self.dataset])[0]
            known = None if tokenize is None else tokenize.lengths_of(first)
            self.res = known or [self._tokens_of(self.dataset[row]) for row in range(len(self.dataset))]
        return super().lengths()

    @staticmethod
    def _tokens_of(sample: Any) -> int:
        text = sample[0] if isinstance(sample, tuple) else sample
        return text.n_tokens if isinstance(text, TokenizedText) else len(text)
