"""`HFDataLoaders`: one call from a table, a folder or a data set of Hugging Face's to loaders for its models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Unpack

from laminar.core.errors import ConfigError, DataError, check_keywords, require
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock
from laminar.data.labels import ColReader, parent_label
from laminar.data.loaders import DataLoaders
from laminar.data.options import UnseededLoadersOptions
from laminar.data.sources import get_text_files
from laminar.data.splits import Splitter
from laminar.data.splitters import ColSplitter, GrandparentSplitter, RandomSplitter
from laminar.data.tables import Columns, block_of_columns, check_columns, read_table
from laminar.text.hf.blocks import HFTextBlock
from laminar.text.hf.token_classification import TokenCategoryBlock
from laminar.text.hf.tokenizing import TextFields, holds_words

__all__ = ["HFDataLoaders", "HFLoadersOptions", "HFTableOptions"]


class HFLoadersOptions(UnseededLoadersOptions, total=False):
    """`UnseededLoadersOptions`, and how texts are read.

    Attributes:
        bs: texts in a batch (default 64).
        max_length: cut texts after so many tokens; None for as many as the tokenizer says that its model takes.
        pad_to_multiple_of: lengthen batches to a multiple of this (8 suits tensor cores).
        splitter: divides the items, in place of other arguments that do.
    """

    bs: int
    max_length: int | None
    pad_to_multiple_of: int | None
    splitter: Splitter | None


class HFTableOptions(HFLoadersOptions, total=False):
    """`HFLoadersOptions`, and the arguments of `HFDataLoaders.from_df`, which documents them."""

    valid_pct: float
    seed: int | None
    label_delim: str | None
    y_block: Any
    valid_col: str | int | None


class HFDataLoaders(DataLoaders):
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
        path: str | Path = ".",
        valid_pct: float = 0.2,
        seed: int | None = None,
        label_delim: str | None = None,
        y_block: Any = None,
        valid_col: str | int | None = None,
        **options: Unpack[HFLoadersOptions],
    ) -> DataLoaders:
        """From a data frame with a column of texts and one or several of labels.

        Args:
            df: a pandas data frame.
            tokenizer: of transformers, its folder, or its name.
            text_col: column of the texts; two for pairs of texts (premise and hypothesis). Its cells may be lists of
                words, for labels that are lists of tags.
            label_col: column of the labels; several for several labels or quantities.
            path: where the learner keeps what belongs to these data.
            valid_pct: share of the rows to put into validation at random.
            seed: of that choice.
            label_delim: what stands between the labels in one cell.
            y_block: block of the target; None for several labels where there are several columns or a delimiter,
                quantities where the columns are floating point, else one class.
            valid_col: column that is true for validation, in place of `valid_pct`.
            **options: see `HFLoadersOptions`.

        Raises:
            DataError: there is no such column, or rows have no text; the message names them.
        """
        _check(options, cls.from_df, HFLoadersOptions)
        check_columns(df, {"text_col": text_col, "label_col": label_col, "valid_col": valid_col})
        splitter = options.get("splitter")
        if splitter is None:
            splitter = RandomSplitter(valid_pct, seed=seed) if valid_col is None else ColSplitter(valid_col)
        words = isinstance(text_col, str | int) and holds_words(
            df.iloc[:, text_col] if isinstance(text_col, int) else df[text_col]
        )
        usual = TokenCategoryBlock if words else block_of_columns(df, label_col, label_delim)
        block = DataBlock(
            (_text_block(tokenizer, options, words), y_block or usual),
            get_x=TextFields(text_col),
            get_y=ColReader(label_col, label_delim=label_delim),
            splitter=splitter,
        )
        return block.dataloaders(df, path=path, **_of_loaders(options))

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        tokenizer: Any,
        csv_fname: str | Path = "labels.csv",
        text_col: Columns = "text",
        label_col: Columns = "label",
        *,
        header: int | str | None = "infer",
        delimiter: str | None = None,
        **options: Unpack[HFTableOptions],
    ) -> DataLoaders:
        """From a table in the file ``path/csv_fname`` (see `from_df`).

        Args:
            path: folder of the table.
            tokenizer: see `from_df`.
            csv_fname: name of the table.
            text_col: see `from_df`.
            label_col: see `from_df`.
            header: number of the row with the names of the columns; None if there is none.
            delimiter: what stands between the cells; None for a comma.
            **options: arguments of `from_df`.

        Raises:
            DataError: there is no such file, or no such column.
        """
        _check(options, cls.from_csv, HFTableOptions)
        df = read_table(Path(path) / csv_fname, header, delimiter)
        return cls.from_df(df, tokenizer, text_col, label_col, path=path, **options)

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
        **options: Unpack[HFLoadersOptions],
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
            **options: see `HFLoadersOptions`.

        Raises:
            DataError: a folder is missing or without texts, or a file is not text.
        """
        _check(options, cls.from_folder, HFLoadersOptions)
        splitter: Any = options.get("splitter")
        get_items: Any = get_text_files
        if valid_pct is not None:
            splitter = splitter or RandomSplitter(valid_pct, seed=seed)
        elif splitter is None:
            get_items = partial(get_text_files, folders=[train, valid])
            splitter = GrandparentSplitter(train_name=train, valid_name=valid)
        block = DataBlock(
            (_text_block(tokenizer, options, encoding=encoding), CategoryBlock(vocab=vocab)),
            get_items=get_items,
            get_y=parent_label,
            splitter=splitter,
        )
        return block.dataloaders(path, path=path, **_of_loaders(options))

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        tokenizer: Any,
        text_col: Columns = "text",
        label_col: Columns = "label",
        *,
        path: str | Path = ".",
        train: str = "train",
        valid: str = "validation",
        **options: Unpack[HFTableOptions],
    ) -> DataLoaders:
        """From a data set of the package datasets: one, which is divided at random, or one for each split.

        Numbers of classes are read as their names, where the data set has them (``ClassLabel``).

        Args:
            dataset: a ``datasets.Dataset``, or a mapping of these such as ``datasets.DatasetDict``.
            tokenizer: see `from_df`.
            text_col: see `from_df`.
            label_col: see `from_df`.
            path: see `from_df`.
            train: which of several is for training.
            valid: which of several is for validation.
            **options: arguments of `from_df`.

        Raises:
            ConfigError: there is no such split, or it is something else than a data set.
            DataError: there is no such column.
        """
        _check(options, cls.from_dataset, HFTableOptions)
        if not hasattr(dataset, "keys"):
            return cls.from_df(_frame(dataset), tokenizer, text_col, label_col, path=path, **options)
        missing = [name for name in (train, valid) if name not in dataset]
        if missing:
            raise ConfigError(
                f"there is no split {missing[0]!r}, only {', '.join(dataset)}: say which to take, train=..., "
                "valid=..., or pass one data set to be divided at random."
            )
        pandas = require("pandas", "text", "from_dataset")
        frames = [_frame(dataset[name]).assign(**{_IS_VALID: name == valid}) for name in (train, valid)]
        options["valid_col"] = _IS_VALID
        together = pandas.concat(frames, ignore_index=True)
        return cls.from_df(together, tokenizer, text_col, label_col, path=path, **options)


