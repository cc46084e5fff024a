"""Batches of tensors in a folder, a file for each: too much for memory, written as it comes and read in parts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from laminar.core.device import to_concat
from laminar.core.errors import ConfigError, DataError, describe

__all__ = ["BatchWriter", "SavedBatches"]

_INDEX = "index.json"
_FILE = re.compile(r"batch_\d{6,}\.safetensors")


def _file_name(number: int) -> str:
    return f"batch_{number:06}.safetensors"


class BatchWriter:
    """Writes batches into a folder as they come; `close` completes it, and `SavedBatches` reads it.

    Batches that an earlier writer has left in the folder are deleted; other files are left alone.

    Args:
        folder: made if it is not there.

    Raises:
        ConfigError: there is a file of that name.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder} is a file; batches are written into a folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _INDEX).unlink(missing_ok=True)  # first: what is half deleted must not look complete
        for file in self.folder.iterdir():
            if _FILE.fullmatch(file.name):
                file.unlink()
        self._counts: list[int] = []
        self._structure: Any = None

    def add(self, batch: Any) -> None:
        """Write one batch: a tensor, or tensors in tuples, lists and dicts; the first dimension is that of the items.

        Raises:
            ConfigError: it holds something else, or is not made like the ones before.
        """
        tensors: dict[str, Tensor] = {}
        structure = _taken_apart(batch, tensors)
        if self._counts and structure != self._structure:
            raise ConfigError(
                f"batch {len(self._counts)} is {describe(batch)}, which is not made like the batches before it in"
                f" {self.folder}."
            )
        sizes = [len(tensor) if tensor.ndim else 0 for tensor in tensors.values()]
        if not sizes or min(sizes) != max(sizes):
            raise ConfigError(f"a batch has an item in each row of each tensor, got {describe(batch)}.")
        save_file(tensors, self.folder / _file_name(len(self._counts)))
        self._structure = structure
        self._counts.append(sizes[0])

    def close(self) -> SavedBatches | None:
        """Complete the folder; None, if there was no batch."""
        if not self._counts:
            return None
        unfinished = self.folder / f".{_INDEX}.{os.getpid()}"
        unfinished.write_text(json.dumps({"format": 1, "structure": self._structure, "counts": self._counts}))
        os.replace(unfinished, self.folder / _INDEX)
        return SavedBatches(self.folder)


def _taken_apart(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Put the tensors of a batch under names; returns its structure, with names in place of tensors, as JSON."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return name
    if isinstance(value, tuple | list):
        return [_taken_apart(part, tensors) for part in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _taken_apart(part, tensors) for key, part in value.items()}
    raise ConfigError(f"only tensors, tuples, lists and dicts of them can be written, got {describe(value)}.")


def _put_together(structure: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(structure, str):
        return tensors[structure]
    if isinstance(structure, list):
        return tuple(_put_together(part, tensors) for part in structure)
    return {key: _put_together(part, tensors) for key, part in structure.items()}


class SavedBatches:
    """Batches that lie in a folder, as a sequence; each is read when it is asked for, and only then in memory.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     writer = BatchWriter(folder)
    ...     writer.add(torch.zeros(3, 2)); writer.add(torch.ones(1, 2))
    ...     saved = writer.close()
    ...     len(saved), saved.n_items, saved.item(3), tuple(saved.read().shape)
    (2, 4, tensor([1., 1.]), (4, 2))

    Args:
        folder: what `BatchWriter` (``learn.get_preds(save_preds=folder)``) has written.
        function: applied to each batch when it is read.

    Raises:
        DataError: no such folder, or the writing of it was not completed.
    """

    def __init__(self, folder: str | Path, function: Callable[[Any], Any] | None = None) -> None:
        self.folder, self.function = Path(folder), function
        try:
            index = json.loads((self.folder / _INDEX).read_text())
            self._structure, self._counts = index["structure"], [int(count) for count in index["counts"]]
        except FileNotFoundError as error:
            there = sum(1 for file in self.folder.glob("batch_*.safetensors") if _FILE.fullmatch(file.name))
            why = f"{there} batches lie there, but their writing was interrupted" if there else "no batches lie there"
            raise DataError(f"{self.folder}: {why}. learn.get_preds(save_preds=folder) writes them.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.folder / _INDEX} is damaged ({error!r}); write the batches again.") from error

    @property
    def n_items(self) -> int:
        """The number of items in all batches."""
        return sum(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, number: int) -> Any:
        if not -len(self) <= number < len(self):
            raise IndexError(f"{self.folder} holds {len(self)} batches; there is no number {number}.")
        return self._read(number % len(self), None)

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    def item(self, number: int) -> Any:
        """One item, without reading the others of its batch.

        Raises:
            IndexError: there are fewer.
        """
        place = number + self.n_items if number < 0 else number
        for batch, count in enumerate(self._counts):
            if 0 <= place < count:
                return _first(self._read(batch, slice(place, place + 1)))
            place -= count
        raise IndexError(f"{self.folder} holds {self.n_items} items; there is no number {number}.")

    def read(self) -> Any:
        """All batches as one, in memory."""
        return to_concat(list(self))

    def map(self, function: Callable[[Any], Any]) -> SavedBatches:
        """The same batches, with a function applied to each when it is read."""
        inner = self.function
        return SavedBatches(self.folder, function if inner is None else lambda batch: function(inner(batch)))

    def _read(self, number: int, rows: slice | None) -> Any:
        file = self.folder / _file_name(number)
        try:
            if rows is None:
                tensors = load_file(file)
            else:
                with safe_open(file, "pt") as opened:
                    tensors = {name: opened.get_slice(name)[rows] for name in opened.keys()}  # noqa: SIM118  # no dict
        except (OSError, SafetensorError) as error:
            raise DataError(f"{file}: cannot be read ({error}); write the batches again.") from error
        batch = _put_together(self._structure, tensors)
        return batch if self.function is None else self.function(batch)

    def __repr__(self) -> str:
        return f"SavedBatches({str(self.folder)!r}): {self.n_items} items in {len(self)} batches"


def _first(batch: Any) -> Any:
    """The first item of a batch."""
    if isinstance(batch, Tensor):
        return batch[0]
    if isinstance(batch, dict):
        return {key: _first(part) for key, part in batch.items()}
    return tuple(_first(part) for part in batch)
