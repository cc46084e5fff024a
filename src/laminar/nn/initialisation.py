"""Ways to start the weights of a whole network: by the slopes of activations, by a batch, for residual blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from laminar.core.device import tensors_in
from laminar.core.errors import ConfigError
from laminar.nn.blocks import init_default
from laminar.nn.calling import call_model, evaluating
from laminar.nn.hooks import Hook, Hooks

__all__ = ["ResidualBlocks", "fixup_init", "kaiming_init", "lsuv_init", "zero_last_norms"]

_WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear)
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_ACTIVATIONS = tuple(getattr(nn, name) for name in nn.modules.activation.__all__ if name != "MultiheadAttention")
_SHORTCUTS = ("shortcut", "downsample", "skip", "idpath")

ResidualBlocks: TypeAlias = type[nn.Module] | Callable[[nn.Module], bool] | None
"""Which modules are residual blocks: a class, or a function that says yes or no. None: those that have an attribute
``shortcut``, ``downsample``, ``skip`` or ``idpath``, as ours, torchvision's and timm's do."""


def kaiming_init(model: nn.Module, bias_std: float = 0.0) -> list[str]:
    """Start convolutions and linear layers for the activation that follows each, with that one's own slope.

    He et al., "Delving Deep into Rectifiers", 2015; the gain is measured (`activation_gain`), so that it is right for
    leaky ReLU, GELU or one of your own. What follows is the next activation module in the order of the model, norms and
    dropout in between; a layer before which another layer comes first has none. Changes `model`.

    Args:
        model: its weights are started anew.
        bias_std: standard deviation of biases; 0 starts them at 0.

    Returns:
        Names of the layers.
    """
    leaves = [(name, m) for name, m in model.named_modules() if not list(m.children()) or is_parametrized(m)]
    if behind := [name for name, m in leaves if isinstance(m, _WEIGHTED) and is_parametrized(m, "weight")]:
        raise ConfigError(
            f"kaiming_init: the weights of {', '.join(behind)} are made by a parametrisation (weight_norm, ...)."
            " Call kaiming_init before it is put on."
        )
    started = []
    for i, (name, layer) in enumerate(leaves):
        if isinstance(layer, _WEIGHTED):
            after = next((m for _, m in leaves[i + 1 :] if isinstance(m, (*_WEIGHTED, *_ACTIVATIONS))), None)
            init_default(layer, after if isinstance(after, _ACTIVATIONS) else None, bias_std=bias_std)
            started.append(name)
    return started


def lsuv_init(
    model: nn.Module,
    batch: Any,
    tolerance: float = 0.02,
    max_iterations: int = 10,
    orthogonal: bool = True,
) -> dict[str, float]:
    """Scale each layer's weights until its outputs for a batch have variance 1, from the first layer to the last.

    Layer-sequential unit variance (Mishkin and Matas, "All you need is a good init", 2016), for networks without norms
    or with activations that no formula knows. Layers are taken in the order in which they are called, in evaluation
    mode; biases stay. Changes `model`; modes stay as found.

    Args:
        model: convolutions and linear layers of it are scaled.
        batch: inputs, a tensor or a tuple.
        tolerance: largest distance of the standard deviation from 1.
        max_iterations: tries for each layer.
        orthogonal: start weights as orthogonal matrices, as in the paper, not from what they are.

    Returns:
        The standard deviation of each layer's outputs in the end.

    Raises:
        ConfigError: no layer is called, or one gives the same for everything.
    """
    inputs = batch if isinstance(batch, tuple) else (batch,)
    names: dict[nn.Module, str] = {m: name for name, m in model.named_modules() if isinstance(m, _WEIGHTED)}
    reached: dict[str, float] = {}
    with evaluating(model), torch.no_grad():
        called = _in_order_of_calls(model, inputs, names)
        for layer in called:
            if orthogonal and not is_parametrized(layer, "weight"):
                nn.init.orthogonal_(layer.weight)  # type: ignore[arg-type]  # a tensor
        for layer in called:
            reached[names[layer]] = _to_unit_variance(model, inputs, layer, names[layer], tolerance, max_iterations)
    return reached


def _in_order_of_calls(model: nn.Module, inputs: tuple[Any, ...], layers: Iterable[nn.Module]) -> list[nn.Module]:
    called: dict[nn.Module, None] = {}
    with Hooks(layers, lambda module, given, output: called.setdefault(module)):
        call_model(model, inputs)
    if not called:
        raise ConfigError(f"lsuv_init: {type(model).__name__} calls no convolution and no linear layer.")
    return list(called)


def _to_unit_variance(
    model: nn.Module, inputs: tuple[Any, ...], layer: nn.Module, name: str, tolerance: float, max_iterations: int
) -> float:
    spread = 0.0
    with Hook(layer, lambda module, given, output: next(tensors_in(output)).float().std()) as hook:
        for _ in range(max_iterations):
            call_model(model, inputs)
            spread = float(hook.stored)
            if not 0 < spread < float("inf"):
                raise ConfigError(
                    f"lsuv_init: the outputs of {name} have a standard deviation of {spread} for this batch; it cannot"
                    " be scaled to 1. Look at init_check(model, batch): what goes into the layer is dead or not finite."
                )
            if abs(spread - 1) <= tolerance:
                break
            if is_parametrized(layer, "weight"):
                layer.weight = layer.weight / spread  # type: ignore[operator, assignment]  # a tensor, through it
            else:
                layer.weight.div_(spread)  # type: ignore[operator]  # a tensor
        else:
            call_model(model, inputs)
            spread = float(hook.stored)
    return spread


def zero_last_norms(model: nn.Module, blocks: ResidualBlocks = None) -> list[str]:
    """Start the scale of the last norm in each residual branch at 0, so that each block begins as its shortcut.

    Goyal et al., "Accurate, Large Minibatch SGD", 2017. `XResNet` begins so already; torchvision's networks do not.
    Blocks whose branch ends with a convolution (pre-activation) have no such norm and are left. Changes `model`.

    Args:
        model: with residual blocks.
        blocks: which modules these are, see `ResidualBlocks`.

    Returns:
        Names of the norms.

    Raises:
        ConfigError: there is none.
    """
    started = []
    for name, block in _residual_blocks(model, blocks):
        branch = [(part, m) for part, m in _branch(block) if isinstance(m, (*_WEIGHTED, *_NORMS))]
        if branch and isinstance(branch[-1][1], _NORMS) and isinstance(branch[-1][1].weight, Tensor):
            nn.init.zeros_(branch[-1][1].weight)
            started.append(f"{name}.{branch[-1][0]}" if name else branch[-1][0])
    if not started:
        raise ConfigError(
            f"no residual block of {type(model).__name__} ends with a norm; say which are blocks: blocks="
        )
    return started


def fixup_init(model: nn.Module, blocks: ResidualBlocks = None) -> list[str]:
    """Start a residual network without norms so that it can be trained as one with them can.

    Zhang et al., "Fixup Initialization: Residual Learning Without Normalization", 2019: the last layer of each branch
    and the model's last layer start at 0, the other layers of a branch as `kaiming_init` starts them, times
    L^(-1/(2m-2)), with L branches of m layers. The paper's scalar multipliers and biases, which are parameters of their
    own, are not added: give the layers biases. Changes `model`.

    Args:
        model: with residual blocks.
        blocks: which modules these are, see `ResidualBlocks`.

    Returns:
        Names of the layers that start at 0.

    Raises:
        ConfigError: there are no blocks, or norms in them.
    """
    found = list(_residual_blocks(model, blocks))
    if not found:
        raise ConfigError(f"{type(model).__name__} has no residual blocks that can be told; say which are: blocks=")
    kaiming_init(model)
    zeroed = []
    for name, block in found:
        parts = list(_branch(block))
        if any(isinstance(m, _NORMS) for _, m in parts):
            raise ConfigError(f"the block {name} has norm layers; fixup_init is for networks without (zero_last_norms)")
        layers = [(f"{name}.{part}" if name else part, m) for part, m in parts if isinstance(m, _WEIGHTED)]
        scale = len(found) ** (-1 / (2 * len(layers) - 2)) if len(layers) > 1 else 1.0
        with torch.no_grad():
            for _, layer in layers[:-1]:
                layer.weight.mul_(scale)
        zeroed += layers[-1:]
    last = [(name, m) for name, m in model.named_modules() if isinstance(m, _WEIGHTED)][-1]
    for _, layer in [*zeroed, last]:
        nn.init.zeros_(layer.weight)
    return list(dict.fromkeys(name for name, _ in [*zeroed, last]))


def _residual_blocks(model: nn.Module, blocks: ResidualBlocks) -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        if isinstance(blocks, type):
            chosen = isinstance(module, blocks)
        elif blocks is not None:
            chosen = blocks(module)
        else:
            chosen = any(hasattr(module, shortcut) for shortcut in _SHORTCUTS)
        if chosen:
            yield name, module


def _branch(block: nn.Module) -> Sequence[tuple[str, nn.Module]]:
    """What is in a block beside its shortcut."""
    return [(name, m) for name, m in block.named_modules() if name and name.split(".")[0] not in _SHORTCUTS]
