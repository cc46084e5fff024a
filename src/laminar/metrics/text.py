"""How well a model of language predicts: perplexity, and BLEU of what it writes."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.base import AvgLoss
from laminar.metrics.collecting import CollectingMetric

__all__ = ["CorpusBLEUMetric", "Perplexity", "perplexity"]

_IGNORED = -100  # target of a word that no loss is computed of
_LONGEST = 4  # words in an n-gram


class Perplexity(AvgLoss):
    """Exponential of the mean loss of a word: of how many words a model chooses, on average.

    Batches count by their words, without those whose target is -100, so that the loss of an epoch is that of all its
    words even where batches hold unequally many.
    """

    title: ClassVar[str] = "perplexity"

    def accumulate(self, learn: Any) -> None:
        """Add this batch's loss, without waiting for the device; a batch without targets has none."""
        if learn.yb and learn.loss is not None:
            n = (learn.yb[0] != _IGNORED).sum()
            self.total = self.total + torch.where(n > 0, learn.loss.detach().mean() * n, 0.0)
            self.count = self.count + n

    @property
    def value(self) -> Any:
        """The exponential of the mean so far."""
        mean = super().value
        return None if mean is None else torch.as_tensor(mean).exp()

    def _default_name(self) -> str:
        return self.title


perplexity = Perplexity()
"""Perplexity as a metric; each learner takes a copy."""


class CorpusBLEUMetric(CollectingMetric):
    """BLEU of the likeliest words against one true text each, over an epoch (Papineni et al., "BLEU: a method for
    automatic evaluation of machine translation", 2002): n-grams of 1 to 4 words, short texts marked down.

    Every position counts, padding too.

    Args:
        vocab_sz: kept for the sake of programs that pass it; words are compared as they are.
        axis: where the words' scores are.
    """

    title: ClassVar[str] = "corpus_bleu"
    smaller_is_better = False

    def __init__(self, vocab_sz: int = 5000, axis: int = -1) -> None:
        self.vocab_sz, self.axis = vocab_sz, axis
        self.reset()

    def reset(self) -> None:
        """Forget what was collected."""
        self.said: list[Tensor] = []
        self.true: list[Tensor] = []

    def update(self, preds: Any, *targets: Any) -> None:
        """Keep the likeliest words of a batch.

        Raises:
            ConfigError: predictions and targets are no texts, ``[batch, words, vocabulary]`` and ``[batch, words]``.
        """
        words = preds.detach().argmax(dim=self.axis)
        if words.ndim != 2 or targets[0].ndim != 2 or len(words) != len(targets[0]):
            raise ConfigError(
                f"CorpusBLEUMetric compares texts: predictions [batch, words, vocabulary], got {tuple(preds.shape)};"
                f" targets [batch, words], got {tuple(targets[0].shape)}."
            )
        self.said.append(words)
        self.true.append(targets[0])

    @property
    def value(self) -> Any:
        """BLEU of all texts, 0 to 1."""
        if not self.said:
            return None
        matches, totals = [0] * _LONGEST, [0] * _LONGEST
        length = true_length = 0
        for said_batch, true_batch in zip(self.said, self.true, strict=True):
            for said, true in zip(said_batch.tolist(), true_batch.tolist(), strict=True):
                length, true_length = length + len(said), true_length + len(true)
                for n in range(1, _LONGEST + 1):
                    ours = _ngrams(said, n)
                    matches[n - 1] += (ours & _ngrams(true, n)).total()
                    totals[n - 1] += ours.total()
        if not all(matches):
            return 0.0
        precision = sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / _LONGEST
        return math.exp(precision + min(0.0, 1 - true_length / length))


def _ngrams(words: list[int], n: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
