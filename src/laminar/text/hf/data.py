"""`HFDataLoaders`: one call to loaders of texts with labels, for models of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock, MultiCategoryBlock
from laminar.data.conventions import check_options, files_and_splitter, loaders_of
from laminar.data.labels import ColReader, parent_label
from laminar.data.loaders import DataLoaders
from laminar.data.options import UnseededLoadersOptions
from laminar.data.sources import get_text_files
from laminar.data.tables import Columns, block_of_columns, check_columns
from laminar.text.hf.blocks import HFTextBlock
from laminar.text.hf.tables import HFRowsOptions, HFTableLoaders, loaders_of_rows
from laminar.text.hf.token_classification import TokenCategoryBlock
from laminar.text.hf.tokenizing import TextFields, holds_lists

__all__ = ["HFDataLoaders", "HFFolderOptions"]


class HFFolderOptions(UnseededLoadersOptions, total=False):
    """`UnseededLoadersOptions`, and how many texts are in a batch.

    Attributes:
        bs: texts in a batch (default 64).
    """

    bs: int


class HFDataLoaders(HFTableLoaders):
    """Loaders of texts (or pairs of texts) with labels, for models of transformers.

    Each method is a `DataBlock` with an `HFTextBlock`; write the block yourself for anything else.
    """

    @classmethod
    def from_df(
        cls,
        df: Any,
        tokenizer: Any,
        text_col: Columns = "text",
        label_col: Columns = "label",
        *,
        label_delim: str | None = None,
        y_block: Any = None,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        **options: Unpack[HFRowsOptions],
    ) -> DataLoaders:
        """From a data frame with a column of texts and one or several of labels.

        Args:
            df: a pandas data frame.
            tokenizer: of transformers, its folder, or its name.
            text_col: column of the texts; two for pairs of texts (premise and hypothesis). Its cells may be lists of
                words, for labels that are lists of tags.
            label_col: column of the labels; several for several labels or quantities. Its cells may be lists of labels.
            label_delim: what stands between the labels in one cell.
            y_block: block of the target; None for several labels where there are several columns, lists or a delimiter,
                quantities where the columns are floating point, else one class.
            max_length: cut texts after so many tokens; None for as many as the tokenizer says that its model takes.
            pad_to_multiple_of: lengthen batches to a multiple of this (8 suits tensor cores).
            **options: see `HFRowsOptions`.

        Raises:
            DataError: there is no such column, or rows have no text; the message names them.
        """
        cls._check(options)
        check_columns(df, {"text_col": text_col, "label_col": label_col, "valid_col": options.get("valid_col")})
        words = _holds_lists(df, text_col)
        if words:
            usual: Any = TokenCategoryBlock
        elif _holds_lists(df, label_col):
            usual = MultiCategoryBlock
        else:
            usual = block_of_columns(df, label_col, label_delim)
        block = HFTextBlock(tokenizer, max_length, is_split_into_words=words, pad_to_multiple_of=pad_to_multiple_of)
        return loaders_of_rows(
            df,
            (block, y_block or usual),
            TextFields(text_col),
            options,
            get_y=ColReader(label_col, label_delim=label_delim),
        )

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        tokenizer: Any,
        train: str = "train",
        valid: str = "valid",
        *,
        valid_pct: float | None = None,
        seed: int | None = None,
        vocab: list[str] | None = None,
        encoding: str = "utf-8",
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        **options: Unpack[HFFolderOptions],
    ) -> DataLoaders:
        """From folders ``train/class/text.txt`` and ``valid/class/text.txt``; with `valid_pct`, ``class/text.txt``.

        Args:
            path: the folder.
            tokenizer: see `from_df`.
            train: name of the folder of training texts.
            valid: name of the folder of validation texts.
            valid_pct: share of the texts to put into validation at random, in place of `train` and `valid`.
            seed: of that choice.
            vocab: the classes, whose order is kept; None to find them.
            encoding: of the files.
            max_length: see `from_df`.
            pad_to_multiple_of: see `from_df`.
            **options: see `HFFolderOptions`.

        Raises:
            DataError: a folder is missing or without texts, or a file is not text.
        """
        check_options(cls.from_folder, options, HFFolderOptions)
        get_items, splitter = files_and_splitter(Path(path), get_text_files, train, valid, valid_pct, seed)
        text = HFTextBlock(tokenizer, max_length, pad_to_multiple_of=pad_to_multiple_of, encoding=encoding)
        block = DataBlock(
            (text, CategoryBlock(vocab=vocab)), get_items=get_items, get_y=parent_label, splitter=splitter
        )
        return loaders_of(block, path, path, options, ())


def _holds_lists(df: Any, column: Columns) -> bool:
    """Whether the cells of a single column are lists."""
    if not isinstance(column, str | int):
        return False
    return holds_lists(df.iloc[:, column] if isinstance(column, int) else df[column])
