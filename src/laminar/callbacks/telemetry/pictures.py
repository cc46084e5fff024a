"""Pictures of what was measured: a line for each layer, fans of percentiles, ridges, histograms over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from laminar.callbacks.telemetry.densities import density_of_histogram, density_of_percentiles
from laminar.callbacks.telemetry.record import Record, Series
from laminar.core.errors import ConfigError
from laminar.core.lazy import lazy_module

__all__ = ["Pictures", "draw_fan", "draw_lines"]

plt = lazy_module("matplotlib.pyplot")

_IN_LEGEND = 12  # layers; more are told by a colour bar
_RIDGES = 14
_DECADES = 2.0  # values that span more are drawn on a logarithmic scale


class Pictures:
    """Draws a record. Layers are named, or counted in the order in which they were measured (negative: from the last).

    Attributes:
        record: what was measured.
    """

    record: Record

    def plot(
        self,
        stat: str,
        of: str | None = None,
        layers: Sequence[int | str] | None = None,
        log: bool | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw a statistic over batches, a line for each layer, from the first (dark) to the last (light).

        Args:
            stat: a statistic with one value.
            of: of what; by default what it was taken of, first of activations.
            layers: which, all by default.
            log: logarithmic axis; by default where values span more than two decades.
            ax: matplotlib axes to draw on.

        Returns:
            The axes.
        """
        of = of or self.kind_with(stat)
        ax = ax if ax is not None else plt.subplots(figsize=(7, 4), layout="constrained")[1]
        names = self._layers(of, stat, layers)
        return draw_lines(ax, [self.record.series(name, of, stat) for name in names], log)

    def plot_layer_stats(self, layer: int | str, of: str = "activations") -> Any:
        """Draw all that was measured of one layer over batches; the spread by two measures on the same axes.

        Args:
            layer: its name, or its number.
            of: what was measured.

        Returns:
            The figure.
        """
        name = self._layer(layer, of)
        stats = [key[2] for key in self.record.measured() if key[:2] == (name, of)]
        both = [stat for stat in ("std", "mean_absolute_deviation") if stat in stats]
        single = [stat for stat in stats if stat not in both and stat != "histogram"]
        panels = [[stat] for stat in single] + ([both] if both else [])
        columns = min(len(panels), 4)
        rows = math.ceil(len(panels) / columns)
        figure, axes = plt.subplots(
            rows, columns, figsize=(3.4 * columns, 2.6 * rows), squeeze=False, layout="constrained"
        )
        for ax, panel in zip(axes.flat, panels, strict=False):
            for stat in panel:
                series = self.record.series(name, of, stat)
                if series.values.ndim > 1:
                    draw_fan(ax, series)
                else:
                    ax.plot(series.batches, series.values, label=_words(stat), linewidth=1.3)
            ax.set_title(" and ".join(map(_words, panel)), fontsize=9)
            if len(panel) > 1:
                ax.legend(fontsize=7)
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
        figure.suptitle(f"{name}: {of}")
        figure.supxlabel("batch", fontsize=9)
        return figure

    def plot_sheet(self, of: str = "activations") -> Any:
        """Draw all layers on one sheet: percentiles over batches, or what else was measured of their spread.

        Args:
            of: what was measured.

        Returns:
            The figure.
        """
        stat = next((s for s in ("percentiles", "std", "norm") if self.record.layers(of, s)), None)
        if stat is None:
            raise ConfigError(f"a sheet of {of} needs their percentiles, std or norm, and none of them was measured")
        names = self.record.layers(of, stat)
        columns = min(6, math.ceil(math.sqrt(len(names) * 1.3)))
        rows = math.ceil(len(names) / columns)
        size = (2.3 * columns, 1.7 * rows + 0.5)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharex=True, layout="constrained")
        for ax, name in zip(axes.flat, names, strict=False):
            series = self.record.series(name, of, stat)
            if series.values.ndim > 1:
                draw_fan(ax, series, legend=False)
            else:
                ax.plot(series.batches, series.values, linewidth=1.2)
            ax.set_title(name, fontsize=8)
            ax.tick_params(labelsize=7)
        for ax in axes.flat[len(names) :]:
            ax.set_axis_off()
        figure.suptitle(f"{_words(stat)} of {of}, by layer", fontsize=11)
        figure.supxlabel("batch", fontsize=9)
        return figure

    def plot_ridge(self, layer: int | str, of: str = "activations", ax: Any = None) -> Any:
        """Draw how one layer's values were spread, from the first batch (top) to the last: a ridge for each time.

        From histograms if these were measured, else smooth curves that have the measured percentiles.

        Args:
            layer: its name, or its number.
            of: what was measured.
            ax: matplotlib axes to draw on.

        Returns:
            The axes.
        """
        name = self._layer(layer, of)
        if self.record.has(name, of, "histogram"):
            series = self.record.series(name, of, "histogram")
            places, curves = density_of_histogram(series.values, _ends_of_bins(series))
        else:
            series = self.record.series(name, of, "percentiles")
            places, curves = density_of_percentiles(series.values, [float(p.split()[0]) for p in series.parts])
        ax = ax if ax is not None else plt.subplots(figsize=(6, 5), layout="constrained")[1]
        chosen = np.unique(np.linspace(0, len(series) - 1, min(_RIDGES, len(series))).round().astype(int))
        tallest = max(float(curves[chosen].max()), 1e-12)
        for row, i in enumerate(chosen):
            base, colour = -float(row), plt.cm.viridis(row / max(len(chosen) - 1, 1) * 0.9)
            height = base + 2.2 * curves[i] / tallest
            ax.fill_between(places, base, height, color=colour, alpha=0.75, zorder=row, linewidth=0)
            ax.plot(places, height, color="white", linewidth=0.8, zorder=row)
        ax.set_yticks([-float(row) for row in range(len(chosen))], [str(series.batches[i]) for i in chosen], fontsize=8)
        ax.set(xlabel=f"{of} of {name}", ylabel="batch")
        ax.spines[["top", "right", "left"]].set_visible(False)
        return ax

    def color_dim(self, layer: int | str, of: str = "activations", ax: Any = None) -> Any:
        """Draw one layer's histogram over time as a picture: batches from left to right, values upwards.

        The brighter, the more values, on a logarithmic scale.

        Args:
            layer: its name, or its number.
            of: what was measured.
            ax: matplotlib axes to draw on.

        Returns:
            The axes.

        Raises:
            ConfigError: histograms were not measured: add ``"histogram"`` to the statistics.
        """
        name = self._layer(layer, of)
        if not self.record.has(name, of, "histogram"):
            raise ConfigError(f"color_dim needs histograms of {of} of {name}: LayerTelemetry(stats=[..., 'histogram'])")
        series = self.record.series(name, of, "histogram")
        low, high = _ends_of_bins(series)
        ax = ax if ax is not None else plt.subplots(figsize=(8, 3.5), layout="constrained")[1]
        extent = (float(series.batches[0]), float(series.batches[-1]) + 1e-9, low, high)
        ax.imshow(np.log1p(series.values.T), origin="lower", aspect="auto", extent=extent, cmap="magma")
        ax.set(title=f"{name}: {of}", xlabel="batch", ylabel="value")
        return ax

    def dead_chart(self, stat: str = "dead_units", of: str = "activations", ax: Any = None) -> Any:
        """Draw the share of dead units of all layers over batches: a row for each layer, from white (0) to red (all).

        Args:
            stat: ``"dead_units"``, or another share from 0 to 1, such as ``"share_near_zero"``.
            of: what was measured.
            ax: matplotlib axes to draw on.

        Returns:
            The axes.
        """
        names = self._layers(of, stat, None)
        rows = [self.record.series(name, of, stat) for name in names]
        batches = np.unique(np.concatenate([row.batches for row in rows]))
        table = np.full((len(rows), len(batches)), np.nan)
        for i, row in enumerate(rows):
            table[i, np.searchsorted(batches, row.batches)] = row.values
        height = 1.2 + 0.22 * len(rows)
        ax = ax if ax is not None else plt.subplots(figsize=(8, height), layout="constrained")[1]
        picture = ax.imshow(table, aspect="auto", cmap="Reds", vmin=0, vmax=1, interpolation="nearest")
        shown = np.unique(np.linspace(0, len(batches) - 1, min(8, len(batches))).round().astype(int))
        ax.set_xticks(shown, [str(batches[i]) for i in shown])
        ax.set_yticks(range(len(names)), names, fontsize=8)
        ax.set(xlabel="batch", title=f"{_words(stat)} of {of}")
        ax.figure.colorbar(picture, ax=ax, label="share")
        return ax

    def kind_with(self, stat: str) -> str:
        """What a statistic was taken of; first of activations.

        Raises:
            ConfigError: it was not taken.
        """
        for kind in ("activations", "weights", "gradients", "updates", "loss", "inputs"):
            if self.record.layers(kind, stat):
                return kind
        known = sorted({key[2] for key in self.record.measured()})
        raise ConfigError(f"the statistic {stat!r} was not measured. There are: {', '.join(known) or 'none yet'}.")

    # ---- which layer, which values -----------------------------------------------------------------------------------

    def _layers(self, of: str, stat: str, layers: Sequence[int | str] | None) -> list[str]:
        names = self.record.layers(of, stat)
        if not names:
            raise ConfigError(f"{stat} of {of} was not measured; layers measured: {', '.join(self.record.layers(of))}")
        return names if layers is None else [names[i] if isinstance(i, int) else i for i in layers]

    def _layer(self, layer: int | str, of: str) -> str:
        names = self.record.layers(of)
        if isinstance(layer, str):
            return layer
        if not -len(names) <= layer < len(names):
            raise ConfigError(f"there is no layer {layer}: {of} of {len(names)} layers were measured")
        return names[layer]


