"""Many texts into numbers of tokens, each different word of them cut once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from laminar.text.portions import parts_of
from laminar.text.rules import Rule, apply_rules_together, lowercase
from laminar.text.special_tokens import BOS
from laminar.text.tokens import Numbers
from laminar.text.words import WordTokenizer

__all__ = ["Numbered", "Numbering", "numbered_by_word", "rules_for_words"]

Counts = np.ndarray[Any, np.dtype[np.int64]]

_CHARACTERS_AT_ONCE = 1 << 21
_WORDS_AT_ONCE = 1 << 19


class Numbered(NamedTuple):
    """The tokens of some texts.

    Attributes:
        words: the different ones, in the order of their first appearance.
        numbers: of all texts one after another, numbers of words, int32.
        lengths: tokens in each text.
    """

    words: list[str]
    numbers: Numbers
    lengths: Counts


class Numbering(dict[str, int]):
    """Gives each new word the next number."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number

    def all(self, words: Sequence[str]) -> Numbers:
        """The numbers of words."""
        return np.fromiter(map(self.__getitem__, words), dtype=np.int32, count=len(words))


def rules_for_words(rules: Sequence[Rule]) -> tuple[Sequence[Rule], Sequence[Rule]]:
    """Rules for texts, and those at the end that are for each word, of which the last may be `lowercase`."""
    end = len(rules)
    start = end - 1 if end and rules[-1] is lowercase else end
    while start and getattr(rules[start - 1], "word_by_word", False):
        start -= 1
    return rules[:start], rules[start:]


def numbered_by_word(texts: Sequence[str], rules: Sequence[Rule], tok: WordTokenizer) -> Numbered:
    """Apply rules to texts and cut them.

    Most words of a text are in others too. So texts are cut at white space, and rules for words and the tokenizer see
    each different word once; the tokens of texts are put together from those of words, which needs no loop.

    Args:
        texts: the texts.
        rules: in the order in which they are applied.
        tok: cuts what stands between white space.
    """
    for_texts, for_words = rules_for_words(rules)
    if not texts:
        return Numbered([], np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64))
    together, border = apply_rules_together(texts, for_texts)
    words = Numbering([(border, 0)])
    parts = (words.all(part.split()) for part in parts_of(together, _CHARACTERS_AT_ONCE))  # all words at once: too many
    stream = np.concatenate([words.all([border]), *parts])  # a border before each text
    numbering = Numbering([(border, 0)])
    begin = [numbering[BOS]] if for_words and for_words[-1] is lowercase else []
    tokens = numbering.all(_cut(list(words), for_words, tok, border))

    borders = np.append(np.flatnonzero(tokens == 0), len(tokens))
    starts = np.append(len(tokens), borders[:-1] + 1)  # of each word's tokens; the first word is the border
    counts = np.append(len(begin), np.diff(borders) - 1)
    table = np.append(tokens, np.array(begin, dtype=np.int32)) - np.int32(1)
    numbers = [
        _joined(table, starts[part], counts[part]) for part in np.array_split(stream, 1 + len(stream) // _WORDS_AT_ONCE)
    ]
    lengths = np.add.reduceat(counts[stream], np.flatnonzero(stream == 0))
    return Numbered(list(numbering)[1:], np.concatenate(numbers), lengths)


def _joined(table: Numbers, starts: Counts, counts: Counts) -> Numbers:
    """Parts of a table, each from its start on so many, one after the other."""
    ends = np.cumsum(counts)
    joined: Numbers = table[np.repeat(starts - ends + counts, counts) + np.arange(ends[-1])]
    return joined


def _cut(words: Sequence[str], rules: Sequence[Rule], tok: WordTokenizer, border: str) -> list[str]:
    """The tokens of each word, with a border before each; the first word is the border itself."""
    _, *others = words
    together = f"{border} " + f" {border} ".join(others)
    for rule in rules:
        together = together.lower() if rule is lowercase else rule(together)
    return tok.spaced(together).split()
