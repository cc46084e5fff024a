"""One call from a convention of folders, names or tables to loaders of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from laminar.core.transform import ItemTransform
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock
from laminar.data.conventions import check_options, files_and_splitter, loaders_of, splitter_of_rows
from laminar.data.labels import ColReader, RegexLabeller, parent_label
from laminar.data.loaders import DataLoaders
from laminar.data.options import UnseededLoadersOptions
from laminar.data.sources import get_image_files
from laminar.data.splitters import RandomSplitter
from laminar.data.tables import Columns, block_of_columns, block_of_labels, check_columns, read_table
from laminar.vision.blocks import ImageBlock
from laminar.vision.images import PILBase, PILImage

__all__ = ["ImageDataLoaders", "ImageLoadersOptions", "TableOptions"]


class ImageLoadersOptions(UnseededLoadersOptions, total=False):
    """`UnseededLoadersOptions`, and how pictures are made.

    Attributes:
        bs: pictures in a batch (default 64).
        item_tfms: transforms of a sample, such as `Resize`.
        batch_tfms: transforms of a batch, such as `aug_transforms`; steps of space and light become one.
        img_cls: kind of picture (default `PILImage`).
    """

    bs: int
    item_tfms: Any
    batch_tfms: Any
    img_cls: type[PILBase]


class TableOptions(ImageLoadersOptions, total=False):
    """`ImageLoadersOptions`, and the arguments of `ImageDataLoaders.from_df`, which documents them."""

    valid_pct: float
    seed: int | None
    fn_col: str | int
    folder: str | Path | None
    suff: str
    label_col: Columns
    label_delim: str | None
    y_block: Any
    valid_col: str | int | None


class NameLabeller(ItemTransform):
    """Label a file by its name alone.

    Args:
        label_func: takes the name, such as ``"cat_17.jpg"``.
    """

    def __init__(self, label_func: Callable[[str], Any]) -> None:
        super().__init__()
        self.label_func = label_func
        self.deterministic = getattr(label_func, "deterministic", False)

    def encodes(self, o: object) -> Any:
        """The label of path `o`."""
        return self.label_func(Path(str(o)).name)


class ImageDataLoaders(DataLoaders):
    """Loaders of pictures and their labels, from any of the usual conventions.

    Each method is a `DataBlock` over `get_image_files` or a table; write the block yourself for anything else.
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
        **options: Unpack[ImageLoadersOptions],
    ) -> DataLoaders:
        """From folders ``train/class/picture`` and ``valid/class/picture``; with `valid_pct`, ``class/picture``.

        Args:
            path: the folder.
            train: name of the folder of training pictures.
            valid: name of the folder of validation pictures.
            valid_pct: share of the pictures to put into validation at random, in place of `train` and `valid`.
            seed: of that choice.
            vocab: the classes, whose order is kept; None to find them.
            **options: see `ImageLoadersOptions`.

        Raises:
            DataError: a folder is missing or without pictures; the message tells what there is.
        """
        block = _block(options, "from_folder", CategoryBlock(vocab=vocab))
        get_items, splitter = files_and_splitter(Path(path), get_image_files, train, valid, valid_pct, seed)
        return _loaders(block(get_items=get_items, splitter=splitter, get_y=parent_label), path, path, options)

    @classmethod
    def from_path_func(
        cls,
        path: str | Path,
        fnames: Sequence[Any],
        label_func: Callable[[Any], Any],
        valid_pct: float = 0.2,
        seed: int | None = None,
        **options: Unpack[ImageLoadersOptions],
    ) -> DataLoaders:
        """From files and a function that takes a path and gives the label.

        Args:
            path: where the learner keeps what belongs to these data.
            fnames: the pictures' paths.
            label_func: gives the label of a path.
            valid_pct: share of the pictures to put into validation at random.
            seed: of that choice.
            **options: see `ImageLoadersOptions`.
        """
        block = _block(options, "from_path_func", CategoryBlock())
        return _loaders(block(splitter=RandomSplitter(valid_pct, seed=seed), get_y=label_func), fnames, path, options)

    @classmethod
    def from_name_func(
        cls,
        path: str | Path,
        fnames: Sequence[Any],
        label_func: Callable[[str], Any],
        valid_pct: float = 0.2,
        seed: int | None = None,
        **options: Unpack[ImageLoadersOptions],
    ) -> DataLoaders:
        """From files and a function that takes a file's name and gives the label (see `from_path_func`)."""
        _check(options, "from_name_func")
        return cls.from_path_func(path, fnames, NameLabeller(label_func), valid_pct, seed, **options)

    @classmethod
    def from_path_re(
        cls,
        path: str | Path,
        fnames: Sequence[Any],
        pat: str,
        valid_pct: float = 0.2,
        seed: int | None = None,
        **options: Unpack[ImageLoadersOptions],
    ) -> DataLoaders:
        """From files and a regular expression whose first group, in the path, is the label (see `from_path_func`)."""
        _check(options, "from_path_re")
        return cls.from_path_func(path, fnames, RegexLabeller(pat), valid_pct, seed, **options)

    @classmethod
    def from_name_re(
        cls,
        path: str | Path,
        fnames: Sequence[Any],
        pat: str,
        valid_pct: float = 0.2,
        seed: int | None = None,
        **options: Unpack[ImageLoadersOptions],
    ) -> DataLoaders:
        """From files and a regular expression whose first group, in the name, is the label (see `from_path_func`)."""
        _check(options, "from_name_re")
        return cls.from_path_func(path, fnames, NameLabeller(RegexLabeller(pat)), valid_pct, seed, **options)

    @classmethod
    def from_df(
        cls,
        df: Any,
        path: str | Path = ".",
        valid_pct: float = 0.2,
        seed: int | None = None,
        fn_col: str | int = 0,
        folder: str | Path | None = None,
        suff: str = "",
        label_col: Columns = 1,
        label_delim: str | None = None,
        y_block: Any = None,
        valid_col: str | int | None = None,
        **options: Unpack[ImageLoadersOptions],
    ) -> DataLoaders:
        """From a data frame with a column of file names and one or several of labels.

        Args:
            df: a pandas data frame.
            path: folder of the files; names that are absolute paths stay as they are.
            valid_pct: share of the rows to put into validation at random.
            seed: of that choice.
            fn_col: column of the file names.
            folder: subfolder of `path` that the names are in.
            suff: what to put behind the names, such as ``".jpg"``.
            label_col: column of the labels; several for several labels.
            label_delim: what stands between the labels in one cell.
            y_block: block of the target; None for several labels where there are several columns or a delimiter,
                quantities where the columns are floating point, else one class.
            valid_col: column that is true for validation, in place of `valid_pct`.
            **options: see `ImageLoadersOptions`.

        Raises:
            DataError: there is no such column.
            MissingFileError: there is no such file; the message says what may mend it.
        """
        check_columns(df, {"fn_col": fn_col, "label_col": label_col, "valid_col": valid_col})
        block = _block(options, "from_df", y_block or block_of_columns(df, label_col, label_delim))
        root = Path(path) if folder is None else Path(path) / folder
        dblock = block(
            splitter=splitter_of_rows(valid_pct, seed, valid_col),
            get_x=ColReader(fn_col, pref=root, suff=suff),
            get_y=ColReader(label_col, label_delim=label_delim),
        )
        try:
            return _loaders(dblock, df, path, options)
        except FileNotFoundError as error:
            column = df.columns[fn_col] if isinstance(fn_col, int) else fn_col
            error.add_note(
                f"The names in column {str(column)!r} are looked for below {root}. If they lie in a subfolder, pass "
                "its name, folder=...; if they lack an ending, suff='.jpg'."
            )
            raise

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        csv_fname: str | Path = "labels.csv",
        header: Any = "infer",
        delimiter: str | None = None,
        **options: Unpack[TableOptions],
    ) -> DataLoaders:
        """From a table in the file ``path/csv_fname`` (see `from_df`).

        Args:
            path: folder of the table and the files.
            csv_fname: name of the table.
            header: number of the row with the names of the columns, as in `pandas.read_csv`; None if there is none.
            delimiter: what stands between the cells; None for a comma.
            **options: arguments of `from_df`.
        """
        _check(options, "from_csv")
        return cls.from_df(read_table(Path(path) / csv_fname, header, delimiter), path, **options)

    @classmethod
    def from_lists(
        cls,
        path: str | Path,
        fnames: Sequence[Any],
        labels: Sequence[Any],
        valid_pct: float = 0.2,
        seed: int | None = None,
        y_block: Any = None,
        **options: Unpack[ImageLoadersOptions],
    ) -> DataLoaders:
        """From a list of files and a list of labels.

        Args:
            path: where the learner keeps what belongs to these data.
            fnames: the pictures' paths.
            labels: a label for each: a class, a list of classes, or one or several numbers with a decimal point.
            valid_pct: share of the pictures to put into validation at random.
            seed: of that choice.
            y_block: block of the target; None for quantities where the labels are numbers and one of them is floating
                point, for several classes where each label is a list, else for one class.
            **options: see `ImageLoadersOptions`.
        """
        _check(options, "from_lists")
        dblock = DataBlock.from_columns(
            blocks=(ImageBlock(options.get("img_cls", PILImage)), y_block or block_of_labels(labels)),
            splitter=RandomSplitter(valid_pct, seed=seed),
            item_tfms=options.get("item_tfms"),
            batch_tfms=options.get("batch_tfms"),
        )
        return _loaders(dblock, (fnames, labels), path, options)


def _block(options: ImageLoadersOptions, method: str, y_block: Any) -> Callable[..., DataBlock]:
    """A `DataBlock` of pictures and `y_block`, waiting for its getters and splitter."""
    _check(options, method)
    return partial(
        DataBlock,
        blocks=(ImageBlock(options.get("img_cls", PILImage)), y_block),
        item_tfms=options.get("item_tfms"),
        batch_tfms=options.get("batch_tfms"),
    )


def _check(options: ImageLoadersOptions, method: str) -> None:
    """Refuse keywords that `method` does not know."""
    check_options(
        getattr(ImageDataLoaders, method), options, TableOptions if method == "from_csv" else ImageLoadersOptions
    )


def _loaders(dblock: DataBlock, source: Any, path: str | Path, options: ImageLoadersOptions) -> DataLoaders:
    return loaders_of(dblock, source, path, options, ("item_tfms", "batch_tfms", "img_cls"))