_IS_VALID = "is_valid_split"


def _frame(dataset: Any) -> Any:
    """A data set as a data frame, with the names of classes."""
    if not hasattr(dataset, "to_pandas") or not hasattr(dataset, "features"):
        raise ConfigError(f"{type(dataset).__name__} is no data set of the package datasets that has rows by number")
    frame = dataset.with_format(None).to_pandas()
    for name, feature in dataset.features.items():
        names = getattr(feature, "names", None)
        of_words = getattr(getattr(feature, "feature", None), "names", None)
        if of_words is not None:
            frame[name] = [[of_words[number] for number in numbers] for numbers in frame[name]]
        if names is not None:
            unlabelled = frame[name].isna() | (frame[name] < 0)
            if unlabelled.any():
                raise DataError(
                    f"{int(unlabelled.sum())} of {len(frame)} rows have no label in {name!r}; the first is row "
                    f"{int(unlabelled.idxmax())}. Leave them out: dataset.filter(lambda row: row[{name!r}] >= 0)."
                )
            frame[name] = [names[number] for number in frame[name]]
    return frame


def _check(options: Any, method: Any, kind: Any) -> None:
    """Refuse keywords that a method does not know."""
    own = [name for name in method.__func__.__annotations__ if name not in ("options", "return")]
    check_keywords(options, [*own, *kind.__annotations__], f"HFDataLoaders.{method.__name__}")


_OURS = ("max_length", "pad_to_multiple_of", "splitter")


def _text_block(tokenizer: Any, options: HFLoadersOptions, words: bool = False, encoding: str = "utf-8") -> HFTextBlock:
    return HFTextBlock(
        tokenizer,
        options.get("max_length"),
        is_split_into_words=words,
        pad_to_multiple_of=options.get("pad_to_multiple_of"),
        encoding=encoding,
    )


def _of_loaders(options: HFLoadersOptions) -> Any:
    """What is for the loaders themselves."""
    return {name: value for name, value in options.items() if name not in _OURS}
