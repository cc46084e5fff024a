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
    """Draw norms and effective learning rates of one layer (means of all seeds), and accuracies seed by seed.

    Args:
        runs: of all treatments, with batch norm (upper row) and without.
        path: of a PNG file to write; None for none.
        layer: number of the convolution.

    Returns:
        The figure.
    """
    treatments = list(dict.fromkeys(run.treatment for run in runs))
    figure, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
    for row, batch_norm in zip(axes, (True, False), strict=True):
        where = "with batch norm" if batch_norm else "without norm"
        for number, treatment in enumerate(treatments):
            found = [run for run in runs if run.treatment == treatment and run.batch_norm == batch_norm]
            style = {"color": f"C{number}", "linestyle": "--" if "follows" in treatment else "-"}
            for ax, name in ((row[0], "norms"), (row[1], "rates")):
                length = min(len(run.batches) for run in found)  # shorter where a run has diverged
                values = np.mean([getattr(run, name)[layer][:length] for run in found], axis=0)
                ax.plot(found[0].batches[:length], values, label=treatment, linewidth=1.6, **style)
            accuracies = [100 * run.last("accuracies") for run in found]
            row[2].plot(accuracies, [number] * len(found), "o", color=f"C{number}", alpha=0.5)
            row[2].plot(
                np.nanmean(accuracies) if not np.isnan(accuracies).all() else np.nan,
                number,
                "|",
                color=f"C{number}",
                markersize=22,
                markeredgewidth=2.5,
            )
        row[0].set(title=f"norm of the weights, {where}", xlabel="batch", yscale="log")
        row[1].set(title=f"effective learning rate, {where}", xlabel="batch", yscale="log")
        row[2].set(title=f"validation accuracy, %, {where}", ylim=(len(treatments) - 0.5, -0.5))
        row[2].set_yticks(range(len(treatments)), treatments)
        row[2].grid(axis="x", alpha=0.3)
        for ax in row[:2]:
            ax.grid(alpha=0.25)
    axes[0, 0].legend(fontsize=8)
    if path is not None:
        figure.savefig(path, dpi=110)
        plt.close(figure)
    return figure
