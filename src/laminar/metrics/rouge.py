"""ROUGE: how much of a true text another one holds (Lin, "ROUGE: a package for automatic evaluation of summaries",
2004).

On English texts the values are those of the packages `rouge_score` and `evaluate` without stemming; words are runs of
letters and digits of any script, so that other languages are compared by their words, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from laminar.core.errors import ConfigError

__all__ = ["Rouge", "rouge_1", "rouge_2", "rouge_l", "rouge_lsum", "rouge_n"]

_WORD = re.compile(r"[^\W_]+")


class Rouge(NamedTuple):
    """The three numbers of a comparison, 0 to 1.

    Attributes:
        precision: share of what was written that the true text has.
        recall: share of the true text that was written.
        fmeasure: their harmonic mean, which is what people call ROUGE today.
    """

    precision: float
    recall: float
    fmeasure: float

    @classmethod
    def of(cls, common: int, written: int, true: int) -> Rouge:
        """The numbers for so many common parts of so many."""
        precision, recall = common / max(written, 1), common / max(true, 1)
        total = precision + recall
        return cls(precision, recall, 2 * precision * recall / total if total else 0.0)


Texts = str | Sequence[str]


def rouge_n(written: str, true: Texts, n: int = 1) -> Rouge:
    """Compare the runs of `n` words of two texts.

    Args:
        written: what a model wrote.
        true: what it should have; of several texts the one that gives the highest value counts.
        n: words in a run.

    Raises:
        ConfigError: `n` is below 1, or there is no true text.

    >>> rouge_n("the cat sat", "the cat was there").recall
    0.5
    """
    if n < 1:
        raise ConfigError(f"rouge_n compares runs of 1 or more words, got n={n}")
    ours = _runs(_words(written), n)

    def against(text: str) -> Rouge:
        theirs = _runs(_words(text), n)
        return Rouge.of((ours & theirs).total(), ours.total(), theirs.total())

    return _best(against, true)


def rouge_1(written: str, true: Texts) -> float:
    """ROUGE-1: single words that two texts share, as F-measure (see `rouge_n`).

    Args:
        written: what a model wrote.
        true: what it should have, or several texts of which the best counts.
    """
    return rouge_n(written, true, 1).fmeasure


def rouge_2(written: str, true: Texts) -> float:
    """ROUGE-2: pairs of words that two texts share, as F-measure (see `rouge_n`).

    Args:
        written: what a model wrote.
        true: what it should have, or several texts of which the best counts.
    """
    return rouge_n(written, true, 2).fmeasure


def rouge_l(written: str, true: Texts) -> float:
    """ROUGE-L: the longest series of words that both texts have in this order, as F-measure.

    Args:
        written: what a model wrote.
        true: what it should have, or several texts of which the best counts.

    >>> rouge_l("police killed the gunman", "the gunman killed police")
    0.5
    """
    words = _words(written)

    def against(text: str) -> Rouge:
        theirs = _words(text)
        return Rouge.of(_common_length(words, theirs), len(words), len(theirs))

    return _best(against, true).fmeasure


def rouge_lsum(written: str, true: Texts) -> float:
    """ROUGE-L for texts of several lines, one sentence in each: what papers on summaries report as ROUGE-L.

    For each true sentence the words count that any written sentence has in the same order.

    Args:
        written: what a model wrote.
        true: what it should have, or several texts of which the best counts.
    """
    sentences = [_words(line) for line in written.split("\n")]
    ours = Counter(word for sentence in sentences for word in sentence)

    def against(text: str) -> Rouge:
        lines = [_words(line) for line in text.split("\n")]
        left, theirs = ours.copy(), Counter(word for line in lines for word in line)
        total, common = theirs.total(), 0
        for line in lines:
            for word in [line[place] for place in sorted(_union_of_common(line, sentences))]:
                if left[word] and theirs[word]:
                    common, left[word], theirs[word] = common + 1, left[word] - 1, theirs[word] - 1
        return Rouge.of(common, ours.total(), total)

    return _best(against, true).fmeasure


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _runs(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(n)), strict=False))


def _best(against: Callable[[str], Rouge], true: Texts) -> Rouge:
    texts = [true] if isinstance(true, str) else list(true)
    if not texts:
        raise ConfigError("there is no true text to compare with: pass one, or a list of at least one.")
    return max(map(against, texts), key=lambda found: found.fmeasure)


def _common_length(first: list[str], second: list[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time in the bits of one number (Hyyrö,
    "Bit-parallel LCS-length computation revisited", 2004).
    """
    places: dict[str, int] = {}
    for number, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << number
    row = everything = (1 << len(first)) - 1
    for word in second:
        matched = row & places.get(word, 0)
        row = (row + matched) | (row - matched)
    return len(first) - (row & everything).bit_count()


def _union_of_common(line: list[str], sentences: list[list[str]]) -> set[int]:
    """Which words of a line are in a longest common subsequence with any of the sentences."""
    return {place for sentence in sentences for place in _common_places(line, sentence)}


def _common_places(line: list[str], sentence: list[str]) -> list[int]:
    """Where in `line` the words of a longest common subsequence stand."""
    lengths = [[0] * (len(sentence) + 1) for _ in range(len(line) + 1)]
    for i, word in enumerate(line):
        for j, other in enumerate(sentence):
            same = word == other
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if same else max(lengths[i][j + 1], lengths[i + 1][j])
    found: list[int] = []
    i, j = len(line), len(sentence)
    while i and j:
        if line[i - 1] == sentence[j - 1]:
            found, i, j = [*found, i - 1], i - 1, j - 1
        elif lengths[i][j - 1] > lengths[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return found
