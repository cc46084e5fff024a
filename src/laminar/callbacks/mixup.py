"""Mixing the pictures (or other inputs) of a batch with each other: mixup and CutMix, for any loss."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.callbacks.model_output import refuse_own_loss
from laminar.core.device import apply, tensors_in
from laminar.core.errors import ConfigError, describe
from laminar.nn.item_losses import gives_item_losses, mean_weights, reduced, unreduced

__all__ = ["CutMix", "MixHandler", "MixUp"]


class MixHandler(Callback):
    """Base of callbacks that mix each item of a training batch with another one; subclasses write `mix`.

    Targets that are quantities are mixed too. With classes, the loss is that mixture of the losses against both; the
    loss function is only asked, never replaced.

    Args:
        alpha: of the Beta(alpha, alpha) distribution of the shares; small values mix little.

    Raises:
        ConfigError: alpha is not above 0.
    """

    order = -10  # before accumulation, which weighs the loss
    run_valid = False

    def __init__(self, alpha: float = 0.5) -> None:
        if not alpha > 0:
            raise ConfigError(f"{type(self).__name__}(alpha={alpha}): alpha must be above 0.")
        self.alpha = alpha
        self._beta = torch.distributions.Beta(alpha, alpha)  # making one costs more than all it draws for a batch
        self._shares, self._order = torch.ones(1), torch.zeros(1, dtype=torch.int64)
        self._others: tuple[Any, ...] | None = None

    def before_fit(self) -> None:
        """Check that nobody else mixes.

        Raises:
            ConfigError: somebody does.
        """
        others = [cb for cb in self.learn.cbs if isinstance(cb, MixHandler) and cb is not self and cb.run]
        if others:
            raise ConfigError(
                f"{type(self).__name__} and {type(others[0]).__name__} exclude each other: a batch is mixed once. Take"
                " one of them, or one for each fit."
            )

    def mix(self, inputs: tuple[Any, ...], order: Tensor) -> tuple[tuple[Any, ...], Tensor]:
        """Mix the inputs with themselves in another order.

        Args:
            inputs: of a batch of n items.
            order: which item each is mixed with, ``[n]``.

        Returns:
            New inputs, and the share of an item's own in the result: float32 ``[1]`` for all or ``[n]``.
        """
        raise NotImplementedError

    def before_batch(self) -> None:
        """Mix inputs, and targets that are quantities.

        Raises:
            ConfigError: there is no target, nothing to mix, or the model makes its own loss, of its own targets.
        """
        if not self.yb:
            raise ConfigError(f"{type(self).__name__} needs batches with a target; this one has inputs alone.")
        self._others = None
        order = self._order = torch.randperm(len(self.yb[0]), device=self.yb[0].device)
        self.learn.xb, self._shares = self.mix(self.xb, order)
        others = tuple(target[order] for target in self.yb)
        if all(target.is_floating_point() for target in self.yb):
            pairs = zip(others, self.yb, strict=True)
            self.learn.yb = tuple(torch.lerp(other, own, along(self._shares, own)) for other, own in pairs)
        else:
            refuse_own_loss(self.learn, self)
            self._others = others

    def after_loss(self) -> None:
        """Mix the losses against both classes."""
        if self._others is None or self.learn.loss_grad is None:
            return
        loss_func, shares = self.learn.loss_func, self._shares
        if len(shares) == 1:
            mixed = torch.lerp(loss_func(self.pred, *self._others), self.loss_grad, shares.to(self.loss_grad)[0])
        else:
            own, other = (unreduced(loss_func, self.pred, *targets) for targets in (self.yb, self._others))
            shares, weights = shares.to(own), mean_weights(loss_func, *self.yb)
            if weights is not None:
                weights = torch.lerp(weights[self._order], weights, shares)
            mixed = reduced(loss_func, torch.lerp(other, own, shares), weights)
        self.learn.loss_grad, self.learn.loss = mixed, mixed.detach()

    def cleanup_fit(self) -> None:
        """Let go of the last batch."""
        self._others = None


class MixUp(MixHandler):
    """Mixes each item with another one, by a share of its own (Zhang et al., "mixup: Beyond empirical risk
    minimization", 2018).

    The shares are at least one half, so that no two items of a batch become the same. A loss that cannot be asked for
    single items gets one share for the whole batch.

    Args:
        alpha: of the Beta(alpha, alpha) distribution of the shares; small values mix little.
    """

    def __init__(self, alpha: float = 0.4) -> None:
        super().__init__(alpha)

    def mix(self, inputs: tuple[Any, ...], order: Tensor) -> tuple[tuple[Any, ...], Tensor]:
        """Blend every input of floating point numbers."""
        shares = self.draw_shares(order)
        if not any(tensor.is_floating_point() for tensor in tensors_in(inputs)):
            raise ConfigError(f"MixUp mixes inputs of floating point numbers, this batch has {describe(inputs)}.")

        def blend(part: Any) -> Any:
            blends = isinstance(part, Tensor) and part.is_floating_point()
            return torch.lerp(part[order], part, along(shares, part)) if blends else part

        return tuple(apply(blend, part) for part in inputs), shares

    def draw_shares(self, order: Tensor) -> Tensor:
        """Shares for a batch: ``[n]``, or ``[1]`` where the loss cannot be asked for single items."""
        classes = any(not target.is_floating_point() for target in self.yb)
        single = not classes or gives_item_losses(self.learn.loss_func)
        share = self._beta.sample((len(order) if single else 1,))
        return torch.maximum(share, 1 - share).to(order.device)


class CutMix(MixHandler):
    """Puts a rectangle of another picture into each, the same place for a whole batch (Yun et al., "CutMix:
    Regularization strategy to train strong classifiers with localizable features", 2019).

    Args:
        alpha: of the Beta(alpha, alpha) distribution of the share of the area that stays.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha)

    def mix(self, inputs: tuple[Any, ...], order: Tensor) -> tuple[tuple[Any, ...], Tensor]:
        """Cut and paste in every input ``[n, channels, height, width]``."""
        pictures = [tensor for tensor in tensors_in(inputs) if tensor.ndim == 4]
        if not pictures:
            raise ConfigError(f"CutMix needs pictures [batch, channels, height, width], got {describe(inputs)}.")
        share = self._beta.sample().item()
        y, x = torch.rand(2).tolist()
        top, bottom = _span(pictures[0].shape[-2], math.sqrt(1 - share), y)
        left, right = _span(pictures[0].shape[-1], math.sqrt(1 - share), x)
        area = pictures[0].shape[-2] * pictures[0].shape[-1]
        if any(picture.shape[-2:] != pictures[0].shape[-2:] for picture in pictures):
            raise ConfigError(f"CutMix needs pictures of one size, got {describe(inputs)}.")

        def paste(part: Any) -> Any:
            if not isinstance(part, Tensor) or part.ndim != 4:
                return part
            mixed = part.clone()
            mixed[..., top:bottom, left:right] = part[order, ..., top:bottom, left:right]
            return mixed

        return tuple(apply(paste, part) for part in inputs), torch.tensor([1 - (bottom - top) * (right - left) / area])


def along(shares: Tensor, like: Tensor) -> Tensor:
    """Shares ``[1]`` or ``[n]`` of the type of `like` ``[n, ...]``, to be multiplied with it."""
    return shares.to(like).view(-1, *[1] * (like.ndim - 1))


def _span(length: int, share: float, place: float) -> tuple[int, int]:
    """Where a part of about `share` of a side begins and ends; its middle may lie anywhere."""
    half, middle = round(length * share) // 2, int(place * length)
    return max(0, middle - half), min(length, middle + half)
