"""Answers as spans of tokens: from characters to tokens, and from what a model says back to characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import ConfigError

__all__ = ["Answer", "SpanCandidates", "best_spans", "token_span"]

Offsets = np.ndarray[Any, np.dtype[np.int32]]


class Answer(NamedTuple):
    """An answer, and where it stands.

    Attributes:
        text: the answer; empty where the model says that there is none.
        start: where it begins in the context, in characters; -1 where there is none.
        end: behind its last character.
        score: probability among the answers that were considered, 0 to 1.
    """

    text: str
    start: int
    end: int
    score: float


def token_span(offsets: Offsets, start: int, end: int) -> tuple[int, int] | None:
    """The first and the last token of a span of characters.

    Args:
        offsets: where each token begins and ends in the text, in characters, ``[tokens, 2]``.
        start: first character of the span.
        end: behind its last character.

    Returns:
        Numbers of the tokens; None if the span is not wholly in these tokens.

    >>> token_span(np.array([[0, 3], [4, 9], [9, 11]]), 4, 11)
    (1, 2)
    """
    begins, ends = offsets[:, 0], offsets[:, 1]
    touching = np.flatnonzero((begins < end) & (ends > start))
    if not len(touching):
        return None
    first, last = int(touching[0]), int(touching[-1])
    cut_before, cut_behind = first == 0 and begins[0] > start, last == len(offsets) - 1 and ends[last] < end
    return None if cut_before or cut_behind else (first, last)


def best_spans(
    start_scores: Tensor, end_scores: Tensor, allowed: Tensor, n_best: int = 20, max_tokens: int = 30
) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest spans of each text: all are compared, however many tokens there are.

    Args:
        start_scores: how likely a span begins at each token, ``[batch, length]``, raw outputs.
        end_scores: how likely it ends there.
        allowed: tokens that may be in a span, ``[batch, length]``.
        n_best: how many spans.
        max_tokens: tokens in a span, at most.

    Returns:
        Sums of the scores, first and last tokens: ``[batch, n]`` each, the best first; a score of -inf stands for no
        span.

    Raises:
        ConfigError: numbers below 1.
    """
    if n_best < 1 or max_tokens < 1:
        raise ConfigError(f"n_best and max_tokens are at least 1, got {n_best} and {max_tokens}")
    length = start_scores.shape[1]
    width = min(max_tokens, length)
    outside = ~allowed.bool()
    starts = start_scores.float().masked_fill(outside, -torch.inf)
    ends = end_scores.float().masked_fill(outside, -torch.inf)
    ends = torch.nn.functional.pad(ends, (0, width - 1), value=-torch.inf)
    sums = (starts[:, :, None] + ends.unfold(1, width, 1)).flatten(1)
    best = sums.topk(min(n_best, sums.shape[1]), dim=1)
    first = best.indices // width
    return best.values, first, first + best.indices % width


class SpanCandidates:
    """The likeliest answers to one question, gathered from all windows of its context.

    Args:
        context: the text with the answer.
    """

    def __init__(self, context: str) -> None:
        self.context = context
        self._scores: dict[tuple[int, int], float] = {}
        self._no_answer = np.inf

    def add(
        self, offsets: Offsets, scores: Sequence[float], first: Sequence[int], last: Sequence[int], no_answer: float
    ) -> None:
        """Take in what a model says of a window.

        Args:
            offsets: where the window's tokens begin and end in the context, ``[tokens, 2]``.
            scores: of the window's likeliest spans, see `best_spans`.
            first: their first tokens.
            last: their last tokens.
            no_answer: score of there being no answer in this window.
        """
        for score, begin, end in zip(scores, first, last, strict=True):
            if np.isfinite(score):
                place = int(offsets[begin, 0]), int(offsets[end, 1])
                self._scores[place] = max(score, self._scores.get(place, -np.inf))
        self._no_answer = min(no_answer, self._no_answer)  # an answer is missing only if no window has one

    def answers(self, n_best: int = 1, may_be_missing: bool = False, threshold: float = 0.0) -> list[Answer]:
        """The likeliest answers, the best first.

        Args:
            n_best: how many.
            may_be_missing: whether a question may have no answer.
            threshold: by how much the score of no answer must be above that of the best.
        """
        found = dict(self._scores)
        if may_be_missing and np.isfinite(self._no_answer):
            found[-1, -1] = self._no_answer - threshold
        if not found:
            return [Answer("", -1, -1, 1.0)]
        order = sorted(found, key=found.__getitem__, reverse=True)
        scores = np.array([found[place] for place in order])
        weights = np.exp(scores - scores[0])
        shares = weights / weights.sum()
        return [
            Answer("" if start < 0 else self.context[start:end], start, end, float(share))
            for (start, end), share in zip(order[:n_best], shares, strict=False)
        ]
