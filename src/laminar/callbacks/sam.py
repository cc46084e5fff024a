"""Sharpness-aware minimisation: gradients from where the loss is worst nearby."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.callbacks.batch_norms import held_statistics
from laminar.core.errors import ConfigError
from laminar.nn.calling import call_model

__all__ = ["SAM"]


class SAM(Callback):
    """Steps by the gradient at the worst point close by, not at the weights themselves, which finds flat minima (Foret
    et al., "Sharpness-aware minimization for efficiently improving generalization", 2021).

    Each batch goes through the model twice, and callbacks are asked about the second prediction and loss too
    (``after_pred``, ``after_loss``); what is reported is the first. Batch norms count the batch once. With
    accumulation, each batch looks for its own worst point.

    Args:
        rho: how far away to look: the norm of the move.
        adaptive: measure distances in proportion to each weight (Kwon et al., "ASAM", 2021); takes a rho about ten
            times as large.

    Raises:
        ConfigError: rho is not above 0.
    """

    order = 90  # just before the backward pass, after all that change the loss
    run_valid = False
    passes = ("fit",)

    def __init__(self, rho: float = 0.05, adaptive: bool = False) -> None:
        if not rho > 0:
            raise ConfigError(f"SAM(rho={rho}): the distance must be above 0.")
        self.rho, self.adaptive = rho, adaptive
        self._parameters: list[Tensor] = []
        self._weights: list[Tensor] = []
        self._first: tuple[Any, Any] | None = None

    def before_backward(self) -> None:
        """Go to the worst point nearby, and compute the loss there."""
        learn = self.learn
        trained = [p for group in self.opt.param_groups for p in group["params"] if p.requires_grad]
        found = torch.autograd.grad(learn.scaler.scale(self.loss_grad), trained, allow_unused=True)
        pairs = [(p, gradient) for p, gradient in zip(trained, found, strict=True) if gradient is not None]
        self._parameters = [p for p, _ in pairs]
        self._weights = [p.detach().clone() for p in self._parameters]
        self._first = (self.pred, self.loss)
        with torch.no_grad():
            moves = ascent([p.detach() for p in self._parameters], [g for _, g in pairs], self.rho, self.adaptive)
            torch._foreach_add_(self._parameters, moves)
        with held_statistics(self.model), learn.autocast():
            learn.pred = call_model(self.model, self.xb)
            learn.fire.after_pred()
            learn.loss_grad = learn.loss = None
            if self.yb:
                learn.loss_grad = learn.loss_func(learn.pred, *self.yb)
                learn.loss = learn.loss_grad.detach()
            learn.fire.after_loss()

    def after_backward(self) -> None:
        """Come back, with the gradient from there."""
        if self._first is not None:
            self._come_back()
            self.learn.pred, self.learn.loss = self._first
            self._first = None

    def cleanup_fit(self) -> None:
        """Come back, if an exception ended the fit over there."""
        self._come_back()
        self._first = None

    def _come_back(self) -> None:
        if self._parameters:
            with torch.no_grad():
                torch._foreach_copy_(self._parameters, self._weights)
        self._parameters, self._weights = [], []


def ascent(weights: list[Tensor], gradients: list[Tensor], rho: float, adaptive: bool = False) -> list[Tensor]:
    """The move of norm `rho` along which the loss rises most.

    Args:
        weights: a list of tensors.
        gradients: of the loss, as many; their scale does not matter.
        rho: the norm of the move.
        adaptive: the norm of the move divided by the weights, element by element.

    Returns:
        What is to be added to the weights.
    """
    if not gradients:
        return []
    sizes = torch._foreach_abs(weights)
    steered = torch._foreach_mul(gradients, sizes) if adaptive else gradients
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(steered)))
    moves = torch._foreach_mul(steered, rho / (norm + 1e-12))
    return list(torch._foreach_mul(moves, sizes) if adaptive else moves)
