"""Which classes a model takes for which: counting, drawing and ranking, whatever it is that has a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.core.lazy import lazy_module
from laminar.interpret.base import Interpretation

__all__ = ["ClassReport", "ConfusionInterpretation", "Confused", "class_names", "pair_counts", "report_table"]

plt = lazy_module("matplotlib.pyplot")
colors = lazy_module("matplotlib.colors")
Array = np.ndarray[Any, np.dtype[Any]]

_FEW = 25  # classes for which each field has its number, and colours are in proportion to it
_LARGEST = 30.0  # inches
_APART = 0.08  # of the height of a colour bar, between the numbers beside it


class Confused(NamedTuple):
    """What truly is `actual` was taken for `predicted`, `times` times."""

    actual: str
    predicted: str
    times: int


class ClassReport(NamedTuple):
    """How well one class is found: shares 0 to 1, and how many there are of it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


class ConfusionInterpretation(Interpretation):
    """What interpretations have in common that count which class was taken for which: made by its subclasses.

    Attributes:
        vocab: names of the classes.
    """

    vocab: list[str]

    def confusion_matrix(self) -> Array:
        """How many of each class (row) were taken for each class (column): int64 ``[classes, classes]``."""
        raise NotImplementedError(f"{type(self).__name__} must define confusion_matrix")

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
        *,
        top: int | None = None,
    ) -> Any:
        """Draw the confusion matrix.

        With many classes the figure grows, fields have no numbers, and colours rise steeply, so that single mistakes
        can be seen; `top` leaves only the classes that mistakes are about.

        Args:
            normalize: shares of each class in place of counts.
            title: over it.
            cmap: matplotlib's colours.
            norm_dec: digits behind the point, when normalised.
            plot_txt: write the numbers into the fields, where there is room for them.
            figsize: inches.
            dpi: pixels for an inch.
            ax: axes to draw on, made when None.
            top: draw only so many classes, those that take part in most mistakes; shares are still those of all.

        Returns:
            The axes.

        Raises:
            ConfigError: `top` leaves nothing to draw.
        """
        matrix = self.confusion_matrix()
        shown = matrix / np.maximum(matrix.sum(1, keepdims=True), 1) if normalize else matrix
        kept = _most_mistaken(matrix, top)
        texts = f".{norm_dec}f" if normalize else "d"
        names = [self.vocab[index] for index in kept]
        if ax is None:
            side = max(4.0, min((0.6 if len(names) <= _FEW else 0.22) * len(names) + 2, _LARGEST))
            ax = plt.figure(figsize=figsize or (side, side), dpi=dpi).gca()
        _draw(ax, shown[np.ix_(kept, kept)], names, cmap, texts if plot_txt else None)
        ax.set_title(title)
        ax.figure.tight_layout()
        return ax

    def most_confused(self, min_val: int = 1) -> list[Confused]:
        """Pairs of classes by how often the first was taken for the second, the most frequent first.

        Args:
            min_val: least number of times.
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
        return [
            class_report(name, int(matrix[index, index]), int(matrix[:, index].sum()), int(matrix[index].sum()))
            for index, name in enumerate(self.vocab)
        ]


def class_report(name: str, hits: int, predicted: int, support: int) -> ClassReport:
    """Scores of a class that was rightly found `hits` times, predicted and truly there so many times."""
    f1 = 2 * hits / max(predicted + support, 1)
    return ClassReport(name, hits / max(predicted, 1), hits / max(support, 1), f1, support)


def pair_counts(actual: Tensor, predicted: Tensor, n: int, ignore_index: int | None = None) -> Tensor:
    """How often each class was taken for each: int64 ``[n, n]``, rows the true ones, on the device of `actual`.

    Args:
        actual: classes, any shape; those that are none of `n` count for nothing.
        predicted: classes, as many.
        n: how many classes there are.
        ignore_index: a class that counts for nothing.
    """
    truth, guess = actual.flatten().long(), predicted.flatten().long()
    known = (truth >= 0) & (truth < n) & (guess >= 0) & (guess < n)
    if ignore_index is not None:
        known &= truth != ignore_index
    return torch.bincount(truth[known] * n + guess[known], minlength=n * n).view(n, n)


def class_names(dl: Any, n: int) -> list[str]:
    """Names of `n` classes at least: the loader's vocabulary (the last, of several), and numbers where that ends."""
    vocab = getattr(dl, "vocab", None)
    if vocab is not None and len(vocab) and isinstance(vocab[-1], Sequence) and not isinstance(vocab[-1], str):
        vocab = vocab[-1]
    named = [str(name) for name in (() if vocab is None else vocab)]
    return [*named, *map(str, range(len(named), n))]


