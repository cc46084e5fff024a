"""One call from a folder or a table to loaders of texts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from laminar.core.transform import Transform
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock
from laminar.data.conventions import check_options, files_and_splitter, loaders_of, splitter_of_rows
from laminar.data.labels import ColReader, parent_label
from laminar.data.loaders import DataLoaders
from laminar.data.options import UnseededLoadersOptions
from laminar.data.sources import get_text_files
from laminar.data.splits import Splitter
from laminar.data.tables import Columns, block_of_columns, check_columns, read_table
from laminar.text.blocks import TextBlock, TextBlockOptions
from laminar.text.columns import TextColumns
from laminar.text.rules import Rule
from laminar.text.tokenizer import Tokenizer, TokenizerOptions
from laminar.text.tokenizing import SplitsTexts

__all__ = ["TextDataLoaders", "TextLoadersOptions", "TextTableOptions"]


class TextLoadersOptions(TextBlockOptions, UnseededLoadersOptions, total=False):
    """`UnseededLoadersOptions`, and how texts are read.

    Attributes:
        bs: texts in a batch, or rows of a stream (default 64).
        seq_len: words in a row of a stream, or in a piece of a text (default 72).
        is_lm: for a language model (default False).
        backwards: read texts from their ends (default False).
        text_vocab: the words; None to make a vocabulary of the training texts.
        tok_tfm: makes tokens: a `Tokenizer`, or anything that cuts texts; in place of `tok` and `rules`.
        tok: cuts texts into tokens (see `Tokenizer`).
        rules: what is done to texts before (see `Tokenizer`).
        jitter: for a language model, see `LMDataLoader`.
        batch_tfms: transforms of a batch.
        splitter: divides the items, in place of other arguments that do.
    """

    bs: int
    seq_len: int
    is_lm: bool
    backwards: bool
    text_vocab: Sequence[str] | None
    tok_tfm: Transform | SplitsTexts | None
    tok: SplitsTexts | None
    rules: Sequence[Rule] | None
    jitter: float
    batch_tfms: Any
    splitter: Splitter | None


class TextTableOptions(TextLoadersOptions, total=False):
    """`TextLoadersOptions`, and the arguments of `TextDataLoaders.from_df`, which documents them."""

    valid_pct: float
    seed: int | None
    text_col: Columns
    label_col: Columns
    label_delim: str | None
    y_block: Any
    valid_col: str | int | None


class TextDataLoaders(DataLoaders):
    """Loaders of texts, with labels or for a language model, from the usual conventions.

    Each method is a `DataBlock` with a `TextBlock`; write the block yourself for anything else.
    """

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        train: str = "train",
        valid: str = "valid",
        valid_pct: float | None = None,
        seed: int | None = None,
        vocab: Sequence[str] | None = None,
        **options: Unpack[TextLoadersOptions],
    ) -> DataLoaders:
        """From folders ``train/class/text.txt`` and ``valid/class/text.txt``; with `valid_pct`, ``class/text.txt``.

        Args:
            path: the folder.
            train: name of the folder of training texts.
            valid: name of the folder of validation texts.
            valid_pct: share of the texts to put into validation at random, in place of `train` and `valid`.
            seed: of that choice.
            vocab: the classes, whose order is kept; None to find them.
            **options: see `TextLoadersOptions`.

        Raises:
            DataError: a folder is missing or without texts, or a file is not text.
        """
        _check(options, "from_folder")
        block = _text_block(options, partial(Tokenizer.from_folder, path))
        splitter: Splitter | None = options.get("splitter")
        get_items: Callable[..., Any] = get_text_files
        if splitter is None:
            get_items, splitter = files_and_splitter(Path(path), get_text_files, train, valid, valid_pct, seed)
        labels: dict[str, Any] = {} if options.get("is_lm") else {"get_y": parent_label}
        dblock = DataBlock(
            _blocks(block, CategoryBlock(vocab=vocab), options),
            get_items=get_items,
            splitter=splitter,
            batch_tfms=options.get("batch_tfms"),
            **labels,
        )
        return _loaders(dblock, path, path, options)

    @classmethod
    def from_df(
        cls,
        df: Any,
        path: str | Path = ".",
        valid_pct: float = 0.2,
        seed: int | None = None,
        text_col: Columns = 0,
        label_col: Columns = 1,
        label_delim: str | None = None,
        y_block: Any = None,
        valid_col: str | int | None = None,
        **options: Unpack[TextLoadersOptions],
    ) -> DataLoaders:
        """From a data frame with a column of texts (or several, which are joined) and one or several of labels.

        Args:
            df: a pandas data frame.
            path: where the learner keeps what belongs to these data.
            valid_pct: share of the rows to put into validation at random.
            seed: of that choice.
            text_col: column of the texts; several are joined, each begun by ``xxfld`` and its number.
            label_col: column of the labels; several for several labels. Not read for a language model.
            label_delim: what stands between the labels in one cell.
            y_block: block of the target; None for several labels where there are several columns or a delimiter,
                quantities where the columns are floating point, else one class.
            valid_col: column that is true for validation, in place of `valid_pct`.
            **options: see `TextLoadersOptions`.

        Raises:
            DataError: there is no such column, or rows have no text; the message names them.
        """
        _check(options, "from_df")
        is_lm = bool(options.get("is_lm"))
        check_columns(df, {"text_col": text_col, "label_col": None if is_lm else label_col, "valid_col": valid_col})
        block = _text_block(options, partial(Tokenizer.from_df, text_col))
        labels: dict[str, Any] = {} if is_lm else {"get_y": ColReader(label_col, label_delim=label_delim)}
        dblock = DataBlock(
            _blocks(block, None if is_lm else y_block or block_of_columns(df, label_col, label_delim), options),
            get_x=TextColumns(text_col, options.get("mark_fields")),
            splitter=options.get("splitter") or splitter_of_rows(valid_pct, seed, valid_col),
            batch_tfms=options.get("batch_tfms"),
            **labels,
        )
        return _loaders(dblock, df, path, options)

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        csv_fname: str | Path = "labels.csv",
        header: Any = "infer",
        delimiter: str | None = None,
        quoting: int = csv.QUOTE_MINIMAL,
        **options: Unpack[TextTableOptions],
    ) -> DataLoaders:
        """From a table in the file ``path/csv_fname`` (see `from_df`).

        Args:
            path: folder of the table.
            csv_fname: name of the table.
            header: number of the row with the names of the columns, as in `pandas.read_csv`; None if there is none.
            delimiter: what stands between the cells; None for a comma.
            quoting: how cells are quoted, one of `csv`'s constants.
            **options: arguments of `from_df`.
        """
        _check(options, "from_csv")
        encoding = options.get("encoding", "utf-8")
        df = read_table(Path(path) / csv_fname, header, delimiter, quoting=quoting, encoding=encoding)
        return cls.from_df(df, path, **options)


_TOKENIZER = ("tok", "rules", *TokenizerOptions.__annotations__)
_WORDS = ("min_freq", "max_vocab", "special_toks")
_OURS = (*_TOKENIZER, *_WORDS, "is_lm", "backwards", "text_vocab", "tok_tfm", "batch_tfms", "splitter", "seq_len")


def _check(options: TextLoadersOptions, method: str) -> None:
    """Refuse keywords that `method` does not know."""
    kind = TextTableOptions if method == "from_csv" else TextLoadersOptions
    check_options(getattr(TextDataLoaders, method), options, kind)


def _text_block(options: TextLoadersOptions, make_tokenizer: Callable[..., Tokenizer]) -> TextBlock:
    given: Any = options
    tokenizer = given.get("tok_tfm")
    if tokenizer is None:
        tokenizer = make_tokenizer(**{name: given[name] for name in _TOKENIZER if name in given})
    words = {name: given[name] for name in _WORDS if name in given}
    return TextBlock(
        tokenizer,
        given.get("text_vocab"),
        is_lm=given.get("is_lm", False),
        seq_len=given.get("seq_len", 72),
        backwards=given.get("backwards", False),
        **words,
    )


def _blocks(block: TextBlock, y_block: Any, options: TextLoadersOptions) -> list[Any]:
    return [block] if options.get("is_lm") else [block, y_block]


def _loaders(dblock: DataBlock, source: Any, path: str | Path, options: TextLoadersOptions) -> DataLoaders:
    return loaders_of(dblock, source, path, options, _OURS)
