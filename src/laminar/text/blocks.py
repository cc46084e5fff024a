"""`TextBlock`: how texts are read, numbered and put into batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

from laminar.core.errors import check_keywords
from laminar.core.transform import Transform
from laminar.data.blocks import TransformBlock
from laminar.text.columns import Columns, JoinColumns, columns_of
from laminar.text.lm_loader import LMDataLoader, SortedTextDL
from laminar.text.numericalize import Numericalize
from laminar.text.padding import Pad_Chunk, reverse_text
from laminar.text.rules import Rule
from laminar.text.tokenizer import Tokenizer, TokenizerOptions
from laminar.text.tokenizing import SplitsTexts

__all__ = ["TextBlock", "TextBlockOptions", "VocabOptions"]


class VocabOptions(TypedDict, total=False):
    """How a vocabulary is made, as in `Numericalize`."""

    min_freq: int
    max_vocab: int
    special_toks: Sequence[str] | None


class TextBlockOptions(TokenizerOptions, VocabOptions, total=False):
    """Keyword arguments of `TextBlock.from_df` and `TextBlock.from_folder`: those of `Tokenizer` and `Numericalize`."""


class TextBlock(TransformBlock):
    """Texts as numbers of words: of single texts for a classifier, or as one stream for a language model.

    Single texts come in batches of like length, lengthened by pieces (see `SortedTextDL`, `Pad_Chunk`); a stream comes
    from `LMDataLoader`. ``dataloaders(..., seq_len=80)`` changes a stream's `seq_len`.

    Args:
        tok_tfm: makes tokens: a `Tokenizer`, or anything that cuts texts.
        vocab: the words; None to make a vocabulary of the training texts.
        is_lm: for a language model.
        seq_len: words in a row of a stream, or in a piece of a text.
        backwards: read texts from their ends.
        **options: see `VocabOptions`.
    """

    def __init__(
        self,
        tok_tfm: Transform | SplitsTexts,
        vocab: Sequence[str] | None = None,
        is_lm: bool = False,
        seq_len: int = 72,
        backwards: bool = False,
        **options: Unpack[VocabOptions],
    ) -> None:
        check_keywords(
            options, ["tok_tfm", "vocab", "is_lm", "seq_len", "backwards", *VocabOptions.__annotations__], "TextBlock"
        )
        tokenizer = tok_tfm if isinstance(tok_tfm, Transform) else Tokenizer(tok_tfm)
        steps: list[Callable[..., Any]] = [tokenizer, Numericalize(vocab, **options)]
        if backwards:
            steps.append(reverse_text)
        padded: Any = {"seq_len": seq_len} if is_lm else {"before_batch": Pad_Chunk(seq_len=seq_len)}
        super().__init__(type_tfms=steps, dl_type=LMDataLoader if is_lm else SortedTextDL, dls_kwargs=padded)

    @classmethod
    def from_df(
        cls,
        text_cols: Columns = "text",
        vocab: Sequence[str] | None = None,
        is_lm: bool = False,
        seq_len: int = 72,
        backwards: bool = False,
        tok: SplitsTexts | None = None,
        rules: Sequence[Rule] | None = None,
        tok_text_col: str = "text",
        **options: Unpack[TextBlockOptions],
    ) -> Self:
        """For rows of a data frame.

        Args:
            text_cols: the column or columns with the text.
            vocab: see `TextBlock`.
            is_lm: see `TextBlock`.
            seq_len: see `TextBlock`.
            backwards: see `TextBlock`.
            tok: see `Tokenizer`.
            rules: see `Tokenizer`.
            tok_text_col: under which name ``get_x=ColReader(...)`` finds the text of all `text_cols` together.
            **options: see `Tokenizer` and `Numericalize`.
        """
        tokens, words = _divided(options, "TextBlock.from_df", cls.from_df)
        tokenizer = Tokenizer.from_df(text_cols, tok, rules, **tokens)
        block = cls(tokenizer, vocab, is_lm, seq_len, backwards, **words)
        if columns_of(text_cols) != [tok_text_col]:
            block.type_tfms.insert(0, JoinColumns(text_cols, tok_text_col, tokenizer.mark_fields))
        return block

    @classmethod
    def from_folder(
        cls,
        path: str | Path = ".",
        vocab: Sequence[str] | None = None,
        is_lm: bool = False,
        seq_len: int = 72,
        backwards: bool = False,
        tok: SplitsTexts | None = None,
        rules: Sequence[Rule] | None = None,
        **options: Unpack[TextBlockOptions],
    ) -> Self:
        """For files.

        Args:
            path: the folder that they are in.
            vocab: see `TextBlock`.
            is_lm: see `TextBlock`.
            seq_len: see `TextBlock`.
            backwards: see `TextBlock`.
            tok: see `Tokenizer`.
            rules: see `Tokenizer`.
            **options: see `Tokenizer` and `Numericalize`.
        """
        tokens, words = _divided(options, "TextBlock.from_folder", cls.from_folder)
        tokenizer = Tokenizer.from_folder(path, tok, rules, **tokens)
        return cls(tokenizer, vocab, is_lm, seq_len, backwards, **words)


def _divided(
    options: TextBlockOptions, where: str, function: Callable[..., Any]
) -> tuple[TokenizerOptions, VocabOptions]:
    """The options that are the tokenizer's, and those that are the vocabulary's."""
    code = function.__func__.__code__  # type: ignore[attr-defined]  # a classmethod
    check_keywords(options, [*code.co_varnames[1 : code.co_argcount], *TextBlockOptions.__annotations__], where)
    tokens: Any = {name: value for name, value in options.items() if name in TokenizerOptions.__annotations__}
    words: Any = {name: value for name, value in options.items() if name in VocabOptions.__annotations__}
    return tokens, words
