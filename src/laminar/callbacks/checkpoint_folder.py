"""A folder of checkpoints: numbered, each complete or not there, written by one process at a time."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO
from weakref import WeakValueDictionary

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from laminar.core.durable import DurableFolder, check_durable, manifest_of, sync_folder, write_tensors
from laminar.core.errors import ConfigError, DataError
from laminar.core.lazy import lazy_module

__all__ = ["CheckpointFolder", "SavedTraining", "TrainingState"]

fcntl = lazy_module("fcntl")  # not on Windows

_NAME = re.compile(r"checkpoint-(\d{8,})")
_WEIGHTS, _TENSORS, _STATE = "model.safetensors", "training.safetensors", "state.json"
_FORMAT = 1


@dataclass
class TrainingState:
    """A training in its middle.

    Attributes:
        weights: the model's, named as it names them.
        tensors: all others.
        data: everything else, as JSON.
    """

    weights: dict[str, Tensor]
    tensors: dict[str, Tensor]
    data: dict[str, Any]


@dataclass(frozen=True)
class SavedTraining:
    """A checkpoint on the disk.

    Attributes:
        path: its folder.
        about: its manifest.
    """

    path: Path
    about: Mapping[str, Any] = field(repr=False)

    @property
    def number(self) -> int:
        """Which one: later ones have larger numbers."""
        return int(self.path.name.rpartition("-")[2])

    @property
    def key(self) -> tuple[int, int]:
        """Which fit it belongs to: the number of the call that trained, and that of the fit in it."""
        return int(self.about["call"]), int(self.about["fit"])

    @property
    def finished(self) -> bool:
        """Whether that fit was over."""
        return bool(self.about["part"] == "finished")

    def read(self) -> TrainingState:
        """Read it, to the CPU.

        Raises:
            DataError: it is damaged.
        """
        try:
            data = json.loads((self.path / _STATE).read_bytes())
            return TrainingState(load_file(self.path / _WEIGHTS), load_file(self.path / _TENSORS), data)
        except (OSError, ValueError, RecursionError, SafetensorError) as error:
            raise DataError(f"{self.path} cannot be read: {error}.") from error


class CheckpointFolder:
    """Checkpoints by number.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: TextIO | None = None

    # ---- one writer at a time ----------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Become the only writer; what an earlier one has left half written is deleted.

        Raises:
            ConfigError: another process, or another learner of this one, writes there.
            OSError: nothing can be written there.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        place = self.path.resolve()
        other = _writers.get(place)
        if other is not None and other._lock is not None:
            raise ConfigError(f"{self.path}: another learner of this process writes its checkpoints there.")
        lock = (self.path / ".lock").open("a+", encoding="utf-8")
        if os.name == "posix":
            try:
                # of the process: freed when it dies in whatever way, and not inherited by worker processes
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                lock.seek(0)
                owner = lock.read().strip() or "unknown"
                lock.close()
                raise ConfigError(
                    f"{self.path}: another process (number {owner}) writes its checkpoints there. Wait for it to end,"
                    " or give this one another folder."
                ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        _writers[place] = self
        for left in [*self.path.glob(".checkpoint-*"), *self.path.glob(".removed-*")]:
            shutil.rmtree(left, ignore_errors=True)

    def unlock(self) -> None:
        """Let others write."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    # ---- writing -----------------------------------------------------------------------------------------------------

    def write(self, state: TrainingState, about: Mapping[str, Any]) -> Path:
        """Write the next checkpoint; afterwards it is on the disk.

        Args:
            state: what is in it.
            about: what is said of it in its manifest.

        Raises:
            OSError: it cannot be written; nothing is left of it.
        """
        number = max((self._number(path) for path in self._folders()), default=0) + 1
        path = self.path / f"checkpoint-{number:08}"
        with DurableFolder(path, {"format": _FORMAT, **about}) as folder:
            with folder.file(_WEIGHTS) as file:
                write_tensors(file, state.weights)
            with folder.file(_TENSORS) as file:
                write_tensors(file, state.tensors)
            with folder.file(_STATE) as file:
                file.write(json.dumps(state.data).encode())
        return path

    def remove(self, saved: SavedTraining) -> None:
        """Delete a checkpoint: at once as far as readers can see."""
        going = saved.path.with_name(f".removed-{saved.path.name}")
        with suppress(OSError):  # what cannot be deleted stays
            os.rename(saved.path, going)
            shutil.rmtree(going, ignore_errors=True)
            sync_folder(self.path)

    # ---- reading -----------------------------------------------------------------------------------------------------

    @staticmethod
    def _number(path: Path) -> int:
        found = _NAME.fullmatch(path.name)
        return int(found[1]) if found else 0

    def _folders(self) -> list[Path]:
        """The folders of checkpoints, the newest first; by their numbers, since clocks may be turned back."""
        try:
            found = [path for path in self.path.iterdir() if self._number(path)]
        except OSError:  # there is no such folder, or none that may be looked into
            return []
        return sorted(found, key=self._number, reverse=True)

    def all(self) -> list[SavedTraining]:
        """Those whose manifest can be read, the newest first."""
        found = []
        for path in self._folders():
            with suppress(DataError):
                found.append(opened(path, manifest_of(path)))
        return found

    def whole(self) -> Iterator[SavedTraining]:
        """Those that are what was written, the newest first; of others it warns."""
        for path in self._folders():
            try:
                yield opened(path, check_durable(path))
            except DataError as error:
                warnings.warn(f"a checkpoint was left out: {error}", UserWarning, stacklevel=2)

    def newest(self) -> SavedTraining | None:
        """The newest one that is what was written; None if there is none."""
        return next(self.whole(), None)


_writers: WeakValueDictionary[Path, CheckpointFolder] = WeakValueDictionary()  # of this process, by their folders


def opened(path: Path, about: Mapping[str, Any]) -> SavedTraining:
    """A checkpoint, by its manifest.

    Raises:
        DataError: it is none, or one of a later laminar.
    """
    if not all(isinstance(about.get(name), int) for name in ("format", "call", "fit")) or "part" not in about:
        raise DataError(f"{path} is no checkpoint: its manifest lacks what is said of one.")
    if about["format"] > _FORMAT:
        raise DataError(
            f"{path} was written by a later laminar, in format {about['format']}; this one reads {_FORMAT}."
        )
    return SavedTraining(path, about)