def draw_lines(ax: Any, lines: Sequence[Series], log: bool | None = None) -> Any:
    """Draw series with one value, from dark to light, with their layers' names.

    Args:
        ax: matplotlib axes.
        lines: what to draw.
        log: logarithmic axis; by default where values span more than two decades.

    Raises:
        ConfigError: a statistic has several values.
    """
    for number, series in enumerate(lines):
        if series.values.ndim > 1:
            raise ConfigError(
                f"{series.stat} has {series.values.shape[1]} values: plot_sheet and plot_ridge draw percentiles,"
                " color_dim draws histograms"
            )
        marker = "o" if len(series) == 1 else None
        colour = plt.cm.viridis(number / max(len(lines) - 1, 1) * 0.92)
        ax.plot(series.batches, series.values, color=colour, label=series.layer, linewidth=1.3, marker=marker)
    if log if log is not None else _spans_decades(lines):
        ax.set_yscale("log")
    stat, of = lines[0].stat, lines[0].of
    ax.set(xlabel="batch", ylabel=_words(stat), title=of)
    ax.grid(alpha=0.25)
    if 1 < len(lines) <= _IN_LEGEND:
        ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    elif len(lines) > _IN_LEGEND:
        names = plt.cm.ScalarMappable(plt.Normalize(0, len(lines) - 1), plt.cm.viridis)
        bar = ax.figure.colorbar(names, ax=ax)
        shown = np.unique(np.linspace(0, len(lines) - 1, 6).round().astype(int))
        bar.set_ticks(shown, labels=[lines[i].layer for i in shown], fontsize=7)
    return ax


