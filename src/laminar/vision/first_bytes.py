"""Whether a file begins like a picture: quick enough to look at all of a data set before training."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["begins_like_a_picture"]

_READ = 64  # bytes; no picture is smaller
_BEGINNINGS = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\x00",  # TIFF
    b"MM\x00*",
)


def begins_like_a_picture(source: Any) -> bool:
    """Whether the first bytes are those of a common kind of picture; False where one has to open it to know.

    Args:
        source: path or content of a file. Pictures that are in memory already are not looked at.

    >>> begins_like_a_picture(b"hello"), begins_like_a_picture(b"GIF89a" + bytes(60))
    (False, True)
    """
    if isinstance(source, str | os.PathLike):
        try:
            with open(source, "rb", buffering=0) as file:
                source = file.read(_READ)
        except (OSError, ValueError):  # ValueError: a name that no file can have
            return False
    if not isinstance(source, bytes | bytearray):
        return True
    start = bytes(source[:_READ])
    known = start.startswith(_BEGINNINGS) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
    return known and len(start) == _READ
