"""What a part of a network gives, found by passing the shape of a picture through it; nothing is computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from laminar.nn.calling import evaluating

__all__ = ["channels_in", "on_meta"]


def on_meta(module: nn.Module, *inputs: Tensor) -> Any:
    """Call `module` in evaluation mode with copies of its weights that have shapes only.

    Args:
        module: not changed.
        *inputs: on the device ``meta``.
    """
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    shapes = {name: torch.empty_like(value, device="meta") for name, value in tensors.items()}
    with evaluating(module), torch.no_grad():
        return torch.func.functional_call(module, shapes, inputs)


def channels_in(module: nn.Module) -> int:
    """How many channels the first convolution takes; 3 where there is none."""
    return next((part.in_channels for part in module.modules() if isinstance(part, nn.Conv2d)), 3)
