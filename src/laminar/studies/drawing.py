"""Pictures of studies: treatments as lines over batches, and results with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laminar.core.lazy import lazy_module
from laminar.studies.weight_decay_runs import Run

__all__ = ["draw_study"]

plt = lazy_module("matplotlib.pyplot")


def draw_study(runs: Sequence[Run], path: str | Path | None = None, layer: int = 2) -> Any:
    """Draw norms and rates of one layer and training losses (means of all seeds), and accuracies seed by seed.

    Args:
        runs: of all treatments, with batch norm (upper row) and without.
        path: of a PNG file to write; None for none.
        layer: number of the convolution.

    Returns:
        The figure.
    """
    treatments = list(dict.fromkeys(run.treatment for run in runs))
    figure, axes = plt.subplots(2, 4, figsize=(16, 7), layout="constrained")
    for row, batch_norm in zip(axes, (True, False), strict=True):
        where = "with batch norm" if batch_norm else "without norm"
        for number, treatment in enumerate(treatments):
            found = [run for run in runs if run.treatment == treatment and run.batch_norm == batch_norm]
            style = {"color": f"C{number}", "linestyle": "--" if "follows" in treatment else "-", "linewidth": 1.6}
            length = min(len(run.batches) for run in found)  # shorter where a run has diverged
            for ax, name in ((row[0], "norms"), (row[1], "rates")):
                values = np.mean([getattr(run, name)[layer][:length] for run in found], axis=0)
                ax.plot(found[0].batches[:length], values, label=treatment, **style)
            epochs = min(len(run.train_loss) for run in found)
            losses = np.mean([run.train_loss[:epochs] for run in found], axis=0)
            row[2].plot(range(1, epochs + 1), losses, **style)
            _draw_accuracies(row[3], [100 * run.last("accuracies") for run in found], number)
        row[0].set(title=f"norm of the weights, {where}", xlabel="batch")
        row[1].set(title=f"effective learning rate, {where}", xlabel="batch")
        row[2].set(title=f"training loss, {where}", xlabel="epoch")
        row[3].set(title=f"accuracy, %, {where}", ylim=(len(treatments) - 0.5, -0.5))
        row[3].set_yticks(range(len(treatments)), treatments)
        row[3].grid(axis="x", alpha=0.3)
        for ax in row[:2]:
            _set_scale(ax)
        for ax in row[:3]:
            ax.grid(alpha=0.25)
    axes[0, 0].legend(fontsize=8)
    if path is not None:
        figure.savefig(path, dpi=110)
        plt.close(figure)
    return figure


def _draw_accuracies(ax: Any, accuracies: Sequence[float], row: int) -> None:
    """Each seed as a point, their mean as a bar."""
    ax.plot(accuracies, [row] * len(accuracies), "o", color=f"C{row}", alpha=0.5)
    if not np.isnan(accuracies).all():
        ax.plot(np.nanmean(accuracies), row, "|", color=f"C{row}", markersize=22, markeredgewidth=2.5)


def _set_scale(ax: Any) -> None:
    """A logarithmic scale where lines span more than a decade, else a plain one."""
    values = np.concatenate([line.get_ydata() for line in ax.get_lines()])
    if values.max() > 10 * values.min():
        ax.set_yscale("log")
    else:
        ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
