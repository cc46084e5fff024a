"""Activation checkpointing: less memory for a second forward pass."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from laminar.callbacks.base import Callback
from laminar.callbacks.batch_norms import held_statistics
from laminar.callbacks.blocks import Blocks, blocks_of, chosen_blocks
from laminar.callbacks.compile import CompileModel
from laminar.core.errors import ConfigError
from laminar.optim.groups import bn_types

__all__ = ["ActivationCheckpointing"]


class ActivationCheckpointing(Callback):
    """Forgets what blocks compute inside on the way forward, and computes it again for the backward pass (Chen et al.,
    "Training deep nets with sublinear memory cost", 2016): larger models or batches for about a third more time.

    Results are the same: random draws are repeated, and batch norms count a batch once.

    Args:
        modules: chooses the blocks, from the model; by default all of its blocks that have layers inside.

    """

    order = 4  # before the model is compiled
    passes = ("fit", "lr_find")

    def __init__(self, modules: Blocks | None = None) -> None:
        self.modules = modules
        self._changed: list[nn.Module] = []

    def before_fit(self) -> None:
        """Wrap the blocks.

        Raises:
            ConfigError: there are none, or some cannot be compiled.
        """
        composed = [block for block in blocks_of(self.model) if list(block.children())]
        blocks = chosen_blocks(self.model, self.modules, composed, "ActivationCheckpointing")
        if self.learn.get_cb(CompileModel) is not None and any(_has_batch_norms(block) for block in blocks):
            raise ConfigError(
                "ActivationCheckpointing of blocks with batch norms and CompileModel exclude each other: the compiler"
                " cannot keep the norms from counting a batch twice. Leave one of them out, or choose blocks without."
            )
        for block in blocks:
            block.forward = computed_twice(block)
            self._changed.append(block)

    def cleanup_fit(self) -> None:
        """Give the blocks their own ``forward`` back."""
        for block in self._changed:
            del block.forward  # what the class defines comes to light again
        self._changed = []


def computed_twice(block: nn.Module) -> Callable[..., Any]:
    """The ``forward`` of `block`, which keeps its inputs and outputs alone for the backward pass."""
    once = block.forward
    counts = _has_batch_norms(block)

    @functools.wraps(once)
    def forward(*inputs: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled():
            return once(*inputs, **options)
        if not counts:  # as the compiler understands it
            return checkpoint(once, *inputs, use_reentrant=False, **options)
        return checkpoint(
            once, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), held_statistics(block)), **options
        )

    return forward


def _has_batch_norms(block: nn.Module) -> bool:
    return any(isinstance(module, bn_types) for module in block.modules())
