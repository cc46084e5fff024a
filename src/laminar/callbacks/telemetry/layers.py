"""Which layers are watched: chosen by type, name, predicate or parameter group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from torch import Tensor, nn

from laminar.core.errors import ConfigError, describe, suggest

__all__ = [
    "InGroup",
    "LayerChoice",
    "chosen_layers",
    "named_outputs",
    "own_weights",
    "unit_dim_of_output",
    "unit_dim_of_weight",
    "unit_dims_before",
]

_CONVOLUTION = nn.modules.conv._ConvNd
_TRANSPOSED = nn.modules.conv._ConvTransposeNd
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm)
_ACTIVATIONS = tuple(getattr(nn, name) for name in nn.modules.activation.__all__ if name != "MultiheadAttention")
_OUTPUTS_AT_MOST = 8


@dataclass(frozen=True)
class InGroup:
    """Layers with parameters in one of the optimiser's layer groups.

    Attributes:
        number: of the group, from 0; negative ones count from the last.
    """

    number: int


LayerChoice: TypeAlias = (
    type[nn.Module] | str | InGroup | nn.Module | Callable[[nn.Module], bool] | Sequence[Any] | None
)
"""A class; a pattern for names (``"body.*.conv?"``); a group; a layer; a function that says yes or no to a layer; or
several of these. None: layers with weights of two dimensions and more, and activation functions."""


def chosen_layers(
    model: nn.Module, choice: LayerChoice, groups: Sequence[Iterable[nn.Parameter]] = ()
) -> dict[str, nn.Module]:
    """The chosen layers by name, in the order of the model; one that is shared has its first name.

    Args:
        model: where they are.
        choice: see `LayerChoice`.
        groups: the optimiser's layer groups.

    Raises:
        ConfigError: nothing is chosen, or something that is not in the model.
    """
    named = {name or type(model).__name__: module for name, module in _original(model).named_modules()}
    choices = list(choice) if isinstance(choice, list | tuple | set) else [choice]
    found = {name: m for name, m in named.items() if any(_is_chosen(name, m, c, groups) for c in choices)}
    for one in choices:
        if isinstance(one, nn.Module) and all(m is not one for m in found.values()):
            raise ConfigError(f"the layer {type(one).__name__} that is to be watched is not in the model.")
        if isinstance(one, str) and not any(fnmatchcase(name, one) for name in found):
            raise ConfigError(f"no layer is called {one!r}.{suggest(one, named)} There are: {_listed(named)}.")
    if not found:
        kinds = sorted({type(m).__name__ for m in named.values()})
        raise ConfigError(f"no layer of {type(model).__name__} is chosen by {choice!r}; it has {', '.join(kinds)}.")
    return found


def _original(model: nn.Module) -> nn.Module:
    """The model inside the wrapping of ``torch.compile``, so that names are those that people know."""
    inner = getattr(model, "_orig_mod", model)
    return inner if isinstance(inner, nn.Module) else model


def _is_chosen(name: str, module: nn.Module, choice: Any, groups: Sequence[Iterable[nn.Parameter]]) -> bool:
    if choice is None:
        return isinstance(module, _ACTIVATIONS) or any(weight.ndim > 1 for _, weight in _parameters(module))
    if isinstance(choice, str):
        return fnmatchcase(name, choice)
    if isinstance(choice, type):
        return isinstance(module, choice)
    if isinstance(choice, nn.Module):
        return module is choice
    if isinstance(choice, InGroup):
        if not -len(groups) <= choice.number < len(groups):
            raise ConfigError(f"{choice}: the optimiser has {len(groups)} groups.")
        inside = {id(parameter) for parameter in groups[choice.number]}
        return any(id(weight) in inside for _, weight in _parameters(module))
    if callable(choice):
        return bool(choice(module))
    raise ConfigError(f"{describe(choice)} does not choose layers: give a class, a name, a function or a layer.")


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")


def _parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """A layer's own parameters, those behind a parametrisation too, without its children's."""
    yield from module.named_parameters(recurse=False)
    if "parametrizations" in module._modules:
        yield from module.parametrizations.named_parameters()  # type: ignore[union-attr]  # a module


def own_weights(layers: dict[str, nn.Module]) -> dict[str, tuple[nn.Module, nn.Parameter]]:
    """The parameters to measure by name, each once, with their layers.

    Those of two dimensions and more; of a layer that has no such (a norm), all. One called ``weight`` has its layer's
    name.
    """
    found: dict[str, tuple[nn.Module, nn.Parameter]] = {}
    seen: set[int] = set()
    for name, layer in layers.items():
        own = dict(_parameters(layer))
        large = {key: weight for key, weight in own.items() if weight.ndim > 1} or own
        for key, weight in large.items():
            if id(weight) not in seen and weight.is_floating_point():
                seen.add(id(weight))
                found[name if key == "weight" else f"{name}.{key}"] = (layer, weight)
    return found


def named_outputs(name: str, output: Any) -> list[tuple[str, Tensor]]:
    """The floating point tensors in what a layer gives: ``lstm``, ``lstm[1][0]``, ``encoder[pooled]``."""
    found: list[tuple[str, Tensor]] = []

    def visit(path: str, part: Any) -> None:
        if isinstance(part, Tensor):
            if part.is_floating_point() and part.numel():
                found.append((path, part))
        elif isinstance(part, dict):
            for key, value in part.items():
                visit(f"{path}[{key}]", value)
        elif isinstance(part, list | tuple):
            for number, value in enumerate(part):
                visit(path if number == 0 else f"{path}[{number}]", value)

    visit(name, output)
    return found[:_OUTPUTS_AT_MOST]


def unit_dim_of_output(layer: nn.Module, output: Tensor, before: int | None) -> int:
    """The dimension of units (channels, features) in what a layer gives.

    Args:
        layer: which gave it.
        output: what it gave.
        before: that of the layer before: an activation function goes on with it.
    """
    if isinstance(layer, (_CONVOLUTION, *_NORMS)):
        return output.ndim - 1 if output.ndim < 2 else 1
    if before is not None and isinstance(layer, _ACTIVATIONS):
        return before
    if isinstance(layer, _ACTIVATIONS) and output.ndim > 3:
        return 1
    return output.ndim - 1


def unit_dims_before(model: nn.Module) -> dict[nn.Module, int]:
    """For each activation function the dimension of units in what the layer before it gives, in the order of the model.

    For those whose layer before is not watched itself.

    Args:
        model: with the layers.
    """
    found: dict[nn.Module, int] = {}
    before: int | None = None
    for module in _original(model).modules():
        if isinstance(module, (_CONVOLUTION, *_NORMS)):
            before = 1
        elif isinstance(module, _ACTIVATIONS):
            if before is not None:
                found.setdefault(module, before)
        elif any(weight.ndim > 1 for _, weight in _parameters(module)):
            before = -1
    return found


def unit_dim_of_weight(layer: nn.Module) -> int:
    """The dimension of units in a layer's weights."""
    return 1 if isinstance(layer, _TRANSPOSED | nn.Embedding) else 0
