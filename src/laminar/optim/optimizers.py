"""Optimisers under the names and with the defaults fastai's users know; each one is torch's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.optim import Optimizer

from laminar.core.errors import ConfigError, check_keywords

__all__ = ["SGD", "Adam", "DecoupledSGD", "DecoupledRMSprop", "OptimWrapper", "RMSProp"]

Params = Iterable[Any]

# Where torch has fused kernels for SGD, Adam and AdamW.
_FUSED_DEVICES = {"cpu", "cuda", "mps", "xpu"}


def Adam(
    params: Params,
    lr: float,
    mom: float = 0.9,
    sqr_mom: float = 0.99,
    eps: float = 1e-5,
    wd: float = 0.01,
    decouple_wd: bool = True,
) -> Optimizer:
    """Make torch's AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019), fused where it can be.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: decay of the gradient's moving average (beta1).
        sqr_mom: decay of the squared gradient's moving average (beta2); 0.99, where torch's default is 0.999.
        eps: added to the denominator; 1e-5, where torch's default is 1e-8.
        wd: weight decay.
        decouple_wd: shrink the weights by ``lr * wd``; if False, add ``wd * weight`` to the gradient (plain Adam).
    """
    kind: Callable[..., Optimizer] = torch.optim.AdamW if decouple_wd else torch.optim.Adam
    params, fused = _fusible(params)
    return kind(params, lr=lr, betas=(mom, sqr_mom), eps=eps, weight_decay=wd, fused=fused)


def SGD(params: Params, lr: float, mom: float = 0.0, wd: float = 0.0, decouple_wd: bool = True) -> Optimizer:
    """Make torch's SGD, fused where it can be: not with momentum.

    When the very first step is skipped because gradients are infinite, torch's fused kernel (2.15) leaves the momentum
    it has just allocated uninitialised, and the next step adds that to the weights.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: momentum.
        wd: weight decay.
        decouple_wd: shrink the weights by ``lr * wd`` (see `DecoupledSGD`); if False, add ``wd * weight`` to the
            gradient. Without momentum, the two are the same.
    """
    if mom and decouple_wd:
        return DecoupledSGD(params, lr, mom, wd)
    if mom:
        return torch.optim.SGD(params, lr, mom, weight_decay=wd, foreach=True)
    params, fused = _fusible(params)
    return torch.optim.SGD(params, lr, weight_decay=wd, fused=fused)


def RMSProp(
    params: Params,
    lr: float,
    mom: float = 0.0,
    sqr_mom: float = 0.99,
    eps: float = 1e-8,
    wd: float = 0.0,
    decouple_wd: bool = True,
) -> Optimizer:
    """Make torch's RMSprop (Hinton, "Lecture 6e", 2012).

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: momentum.
        sqr_mom: decay of the squared gradient's moving average.
        eps: added to the denominator.
        wd: weight decay.
        decouple_wd: shrink the weights by ``lr * wd``; if False, add ``wd * weight`` to the gradient.
    """
    if decouple_wd:
        return DecoupledRMSprop(params, lr, mom, sqr_mom, eps, wd)
    return torch.optim.RMSprop(params, lr, sqr_mom, eps, weight_decay=wd, momentum=mom, foreach=True)


def _fusible(params: Params) -> tuple[list[Any], bool]:
    """The parameters as a list, and whether torch's fused kernels take all of them."""
    given = list(params)
    tensors = [t for entry in given for t in (entry["params"] if isinstance(entry, dict) else [entry])]
    fused = all(t.device.type in _FUSED_DEVICES and t.is_floating_point() for t in tensors)
    return given, fused and bool(tensors)


def _shrink(optimizer: Optimizer) -> None:
    """Multiply every weight that has a gradient by ``1 - lr * decay`` of its group; not in a step that will be skipped.

    A gradient scaler lets a fused optimiser find out for itself, on the device, whether gradients are infinite.
    """
    infinite = getattr(optimizer, "found_inf", None)
    with torch.no_grad():
        for group in optimizer.param_groups:
            if group["decoupled_decay"]:
                weights = [p for p in group["params"] if p.grad is not None]
                rate = group["lr"] * group["decoupled_decay"]
                if weights:
                    torch._foreach_mul_(weights, 1 - (rate if infinite is None else rate * (1 - infinite)))