def report_table(columns: Sequence[str], rows: Sequence[Sequence[Any] | None], digits: int) -> str:
    """Lines of a table, names to the right: cells are shares, counts, or None for nothing; None is an empty line."""
    width = max(len(str(row[0])) for row in rows if row)

    def cell(value: Any) -> str:
        if value is None:
            return " " * 10
        return f"{value:>10}" if isinstance(value, int) else f"{value:>10.{digits}f}"

    head = " " * width + "".join(f"{name:>10}" for name in columns)
    lines = [f"{row[0]:>{width}}{''.join(map(cell, row[1:]))}" if row else "" for row in rows]
    return "\n".join([head, "", *lines])


def _most_mistaken(matrix: Array, top: int | None) -> list[int]:
    """The classes with most mistakes about them, in their own order; all when `top` is None."""
    if top is None:
        return list(range(len(matrix)))
    if top < 1:
        raise ConfigError(f"top={top} leaves no class to draw.")
    mistakes = matrix.sum(0) + matrix.sum(1) - 2 * np.diag(matrix)
    return sorted(np.argsort(-mistakes, kind="stable")[:top].tolist())


def _draw(ax: Any, shown: Array, names: Sequence[str], cmap: str, texts: str | None) -> None:
    """Draw fields, names and, where they fit, numbers in the format `texts`."""
    n = len(names)
    few = n <= _FEW
    image = ax.imshow(shown, interpolation="nearest", cmap=cmap, norm=None if few else colors.PowerNorm(0.3, vmin=0))
    room = 0.8 * min(ax.figure.get_size_inches()) / n * 72  # points for a field
    every = max(1, round(4 / room))
    size = None if few else max(4, min(10, 0.7 * room * every))
    ticks = range(0, n, every)
    ax.set_xticks(ticks, names[::every], rotation=90, fontsize=size)
    ax.set_yticks(ticks, names[::every], rotation=0, fontsize=size)
    if texts is not None and few:
        bright = shown.max() / 2
        for row, column in np.ndindex(shown.shape):
            value = shown[row, column]
            colour = "white" if value > bright else "black"
            ax.text(column, row, format(value, texts), ha="center", va="center", color=colour)
    if not few:
        ax.figure.colorbar(image, ax=ax, fraction=0.03, pad=0.01, ticks=_spread_ticks(image.norm), format="%g")
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_ylabel("Actual")
    ax.set_xlabel("Predicted")
    ax.grid(False)


def _spread_ticks(norm: Any) -> list[float]:
    """Round numbers to write beside the colours of `norm` (whole ones for counts), as far apart as letters need."""
    smallest = 0 if norm.vmax > 1 else -3
    steps = [0.0, *(digit * 10.0**power for power in range(smallest, 12) for digit in (1, 2, 5))]
    ticks = [float(norm.vmax)]
    for tick in reversed([step for step in steps if step < norm.vmax]):
        if norm(ticks[-1]) - norm(tick) >= _APART and (tick == 0 or norm(tick) >= _APART):
            ticks.append(tick)
    return ticks[::-1]
