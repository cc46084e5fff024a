"""What loaders of pictures, texts and tables made at one call have in common: keywords, splits of rows and folders."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from laminar.core.errors import DataError, check_keywords
from laminar.data.block import DataBlock
from laminar.data.loaders import DataLoaders
from laminar.data.splits import Splitter
from laminar.data.splitters import ColSplitter, GrandparentSplitter, RandomSplitter

__all__ = ["check_options", "files_and_splitter", "loaders_of", "splitter_of_rows"]


def check_options(method: Callable[..., Any], options: Mapping[str, Any], kind: type) -> None:
    """Refuse keywords that neither `method` nor the typed dict `kind` of its options knows, with suggestions."""
    own = [name for name in inspect.signature(method).parameters if name != "options"]
    check_keywords(options, [*own, *kind.__annotations__], method.__qualname__)


def splitter_of_rows(valid_pct: float, seed: int | None, valid_col: str | int | None) -> Splitter:
    """Divides rows by a column that is true for validation, or at random if there is none."""
    return RandomSplitter(valid_pct, seed=seed) if valid_col is None else ColSplitter(valid_col)


def files_and_splitter(
    path: Path, get_files: Callable[..., Any], train: str, valid: str, valid_pct: float | None, seed: int | None
) -> tuple[Callable[..., Any], Splitter]:
    """What finds the files below `path`, and what divides them: two folders by their names, or all at random.

    Raises:
        DataError: a folder is missing; the message tells what there is.
    """
    if valid_pct is not None:
        return get_files, RandomSplitter(valid_pct, seed=seed)
    _check_splits(path, train, valid)
    return partial(get_files, folders=[train, valid]), GrandparentSplitter(train_name=train, valid_name=valid)


def loaders_of(
    dblock: DataBlock, source: Any, path: str | Path, options: Mapping[str, Any], read: Iterable[str]
) -> DataLoaders:
    """Loaders of a block, with the options that have not been `read` yet."""
    others: dict[str, Any] = {name: value for name, value in options.items() if name not in set(read)}
    return dblock.dataloaders(source, path=path, **others)


def _check_splits(path: Path, train: str, valid: str) -> None:
    """Tell somebody whose folders have other names what they are called."""
    if not path.is_dir():
        return  # get_files says it
    there = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    missing = [name for name in (train, valid) if name not in there]
    if missing and there:
        raise DataError(
            f"{path} has no folder {' and no folder '.join(map(repr, missing))}; it has: {', '.join(there)}. Pass "
            f"their names (train=, valid=); or, if these are the classes, valid_pct=0.2 to split at random."
        )
