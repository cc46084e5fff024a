"""Finding copies: of files by their bytes, of pictures by how they look."""

from __future__ import annotations

import hashlib
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Place", "digest_of", "near_copies", "same_bytes"]

Place = tuple[int, int]  # split, number of the item in it

_ENDING = 4096  # bytes
_FLAT = 3.0  # a thumbnail with a smaller standard deviation has nothing to know it by
# Of 120 photos scaled to half, encoded at quality 20, or changed in light or contrast by a fifth, 99 in 100 are within
# these, and no two different ones; of 1800 small written digits, 2 look like another one.
_ALIKE = 0.97  # correlation
_UNEXPLAINED = 10.0  # grey values, root of the mean square
_COMPARED_AT_ONCE = 1 << 24


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


def near_copies(thumbnails: Mapping[Place, npt.NDArray[np.uint8]]) -> list[tuple[Place, Place]]:
    """Pictures that look the same: scaled, encoded anew, lighter or of less contrast.

    All thumbnails are compared with all, up to light and contrast: by their correlation, and by what one leaves
    unexplained in the other. Pictures of nearly one colour are left out.

    Args:
        thumbnails: grey values ``[16, 16]`` for each place (split, number of the item).

    Returns:
        for each picture that is like an earlier one, that one and the picture: the most similar of another split, else
        of its own.
    """
    kept = sorted(place for place, thumbnail in thumbnails.items() if thumbnail.std() >= _FLAT)
    if len(kept) < 2:
        return []
    grey = np.stack([thumbnails[place] for place in kept]).reshape(len(kept), -1).astype(np.float32)
    spread = grey.std(axis=1)
    unit = (grey - grey.mean(axis=1, keepdims=True)) / (spread[:, None] * np.sqrt(grey.shape[1]))
    split = np.array([place[0] for place in kept])
    found: dict[int, int] = {}
    block = max(1, _COMPARED_AT_ONCE // len(kept))
    for start in range(0, len(kept), block):
        rows = np.arange(start, min(start + block, len(kept)))
        alike = unit[rows] @ unit[: rows[-1] + 1].T
        columns = np.arange(alike.shape[1])
        own = split[rows, None] == split[columns]
        earlier = columns < rows[:, None]
        for allowed in (earlier & own, earlier & ~own):  # another split has the last word
            best = np.where(allowed, alike, -1).argmax(axis=1)
            likeness = np.where(allowed[rows - start, best], alike[rows - start, best], -1)
            unexplained = np.maximum(spread[rows], spread[best]) * np.sqrt(np.clip(1 - likeness**2, 0, 1))
            close = (likeness >= _ALIKE) & (unexplained <= _UNEXPLAINED)
            found.update(zip(rows[close].tolist(), best[close].tolist(), strict=True))
    return [(kept[best], kept[row]) for row, best in sorted(found.items())]
