"""Whether a classifier that says 0.8 is right 8 times of 10, and how to make it so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.core.lazy import lazy_module
from laminar.learner.inference import some_inputs
from laminar.nn.calling import call_model, evaluating
from laminar.nn.decoding import activation_of

__all__ = ["Calibration", "TemperatureScaling", "calibration_of", "fit_temperature"]

plt = lazy_module("matplotlib.pyplot")

_HOTTEST = 100.0  # temperatures are looked for up to this, and down to one over it
_ENDINGS = (nn.Dropout, nn.Identity, nn.Flatten)  # after a last layer, these leave the outputs in proportion


@dataclass(frozen=True)
class Calibration:
    """Probabilities beside how often they held, in ranges of equal width.

    Attributes:
        confidences: mean probability of the decisions in each range; NaN where there are none.
        accuracies: share of them that is right; NaN where there are none.
        counts: how many there are.
    """

    confidences: Tensor
    accuracies: Tensor
    counts: Tensor

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of probability and accuracy, 0 to 1, each item counting alike.

        Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015; with equal ranges, as in
        Guo et al., "On Calibration of Modern Neural Networks", 2017.
        """
        return float((self._gaps() * self.counts).sum() / self.counts.sum())

    @property
    def worst(self) -> float:
        """The largest distance of probability and accuracy among the ranges."""
        return float(self._gaps().max())

    def _gaps(self) -> Tensor:
        return (self.confidences - self.accuracies).abs().nan_to_num(0.0)

    def plot(self, ax: Any = None) -> Any:
        """Draw a reliability diagram: bars of accuracy, and the line on which a model is that does not deceive itself.

        Args:
            ax: axes to draw on, made when None.

        Returns:
            The axes.
        """
        if ax is None:
            _, ax = plt.subplots(figsize=(5, 5))
        n = len(self.counts)
        middles = [(index + 0.5) / n for index in range(n)]
        share = (self.counts / self.counts.max() * 0.25).tolist()
        right = self.accuracies.nan_to_num(0.0).tolist()
        ax.bar(middles, share, 1 / n, color="lightgrey", label="how many (no scale)")
        ax.bar(middles, right, 0.9 / n, color="tab:blue", alpha=0.7, label="right")
        ax.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="as often as it says")
        some = self.counts > 0
        ax.plot(self.confidences[some].tolist(), self.accuracies[some].tolist(), "o", color="tab:red", markersize=4)
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="Probability of the decision", ylabel="Share that is right")
        ax.set_title(f"Expected calibration error {self.error:.3f}")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, frameon=False, columnspacing=1.0)
        ax.figure.tight_layout()
        return ax


def calibration_of(confidences: Tensor, right: Tensor, n_bins: int = 15) -> Calibration:
    """Compare probabilities of decisions with how often these are right.

    Args:
        confidences: 0 to 1, ``[n]``.
        right: bool, ``[n]``.
        n_bins: into so many ranges of equal width.

    Raises:
        ConfigError: they are no probabilities, or there is no range.

    >>> calibration_of(torch.tensor([0.75, 0.75]), torch.tensor([True, False]), n_bins=2).error
    0.25
    """
    if n_bins < 1:
        raise ConfigError(f"n_bins={n_bins}, but there must be one range at least.")
    low, high = float(confidences.min()), float(confidences.max())
    if low < 0 or high > 1 + 1e-4:
        raise ConfigError(f"these are no probabilities: they go from {low:.3g} to {high:.3g}. Does `act` make some?")
    bins = (confidences.double() * n_bins).ceil().long().clamp(1, n_bins) - 1
    counts = torch.bincount(bins, minlength=n_bins)
    sums = torch.bincount(bins, confidences.double(), n_bins)
    hits = torch.bincount(bins, right.double(), n_bins)
    return Calibration((sums / counts).float(), (hits / counts).float(), counts)


