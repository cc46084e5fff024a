"""Parameter groups of models of transformers, for discriminative rates and freezing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from torch import nn

from laminar.text.hf.model import without_adapters

__all__ = ["first_layers", "hf_layer_splitter", "hf_splitter"]

Groups = list[list[nn.Parameter]]


def hf_splitter(model: nn.Module) -> Groups:
    """Embeddings, layers, head: three groups (two, where the head has no parameters of its own).

    Pooling belongs to the head; what follows the last layer, such as a norm, to the layers. Of a model with adapters
    only what adapters train is in a group.

    Args:
        model: an `HFModel`, or a model of transformers.
    """
    embeddings, layers, head = _parts(model)
    return [group for group in (embeddings, [p for layer in layers for p in layer], head) if group]


def hf_layer_splitter(model: nn.Module) -> Groups:
    """As `hf_splitter`, with a group for each layer, so that a range of rates falls from layer to layer.

    Args:
        model: an `HFModel`, or a model of transformers.
    """
    embeddings, layers, head = _parts(model)
    return [group for group in (embeddings, *layers, head) if group]


def _parts(model: nn.Module) -> tuple[list[nn.Parameter], Groups, list[nn.Parameter]]:
    """The parameters of embeddings, of each layer, and of the head."""
    hf_model: Any = getattr(model, "hf_model", model)
    names = getattr(model, "trained", None)
    trained = {id(p) for name, p in hf_model.named_parameters() if names is None or name in names}
    base = _base(hf_model)
    stacks = _stacks(base)
    seen: set[int] = set()

    def take(named: Iterable[tuple[str, nn.Parameter]]) -> list[nn.Parameter]:
        taken = []
        for _, parameter in named:
            if id(parameter) not in seen and id(parameter) in trained:
                taken.append(parameter)
            seen.add(id(parameter))
        return taken

    in_layers = {id(p) for stack in stacks for p in stack.parameters()}
    of_head = _heads(base, hf_model)
    outside = [(name, p) for name, p in base.named_parameters() if id(p) not in in_layers | of_head]
    order = [(name, id(p) in in_layers) for name, p in base.named_parameters()]
    before = {name for name, _ in itertools.takewhile(lambda pair: not pair[1], order)}
    embeddings = take((name, p) for name, p in outside if name in before or _is_embedding(name))
    depth = max((len(stack) for stack in stacks), default=0)
    layers = [
        take(pair for stack in stacks if number < len(stack) for pair in stack[number].named_parameters())
        for number in range(depth)
    ]
    after = take((name, p) for name, p in outside if "pool" not in name)
    if after:
        layers = [*layers[:-1], [*(layers[-1] if layers else []), *after]]
    head = take(hf_model.named_parameters())
    return embeddings, layers, head


def _base(hf_model: Any) -> nn.Module:
    """The part of a model that is the same for all tasks."""
    base: nn.Module = getattr(without_adapters(hf_model), "base_model", without_adapters(hf_model))
    return base


def _heads(base: nn.Module, hf_model: Any) -> set[int]:
    """What is beside embeddings and layers in a model that has its base not as a part, but spread out (T5)."""
    if base is not without_adapters(hf_model):
        return set()
    heads = [part for name, part in base.named_children() if not _is_embedding(name) and not _stacks(part)]
    return {id(parameter) for part in heads for parameter in part.parameters()}


def _is_embedding(name: str) -> bool:
    return any(part in name for part in ("embed", "wte", "wpe", "shared"))


def _stacks(base: nn.Module) -> list[nn.ModuleList]:
    """The lists of layers: those that are in no other; of an encoder with a decoder, both."""
    found: dict[str, nn.ModuleList] = {}
    for name, module in base.named_modules():
        is_stack = isinstance(module, nn.ModuleList) and len(module) > 0 and any(True for _ in module.parameters())
        if is_stack and not any(name.startswith(f"{outer}.") for outer in found):
            assert isinstance(module, nn.ModuleList)
            found[name] = module
    return list(found.values())


def first_layers(hf_model: Any) -> list[nn.Module]:
    """The layers that read the vectors of tokens first: one, or that of the encoder and that of the decoder.

    Args:
        hf_model: a model of transformers.
    """
    firsts: list[nn.Module] = [stack[0] for stack in _stacks(_base(hf_model))]
    while nested := [number for number, layer in enumerate(firsts) if isinstance(layer, nn.ModuleList)]:
        for number in nested:
            firsts[number] = next(firsts[number].children())
    return firsts
