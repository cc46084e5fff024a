"""A model as a program of torch.export: its graph and weights, without the code that built it."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import tree_map

from laminar.core.device import to_cpu
from laminar.core.errors import ConfigError
from laminar.data.collation import first_items
from laminar.learner.course import length_of
from laminar.learner.inference import some_inputs
from laminar.nn.calling import call_model, evaluating

__all__ = ["ProgramModel", "as_program", "example_inputs", "program_content", "program_model"]


class ProgramModel(nn.Module):
    """The model inside a program; it evaluates, whatever mode it is put into, since a graph has one only.

    Args:
        program: what `as_program` or ``torch.export.load`` gave.
    """

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        self.graph = program.module()

    def forward(self, *inputs: Any) -> Any:
        """Run the graph."""
        return self.graph(*inputs)

    def train(self, mode: bool = True) -> ProgramModel:
        """Note the mode; the graph stays what it is."""
        self.training = mode
        return self


class _Called(nn.Module):
    """A model that is called as the loop calls it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Any) -> Any:
        return call_model(self.model, inputs)


def example_inputs(learn: Any) -> tuple[Any, ...]:
    """The inputs of two items, as a learner's model gets them, on the CPU.

    Raises:
        ConfigError: the learner has no items.
    """
    if not length_of(learn.dls[0]):
        raise ConfigError("a model is traced with a batch, and there are no items: set learn.dls = dls first.")
    return tuple(first_items(part, 2) for part in to_cpu(some_inputs(learn)))


def as_program(model: nn.Module, inputs: tuple[Any, ...], name: str) -> ExportedProgram:
    """Trace a model in evaluation mode, for batches of any size.

    Args:
        model: the network.
        inputs: of a batch, as the model takes them; tensors, or dicts of tensors. One item is taken twice.
        name: what to call the model in messages.

    Raises:
        ConfigError: torch cannot trace it; the message says what torch says.
    """
    several = tree_map(lambda part: torch.cat([part, part]) if len(part) == 1 else part, inputs)
    batch = Dim("batch")
    shapes = {"inputs": tree_map(lambda part: {0: batch} if isinstance(part, Tensor) else None, several)}
    with torch.no_grad(), evaluating(model):
        try:
            return torch.export.export(_Called(model).eval(), several, dynamic_shapes=shapes)
        except Exception as error:  # whatever in the user's model cannot be traced
            raise ConfigError(f"torch.export cannot make a program of {name}: {str(error).splitlines()[0]}") from error


def program_content(program: ExportedProgram) -> Tensor:
    """The program as ``torch.export.save`` writes it: its bytes, as a tensor."""
    written = io.BytesIO()
    torch.export.save(program, written)
    return torch.frombuffer(bytearray(written.getvalue()), dtype=torch.uint8)


def program_model(content: Tensor) -> ProgramModel:
    """Read what ``learn.export(program=True)`` wrote of a model: for ``load_learner(file, trust=[program_model])``.

    Torch's reader can be made to run code by whoever writes the file.

    Args:
        content: the program's bytes.
    """
    return ProgramModel(torch.export.load(io.BytesIO(content.numpy().tobytes())))


program_model.needs_trust = "torch's reader of programs can be made to run code"  # type: ignore[attr-defined]  # a mark
