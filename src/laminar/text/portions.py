"""Texts in portions that fit into memory: several short ones together, a long one in parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["parts_of", "portions"]

_WHITE_SPACE = re.compile(r"\s")


def portions(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Texts in lists of at most so many characters; a longer text is alone.

    Args:
        texts: the texts.
        size: characters.

    >>> list(portions(["one", "two", "more of them"], 8))
    [['one', 'two'], ['more of them']]
    """
    portion: list[str] = []
    taken = 0
    for text in texts:
        if portion and taken + len(text) > size:
            yield portion
            portion, taken = [], 0
        portion.append(text)
        taken += len(text)
    if portion:
        yield portion


def parts_of(text: str, size: int) -> Iterator[str]:
    """A text in parts of about so many characters, cut before white space: no word is torn.

    Args:
        text: the text.
        size: characters; a part goes on to the end of its last word.

    >>> list(parts_of("to be or not", 4))
    ['to be', ' or not']
    """
    done = 0
    while len(text) - done > size:
        gap = _WHITE_SPACE.search(text, done + size)
        end = len(text) if gap is None else gap.start()
        yield text[done:end]
        done = end
    if done < len(text) or not text:
        yield text[done:]
