"""Where in a network features still lie over the picture: channels first, channels last, or tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError, suggest
from laminar.nn.calling import call_model, evaluating
from laminar.nn.hooks import Hooks

__all__ = ["Features", "features_over", "grid_of", "named_layer"]

_MOST_PREFIX_TOKENS = 8  # a class token, perhaps one of distillation, and registers
_LEAST_SHRINKING = 1.5  # what is hardly smaller than the picture is no map of features


@dataclass(frozen=True)
class Grid:
    """How features lie over a picture.

    Attributes:
        height: rows.
        width: columns.
        order: ``'channels first'``, ``'channels last'`` or ``'tokens'``.
        prefix: tokens before those of the picture.
    """

    height: int
    width: int
    order: str
    prefix: int = 0

    def spread(self, features: Tensor) -> Tensor:
        """Features, or gradients of them, as ``[batch, channels, height, width]``."""
        if self.order == "channels first":
            return features
        if self.order == "channels last":
            return features.permute(0, 3, 1, 2)
        tokens = features[:, self.prefix :].transpose(1, 2)
        return tokens.reshape(*tokens.shape[:2], self.height, self.width)


@dataclass(frozen=True)
class Features:
    """What a layer gave for a batch of pictures.

    Attributes:
        name: of the layer in its network.
        layer: the layer.
        values: what it gave, in the graph of the outputs.
        grid: how that lies over the pictures.
    """

    name: str
    layer: nn.Module
    values: Tensor
    grid: Grid


def grid_of(shape: Sequence[int], picture: tuple[int, int]) -> Grid | None:
    """How features of this shape lie over pictures; None if they do not.

    Args:
        shape: of a layer's output, batch first.
        picture: height and width.

    >>> grid_of((2, 512, 7, 7), (224, 224))
    Grid(height=7, width=7, order='channels first', prefix=0)
    >>> grid_of((2, 197, 384), (224, 224))
    Grid(height=14, width=14, order='tokens', prefix=1)
    """
    height, width = picture

    def fits(rows: int, columns: int) -> bool:
        similar = abs(rows * width - columns * height) <= max(height, width)
        return similar and rows > 1 and columns > 1 and height >= _LEAST_SHRINKING * rows

    if len(shape) == 4:
        if fits(shape[2], shape[3]):
            return Grid(shape[2], shape[3], "channels first")
        return Grid(shape[1], shape[2], "channels last") if fits(shape[1], shape[2]) else None
    if len(shape) == 3:
        for prefix in range(min(_MOST_PREFIX_TOKENS + 1, shape[1])):
            count = shape[1] - prefix
            rows = max(1, round((count * height / width) ** 0.5))
            columns = count // rows
            if count == rows * columns and fits(rows, columns) and abs(height / rows - width / columns) < 1:
                return Grid(rows, columns, "tokens", prefix)  # of square patches
    return None


def features_over(model: nn.Module, pictures: Tensor, layers: dict[str, nn.Module]) -> tuple[Any, list[Features]]:
    """The outputs of a network in evaluation mode, and what layers gave that lies over the pictures, in order of calls.

    All is in one graph, also where the network is frozen.

    Args:
        model: left as it was.
        pictures: ``[batch, channels, height, width]``, floating point.
        layers: name to layer: which to look at.
    """
    names = {layer: name for name, layer in layers.items()}
    found: list[Features] = []
    size = (pictures.shape[2], pictures.shape[3])

    def look(layer: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point() and len(output) == len(pictures):
            grid = grid_of(output.shape, size)
            if grid is not None:
                found.append(Features(names[layer], layer, output, grid))

    # what is compiled takes no notice of hooks that come later
    with evaluating(model), torch.compiler.set_stance("force_eager"), Hooks(names, look, detach=False):
        outputs = call_model(model, (pictures.detach().requires_grad_().clone(),))
    return outputs, found


def named_layer(model: nn.Module, layer: str | nn.Module) -> dict[str, nn.Module]:
    """A layer of a network, by name or as it is, under its name.

    Raises:
        ConfigError: the network has no such layer.
    """
    names = dict(model.named_modules())
    if isinstance(layer, str):
        if layer not in names:
            raise ConfigError(f"{type(model).__name__} has no layer {layer!r}.{suggest(layer, names)}")
        return {layer: names[layer]}
    for name, part in names.items():
        if part is layer:
            return {name: part}
    raise ConfigError(f"this {type(layer).__name__} is no layer of the model, a {type(model).__name__}")
