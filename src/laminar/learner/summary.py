"""What a model is made of: layers, shapes, parameters, work and memory, from one batch through it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.device import tensors_in
from laminar.core.seed import get_random_states, set_random_states
from laminar.nn.calling import call_model

__all__ = ["LayerRow", "ModelSummary", "summarize"]


@dataclass
class LayerRow:
    """One layer.

    Attributes:
        name: where it is in the model.
        kind: its class.
        shapes: of its outputs, in the last call.
        n_params: parameters that no layer above it in the table has.
        n_trained: those of them that train.
        macs: multiplications and additions for the batch, of layers that are mostly these (linear, convolutions).
        calls: how often it was called.
    """

    name: str
    kind: str
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    n_params: int = 0
    n_trained: int = 0
    macs: int = 0
    calls: int = 0


@dataclass
class ModelSummary:
    """The layers of a model; printed, it is a table.

    Attributes:
        model: the model's class.
        input_shapes: of the batch.
        rows: the layers, in the order in which they were called; those that were not come last.
        n_params: parameters of the model, each counted once.
        n_trained: those that train.
        macs: multiplications and additions for one item.
        parameter_bytes: memory for parameters and buffers.
        output_bytes: memory for the layers' outputs of the batch, which training keeps for the backward pass.
        about: optimiser, loss, callbacks and the like, a line each.
    """

    model: str
    input_shapes: list[tuple[int, ...]]
    rows: list[LayerRow]
    n_params: int
    n_trained: int
    macs: int
    parameter_bytes: int
    output_bytes: int
    about: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        width = max([24, *(len(row.name) + len(row.kind) + 2 for row in self.rows)])
        lines = [f"{self.model} (input {', '.join(map(_shape, self.input_shapes))})", "=" * (width + 52)]
        lines.append(f"{'Layer (type)':<{width}}{'Output shape':>24}{'Parameters':>14}{'Trained':>10}")
        lines.append("-" * (width + 52))
        for row in self.rows:
            shape = _shape(row.shapes[0]) if row.shapes else ("not called" if not row.calls else "")
            trained = "" if not row.n_params else ("yes" if row.n_trained == row.n_params else "no")
            trained = f"{row.n_trained:,}" if 0 < row.n_trained < row.n_params else trained
            lines.append(f"{f'{row.name} ({row.kind})':<{width}}{shape:>24}{row.n_params:>14,}{trained:>10}")
        lines.append("=" * (width + 52))
        lines.append(
            f"{self.n_params:,} parameters, {self.n_trained:,} trained, {self.n_params - self.n_trained:,} frozen"
        )
        lines.append(
            f"{self.macs / 1e6:,.1f} million multiplications and additions an item; {_bytes(self.parameter_bytes)} for"
            f" the model, {_bytes(self.output_bytes)} for the layers' outputs of this batch"
        )
        return "\n".join([*lines, *self.about])

    __repr__ = __str__


def summarize(model: nn.Module, inputs: tuple[Any, ...]) -> ModelSummary:
    """Send a batch through `model` in evaluation mode; modes and random states are as before afterwards.

    Args:
        model: the network.
        inputs: its arguments, on its device.
    """
    rows = {
        module: LayerRow(name or "model", type(module).__name__)
        for name, module in model.named_modules()
        if module._parameters or not list(module.children())
    }
    counted: set[int] = set()
    for module, row in rows.items():
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in counted:
                counted.add(id(parameter))
                row.n_params += parameter.numel()
                row.n_trained += parameter.numel() * parameter.requires_grad
    called = _call(model, inputs, rows)
    ordered = [*called, *(row for row in rows.values() if not row.calls)]
    parameters = list(model.parameters())
    held = [*parameters, *model.buffers()]
    n_items = next((len(part) for part in tensors_in(inputs) if part.ndim), 1)
    return ModelSummary(
        model=type(model).__name__,
        input_shapes=[tuple(part.shape) for part in tensors_in(inputs)],
        rows=ordered,
        n_params=sum(p.numel() for p in parameters),
        n_trained=sum(p.numel() for p in parameters if p.requires_grad),
        macs=sum(row.macs for row in ordered) // max(n_items, 1),
        parameter_bytes=sum(tensor.numel() * tensor.element_size() for tensor in held),
        output_bytes=4 * sum(_size(shape) for row in ordered for shape in row.shapes),
    )


def _call(model: nn.Module, inputs: tuple[Any, ...], rows: dict[nn.Module, LayerRow]) -> list[LayerRow]:
    """Send the batch through; returns the rows in the order of their first call."""
    called: list[LayerRow] = []

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        row = rows[module]
        if not row.calls:
            called.append(row)
        row.calls += 1
        row.shapes = [tuple(part.shape) for part in tensors_in(output)]
        row.macs += _macs(module, inputs, output)

    hooks = [module.register_forward_hook(note) for module in rows]
    try:
        with _as_found(model), torch.no_grad():
            call_model(model.eval(), inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return called


@contextmanager
def _as_found(model: nn.Module) -> Iterator[None]:
    """Put modes and random states back."""
    modes, states = [(module, module.training) for module in model.modules()], get_random_states()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        set_random_states(**states)


def _macs(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> int:
    """Multiplications of a linear or convolutional layer; a transposed one has them for each input, not output."""
    if not isinstance(module, nn.Linear | nn.modules.conv._ConvNd) or not isinstance(output, Tensor):
        return 0
    counted = inputs[0] if getattr(module, "transposed", False) else output
    return int(counted.numel() * module.weight.numel() // module.weight.shape[0])


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _bytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MB"
