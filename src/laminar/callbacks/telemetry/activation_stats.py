"""`ActivationStats`: mean, spread and share near zero of activations, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from laminar.callbacks.telemetry.hook_callback import leaves
from laminar.callbacks.telemetry.layer_telemetry import LayerTelemetry
from laminar.callbacks.telemetry.measures import Statistic
from laminar.callbacks.telemetry.statistics import histogram

__all__ = ["ActivationStats"]


def near_zero(t: Tensor) -> Tensor:
    """The share of values of at most 0.05."""
    return torch.count_nonzero(t <= 0.05) / t.numel()


class ActivationStats(LayerTelemetry):
    """`LayerTelemetry` of activations: their mean, their standard deviation and the share of at most 0.05.

    Args:
        with_hist: histograms too, of 40 bins from 0 to 10.
        modules: the layers; by default all that have parameters and no layers inside.
        every: batches from one sample to the next; None for all.
        include_paramless: by default, take layers without parameters too.
        max_samples: how many samples are kept, see `LayerTelemetry`.
    """

    def __init__(
        self,
        with_hist: bool = False,
        modules: Sequence[nn.Module] | None = None,
        every: int | None = None,
        include_paramless: bool = False,
        max_samples: int = 500,
    ) -> None:
        self.with_hist, self.modules, self.include_paramless = with_hist, modules, include_paramless
        stats: list[str | Statistic] = ["mean", "std", near_zero]
        if with_hist:
            stats.append(partial(histogram, bins=40, low=0.0, high=10.0))
        super().__init__(None, "activations", stats, every or 1, rules=(), max_samples=max_samples)

    def before_fit(self) -> None:
        """Find the layers."""
        self.layers = leaves(self.model, self.include_paramless) if self.modules is None else list(self.modules)
        super().before_fit()

    def layer_stats(self, idx: int) -> list[list[float]]:
        """Means, standard deviations and shares near zero of layer `idx`, a value for each sample."""
        name = self._layer(idx, "activations")
        series = (self.record.series(name, "activations", stat) for stat in ("mean", "std", "near_zero"))
        return [one.values.tolist() for one in series]

    def hist(self, idx: int) -> Tensor:
        """The histograms of layer `idx`, ``[bins, samples]``, as logarithms of counts + 1."""
        series = self.record.series(self._layer(idx, "activations"), "activations", "histogram")
        return torch.from_numpy(np.log1p(series.values.T))
