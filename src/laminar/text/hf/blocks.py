"""`HFTextBlock`: texts as a model of transformers reads them, in a `DataBlock`."""

from __future__ import annotations

from typing import Any

from laminar.core.transform import Transform
from laminar.data.blocks import TransformBlock
from laminar.text.hf.tokenizer import as_tokenizer
from laminar.text.hf.tokenizing import HFPad, HFTextDL, HFTokenize

__all__ = ["AddPrefix", "HFTextBlock"]


class AddPrefix(Transform):
    """Put the same words before each text: T5 wants to be told its task (``"summarize: "``).

    Args:
        prefix: the words, with the space behind them.
    """

    deterministic = True

    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self.prefix = prefix

    def encodes(self, text: str) -> str:
        """The text with the words before it."""
        return f"{self.prefix}{text}"


class HFTextBlock(TransformBlock):
    """Texts, or pairs of texts, as the numbers of their tokens, in batches of like length.

    An item is a text, a pair of texts (a tuple), a `Path` of a file, or a list of words.

    Args:
        tokenizer: of transformers, its folder, or its name.
        max_length: cut texts after so many tokens; None for as many as the tokenizer says that its model takes.
        is_split_into_words: items are lists of words.
        pad_to_multiple_of: lengthen batches to a multiple of this (8 suits tensor cores).
        encoding: of files.
        prefix: put these words before each text: T5 wants to be told its task (``"summarize: "``).

    Raises:
        MissingExtraError: transformers is not installed.
    """

    def __init__(
        self,
        tokenizer: Any,
        max_length: int | None = None,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        encoding: str = "utf-8",
        prefix: str = "",
    ) -> None:
        tokenize = HFTokenize(as_tokenizer(tokenizer), max_length, is_split_into_words, encoding)
        steps = [AddPrefix(prefix), tokenize] if prefix else [tokenize]
        super().__init__(type_tfms=steps, dl_type=HFTextDL, dls_kwargs={"before_batch": HFPad(pad_to_multiple_of)})
