"""Gradient clipping: by the norm of all, by element, or in proportion to the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError

__all__ = ["AdaptiveGradientClip", "GradientClip", "GradientValueClip"]


class _Clip(Callback):
    """Base of callbacks that limit gradients just before the step."""

    order = 11
    run_valid = False

    def parameters(self) -> list[nn.Parameter]:
        """The parameters of the optimiser that have a gradient."""
        return [p for group in self.opt.param_groups for p in group["params"] if p.grad is not None]


class GradientClip(_Clip):
    """Scales all gradients down together when their norm is above a limit (Pascanu et al., "On the difficulty of
    training recurrent neural networks", 2013). With float16, the norm is that of the true gradients.

    Args:
        max_norm: the largest norm allowed.
        norm_type: 2 for the Euclidean norm, ``float('inf')`` for the largest element.
    """

    def __init__(self, max_norm: float = 1.0, norm_type: float = 2.0) -> None:
        self.max_norm, self.norm_type = max_norm, norm_type

    def before_step(self) -> None:
        """Clip."""
        nn.utils.clip_grad_norm_(self.parameters(), self.max_norm, self.norm_type)


class GradientValueClip(_Clip):
    """Limits every element of the gradients.

    Args:
        max_value: the largest absolute value allowed.

    Raises:
        ConfigError: the limit is not above 0.
    """

    def __init__(self, max_value: float = 1.0) -> None:
        if not max_value > 0:
            raise ConfigError(f"GradientValueClip(max_value={max_value}): the limit must be above 0.")
        self.max_value = max_value

    def before_step(self) -> None:
        """Clip."""
        nn.utils.clip_grad_value_(self.parameters(), self.max_value)


class AdaptiveGradientClip(_Clip):
    """Scales the gradient of each unit down when it is large beside the unit's weights (Brock et al.,
    "High-performance large-scale image recognition without normalization", 2021).

    A unit is what makes one output: a row of a matrix, a kernel; biases and gains are one unit together.

    Args:
        clipping: the largest norm of a unit's gradient, as a share of the norm of its weights.
        eps: weights of a smaller norm count as that much, so that those that begin at zero can grow.
        with_head: clip the parameters of the last layer group too, where there are several; the paper leaves the
            last layer out.

    Raises:
        ConfigError: the share is not above 0.
    """

    def __init__(self, clipping: float = 0.01, eps: float = 1e-3, with_head: bool = True) -> None:
        if not clipping > 0:
            raise ConfigError(f"AdaptiveGradientClip(clipping={clipping}): the share must be above 0.")
        self.clipping, self.eps, self.with_head = clipping, eps, with_head

    def before_step(self) -> None:
        """Clip."""
        groups = [group.get("layer_group", number) for number, group in enumerate(self.opt.param_groups)]
        spared = max(groups) if not self.with_head and len(set(groups)) > 1 else None
        for number, group in zip(groups, self.opt.param_groups, strict=True):
            for parameter in group["params"] if number != spared else ():
                if parameter.grad is not None:
                    clip_by_unit(parameter.detach(), parameter.grad, self.clipping, self.eps)


def clip_by_unit(weights: Tensor, gradient: Tensor, clipping: float, eps: float = 1e-3) -> None:
    """Scale `gradient` down, in place, where a unit's is longer than `clipping` times its weights.

    Args:
        weights: ``[units, ...]``, or ``[n]``, which is one unit.
        gradient: same shape.
        clipping: share of the weights' norm.
        eps: the least norm weights count as.
    """
    axes = tuple(range(1, weights.ndim)) if weights.ndim > 1 else None
    limits = torch.linalg.vector_norm(weights, dim=axes, keepdim=True).clamp(min=eps) * clipping
    norms = torch.linalg.vector_norm(gradient, dim=axes, keepdim=True)
    gradient.mul_((limits / norms.clamp(min=1e-12)).clamp(max=1.0))
