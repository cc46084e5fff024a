"""`init_check`: how a signal, and its gradient, go through a network before it is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from laminar.callbacks.telemetry import statistics
from laminar.callbacks.telemetry.layers import (
    LayerChoice,
    chosen_layers,
    named_outputs,
    own_weights,
    unit_dim_of_output,
    unit_dims_before,
)
from laminar.core.seed import get_random_states, set_random_states
from laminar.nn.calling import call_model
from laminar.nn.hooks import Hooks

__all__ = ["InitCheck", "LayerStart", "init_check"]


@dataclass(frozen=True)
class LayerStart:
    """One layer before training.

    Attributes:
        name: where it is.
        kind: its class.
        shape: of its output.
        mean: of its output.
        std: of its output.
        near_zero: the share of its output that is near zero, 0 to 1.
        dead: the share of its units that give 0 for the whole batch, 0 to 1.
        gradient: norm of the gradient of its weights over their norm; None without a loss or weights.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    mean: float
    std: float
    near_zero: float
    dead: float
    gradient: float | None = None


@dataclass(frozen=True)
class InitCheck:
    """Layers before training, in the order in which they are called; printed, it is a table.

    Attributes:
        rows: the layers.
        loss: of the batch; None if no loss was given.
    """

    rows: list[LayerStart] = field(default_factory=list)
    loss: float | None = None

    def __str__(self) -> str:
        width = max([20, *(len(row.name) + len(row.kind) + 3 for row in self.rows)])
        titles = f"{'layer':<{width}}{'output':>20}{'mean':>10}{'std':>10}{'near 0':>9}{'dead':>7}{'gradient':>11}"
        lines = [titles, "-" * len(titles)]
        for row in self.rows:
            shape = " x ".join(map(str, row.shape))
            gradient = "" if row.gradient is None else f"{row.gradient:.3g}"
            lines.append(
                f"{f'{row.name} ({row.kind})':<{width}}{shape:>20}{row.mean:>10.3g}{row.std:>10.3g}"
                f"{row.near_zero:>9.0%}{row.dead:>7.0%}{gradient:>11}"
            )
        spreads = [row.std for row in self.rows if row.gradient is not None or row.kind not in _KINDS_OF_ACTIVATIONS]
        if len(spreads) > 1 and spreads[0] > 0:
            lines.append(
                f"from the first to the last layer with weights the std goes from {spreads[0]:.3g} to {spreads[-1]:.3g}"
            )
        return "\n".join([*lines, *([] if self.loss is None else [f"loss {self.loss:.4g}"])])

    __repr__ = __str__


_KINDS_OF_ACTIVATIONS = frozenset(nn.modules.activation.__all__)


def init_check(
    model: nn.Module,
    batch: Any,
    loss_func: Callable[..., Tensor] | None = None,
    layers: LayerChoice = None,
) -> InitCheck:
    """See how a batch goes through a network before training: mean and spread of what each layer gives.

    A copy of the model is asked, in training mode; the model, its norms' statistics and random states stay as found.

    Args:
        model: not changed.
        batch: inputs, a tensor or a tuple; with `loss_func`, a tuple of inputs and a target, the last part.
        loss_func: called with the model's outputs and the target; adds gradients, each beside the weights it is of.
        layers: which layers, see `LayerChoice`; by default those with weights, and activation functions.
    """
    parts = batch if isinstance(batch, tuple | list) else (batch,)
    inputs, targets = (tuple(parts[:-1]), parts[-1:]) if loss_func is not None else (tuple(parts), ())
    states = get_random_states()
    copied = copy.deepcopy(model).train()
    chosen = chosen_layers(copied, layers)
    names = {module: name for name, module in chosen.items()}
    seen: dict[str, tuple[nn.Module, tuple[int, ...], Tensor]] = {}
    before: list[int] = []
    first = unit_dims_before(copied)

    def see(layer: nn.Module, given: Any, output: Any) -> None:
        for name, tensor in named_outputs(names[layer], output):
            unit_dim = unit_dim_of_output(layer, tensor, before[-1] if before else first.get(layer))
            before.append(unit_dim)
            t = tensor.float()
            values = [
                statistics.mean(t),
                statistics.std(t),
                statistics.share_near_zero(t),
                statistics.dead_units(t, unit_dim),
            ]
            seen.setdefault(name, (layer, tuple(tensor.shape), torch.stack(values)))

    try:
        with Hooks(chosen.values(), see), torch.set_grad_enabled(loss_func is not None):
            output = call_model(copied, inputs)
        loss = None
        if loss_func is not None:
            value = loss_func(output, *targets)
            value.backward()  # type: ignore[no-untyped-call]  # torch's
            loss = float(value.detach())
    finally:
        set_random_states(**states)
    gradients = {
        name: float(statistics.update_to_weight(weight.grad, weight.detach()))
        for name, (_, weight) in own_weights(chosen).items()
        if weight.grad is not None and not weight.grad.is_sparse
    }
    rows = [
        LayerStart(name, type(layer).__name__, shape, mean, std, near_zero, dead, gradients.get(name))
        for name, (layer, shape, values) in seen.items()
        for mean, std, near_zero, dead in [values.tolist()]
    ]
    return InitCheck(rows, loss)
