"""What the optimisers have in common that torch lacks: each subclass says what a step does to a list of weights."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from laminar.core.errors import ConfigError

__all__ = ["ForeachOptimizer", "Params", "adaptive_directions", "apply_decay", "rates_by_length"]

Params = Iterable[Any]


class ForeachOptimizer(Optimizer, ABC):
    """Base of optimisers that handle all weights of a group in a few calls (torch's ``_foreach`` functions).

    It keeps the counts of steps and the running averages, which begin as zeros; a subclass names its averages and
    defines `update`. Groups have torch's names (``betas``, ``momentum``, ``weight_decay``), so torch's schedulers and
    `laminar.optim.set_hyper` find them.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        wd: weight decay.
        decouple_wd: shrink the weights by ``lr * wd``; if False, add ``wd * weight`` to the gradient.
        entries: further hyper-parameters, with torch's names.

    Raises:
        ConfigError: a negative rate or decay, or a share (``betas``, ``momentum``) that is not from 0 to below 1.
    """

    averages: ClassVar[tuple[str, ...]] = ()
    """Names of the tensors kept for each weight."""

    def __init__(self, params: Params, lr: float, wd: float, decouple_wd: bool = True, **entries: Any) -> None:
        name = type(self).__name__
        for title, number in (("lr", lr), ("wd", wd), ("eps", entries.get("eps", 0.0))):
            if not 0 <= number < math.inf:
                raise ConfigError(f"{name}: {title} must be a number, 0 or more, got {number!r}.")
        for share in (*entries.get("betas", ()), entries.get("momentum", 0.0)):
            if not 0 <= share < 1:
                raise ConfigError(f"{name}: a moving average keeps a share from 0 to below 1, got {share!r}.")
        super().__init__(params, {"lr": lr, "weight_decay": wd, "decouple_wd": decouple_wd, **entries})

    @abstractmethod
    def update(
        self,
        group: dict[str, Any],
        weights: list[Tensor],
        grads: list[Tensor],
        steps: list[int],
        averages: list[list[Tensor]],
    ) -> None:
        """Change `weights`, and the averages, in place.

        Args:
            group: the hyper-parameters.
            weights: tensors of one device and one dtype.
            grads: their gradients, not to be changed.
            steps: for each weight, the number of this step, counted from 1.
            averages: for each name in ``averages``, one tensor for each weight.
        """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step.

        Args:
            closure: computes the loss again, with gradients.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weights in _alike(group["params"]):
                states = [self._advanced(weight) for weight in weights]
                averages = [[state[name] for state in states] for name in self.averages]
                steps = [state["step"] for state in states]
                self.update(group, weights, [_dense_gradient(self, weight) for weight in weights], steps, averages)
        return loss

    def _advanced(self, weight: Tensor) -> dict[str, Any]:
        """The state of a weight, one step further."""
        state: dict[str, Any] = self.state[weight]
        if not state:
            state["step"] = 0
            state.update((name, torch.zeros_like(weight)) for name in self.averages)
        state["step"] += 1
        return state


def _alike(params: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """The weights that have gradients, in lists of one device and dtype each."""
    lists: dict[Any, list[Tensor]] = {}
    for weight in params:
        if weight.grad is not None:
            lists.setdefault((weight.device, weight.dtype), []).append(weight)
    yield from lists.values()


def _dense_gradient(optimizer: Optimizer, weight: Tensor) -> Tensor:
    gradient = weight.grad
    assert gradient is not None
    if gradient.is_sparse or gradient.is_complex():
        kind = "sparse" if gradient.is_sparse else "complex"
        raise ConfigError(
            f"{type(optimizer).__name__} does not take {kind} gradients, as a weight of shape {tuple(weight.shape)} has"
            " one. Use Adam or SGD, or make the layer without sparse=True."
        )
    return gradient


def apply_decay(group: dict[str, Any], weights: list[Tensor], grads: list[Tensor]) -> list[Tensor]:
    """Apply a group's weight decay: shrink the weights in place, or add to the gradients; returns the gradients."""
    decay = group["weight_decay"]
    if not decay:
        return grads
    if group["decouple_wd"]:
        torch._foreach_mul_(weights, 1 - group["lr"] * decay)
        return grads
    return list(torch._foreach_add(grads, weights, alpha=decay))


def adaptive_directions(
    grads: list[Tensor],
    averages: list[list[Tensor]],
    betas: tuple[float, float],
    steps: list[int],
) -> tuple[list[Tensor], list[Tensor]]:
    """Move the averages of gradients and of their squares on, in place, and take their bias off (Kingma and Ba, "Adam:
    A method for stochastic optimization", 2015).

    Args:
        grads: gradients.
        averages: their moving averages, and the moving averages of their squares.
        betas: shares of the old averages that are kept.
        steps: for each weight, how many steps were taken, this one included.

    Returns:
        New tensors: the averages without bias, and the roots of the squares' averages without bias.
    """
    means, squares = averages
    torch._foreach_lerp_(means, grads, 1 - betas[0])
    torch._foreach_mul_(squares, betas[1])
    torch._foreach_addcmul_(squares, grads, grads, 1 - betas[1])
    unbiased = torch._foreach_div(means, [1 - betas[0] ** step for step in steps])
    roots = torch._foreach_sqrt(squares)
    torch._foreach_div_(roots, [math.sqrt(1 - betas[1] ** step) for step in steps])
    return list(unbiased), list(roots)


def _lengths(tensors: list[Tensor]) -> Tensor:
    """The length (L2 norm) of each tensor, ``[tensors]``, in float32 at least."""
    dtype = torch.promote_types(tensors[0].dtype, torch.float32)
    return torch.stack(torch._foreach_norm(tensors, 2, dtype=dtype))


def rates_by_length(
    weights: list[Tensor], others: list[Tensor], rate: Callable[[Tensor, Tensor], Tensor], fallback: float
) -> list[Tensor]:
    """A learning rate for each weight from its length and that of another tensor, without waiting for the device.

    Args:
        weights: the weights.
        others: as many gradients or directions.
        rate: computes the rates from all lengths: of the weights and of the others, ``[weights]`` each.
        fallback: the rate where one of the two has no length: a weight that begins as zeros must be able to move.

    Returns:
        One tensor of no dimensions for each weight.
    """
    own, other = _lengths(weights), _lengths(others)
    rates = torch.where((own > 0) & (other > 0), rate(own, other), fallback)
    return list(rates.unbind())
