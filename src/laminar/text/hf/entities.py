"""Metrics of tags of words: how many are right, and how many whole entities (names, places) are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.base import Metric
from laminar.text.hf.tokenizing import IGNORED

__all__ = ["EntityF1", "EntityPrecision", "EntityRecall", "TokenAccuracy", "entities_of"]


def entities_of(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """The entities that tags of words describe: (type, first word, word behind the last).

    Tags are ``O``, ``B-type`` (an entity begins) and ``I-type`` (it goes on); of other schemes ``E-`` and ``L-`` end
    one, ``S-`` and ``U-`` are one of a single word. An ``I-`` behind nothing of its type begins an entity, as in the
    evaluation of CoNLL-2003.

    >>> sorted(entities_of(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"]))
    [('LOC', 3, 4), ('LOC', 4, 5), ('PER', 0, 2)]
    """
    found: set[tuple[str, int, int]] = set()
    kind, start = "", 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        goes_on = prefix in ("I", "E", "L") and name == kind
        if kind and not goes_on:
            found.add((kind, start, place))
            kind = ""
        if prefix in ("B", "I", "S", "U", "E", "L") and name and not goes_on:
            kind, start = name, place
        if kind and prefix in ("E", "L", "S", "U"):
            found.add((kind, start, place + 1))
            kind = ""
    return found


class TokenAccuracy(Metric):
    """Share of the tags that are right, over all tokens that have one."""

    title: ClassVar[str] = "accuracy"
    smaller_is_better = False

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was counted."""
        self.right, self.count = 0, 0

    def accumulate(self, learn: Any) -> None:
        """Count a batch."""
        predicted, true = learn.pred.detach().argmax(-1), learn.yb[0]
        tagged = true != IGNORED
        self.right += int((predicted == true)[tagged].sum())
        self.count += int(tagged.sum())

    @property
    def value(self) -> float | None:
        """The share."""
        return self.right / self.count if self.count else None


class EntityF1(Metric):
    """F1 of whole entities, over an epoch: one counts as found if its type, its first and its last word are right.

    Args:
        vocab: the tags; None for those of the learner's data.
    """

    title: ClassVar[str] = "f1"
    smaller_is_better = False

    def __init__(self, vocab: Sequence[str] | None = None) -> None:
        self.vocab = vocab
        self.reset()

    def reset(self) -> None:
        """Forget what was counted."""
        self.n_right, self.n_predicted, self.n_true = 0, 0, 0

    def accumulate(self, learn: Any) -> None:
        """Count a batch.

        Raises:
            ConfigError: nobody says what the tags are called.
        """
        vocab = self.vocab if self.vocab is not None else getattr(learn.dls, "vocab", None)
        if vocab is None:
            raise ConfigError(f"{type(self).__name__} needs the names of the tags: {type(self).__name__}(vocab=[...])")
        for predicted, true in zip(learn.pred.detach().argmax(-1), learn.yb[0], strict=True):
            self._count(*(_tags(numbers, true, vocab) for numbers in (predicted, true)))

    def _count(self, predicted: Sequence[str], true: Sequence[str]) -> None:
        said, there = entities_of(predicted), entities_of(true)
        self.n_right += len(said & there)
        self.n_predicted += len(said)
        self.n_true += len(there)

    @property
    def precision(self) -> float:
        """Share of the predicted entities that are right; 0 without any."""
        return self.n_right / self.n_predicted if self.n_predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the true entities that were found; 0 without any."""
        return self.n_right / self.n_true if self.n_true else 0.0

    @property
    def value(self) -> float | None:
        """The harmonic mean of precision and recall."""
        both = self.n_predicted + self.n_true
        return 2 * self.n_right / both if both else None


class EntityPrecision(EntityF1):
    """Share of the entities that were predicted that are right (see `EntityF1`)."""

    title: ClassVar[str] = "precision"

    @property
    def value(self) -> float | None:
        """The share."""
        return self.precision


class EntityRecall(EntityF1):
    """Share of the true entities that were found (see `EntityF1`)."""

    title: ClassVar[str] = "recall"

    @property
    def value(self) -> float | None:
        """The share."""
        return self.recall


def _tags(numbers: Tensor, true: Tensor, vocab: Sequence[str]) -> list[str]:
    """The names of the tags of the tokens that have one."""
    return [str(vocab[number]) for number in numbers[true != IGNORED].tolist()]