def _with_gradients(closure: Callable[[], Any] | None) -> Any:
    """What `closure` returns, if there is one, computed with gradients."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


class DecoupledSGD(torch.optim.SGD):
    """SGD with momentum whose weight decay does not pass through the momentum (SGDW; Loshchilov and Hutter, 2019).

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        momentum: share of the last update that is kept.
        weight_decay: weights shrink by ``lr * weight_decay`` each step; groups keep it as ``"decoupled_decay"``.
    """

    def __init__(self, params: Params, lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(_with_decay(params, weight_decay), lr=lr, momentum=momentum, foreach=True)

    def step(self, closure: Any = None) -> Any:
        """Shrink the weights, then take torch's step."""
        loss = _with_gradients(closure)
        _shrink(self)
        super().step()
        return loss


class DecoupledRMSprop(torch.optim.RMSprop):
    """RMSprop whose weight decay is not divided by the gradient's size.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        momentum: share of the last update that is kept.
        alpha: decay of the squared gradient's moving average.
        eps: added to the denominator.
        weight_decay: weights shrink by ``lr * weight_decay`` each step; groups keep it as ``"decoupled_decay"``.
    """

    def __init__(
        self,
        params: Params,
        lr: float,
        momentum: float = 0.0,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        groups = _with_decay(params, weight_decay)
        super().__init__(groups, lr=lr, momentum=momentum, alpha=alpha, eps=eps, foreach=True)

    def step(self, closure: Any = None) -> Any:
        """Shrink the weights, then take torch's step."""
        loss = _with_gradients(closure)
        _shrink(self)
        super().step()
        return loss


def _with_decay(params: Params, decay: float) -> Iterator[dict[str, Any]]:
    """Parameter groups, each with its ``decoupled_decay``."""
    given = list(params)
    groups = given if given and isinstance(given[0], dict) else [{"params": given}]
    return ({"decoupled_decay": decay, **group} for group in groups)


def OptimWrapper(
    params: Params | None = None,
    opt: Callable[..., Optimizer] | Optimizer | None = None,
    *,
    hp_map: dict[str, str] | None = None,
    **hypers: Any,
) -> Optimizer:
    """Make a torch optimiser from fastai's names for hyper-parameters; what comes back is the optimiser itself.

    For programs that say ``opt_func=partial(OptimWrapper, opt=torch.optim.AdamW)``; the class alone does as well.

    Args:
        params: parameters or parameter groups.
        opt: a class, a function that makes an optimiser, or a ready optimiser (returned as it is).
        hp_map: own names: ``{'alpha': 'sqr_mom'}`` from torch's name to yours.
        hypers: ``lr``, ``mom``, ``sqr_mom``, ``eps``, ``wd``, or names that `opt` takes.

    Raises:
        ConfigError: no `opt`.
        TypeError: a hyper-parameter `opt` does not take.
    """
    if opt is None:
        raise ConfigError("OptimWrapper needs an optimiser: OptimWrapper(params, opt=torch.optim.AdamW).")
    if isinstance(opt, Optimizer):
        return opt
    accepted = inspect.signature(opt).parameters
    names = {ours: theirs for theirs, ours in (hp_map or {}).items()}
    given: dict[str, Any] = {}
    for name, value in hypers.items():
        if name in ("mom", "sqr_mom") and "betas" in accepted and name not in names:
            beta1, beta2 = given.get("betas", accepted["betas"].default)
            given["betas"] = (value, beta2) if name == "mom" else (beta1, value)
        else:
            given[names.get(name, _torch_name(name, accepted))] = value
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values()):
        check_keywords(given, list(accepted), getattr(opt, "__name__", "opt"))
    return opt(params, **given)


def _torch_name(name: str, accepted: Any) -> str:
    """Name in torch of one of fastai's, where `accepted` has it."""
    theirs = {"mom": "momentum", "sqr_mom": "alpha", "wd": "weight_decay"}.get(name, name)
    return theirs if theirs in accepted else name
