"""Scores of what a model writes by itself, in validation: ROUGE, BLEU, chrF, or a function of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError, require
from laminar.metrics.base import Metric, function_name
from laminar.text.hf.generating import write
from laminar.text.hf.tokenizing import tokenize_of
from laminar.text.hf.writing import true_texts

__all__ = ["ChrF", "SacreBLEU", "TextScore", "WriteTexts"]


class WriteTexts(Callback):
    """Lets the model write in validation, where a metric wants texts: once for each batch, however many metrics ask.

    A learner for summaries and translations has one that takes the likeliest token each time; pass your own for other
    options.

    Args:
        max_new_tokens: how many tokens to write at most.
        **options: for transformers' ``generate``: ``num_beams``, ``length_penalty``, ...
    """

    def __init__(self, max_new_tokens: int = 64, **options: Any) -> None:
        self.max_new_tokens, self.options = max_new_tokens, options
        self._texts: list[str] = []
        self._read: Any = None  # the inputs that they were written for

    def after_batch(self) -> None:
        """Forget the texts."""
        self._texts, self._read = [], None

    def pairs(self) -> tuple[list[str], list[str]]:
        """What the model writes for this batch, and what it should."""
        learn: Any = self.learn
        tokenize = tokenize_of(learn.dls.train)
        assert tokenize is not None, "the learner was made for such data"
        if self._read is not learn.xb[0]:
            self._read = learn.xb[0]
            self._texts = write(
                learn.model, tokenize.tokenizer, self._read, max_new_tokens=self.max_new_tokens, **self.options
            )
        return self._texts, true_texts(tokenize.tokenizer, learn.yb[0])


class TextScore(Metric):
    """The mean of a score over the texts that a model writes in validation; nothing in training.

    Args:
        score: ``score(written, true)`` of two texts, such as `rouge_l`.
        name: the column's title; the function's name by default.
    """

    smaller_is_better = False

    def __init__(self, score: Callable[[str, str], float], name: str | None = None) -> None:
        self.score, self._name = score, name or function_name(score)
        self.reset()

    def reset(self) -> None:
        """Forget what was written."""
        self.written: list[str] = []
        self.true: list[str] = []

    def accumulate(self, learn: Any) -> None:
        """Let the model write for this batch.

        Raises:
            ConfigError: the learner's model does not write.
        """
        if learn.training or not learn.yb:
            return
        writer = learn.get_cb(WriteTexts)
        if writer is None:
            raise ConfigError(
                f"{self.name} is for models that turn texts into texts: data with an HFWrittenBlock. Learners made for"
                " others have no WriteTexts among their callbacks."
            )
        written, true = writer.pairs()
        self.written, self.true = [*self.written, *written], [*self.true, *true]

    @property
    def value(self) -> Any:
        """The score of all texts so far; None without any."""
        return self.of(self.written, self.true) if self.written else None

    def of(self, written: Sequence[str], true: Sequence[str]) -> float:
        """The score of texts.

        Args:
            written: what a model wrote.
            true: what it should have.
        """
        return sum(self.score(one, other) for one, other in zip(written, true, strict=True)) / len(written)


class SacreBLEU(TextScore):
    """BLEU of all texts together, 0 to 100, by the package sacrebleu (Post, "A call for clarity in reporting BLEU
    scores", 2018).

    Args:
        **options: for ``sacrebleu.BLEU``: ``lowercase``, ``tokenize``, ...

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """

    def __init__(self, **options: Any) -> None:
        self.scorer = require("sacrebleu", "metrics", "BLEU").BLEU(**options)
        super().__init__(self._of_one, "bleu")

    def _of_one(self, written: str, true: str) -> float:
        return self.of([written], [true])

    def of(self, written: Sequence[str], true: Sequence[str]) -> float:
        """The score of all texts together."""
        return float(self.scorer.corpus_score(list(written), [list(true)]).score)


class ChrF(SacreBLEU):
    """chrF of all texts together, 0 to 100: runs of characters, for languages with rich endings (Popović, "chrF:
    character n-gram F-score for automatic MT evaluation", 2015), by the package sacrebleu.

    Args:
        **options: for ``sacrebleu.CHRF``: ``word_order=2`` for chrF++, ...

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """

    def __init__(self, **options: Any) -> None:
        self.scorer = require("sacrebleu", "metrics", "chrF").CHRF(**options)
        TextScore.__init__(self, self._of_one, "chrf")
