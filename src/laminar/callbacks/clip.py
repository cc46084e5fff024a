"""Gradient clipping."""

from __future__ import annotations

from torch import nn

from laminar.callbacks.base import Callback

__all__ = ["GradientClip"]


class GradientClip(Callback):
    """Scales all gradients down together when their norm is above a limit (Pascanu et al., "On the difficulty of
    training recurrent neural networks", 2013). With float16, the norm is that of the true gradients.

    Args:
        max_norm: the largest norm allowed.
        norm_type: 2 for the Euclidean norm, ``float('inf')`` for the largest element.
    """

    order = 11
    run_valid = False

    def __init__(self, max_norm: float = 1.0, norm_type: float = 2.0) -> None:
        self.max_norm, self.norm_type = max_norm, norm_type

    def before_step(self) -> None:
        """Clip."""
        parameters = [p for group in self.opt.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, self.max_norm, self.norm_type)
