"""How right answers to questions are, as SQuAD counts it (Rajpurkar et al., "SQuAD: 100,000+ questions for machine
comprehension of text", 2016).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

__all__ = ["answer_f1", "exact_match", "normalize_answer"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(answer: str) -> str:
    """An answer without what does not matter: capitals, punctuation, English articles, white space.

    Args:
        answer: the answer.

    >>> normalize_answer(" The  Eiffel Tower. ")
    'eiffel tower'
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(answer: str, true: str | Sequence[str]) -> float:
    """1 if an answer is a true one, but for what does not matter (`normalize_answer`), else 0.

    Args:
        answer: the answer; empty says that there is none.
        true: the true answer, or several; none, or an empty one, says that the question cannot be answered.
    """
    return float(normalize_answer(answer) in {normalize_answer(text) for text in _several(true)})


def answer_f1(answer: str, true: str | Sequence[str]) -> float:
    """How many words an answer shares with a true one: harmonic mean of precision and recall, 0 to 1.

    Args:
        answer: the answer; empty says that there is none.
        true: the true answer, or several, of which the nearest counts; none, or an empty one, says that the question
            cannot be answered.

    >>> answer_f1("in the Eiffel Tower", ["Eiffel Tower", "the tower"])
    0.8
    """
    return max(_f1(normalize_answer(answer).split(), normalize_answer(text).split()) for text in _several(true))


def _several(true: str | Sequence[str]) -> list[str]:
    return [true] if isinstance(true, str) else list(true) or [""]


def _f1(words: list[str], true: list[str]) -> float:
    if not words or not true:
        return float(words == true)
    common = (Counter(words) & Counter(true)).total()
    return 2 * common / (len(words) + len(true))
