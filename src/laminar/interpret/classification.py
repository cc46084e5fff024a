"""Which classes a model takes for which: confusion matrix, the pairs it confuses most, a table by class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.core.lazy import lazy_module
from laminar.interpret.base import Interpretation, TrainedLearner, on_cpu
from laminar.learner.inference import evaluation_loader

__all__ = ["ClassificationInterpretation", "ClassReport", "Confused"]

plt = lazy_module("matplotlib.pyplot")
Array = np.ndarray[Any, np.dtype[Any]]


class Confused(NamedTuple):
    """Items of class `actual` that were taken for `predicted`, `times` times."""

    actual: str
    predicted: str
    times: int


class ClassReport(NamedTuple):
    """How well one class is found: shares 0 to 1, and how many items are of it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


class ClassificationInterpretation(Interpretation):
    """Looks at a classifier with one class for each item (or each pixel).

    Keeps losses, targets and decisions; see `Interpretation`.

    Args:
        learn: a trained learner.
        dl: loader that gives the items in the order of the data set, without augmentation.
        losses: of each item.
        targets: class of each item.
        decoded: class the model decides for.
        act: see `Interpretation`.
        idxs: see `Interpretation`.
    """

    def __init__(
        self,
        learn: TrainedLearner,
        dl: Any,
        losses: Tensor,
        targets: Tensor,
        decoded: Tensor,
        act: Callable[[Any], Any] | None = None,
        idxs: Tensor | None = None,
    ) -> None:
        super().__init__(learn, dl, losses, act, idxs)
        self.targets, self.decoded = targets, decoded
        self.vocab = _class_names(dl, targets, decoded)

    @classmethod
    def from_learner(
        cls, learn: TrainedLearner, ds_idx: int = 1, dl: Any = None, act: Callable[[Any], Any] | None = None
    ) -> Self:
        """Go through a data set once, without augmentation.

        Args:
            learn: a trained learner.
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader with targets: ``dls.test_dl(items, with_labels=True)``.
            act: see `Interpretation`.

        Raises:
            ConfigError: the targets are no classes.
        """
        loader = evaluation_loader(learn.dls, ds_idx, dl, learn.model_tfms)
        _, targets, decoded, losses, idxs = learn.get_preds(
            dl=loader, with_decoded=True, with_loss=True, act=act, with_items=True
        )
        targets, decoded = on_cpu(targets), on_cpu(decoded)
        if not isinstance(targets, Tensor) or not isinstance(decoded, Tensor) or targets.shape != decoded.shape:
            raise ConfigError(
                "ClassificationInterpretation needs one class as target and one as decision for each item, got "
                f"{_kind(targets)} and {_kind(decoded)}. Use Interpretation for other tasks."
            )
        if targets.is_floating_point():
            raise ConfigError(
                f"the targets are {_kind(targets)}, no classes. Use Interpretation for quantities and several labels."
            )
        return cls(learn, loader, losses, targets, decoded, act, idxs)

    def confusion_matrix(self) -> Array:
        """How many items of each class (row) were taken for each class (column): int64 ``[classes, classes]``."""
        n = len(self.vocab)
        targets, decoded = self.targets.flatten().long(), self.decoded.flatten().long()
        known = (targets >= 0) & (targets < n)  # ids that mean "no class" lie outside
        counts = torch.bincount(targets[known] * n + decoded[known], minlength=n * n)
        return np.asarray(counts.view(n, n).numpy())

    def plot_confusion_matrix(
        self,
        normalize: bool = False,
        title: str = "Confusion matrix",
        cmap: str = "Blues",
        norm_dec: int = 2,
        plot_txt: bool = True,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw the confusion matrix.

        Args:
            normalize: shares of each class in place of counts.
            title: over it.
            cmap: matplotlib's colours.
            norm_dec: digits behind the point, when normalised.
            plot_txt: write the numbers into the fields.
            figsize: inches.
            dpi: pixels for an inch.
            ax: axes to draw on, made when None.

        Returns:
            The axes.
        """
        matrix = self.confusion_matrix()
        shown = matrix / np.maximum(matrix.sum(1, keepdims=True), 1) if normalize else matrix
        n = len(self.vocab)
        if ax is None:
            side = max(4.0, min(0.6 * n + 2, 16.0))
            ax = plt.figure(figsize=figsize or (side, side), dpi=dpi).gca()
        ax.imshow(shown, interpolation="nearest", cmap=cmap)
        ax.set_title(title)
        ax.set_xticks(range(n), self.vocab, rotation=90)
        ax.set_yticks(range(n), self.vocab, rotation=0)
        if plot_txt:
            bright = shown.max() / 2
            for row in range(n):
                for column in range(n):
                    value = shown[row, column]
                    text = f"{value:.{norm_dec}f}" if normalize else str(value)
                    colour = "white" if value > bright else "black"
                    ax.text(column, row, text, ha="center", va="center", color=colour)
        ax.set_ylim(n - 0.5, -0.5)
        ax.set_ylabel("Actual")
        ax.set_xlabel("Predicted")
        ax.grid(False)
        ax.figure.tight_layout()
        return ax

    def most_confused(self, min_val: int = 1) -> list[Confused]:
        """Pairs of classes by how often the first was taken for the second, the most frequent first.

        Args:
            min_val: least number of items.
        """
        matrix = self.confusion_matrix().copy()
        np.fill_diagonal(matrix, 0)
        pairs = [
            Confused(self.vocab[row], self.vocab[column], int(matrix[row, column]))
            for row, column in np.argwhere(matrix >= max(1, min_val)).tolist()
        ]
        return sorted(pairs, key=lambda pair: pair.times, reverse=True)

    def class_reports(self) -> list[ClassReport]:
        """Precision, recall and F1 of each class; 0 where a class was never predicted, or is not there."""
        matrix = self.confusion_matrix()
        reports = []
        for index, name in enumerate(self.vocab):
            hits, predicted, support = matrix[index, index], matrix[:, index].sum(), matrix[index].sum()
            precision, recall = hits / max(predicted, 1), hits / max(support, 1)
            f1 = 2 * hits / max(predicted + support, 1)
            reports.append(ClassReport(name, float(precision), float(recall), float(f1), int(support)))
        return reports

    def classification_report(self, digits: int = 2) -> str:
        """A table of precision, recall, F1 and number of items by class, with accuracy and averages.

        Args:
            digits: behind the point.
        """
        reports = self.class_reports()
        support = np.array([report.support for report in reports])
        scores = np.array([report[1:4] for report in reports])
        total = int(support.sum())
        accuracy = float(np.trace(self.confusion_matrix())) / max(total, 1)
        weighted = (scores * support[:, None]).sum(0) / max(total, 1)
        width = max([len(report.name) for report in reports] + [len("weighted avg")])

        def line(name: str, numbers: Sequence[float | None], count: int) -> str:
            cells = "".join(" " * 10 if number is None else f"{number:>10.{digits}f}" for number in numbers)
            return f"{name:>{width}}{cells}{count:>10}"

        head = f"{'':>{width}}" + "".join(f"{name:>10}" for name in ("precision", "recall", "f1-score", "support"))
        rows = [line(report.name, report[1:4], report.support) for report in reports]
        summary = [
            line("accuracy", [None, None, accuracy], total),
            line("macro avg", scores.mean(0).tolist(), total),
            line("weighted avg", weighted.tolist(), total),
        ]
        return "\n".join([head, "", *rows, "", *summary])

    def print_classification_report(self, digits: int = 2) -> None:
        """Print `classification_report`."""
        print(self.classification_report(digits))


def _class_names(dl: Any, targets: Tensor, decoded: Tensor) -> list[str]:
    """Names of the classes: the loader's vocabulary (the last, of several), else numbers."""
    vocab = getattr(dl, "vocab", None)
    if vocab is not None and len(vocab) and isinstance(vocab[-1], Sequence) and not isinstance(vocab[-1], str):
        vocab = vocab[-1]
    if vocab is None:
        vocab = range(int(max(targets.max(), decoded.max())) + 1)
    return [str(name) for name in vocab]


def _kind(value: Any) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
