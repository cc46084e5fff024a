"""The same statistic of several runs, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from laminar.callbacks.telemetry.pictures import Pictures
from laminar.core.errors import ConfigError
from laminar.core.lazy import lazy_module

__all__ = ["compare_telemetry"]

plt = lazy_module("matplotlib.pyplot")


def compare_telemetry(
    runs: Mapping[str, Pictures],
    stat: str,
    of: str | None = None,
    layers: Sequence[int | str] | None = None,
    log: bool | None = None,
) -> Any:
    """Draw the same statistic of several runs side by side, on the same scale: a line for each layer.

    Args:
        runs: the `LayerTelemetry` of each run, by name.
        stat: a statistic with one value.
        of: of what; by default what it was taken of, first of activations.
        layers: which, all by default.
        log: logarithmic axis; by default where values span more than two decades.

    Returns:
        The figure.

    Raises:
        ConfigError: there are no runs, or the statistic was not measured.
    """
    if not runs:
        raise ConfigError("compare_telemetry: there are no runs to compare, runs is empty.")
    figure, axes = plt.subplots(
        1, len(runs), figsize=(min(4.4 * len(runs), 18), 3.8), sharey=True, squeeze=False, layout="constrained"
    )
    for ax, (name, run) in zip(axes.flat, runs.items(), strict=True):
        run.plot(stat, of, layers, log, ax=ax)
        ax.set_title(name)
    for ax in axes.flat[1:]:
        ax.set_ylabel("")
    for ax in axes.flat[:-1]:
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    figure.suptitle(f"{stat.replace('_', ' ')} of {of or runs[next(iter(runs))].kind_with(stat)}")
    return figure
