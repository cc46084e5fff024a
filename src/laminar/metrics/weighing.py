"""Items that count unequally: scikit-learn's ``sample_weight``, taken in the order in which items come."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from laminar.core.errors import ConfigError, describe
from laminar.metrics.base import PairMetric

__all__ = ["ItemsMissingError", "SampleWeight", "WeightedMetric"]

SampleWeight = Iterable[float] | Tensor
"""One number, 0 or more, for each item: a list, a tensor, an array or a column of a table."""


class ItemsMissingError(ConfigError):
    """There are weights for more items than have come."""


class WeightedMetric(PairMetric):
    """Base of metrics in which items may count unequally.

    Args:
        sample_weight: a weight for each item of the set the metric is computed over, in the order of its loader; all
            alike by default.

    Raises:
        ConfigError: weights that are no numbers of 0 or more; later, other than one for each item.
    """

    def __init__(self, sample_weight: SampleWeight | None = None) -> None:
        self.sample_weight = None if sample_weight is None else _checked(type(self).__name__, sample_weight)
        self.reset()

    def reset(self) -> None:
        """Begin with the first item."""
        self._n_seen = 0

    def next_weights(self, preds: Tensor) -> Tensor | None:
        """The weights of the items of a batch, ``[items]`` on its device; None if all count alike.

        Raises:
            ConfigError: there are more items than weights.
        """
        if self.sample_weight is None:
            return None
        start, self._n_seen = self._n_seen, self._n_seen + len(preds)
        if self._n_seen > len(self.sample_weight):
            raise ConfigError(
                f"{type(self).__name__}: sample_weight has {len(self.sample_weight)} weights, and {self._n_seen} items"
                " have come. It takes one for each item of the set that the metric is computed over."
            )
        if self.sample_weight.device != preds.device:
            self.sample_weight = _on(self.sample_weight, preds.device)
        return self.sample_weight[start : self._n_seen]

    def check_all_came(self) -> None:
        """Refuse to give a value before every weight has met its item.

        Raises:
            ItemsMissingError: some have not.
        """
        if self.sample_weight is not None and self._n_seen != len(self.sample_weight):
            raise ItemsMissingError(
                f"{type(self).__name__}: sample_weight has {len(self.sample_weight)} weights, and {self._n_seen} items"
                " have come: which weight is whose is not known."
            )


def _checked(where: str, given: SampleWeight) -> Tensor:
    weights = torch.as_tensor(given if isinstance(given, Tensor) else list(given)).double()
    if weights.ndim != 1 or not bool((weights >= 0).all()) or not 0 < float(weights.sum()) < math.inf:
        raise ConfigError(
            f"{where}: sample_weight takes one number, 0 or more, for each item, not all of them 0; got"
            f" {describe(given)}."
        )
    return weights


def _on(weights: Tensor, device: torch.device) -> Tensor:
    return weights.to(device, torch.float32 if device.type == "mps" else torch.float64)  # no float64 there