class TemperatureScaling:
    """Softmax of raw outputs over a temperature: above 1 a model becomes less sure, and decides as before.

    Guo et al., "On Calibration of Modern Neural Networks", 2017. Use it as ``act`` of ``get_preds``.

    Args:
        temperature: more than 0.

    Raises:
        ConfigError: it is not.
    """

    def __init__(self, temperature: float) -> None:
        if not temperature > 0:
            raise ConfigError(f"temperature={temperature}, but it must be more than 0.")
        self.temperature = temperature

    def __call__(self, raw: Tensor) -> Tensor:
        """Probabilities ``[batch, classes, ...]`` of raw outputs."""
        return (raw / self.temperature).softmax(dim=1)

    def __repr__(self) -> str:
        return f"TemperatureScaling({self.temperature:.4g})"

    def is_activation_of(self, loss_func: Any, raw: Tensor) -> bool:
        """Whether a loss makes of these raw outputs what this does."""
        made = activation_of(loss_func)(raw)
        return isinstance(made, Tensor) and made.shape == raw.shape and torch.allclose(made, self(raw), atol=1e-4)

    def into(self, learn: Any) -> None:
        """Divide the weights of the model's last layer, so that `predict`, `get_preds` and exports are scaled too.

        Args:
            learn: the learner, whose model is changed.

        Raises:
            ConfigError: the outputs are not those of a last linear layer or convolution; nothing is changed then.
        """
        inputs = some_inputs(learn)
        before = _outputs(learn.model, inputs)
        leaves = [part for part in learn.model.modules() if not list(part.children())]
        last = next(part for part in reversed(leaves) if not isinstance(part, _ENDINGS))
        linear = isinstance(last, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
        parameters = list(last.parameters()) if linear else []
        kept = [parameter.detach().clone() for parameter in parameters]
        with torch.no_grad():
            for parameter in parameters:
                parameter /= self.temperature
        if linear and torch.allclose(_outputs(learn.model, inputs) * self.temperature, before, rtol=1e-3, atol=1e-4):
            return
        with torch.no_grad():
            for parameter, old in zip(parameters, kept, strict=True):
                parameter.copy_(old)
        raise ConfigError(
            f"the outputs of {type(learn.model).__name__} are not in proportion to the weights of its last layer, "
            f"{type(last).__name__}. Pass act={self!r} to get_preds instead."
        )


def _outputs(model: nn.Module, inputs: tuple[Any, ...]) -> Tensor:
    with evaluating(model), torch.no_grad():
        out = call_model(model, inputs)
    if not isinstance(out, Tensor):
        raise ConfigError(f"{type(model).__name__} gives {type(out).__name__} in place of a tensor of raw outputs.")
    return out.float()


def fit_temperature(raw: Tensor, targets: Tensor, tolerance: float = 1e-4) -> TemperatureScaling:
    """Find the temperature under which the targets are likeliest: a single number, so a few hundred items are enough.

    Guo et al., "On Calibration of Modern Neural Networks", 2017. Take validation items for it, and look at the
    calibration on others: the model is surer on those it was trained on. The likelihood is concave in one over the
    temperature; Newton's method finds its maximum, halving the interval where a step would leave it.

    Args:
        raw: outputs of the model, ``[n, classes]``.
        targets: the true classes, ``[n]``.
        tolerance: relative, of the temperature.

    Raises:
        ConfigError: no item is predicted wrongly, so that the coldest temperature would be best.
    """
    targets = targets.long()
    known = (targets >= 0) & (targets < raw.shape[1])
    raw, targets = raw[known].float(), targets[known]
    if bool((raw.argmax(1) == targets).all()):
        raise ConfigError(
            f"the model is right about all of these {len(raw)} items: nothing says how sure it may be. Take more, or "
            "harder ones."
        )
    aimed = raw.gather(1, targets[:, None])[:, 0].mean()
    low, high, cold = 1 / _HOTTEST, _HOTTEST, 1.0  # of one over the temperature
    for _ in range(100):
        shares = (raw * cold).softmax(1)
        mean = (shares * raw).sum(1)
        slope = float(mean.mean() - aimed)  # of the mean negative log-likelihood
        curve = float(((shares * raw * raw).sum(1) - mean * mean).mean())
        low, high = (low, cold) if slope > 0 else (cold, high)
        step = cold - slope / curve if curve > 0 else -1.0
        before, cold = cold, step if low < step < high else math.sqrt(low * high)
        if abs(cold - before) < tolerance * cold:
            break
    return TemperatureScaling(1 / cold)
