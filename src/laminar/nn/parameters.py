"""Choosing parameters of a network, starting them, and modules without ceremony."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

__all__ = [
    "Module",
    "apply_init",
    "apply_leaf",
    "cond_init",
    "get_model",
    "has_params",
    "one_param",
    "params",
    "requires_grad",
]

_NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.InstanceNorm1d, nn.InstanceNorm2d,
    nn.InstanceNorm3d, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm,
)  # fmt: skip


class Module(nn.Module):
    """An `nn.Module` whose subclasses need not call ``super().__init__()``.

    >>> class Twice(Module):
    ...     def __init__(self): self.layer = nn.Linear(1, 1)
    ...     def forward(self, x): return self.layer(x) * 2
    >>> len(list(Twice().parameters()))
    2
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Module:
        module = super().__new__(cls)
        nn.Module.__init__(module)
        return module

    def __init__(self) -> None:
        """Nothing is left to do; called again, it must not forget what a subclass has set."""


def params(m: nn.Module) -> list[nn.Parameter]:
    """All parameters of `m`."""
    return list(m.parameters())


def one_param(m: nn.Module) -> nn.Parameter:
    """The first parameter of `m`, to ask for device or dtype.

    Raises:
        StopIteration: there is none.
    """
    return next(m.parameters())


def has_params(m: nn.Module) -> bool:
    """Whether `m` has any parameter."""
    return next(m.parameters(), None) is not None


def requires_grad(m: nn.Module) -> bool:
    """Whether the first parameter of `m` is trained; False if there is none."""
    first = next(m.parameters(), None)
    return first is not None and first.requires_grad


def get_model(model: nn.Module) -> nn.Module:
    """The model inside a `DataParallel` or `DistributedDataParallel`; any other model itself."""
    wrapped = isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel)
    return model.module if wrapped else model  # type: ignore[return-value]  # what they wrap is a module


def apply_leaf(m: nn.Module, f: Callable[[nn.Module], object]) -> None:
    """Call `f` on `m` and on every module inside it."""
    m.apply(f)  # type: ignore[arg-type]  # what f returns is not looked at


def cond_init(m: nn.Module, func: Callable[[Tensor], object]) -> None:
    """Start weights of a layer by `func` and its bias at 0; normalisation layers stay as they are (changes `m`).

    Weights of fewer than two dimensions, which functions such as `kaiming_normal_` cannot start, stay too.
    """
    if isinstance(m, _NORMS):
        return
    weight, bias = getattr(m, "weight", None), getattr(m, "bias", None)
    if isinstance(weight, nn.Parameter) and weight.requires_grad and weight.ndim > 1:
        func(weight)
    if isinstance(bias, nn.Parameter):
        nn.init.zeros_(bias)


def apply_init(m: nn.Module, func: Callable[[Tensor], object] = nn.init.kaiming_normal_) -> None:
    """Start all layers of `m` but those that normalise: weights by `func`, biases at 0 (changes `m`)."""
    apply_leaf(m, lambda layer: cond_init(layer, func))