def _ends_of_bins(series: Series) -> tuple[float, float]:
    return float(series.parts[0].split(" to ")[0]), float(series.parts[-1].split(" to ")[1])


def _spans_decades(lines: Sequence[Series]) -> bool:
    values = np.concatenate([series.values for series in lines])
    values = values[np.isfinite(values)]
    if not len(values) or values.min() < 0:
        return False
    positive = values[values > 0]
    return len(positive) > 0.9 * len(values) and bool(np.log10(positive.max() / positive.min()) > _DECADES)


def draw_fan(ax: Any, series: Series, legend: bool = True) -> Any:
    """Draw percentiles over batches: the middle as a line, pairs around it as bands.

    Args:
        ax: matplotlib axes.
        series: with several values, in ascending order.
        legend: name the bands.
    """
    n = series.values.shape[1]
    parts = series.parts or tuple(map(str, range(n)))
    for i in range(n // 2):
        band = f"{parts[i]} to {parts[n - 1 - i]}"
        low, high = series.values[:, i], series.values[:, n - 1 - i]
        ax.fill_between(series.batches, low, high, color="C0", alpha=0.18 + 0.14 * i, linewidth=0, label=band)
    if n % 2:
        ax.plot(series.batches, series.values[:, n // 2], color="C0", linewidth=1.3, label=parts[n // 2])
    ax.axhline(0, color="0.6", linewidth=0.6)
    if legend:
        ax.legend(fontsize=6)
    return ax


def _words(name: str) -> str:
    return name.replace("_", " ")
