"""Calling a model with what a batch holds: a tuple of inputs, or inputs by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["TARGET_NAMES", "call_model", "evaluating", "makes_own_loss", "named_inputs"]

TARGET_NAMES = ("labels", "label", "targets", "target")
"""What targets are called in batches that are mappings."""


def call_model(model: nn.Module, inputs: tuple[Any, ...]) -> Any:
    """The model's outputs for the inputs of a batch.

    A single input that is a dict is given by name to a model whose ``forward`` has such names (those it does not have
    are left out), and as it is to any other. Of what a model returns beside its predictions for a callback to use, it
    tells what the predictions are by a method ``main_output``.
    """
    by_name = named_inputs(model, inputs[0]) if len(inputs) == 1 and type(inputs[0]) is dict else None
    output = model(*inputs) if by_name is None else model(**by_name)
    main_output = getattr(model, "main_output", None)
    return main_output(output) if callable(main_output) else output


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; each layer's own mode comes back.

    A model that remembers from call to call (``get_state``, ``set_state``, ``reset``) begins with nothing, and
    afterwards remembers what it did before.
    """
    modes = {part: part.training for part in model.modules()}
    tell, take, forget = (getattr(model, name, None) for name in ("get_state", "set_state", "reset"))
    state = tell() if callable(tell) else None
    model.eval()
    try:
        if callable(take) and callable(forget):
            forget()
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
        if callable(take) and callable(forget):
            take(state)


def named_inputs(model: nn.Module, batch: Mapping[str, Any]) -> dict[str, Any] | None:
    """What of a batch a model takes by name; None if it takes nothing of it by name."""
    names, takes_any = _parameters(model)
    if not takes_any and not names & batch.keys():
        return None
    return {key: part for key, part in batch.items() if key in names or (takes_any and key not in TARGET_NAMES)}


def makes_own_loss(model: nn.Module) -> bool:
    """Whether a model takes targets with its inputs, as Hugging Face's do, which return the loss with the outputs."""
    return "labels" in _parameters(model)[0]


def _parameters(model: nn.Module) -> tuple[frozenset[str], bool]:
    """The names of the parameters of a model's ``forward``, and whether it takes any name."""
    inner: Any = model
    while (wrapped := getattr(inner, "_orig_mod", None) or getattr(inner, "module", None)) is not None:
        if not isinstance(wrapped, nn.Module):
            break
        inner = wrapped  # inside torch.compile's or DistributedDataParallel's wrapping
    parameters = inspect.signature(inner.forward).parameters.values()
    names = frozenset(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    return names, any(p.kind is p.VAR_KEYWORD for p in parameters)
