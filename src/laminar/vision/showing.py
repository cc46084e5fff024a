"""How pictures with their classes are drawn: right predictions in green, wrong ones in red."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from laminar.core.show import get_grid, plot_top_losses, show_results
from laminar.core.types import TensorCategory, TensorImageBase, TensorMultiCategory

__all__ = ["plot_worst_classes", "plot_worst_labels", "show_class_results"]


@show_results.register
def show_class_results(
    x: TensorImageBase,
    y: TensorCategory,
    samples: Sequence[tuple[Any, ...]],
    outs: Sequence[tuple[Any, ...]],
    ctxs: Sequence[Any] | None = None,
    max_n: int = 9,
    nrows: int | None = None,
    ncols: int | None = None,
    figsize: tuple[float, float] | None = None,
) -> list[Any]:
    """Draw pictures with class and prediction (see `laminar.core.show.show_results`)."""
    count = min(len(samples), max_n)
    axes = (
        list(ctxs)
        if ctxs is not None
        else get_grid(count, nrows, ncols, figsize=figsize, title="Target/Prediction", lines=2)
    )
    for sample, out, ax in zip(samples[:count], outs, axes, strict=False):
        sample[0].show(ctx=ax)
        right = str(sample[-1]) == str(out[0])
        ax.set_title(f"{sample[-1]}\n{out[0]}", color="green" if right else "red")
    return axes


@plot_top_losses.register
def plot_worst_classes(
    x: TensorImageBase,
    y: TensorCategory,
    samples: Sequence[tuple[Any, ...]],
    outs: Sequence[tuple[Any, ...]],
    raws: Sequence[Any],
    losses: Sequence[float],
    nrows: int | None = None,
    ncols: int | None = None,
    figsize: tuple[float, float] | None = None,
) -> list[Any]:
    """Draw pictures with prediction, class, loss and probability (see `laminar.core.show.plot_top_losses`)."""
    title = "Prediction/Actual/Loss/Probability"
    axes = get_grid(len(samples), nrows, ncols, figsize=figsize, title=title)
    for sample, out, raw, loss, ax in zip(samples, outs, raws, losses, axes, strict=False):
        sample[0].show(ctx=ax)
        ax.set_title(f"{out[0]}/{sample[-1]} / {loss:.2f} / {float(raw.max()):.2f}", fontsize=10)
    return axes


@plot_top_losses.register
def plot_worst_labels(
    x: TensorImageBase,
    y: TensorMultiCategory,
    samples: Sequence[tuple[Any, ...]],
    outs: Sequence[tuple[Any, ...]],
    raws: Sequence[Any],
    losses: Sequence[float],
    nrows: int | None = None,
    ncols: int | None = None,
    figsize: tuple[float, float] | None = None,
) -> list[Any]:
    """Draw pictures with predicted and true classes, and loss (see `laminar.core.show.plot_top_losses`)."""
    axes = get_grid(len(samples), nrows, ncols, figsize=figsize, title="Prediction/Actual/Loss")
    for sample, out, loss, ax in zip(samples, outs, losses, axes, strict=False):
        sample[0].show(ctx=ax)
        ax.set_title(f"{out[0]}\n{sample[-1]}\n{loss:.2f}", fontsize=10)
    return axes
