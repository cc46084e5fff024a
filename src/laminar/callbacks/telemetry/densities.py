"""Curves of how values are spread, from percentiles or histograms."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np

__all__ = ["density_of_histogram", "density_of_percentiles"]

Array: TypeAlias = np.ndarray[Any, Any]

_PLACES = 240
_DRAWN = np.linspace(0.005, 0.995, 199)  # quantiles that stand for all values
_SHARP = 0.02  # of the range: nothing is drawn narrower


def density_of_percentiles(values: Array, q: Sequence[float]) -> tuple[Array, Array]:
    """Smooth curves that have the given percentiles, where these are joined as those of a normal distribution are.

    Args:
        values: percentiles, ``[n, len(q)]``.
        q: percent, ascending.

    Returns:
        Places ``[m]``, and the heights of the curves there, ``[n, m]``.
    """
    scores = [NormalDist().inv_cdf(min(max(share / 100, 1e-3), 1 - 1e-3)) for share in q]
    wanted = np.array([NormalDist().inv_cdf(share) for share in _DRAWN])
    drawn = np.stack([_joined(wanted, np.array(scores), row) for row in np.nan_to_num(values)])
    low, high = float(drawn.min()), float(drawn.max())
    margin = 0.08 * (high - low) or 0.5
    places = np.linspace(low - margin, high + margin, _PLACES)
    width = np.maximum(0.35 * drawn.std(axis=1), _SHARP * (places[-1] - places[0]))[:, None, None]
    bumps = np.exp(-0.5 * ((places[None, :, None] - drawn[:, None, :]) / width) ** 2) / width
    return places, bumps.mean(axis=2)


def _joined(wanted: Array, scores: Array, values: Array) -> Array:
    """Values at the wanted scores: straight lines between the known ones, and on beyond the first and last."""
    slope_low = (values[1] - values[0]) / (scores[1] - scores[0])
    slope_high = (values[-1] - values[-2]) / (scores[-1] - scores[-2])
    inner = np.interp(wanted, scores, values)
    below, above = np.minimum(wanted - scores[0], 0), np.maximum(wanted - scores[-1], 0)
    return np.asarray(inner + below * slope_low + above * slope_high)


def density_of_histogram(counts: Array, ends: tuple[float, float]) -> tuple[Array, Array]:
    """Shares of a histogram as curves.

    Args:
        counts: ``[n, bins]``.
        ends: of the first and the last bin.

    Returns:
        Places ``[bins]``, and the heights of the curves there, ``[n, bins]``.
    """
    edges = np.linspace(*ends, counts.shape[1] + 1)
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return (edges[1:] + edges[:-1]) / 2, counts / total
