"""Warnings: rules look at what was measured lately, and say in words what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from torch import nn

from laminar.callbacks.telemetry.record import Record

__all__ = [
    "RULES",
    "Finding",
    "Rule",
    "Watched",
    "dead_layer",
    "exploding_gradients",
    "frozen_layer",
    "in_no_group",
    "input_not_normalised",
    "learning_rate_past_the_cliff",
    "nan_source",
    "vanishing_gradients",
    "warn_if",
]


@dataclass(frozen=True)
class Finding:
    """Something that a rule found.

    Attributes:
        rule: what it is, in a few words: ``"dead units"``.
        layer: where; empty for the whole model.
        batch: since which batch.
        text: what was seen, with figures.
        causes: the usual causes, and what to do.
    """

    rule: str
    layer: str
    batch: int
    text: str
    causes: str = ""

    def __str__(self) -> str:
        where = f" in {self.layer}" if self.layer else ""
        causes = f" Usual causes: {self.causes}." if self.causes else ""
        return f"{self.rule}{where} since batch {self.batch}: {self.text}.{causes}"


class Watched(Protocol):
    """What a rule may look at; `LayerTelemetry` is one."""

    record: Record

    @property
    def model(self) -> nn.Module:
        """The model."""

    @property
    def opt(self) -> Any:
        """The optimiser."""

    @property
    def weights(self) -> dict[str, tuple[nn.Module, nn.Parameter]]:
        """The parameters that are measured, by name, with their layers."""

    @property
    def values_per_unit(self) -> dict[str, int]:
        """How many values (items times places) a unit of each layer gave in the last sample; of inputs, items."""

    @property
    def loss_is_scaled(self) -> bool:
        """Whether a scaler looks for the largest scale at which float16 gradients are finite."""


Rule: TypeAlias = Callable[[Watched], Iterable[Finding]]
"""Called after each sample; what it finds is printed once for each rule and layer."""


def warn_if(
    name: str,
    of: str,
    stat: str,
    above: float = np.inf,
    below: float = -np.inf,
    samples: int = 3,
    causes: str = "",
) -> Rule:
    """Make a rule: a statistic of any layer is out of bounds in several samples in succession.

    Args:
        name: what it is called, in a few words.
        of: what is measured.
        stat: a statistic with one value.
        above: values above this are out of bounds.
        below: values below this are.
        samples: in how many samples in succession.
        causes: the usual causes, and what to do.
    """

    def rule(watched: Watched) -> Iterator[Finding]:
        for layer in watched.record.layers(of, stat):
            seen = watched.record.series(layer, of, stat, last=samples)
            if len(seen) == samples and np.all((seen.values > above) | (seen.values < below)):
                limit = f"above {above:g}" if seen.values[-1] > above else f"below {below:g}"
                text = f"{stat.replace('_', ' ')} of {of} is {seen.values[-1]:.3g}, {limit}"
                yield Finding(name, layer, int(seen.batches[0]), text, causes)

    return rule


def dead_layer(watched: Watched) -> Iterator[Finding]:
    """More than half of a layer's units give nothing, or get no gradient, for every item of several batches.

    Of few values, many units that live are 0 by chance: where a unit gives fewer than 16, all must be dead.
    """
    for of, what in (("activations", "give 0 for every item"), ("gradients", "get no gradient from any item")):
        for layer in watched.record.layers(of, "dead_units"):
            seen = watched.record.series(layer, of, "dead_units", last=_SAMPLES)
            limit = 0.5 if _values_of_a_unit(watched, layer) >= 16 else 0.99
            if len(seen) == _SAMPLES and seen.values.min() > limit:
                yield Finding(
                    "dead units",
                    layer,
                    int(seen.batches[0]),
                    f"{seen.values[-1]:.0%} of its units {what}",
                    "a learning rate that was too high for a moment, a bias far below 0, a bad initialisation",
                )


def _values_of_a_unit(watched: Watched, layer: str) -> int:
    counts = watched.values_per_unit
    if layer in watched.weights:  # a parameter's gradient comes from what its layer gave
        names = (layer, layer.rpartition(".")[0])
        return next((counts[name] for name in names if name in counts), counts.get("input 0", 0))
    return counts.get(layer.split(" (call")[0], 0)


def frozen_layer(watched: Watched) -> Iterator[Finding]:
    """A layer stands still while others train: with a gradient of zero, a rate of zero, or without `requires_grad`."""
    record = watched.record
    moved = {
        layer: record.series(layer, "updates", "update_to_weight", last=_SAMPLES)
        for layer in record.layers("updates", "update_to_weight")
    }
    for layer, seen in moved.items():
        if len(seen) == _SAMPLES and seen.values.max() < 1e-8 and any(s.values[-1] > 1e-6 for s in moved.values()):
            text = f"it moves by {seen.values[-1]:.2g} of its size a step"
            causes = "a learning rate of 0 for its group, an output that is detached or not used"
            yield Finding("frozen layer", layer, int(seen.batches[0]), text, causes)
    yield from _frozen_by_hand(watched)


def _frozen_by_hand(watched: Watched) -> Iterator[Finding]:
    """A few weights without `requires_grad` behind others that train; a whole body that is frozen is meant to be."""
    weights = [(name, weight) for name, (_, weight) in watched.weights.items()]
    first = next((i for i, (_, weight) in enumerate(weights) if weight.requires_grad), len(weights))
    frozen = [(name, weight) for name, weight in weights[first:] if not weight.requires_grad]
    trained = sum(weight.numel() for _, weight in weights if weight.requires_grad)
    if sum(weight.numel() for _, weight in frozen) < trained:
        for name, _ in frozen:
            text = "requires_grad is False, while layers before it train"
            yield Finding("frozen layer", name, max(watched.record.last_batch, 0), text, "a layer frozen by hand")


def in_no_group(watched: Watched) -> Iterator[Finding]:
    """A layer wants to train, and the optimiser does not know of it."""
    known = {id(parameter) for group in watched.opt.param_groups for parameter in group["params"]}
    for name, (_, weight) in watched.weights.items():
        if weight.requires_grad and id(weight) not in known:
            yield Finding(
                "layer in no parameter group",
                name,
                max(watched.record.last_batch, 0),
                "the optimiser does not have its weights, so they never change",
                "a splitter that leaves it out, a layer that was added after the optimiser was made",
            )


def input_not_normalised(watched: Watched) -> Iterator[Finding]:
    """What goes into the model is far from mean 0 and standard deviation 1, and nothing normalises it first.

    A layer of your own without parameters that comes first may be what does. Masks (0 and 1) and inputs of one value an
    item, such as times, are let be.
    """
    first = next((m for m in watched.model.modules() if not list(m.children())), None)
    own = first is not None and not type(first).__module__.startswith("torch.") and not list(first.parameters())
    if own or isinstance(first, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm | nn.RMSNorm):
        return
    for name in watched.record.layers("inputs", "mean"):
        means = watched.record.series(name, "inputs", "mean", last=_SAMPLES)
        spreads = watched.record.series(name, "inputs", "std", last=_SAMPLES)
        mean, spread = float(np.median(means.values)), float(np.median(spreads.values))
        if abs(spread**2 - mean * (1 - mean)) < 1e-4:  # only of zeros and ones
            continue
        if len(means) == _SAMPLES and (abs(mean) > max(spread, 0.3) or not 0.05 < spread < 20):
            yield Finding(
                "input is not normalised",
                name,
                int(means.batches[0]),
                f"its mean is {mean:.3g}, its standard deviation {spread:.3g}",
                "a batch transform that is missing: Normalize.from_stats(...), or normalize=True",
            )


def learning_rate_past_the_cliff(watched: Watched) -> Iterator[Finding]:
    """A step has changed much of a layer, and the loss is no better than it began."""
    record = watched.record
    if not record.has("loss", "loss", "mean"):
        return
    losses = record.series("loss", "loss", "mean").values
    if len(losses) < 4:
        return
    now = float(np.median(np.nan_to_num(losses[-_SAMPLES:], nan=np.inf, posinf=np.inf)))
    steps = [record.series(layer, "updates", "update_to_weight") for layer in _updated(watched)]
    worst = max(steps, key=lambda seen: float(np.nanmax(seen.values)), default=None)
    if worst is not None and np.nanmax(worst.values) > 0.2 and now > 0.95 * losses[0]:
        at = int(np.nanargmax(worst.values))
        text = (
            f"a step has changed {worst.layer} by {worst.values[at]:.0%} of its size, and the loss is {now:.3g} after"
            f" {losses[0]:.3g} in the beginning"
        )
        causes = "a learning rate past the cliff that learn.lr_find() shows; a tenth of it may do"
        yield Finding("learning rate is too high", "", int(worst.batches[at]), text, causes)


def exploding_gradients(watched: Watched) -> Iterator[Finding]:
    """Gradients are large beside the weights, in several samples."""
    sizes = _gradients_to_weights(watched.record)
    if not sizes:
        return
    layer, (batches, ratios) = max(sizes.items(), key=lambda item: float(item[1][1].min()))
    if len(ratios) == _SAMPLES and ratios.min() > 30:
        yield Finding(
            "exploding gradients",
            layer,
            int(batches[0]),
            f"the norm of its gradient is {ratios[-1]:.3g} times that of its weights",
            "weights that start too large, no norm layers, a loss that is a sum; GradientClip cuts them",
        )


def vanishing_gradients(watched: Watched) -> Iterator[Finding]:
    """Gradients of the first layers are a tiny part of those of the last ones, in several samples.

    Embeddings do not count: a batch has few of their rows.
    """
    embeddings = {
        name for name, (layer, _) in watched.weights.items() if isinstance(layer, nn.Embedding | nn.EmbeddingBag)
    }
    found = _gradients_to_weights(watched.record).items()
    sizes = [(layer, *of_layer) for layer, of_layer in found if layer not in embeddings]
    if len(sizes) < 3 or len(sizes[0][2]) < _SAMPLES:
        return
    layer, batches, first = sizes[0]
    last = np.max([ratios.max() for _, _, ratios in sizes[-2:]])
    if 0 < first.max() < 1e-4 * last:
        yield Finding(
            "vanishing gradients",
            layer,
            int(batches[0]),
            f"its gradient is {first[-1] / last:.1g} of that of {sizes[-1][0]}, each beside its weights",
            "saturated sigmoids, weights that start too small, many layers without norms or shortcuts",
        )


def nan_source(watched: Watched) -> Iterator[Finding]:
    """The first place, in the order of the computation, where a value is infinite or no number."""
    record = watched.record
    for of, stat in (("inputs", "mean"), ("activations", "abs_max"), ("loss", "mean"), ("gradients", "abs_max")):
        for layer in record.layers(of, stat):
            scaled = of == "gradients" and watched.loss_is_scaled
            seen = record.series(layer, of, stat, last=None if scaled else 1)
            if seen.batches[-1] != record.last_batch or np.isfinite(seen.values[-1]):
                continue
            before = np.flatnonzero(np.isfinite(seen.values))
            since = int(seen.batches[before[-1] + 1 if len(before) else 0])
            if not scaled or record.last_batch - since >= _SCALE_IS_FOUND:
                yield _of_no_number(record, layer, of, since)
                return


def _of_no_number(record: Record, layer: str, of: str, batch: int) -> Finding:
    spoilt = [
        name
        for name in record.layers("weights", "norm")
        if not np.isfinite(record.series(name, "weights", "norm", last=1).values[-1])
    ]
    if of != "inputs" and spoilt:
        text = f"weights are no numbers any more ({spoilt[0]}); an earlier step spoilt them, every=1 shows which"
    else:
        text = f"the first {of} that are infinite or no numbers are here"
    causes = "a learning rate that is too high, the logarithm, root or division of 0, float16"
    return Finding("NaN", layer, batch, text, causes)


def _gradients_to_weights(record: Record) -> dict[str, tuple[Any, Any]]:
    """Batches, and norms of gradients over norms of weights, by layer in the order of the model."""
    found = {}
    for layer in record.layers("gradients", "norm"):
        if record.has(layer, "weights", "norm"):
            gradients = record.series(layer, "gradients", "norm", last=_SAMPLES)
            weights = record.series(layer, "weights", "norm", last=_SAMPLES)
            if len(gradients) == len(weights) and weights.values.min() > 1e-3:
                found[layer] = (gradients.batches, gradients.values / weights.values)
    return found


def _updated(watched: Watched) -> list[str]:
    """Layers whose updates are measured, but those that began with zeros or about so, which any step changes much."""
    record, found = watched.record, []
    for layer in record.layers("updates", "update_to_weight"):
        values = record.series(layer, "updates", "update_to_weight").values
        if len(values) and np.isfinite(values[0]) and not _began_tiny(watched, layer):
            found.append(layer)
    return found


def _began_tiny(watched: Watched, layer: str) -> bool:
    """Whether weights were about 0.001 and less, as the scales of residual branches often are in the beginning."""
    if layer not in watched.weights or not watched.record.has(layer, "weights", "norm"):
        return False
    norms = watched.record.series(layer, "weights", "norm").values
    return bool(norms[0] < 1e-3 * watched.weights[layer][1].numel() ** 0.5)


_SAMPLES = 3  # in succession; one alone may be chance
_SCALE_IS_FOUND = 20  # batches; a scaler halves its scale, and skips the step, until float16 gradients are finite

RULES: tuple[Rule, ...] = (
    nan_source,
    in_no_group,
    frozen_layer,
    input_not_normalised,
    dead_layer,
    exploding_gradients,
    vanishing_gradients,
    learning_rate_past_the_cliff,
)
"""The rules of `LayerTelemetry`, unless it is given others."""
