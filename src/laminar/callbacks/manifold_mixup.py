"""Mixup of what is inside the network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from laminar.callbacks.blocks import Blocks, blocks_of, chosen_blocks
from laminar.callbacks.mixup import MixUp, along

__all__ = ["ManifoldMixUp"]


class ManifoldMixUp(MixUp):
    """Mixes items at a place in the network drawn for each batch: the inputs, or what goes into one of its blocks
    (Verma et al., "Manifold mixup: Better representations by interpolating hidden states", 2019).

    Shares and losses are those of `MixUp`. A block must be called once for a batch, with the items along the first
    axis of its first argument.

    Args:
        alpha: of the Beta(alpha, alpha) distribution of the shares.
        modules: chooses the blocks, from the model; by default all of its blocks.
        with_inputs: the inputs are one of the places.
    """

    def __init__(self, alpha: float = 0.4, modules: Blocks | None = None, with_inputs: bool = True) -> None:
        super().__init__(alpha)
        self.modules, self.with_inputs = modules, with_inputs
        self._places: list[nn.Module] = []
        self._hook: RemovableHandle | None = None

    def before_fit(self) -> None:
        """Find the blocks.

        Raises:
            ConfigError: there are none, or somebody else mixes.
        """
        super().before_fit()
        inner = blocks_of(self.model)[1:]  # what goes into the first one are the inputs
        self._places = chosen_blocks(self.model, self.modules, inner, "ManifoldMixUp")

    def mix(self, inputs: tuple[Any, ...], order: Tensor) -> tuple[tuple[Any, ...], Tensor]:
        """Draw the place; mix there when the batch arrives."""
        place = int(torch.randint(len(self._places) + self.with_inputs, ()))
        if place == len(self._places):
            return super().mix(inputs, order)
        shares = self.draw_shares(order)

        def mix_hidden(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if not self.training:  # a prediction in the middle of the batch
                return None
            hidden, *others = arguments
            return torch.lerp(hidden[order], hidden, along(shares, hidden)), *others

        self._hook = self._places[place].register_forward_pre_hook(mix_hidden)
        return inputs, shares

    def after_batch(self) -> None:
        """Leave the place."""
        self._unhook()

    def cleanup_fit(self) -> None:
        """Leave the place, and let go of the blocks."""
        super().cleanup_fit()
        self._unhook()
        self._places = []

    def _unhook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
