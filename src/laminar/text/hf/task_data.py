"""One call to loaders for models of transformers that write, answer questions, or say how a text goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from laminar.data.block import DataBlock
from laminar.data.conventions import check_options, files_and_splitter, loaders_of
from laminar.data.labels import ColReader
from laminar.data.loaders import DataLoaders
from laminar.data.sources import get_text_files
from laminar.data.splitters import FuncSplitter
from laminar.data.tables import check_columns
from laminar.text.hf.blocks import HFTextBlock
from laminar.text.hf.data import HFFolderOptions
from laminar.text.hf.packing import HFLanguageBlock
from laminar.text.hf.question_data import HFQuestionBlock
from laminar.text.hf.questions import QuestionFields
from laminar.text.hf.tables import HFRowsOptions, HFTableLoaders, loaders_of_rows
from laminar.text.hf.tokenizing import TextFields
from laminar.text.hf.writing import HFWrittenBlock

__all__ = ["HFLanguageDataLoaders", "HFQuestionDataLoaders", "HFWritingDataLoaders"]


class HFWritingDataLoaders(HFTableLoaders):
    """Loaders of texts and what is to be made of them (summaries, translations), for models that write."""

    @classmethod
    def from_df(
        cls,
        df: Any,
        tokenizer: Any,
        text_col: str | int = "text",
        target_col: str | int = "summary",
        *,
        max_length: int | None = None,
        max_target_length: int | None = None,
        prefix: str = "",
        pad_to_multiple_of: int | None = None,
        **options: Unpack[HFRowsOptions],
    ) -> DataLoaders:
        """From a data frame with a column of texts and one of what is to be written.

        Args:
            df: a pandas data frame.
            tokenizer: of transformers, its folder, or its name.
            text_col: column of the texts that are read.
            target_col: column of the texts that are to be written.
            max_length: cut texts after so many tokens; None for as many as the tokenizer says that its model takes.
            max_target_length: the same for texts that are to be written.
            prefix: put these words before each text that is read: T5 wants to be told its task (``"summarize: "``).
            pad_to_multiple_of: lengthen batches to a multiple of this (8 suits tensor cores).
            **options: see `HFRowsOptions`.

        Raises:
            DataError: there is no such column, or rows have no text; the message names them.
        """
        cls._check(options)
        check_columns(df, {"text_col": text_col, "target_col": target_col, "valid_col": options.get("valid_col")})
        text = HFTextBlock(tokenizer, max_length, pad_to_multiple_of=pad_to_multiple_of, prefix=prefix)
        written = HFWrittenBlock(tokenizer, max_target_length, pad_to_multiple_of)
        return loaders_of_rows(df, (text, written), TextFields(text_col), options, get_y=ColReader(target_col))


class HFQuestionDataLoaders(HFTableLoaders):
    """Loaders of questions about texts, for models that say where in a text the answer stands."""

    @classmethod
    def from_df(
        cls,
        df: Any,
        tokenizer: Any,
        question_col: str = "question",
        context_col: str = "context",
        answer_col: str | None = "answers",
        start_col: str | None = None,
        *,
        max_length: int = 384,
        stride: int = 128,
        pad_to_multiple_of: int | None = None,
        **options: Unpack[HFRowsOptions],
    ) -> DataLoaders:
        """From a data frame with columns of questions, of the texts that answer them, and of answers.

        Args:
            df: a pandas data frame.
            tokenizer: of transformers (a fast one), its folder, or its name.
            question_col: see `QuestionFields`.
            context_col: see `QuestionFields`.
            answer_col: see `QuestionFields`.
            start_col: see `QuestionFields`.
            max_length: see `HFQuestionBlock`.
            stride: see `HFQuestionBlock`.
            pad_to_multiple_of: lengthen batches to a multiple of this (8 suits tensor cores).
            **options: see `HFRowsOptions`.

        Raises:
            DataError: there is no such column, or an answer does not stand where its row says; the message names it.
        """
        cls._check(options)
        columns = {"question_col": question_col, "context_col": context_col, "answer_col": answer_col}
        check_columns(df, {**columns, "start_col": start_col, "valid_col": options.get("valid_col")})
        block = HFQuestionBlock(tokenizer, max_length, stride, pad_to_multiple_of)
        return loaders_of_rows(df, block, QuestionFields(question_col, context_col, answer_col, start_col), options)


class HFLanguageDataLoaders(HFTableLoaders):
    """Loaders of texts in blocks of one length, for language models, causal ones or masked ones."""

    @classmethod
    def from_df(
        cls,
        df: Any,
        tokenizer: Any,
        text_col: str | int = "text",
        *,
        block_size: int = 128,
        masked: bool = False,
        mask_share: float = 0.15,
        **options: Unpack[HFRowsOptions],
    ) -> DataLoaders:
        """From a data frame with a column of texts.

        Args:
            df: a pandas data frame.
            tokenizer: of transformers, its folder, or its name.
            text_col: column of the texts.
            block_size: see `HFLanguageBlock`.
            masked: see `HFLanguageBlock`.
            mask_share: see `HFLanguageBlock`.
            **options: see `HFRowsOptions`; `bs` counts blocks.

        Raises:
            DataError: there is no such column, or rows have no text; the message names them.
        """
        cls._check(options)
        check_columns(df, {"text_col": text_col, "valid_col": options.get("valid_col")})
        block = HFLanguageBlock(tokenizer, block_size, masked, mask_share)
        return loaders_of_rows(df, block, TextFields(text_col), options)

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
        block_size: int = 128,
        masked: bool = False,
        mask_share: float = 0.15,
        encoding: str = "utf-8",
        **options: Unpack[HFFolderOptions],
    ) -> DataLoaders:
        """From files of text in folders ``train`` and ``valid``, however deep; with `valid_pct`, in one folder.

        Args:
            path: the folder.
            tokenizer: see `from_df`.
            train: name of the folder of training texts.
            valid: name of the folder of validation texts.
            valid_pct: share of the files to put into validation at random, in place of `train` and `valid`.
            seed: of that choice.
            block_size: see `HFLanguageBlock`.
            masked: see `HFLanguageBlock`.
            mask_share: see `HFLanguageBlock`.
            encoding: of the files.
            **options: see `HFFolderOptions`; `bs` counts blocks.

        Raises:
            DataError: a folder is missing or without texts, or a file is not text.
        """
        check_options(cls.from_folder, options, HFFolderOptions)
        get_items, splitter = files_and_splitter(Path(path), get_text_files, train, valid, valid_pct, seed)
        if valid_pct is None:
            splitter = FuncSplitter(lambda file: Path(file).relative_to(path).parts[0] == valid)
        block = HFLanguageBlock(tokenizer, block_size, masked, mask_share, encoding)
        return loaders_of(DataBlock(block, get_items=get_items, splitter=splitter), path, path, options, ())
