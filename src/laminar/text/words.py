"""Tokenizers that cut texts into words: by expressions of our own, at one character, or as spaCy does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from laminar.core.errors import ConfigError, require
from laminar.core.recipe import builder
from laminar.text.special_tokens import SPECIAL_TOKENS

__all__ = ["BaseTokenizer", "SpacyTokenizer", "WordTokenizer"]

# Letters, digits and what is written above, below or between letters in scripts that have such signs.
_LETTER = (
    r"[\w\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0963\u0966-\u0df3\u0e01-\u0e4e\u0eb1-\u0ecd\u1000-\u1049"
    r"\u1780-\u17d3\u200c\u200d]"
)
_SHORT_FORM = r"['’](?:s|re|ve|ll|d|m)\b"
_PIECE = re.compile(
    rf"""
    (?:[^\W\d_]\.){{2,}}                                  # u.s.
  | \d+(?:[.,:]\d+)+                                      # 10,000.5
  | {_LETTER}+(?=n['’]t\b) | n['’]t\b                     # do n't
  | {_SHORT_FORM}                                         # it 's
  | {_LETTER}+(?:['’](?!(?:s|re|ve|ll|d|m|t)\b){_LETTER}+)*
  | \.{{2,}} | -{{2,}}
  | [^\s]
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ENDS = frozenset('.,;:!?)"')  # one of these behind letters is a token, whatever the letters are
_REMEMBERED = 1 << 20  # words


class _Pieces(dict[str, str]):
    """The tokens of what stands between two spaces, with spaces between them; most of it has been seen before."""

    def __missing__(self, chunk: str) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        if chunk.isalpha():
            pieces = chunk
        elif chunk[-1] in _ENDS and chunk[:-1].isalpha():
            pieces = f"{chunk[:-1]} {chunk[-1]}"
        else:
            pieces = " ".join(_PIECE.findall(chunk))
        self[chunk] = pieces
        return pieces


@builder
class WordTokenizer:
    """Cuts texts into words, numbers and single signs; English short forms (``do n't``, ``it 's``) are two tokens.

    It needs no package, and tokens never reach over white space, so that what was cut before need not be cut again.

    >>> next(WordTokenizer()(["it's 10,000 miles (U.S.) away!"]))
    ['it', "'s", '10,000', 'miles', '(', 'U.S.', ')', 'away', '!']
    """

    def __init__(self) -> None:
        self._pieces = _Pieces()

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text."""
        return (self.spaced(text).split() for text in texts)

    def spaced(self, text: str) -> str:
        """A text with spaces between its tokens."""
        return " ".join(map(self._pieces.__getitem__, text.split()))

    def __getstate__(self) -> dict[str, Any]:
        return {"_pieces": _Pieces()}  # what is remembered stays here

    def __repr__(self) -> str:
        return "WordTokenizer()"


@builder
class BaseTokenizer:
    """Cuts texts at one character.

    Args:
        split_char: the character; a space cuts at any white space.

    >>> next(BaseTokenizer()(["a b  c"]))
    ['a', 'b', 'c']
    """

    def __init__(self, split_char: str = " ") -> None:
        self.split_char = split_char

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text."""
        at = None if self.split_char == " " else self.split_char
        return (text.split(at) for text in texts)

    def __repr__(self) -> str:
        return f"BaseTokenizer({self.split_char!r})"


@builder
class SpacyTokenizer:
    """Cuts texts as spaCy does (extra ``spacy``), by its rules for a language.

    Args:
        lang: spaCy's code for the language, such as ``"en"``.
        special_toks: words that are never cut; None for `SPECIAL_TOKENS`.
        buf_sz: texts that spaCy takes at once.

    Raises:
        MissingExtraError: spaCy is not installed.
        ConfigError: it does not know the language.
    """

    def __init__(self, lang: str = "en", special_toks: Sequence[str] | None = None, buf_sz: int = 5000) -> None:
        self.lang, self.special_toks, self.buf_sz = lang, special_toks, buf_sz
        spacy = require("spacy", "spacy", "SpacyTokenizer")
        try:
            self._pipeline = spacy.blank(lang)
        except ImportError as error:
            raise ConfigError(f"spaCy has no rules for lang={lang!r}: {error}") from error
        for word in SPECIAL_TOKENS if special_toks is None else special_toks:
            self._pipeline.tokenizer.add_special_case(word, [{"ORTH": word}])

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text."""
        for document in self._pipeline.tokenizer.pipe(texts, batch_size=self.buf_sz):
            yield [token.text for token in document if not token.is_space]

    def __repr__(self) -> str:
        return f"SpacyTokenizer({self.lang!r})"
