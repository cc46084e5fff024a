"""Finding copies: of files by their bytes, of pictures by how they look."""

from __future__ import annotations

import hashlib
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["digest_of", "near_copies", "same_bytes"]

_CLOSE = 6.0  # grey values by which two thumbnails of one picture differ on average, at most
_FLAT = 3.0  # a thumbnail with a smaller standard deviation has nothing to know it by
_BITS_APART = 7  # of 128: with 8 bands of 16 bits, two hashes no further apart than this agree in one band at least
_ENDING = 4096  # bytes
_CROWD = 200  # so many pictures in one band are compared with their neighbours only


def digest_of(file: Path) -> bytes:
    """A digest of a file's bytes, which files that differ do not share."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").digest()


def same_bytes(files: Iterable[Path]) -> list[list[Path]]:
    """Groups of different paths that hold the same bytes.

    Files of one size are read, first their ends, in full where these agree. One that cannot be read is in no group;
    who makes its item will say so.
    """
    groups: list[list[Path]] = [list(dict.fromkeys(files))]
    for key in (_size, _ending, digest_of):
        groups = [alike for group in groups for alike in _alike(group, key)]
    return groups


def _alike(files: Sequence[Path], key: Callable[[Path], Any]) -> list[list[Path]]:
    """Groups of two and more with the same key, other than None."""
    groups: dict[Any, list[Path]] = defaultdict(list)
    for file in files:
        try:
            groups[key(file)].append(file)
        except OSError:
            continue
    return [group for value, group in groups.items() if value is not None and len(group) > 1]


def _size(file: Path) -> int | None:
    """Of a file in bytes; None of one without any, which is a copy of nothing."""
    status = file.stat()
    return status.st_size if status.st_size and stat.S_ISREG(status.st_mode) else None


def _ending(file: Path) -> bytes:
    """The last bytes of a file: beginnings are more often alike."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _ENDING))
        return stream.read()


def near_copies(thumbnails: Mapping[Any, npt.NDArray[np.uint8]]) -> list[tuple[Any, Any]]:
    """Pairs of pictures that look the same: scaled, encoded anew, a little lighter or darker.

    Difference hashes (Krawetz, "Kind of like that", 2013), along rows and along columns, find who is to be compared;
    the thumbnails decide. Pictures of one colour are left out.

    Args:
        thumbnails: grey values ``[16, 16]`` for each picture.
    """
    kept = [key for key, thumbnail in thumbnails.items() if thumbnail.std() >= _FLAT]
    if len(kept) < 2:
        return []
    grey = np.stack([thumbnails[key] for key in kept]).astype(np.float32)
    hashes = _hashes(grey)
    centred = grey - grey.mean(axis=(1, 2), keepdims=True)
    pairs = []
    for a, b in sorted(_candidates(hashes)):
        apart = int(np.unpackbits((hashes[a] ^ hashes[b]).view(np.uint8)).sum())
        if apart <= _BITS_APART and np.abs(centred[a] - centred[b]).mean() <= _CLOSE:
            pairs.append((kept[a], kept[b]))
    return pairs


def _hashes(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Eight words of 16 bits for each picture: whether it gets lighter from cell to cell, of a grid of 8 by 8."""
    small = grey.reshape(-1, 8, 2, 8, 2).mean(axis=(2, 4))
    across = np.diff(small, axis=2, append=small[:, :, :1]) > 1
    down = np.diff(small, axis=1, append=small[:, :1, :]) > 1
    bits = np.concatenate([across.reshape(-1, 64), down.reshape(-1, 64)], axis=1)
    return np.packbits(bits, axis=1).view(np.uint16)


def _candidates(hashes: npt.NDArray[np.uint16]) -> set[tuple[int, int]]:
    """Pairs of numbers of pictures whose hashes agree in one word at least."""
    found: set[tuple[int, int]] = set()
    for band in range(hashes.shape[1]):
        groups: dict[int, list[int]] = defaultdict(list)
        for number, word in enumerate(hashes[:, band].tolist()):
            groups[word].append(number)
        for group in groups.values():
            if len(group) > _CROWD:
                found.update(_neighbours(group, hashes))
            else:
                found.update(combinations(group, 2))
    return found


def _neighbours(group: Sequence[int], hashes: npt.NDArray[np.uint16]) -> Iterable[tuple[int, int]]:
    """In a large group, each picture with the next few in the order of their hashes."""
    ordered = sorted(group, key=lambda number: hashes[number].tobytes())
    for place, a in enumerate(ordered):
        for b in ordered[place + 1 : place + 20]:
            yield (a, b) if a < b else (b, a)
