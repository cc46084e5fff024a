"""Token classification: a tag for each word of a text (names, parts of speech), of which the tokenizer makes several
tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from laminar.core.errors import DataError, describe
from laminar.core.titled import ShowTitle
from laminar.core.transform import ItemTransform
from laminar.core.types import TensorBase, plain
from laminar.data.blocks import TransformBlock
from laminar.data.outputs import get_c
from laminar.data.vocab import CategoryMap
from laminar.nn.losses import LossFunction
from laminar.text.hf.inputs import WORD_IDS, TokenizedText
from laminar.text.hf.tasks import HFTask, named_classes, register_task
from laminar.text.hf.token_loss import TokenCrossEntropyLoss
from laminar.text.hf.tokenizing import IGNORED, TokenTargets, tokenize_of

__all__ = [
    "AlignTags",
    "TagWords",
    "TensorWordTags",
    "TokenCategoryBlock",
    "TokenClassification",
    "TokenTags",
    "WordTags",
]


class WordTags(list[str], ShowTitle):
    """The tags of a text's words, shown joined by spaces."""

    _show_args = {"label": "tags"}

    def __init__(self, tags: Iterable[str] = ()) -> None:
        super().__init__(tags)

    def __str__(self) -> str:
        return " ".join(self)


class TensorWordTags(TensorBase):
    """The number of a tag for each word of a text, int64 ``[words]``."""


class TokenTags(TokenTargets):
    """The number of a tag for each token, int64 ``[length]`` or ``[batch, length]``; -100 where a word goes on, and for
    tokens of no word.
    """


class TagWords(ItemTransform):
    """Number the tags of words; the way back gives `WordTags`.

    Args:
        vocab: the tags, whose order is kept; None to find them in the training texts.
    """

    order = 1
    deterministic = True

    def __init__(self, vocab: Sequence[str] | None = None) -> None:
        super().__init__()
        self.vocab = None if vocab is None else CategoryMap(vocab, sort=False)

    @property
    def c(self) -> int:
        """How many tags there are."""
        return 0 if self.vocab is None else len(self.vocab)

    def setups(self, items: object) -> None:
        """Find the tags of `items`."""
        if self.vocab is None and items is not None:
            self.vocab = CategoryMap([tag for tags in items for tag in _listed(tags)])  # type: ignore[attr-defined]  # items

    def encodes(self, o: object) -> object:
        """Numbers of the tags of a text's words."""
        vocab = self.vocab
        assert vocab is not None, "set up before"
        return TensorWordTags([vocab.number_of(tag) for tag in _listed(o)])

    def decodes(self, o: object) -> object:
        """The tags of numbers."""
        vocab = self.vocab
        assert vocab is not None, "set up before"
        return WordTags([str(vocab[int(number)]) for number in o])  # type: ignore[attr-defined]  # a tensor


def _listed(tags: Any) -> list[Any]:
    if isinstance(tags, str) or not hasattr(tags, "__iter__"):
        raise DataError(
            f"a list of tags is needed for each text, one for each of its words, got {describe(tags)}. For a class for "
            "the whole text, use CategoryBlock."
        )
    return list(tags)


class AlignTags(ItemTransform):
    """Give the tag of each word to the tokens that the tokenizer made of it; the way back gives words their tags.

    Args:
        label_all_tokens: to all of them; otherwise to the first, and nothing is learned of the others.
    """

    order = 2
    deterministic = True

    def __init__(self, label_all_tokens: bool = False) -> None:
        super().__init__()
        self.label_all_tokens = label_all_tokens
        self._limit: int | None = None

    def setups(self, loader: object) -> None:
        """Learn after how many tokens texts are cut."""
        tokenize = tokenize_of(loader)
        self._limit = None if tokenize is None else tokenize.limit

    def encodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # overloads are chosen by class
        """A sample whose tags are those of tokens."""
        if len(x) < 2 or not isinstance(x[1], TensorWordTags):
            return x
        text, tags = x[0], plain(x[1])
        if not isinstance(text, TokenizedText) or WORD_IDS not in text:
            raise DataError(
                "tags of words need texts that are lists of words: HFTextBlock(..., is_split_into_words=True)"
            )
        words = plain(text[WORD_IDS])
        n_words = int(words.max()) + 1
        if n_words > len(tags) or (n_words < len(tags) and len(words) != self._limit):  # one that was cut lacks words
            raise DataError(f"a text has {n_words} words and {len(tags)} tags. Each word needs one.")
        labelled = words >= 0 if self.label_all_tokens else first_tokens(words)
        targets = torch.full_like(words, IGNORED)
        targets[labelled] = tags[words[labelled]]
        return (text, TokenTags(targets), *x[2:])

    def decodes(self, x: tuple) -> tuple:  # type: ignore[type-arg]  # overloads are chosen by class
        """A sample whose tags are those of words."""
        if len(x) < 2 or not isinstance(x[1], TokenTags) or WORD_IDS not in x[0]:
            return x
        return (x[0], TensorWordTags(plain(x[1])[first_tokens(plain(x[0][WORD_IDS]))]), *x[2:])


def first_tokens(words: Tensor) -> Tensor:
    """Which tokens begin a word.

    Args:
        words: the number of each token's word, -1 for none, ``[length]``.

    >>> first_tokens(torch.tensor([-1, 0, 0, 1, -1])).tolist()
    [False, True, False, True, False]
    """
    before = torch.cat([words.new_full((1,), -1), words[:-1]])
    return (words >= 0) & (words != before)


def TokenCategoryBlock(vocab: Sequence[str] | None = None, label_all_tokens: bool = False) -> TransformBlock:
    """A tag for each word of a text, beside an ``HFTextBlock(tokenizer, is_split_into_words=True)``.

    Args:
        vocab: the tags, whose order is kept; None to find them in the training texts.
        label_all_tokens: a word's tag is to be learned for all tokens of it, not for the first alone.
    """
    return TransformBlock(type_tfms=TagWords(vocab), item_tfms=AlignTags(label_all_tokens))


class TokenClassification(HFTask):
    """A tag for each word."""

    name = "token classification"
    auto_class = "AutoModelForTokenClassification"

    def settings(self, dls: Any) -> dict[str, Any]:
        """How many tags there are, and what they are called."""
        return named_classes(dls, get_c(dls))

    def loss(self, dls: Any) -> LossFunction:
        """Cross entropy over the first tokens of words."""
        return TokenCrossEntropyLoss()


register_task(TokenTags, TokenClassification)
