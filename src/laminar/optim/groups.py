"""Parameter groups: from a splitter's groups to torch's, and hyper-parameters set by their fastai names.

A *layer group* is what a splitter makes: the unit of freezing and of discriminative learning rates. Each becomes
at most two groups of the torch optimiser, one that weight decay touches and one (norm layers and biases) that it
does not; the torch group says where it belongs in its entries ``"layer_group"`` and ``"decays"``, which torch
keeps and saves. An optimiser made elsewhere has no such entries: there, each torch group is a layer group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.optim import Optimizer

from laminar.core.errors import ConfigError, suggest

__all__ = [
    "HyperSetter",
    "Splitter",
    "bn_types",
    "decay_groups",
    "get_hyper",
    "hyper_names",
    "layer_groups",
    "match_layout",
    "n_layer_groups",
    "norm_bias_params",
    "norm_types",
    "set_hyper",
    "spread",
    "trainable_params",
    "release_gradients",
]

Splitter = Callable[[nn.Module], Sequence[Any]]
Group = dict[str, Any]

bn_types: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
norm_types: tuple[type[nn.Module], ...] = (
    *bn_types,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)


def trainable_params(m: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of `m` that require gradients: the default splitter, one group."""
    return [p for p in m.parameters() if p.requires_grad]


def norm_bias_params(m: nn.Module, with_bias: bool = True) -> list[nn.Parameter]:
    """The parameters that weight decay usually leaves out: those of normalisation layers and, if asked, all biases."""
    if isinstance(m, norm_types):
        return list(m.parameters())
    found = [parameter for child in m.children() for parameter in norm_bias_params(child, with_bias)]
    bias = getattr(m, "bias", None)
    return [*found, bias] if with_bias and isinstance(bias, nn.Parameter) else found


def layer_groups(model: nn.Module, splitter: Splitter) -> list[list[nn.Parameter]]:
    """Apply `splitter` to `model` and check what it returns.

    Args:
        model: the network.
        splitter: returns a list of parameters (one group) or a list of lists.

    Raises:
        ConfigError: the splitter returned nothing, something that is no parameter, or one parameter twice.
    """
    found: list[Any] = list(splitter(model))
    name = getattr(splitter, "__name__", repr(splitter))
    groups: list[list[Any]] = [found] if found and isinstance(found[0], torch.Tensor) else [list(g) for g in found]
    seen: set[int] = set()
    for number, group in enumerate(groups):
        for parameter in group:
            if not isinstance(parameter, torch.Tensor):
                raise ConfigError(
                    f"splitter {name} put a {type(parameter).__name__} into group {number}; it must return a list of"
                    " parameters or a list of lists of parameters (for a module m: list(m.parameters()))."
                )
            if id(parameter) in seen:
                raise ConfigError(
                    f"splitter {name} returned a parameter of shape {tuple(parameter.shape)} twice (again in group"
                    f" {number}); each parameter belongs to one group."
                )
            seen.add(id(parameter))
    if not seen:
        raise ConfigError(
            f"splitter {name} found no parameters to train in {type(model).__name__}: is everything frozen, or has the"
            " model no parameters?"
        )
    return groups


def decay_groups(model: nn.Module, groups: Sequence[Sequence[nn.Parameter]], wd_bn_bias: bool = False) -> list[Group]:
    """Turn layer groups into groups for a torch optimiser, with norm layers and biases apart.

    Args:
        model: the network the parameters belong to.
        groups: from `layer_groups`.
        wd_bn_bias: let weight decay act on norm layers and biases too.
    """
    spared = set() if wd_bn_bias else _norm_and_bias(model)
    result: list[Group] = []
    for number, group in enumerate(groups):
        decayed = [p for p in group if id(p) not in spared]
        others = [p for p in group if id(p) in spared]
        if decayed or not others:
            result.append({"params": decayed, "layer_group": number, "decays": True})
        if others:
            result.append({"params": others, "layer_group": number, "decays": False})
    return result


def _norm_and_bias(model: nn.Module) -> set[int]:
    """Ids of the parameters of norm layers and of all biases."""
    found: set[int] = set()
    for module in model.modules():
        is_norm = isinstance(module, norm_types)
        for name, parameter in module.named_parameters(recurse=False):
            if is_norm or name == "bias" or name.endswith("_bias") or name.startswith("bias_"):
                found.add(id(parameter))
    return found


# ---- hyper-parameters by name ----------------------------------------------------------------------------------------

# fastai's name: the entries of a torch group that may hold it, with the place inside where the entry is a pair.
_TORCH_NAMES: dict[str, tuple[tuple[str, int | None], ...]] = {
    "mom": (("momentum", None), ("betas", 0)),
    "sqr_mom": (("alpha", None), ("betas", 1)),
    "wd": (("decoupled_decay", None), ("weight_decay", None)),
}
_FASTAI_NAMES = {"momentum": "mom", "alpha": "sqr_mom", "decoupled_decay": "wd", "weight_decay": "wd"}
_NOT_HYPERS = {"params", "param_names", "layer_group", "decays", "initial_lr", "betas"}


def _entry(group: Group, name: str) -> tuple[str, int | None] | None:
    """Where `group` keeps hyper-parameter `name`: the key, and the place inside a pair of betas."""
    for key, place in _TORCH_NAMES.get(name, ((name, None),)):
        if key in group:
            return key, place
    return (name, None) if name in group else None


def hyper_names(opt: Optimizer) -> list[str]:
    """Names of the hyper-parameters of `opt` that are numbers: ``['lr', 'mom', 'sqr_mom', 'eps', 'wd']`` for Adam."""
    names: list[str] = []
    for key, value in opt.param_groups[0].items():
        if key == "betas":
            names += ["mom", "sqr_mom"]
        elif key not in _NOT_HYPERS and _is_number(value):
            names.append(_FASTAI_NAMES.get(key, key))
    return list(dict.fromkeys(names))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _members(opt: Optimizer) -> list[list[Group]]:
    """The torch groups of each layer group, in order."""
    if not all("layer_group" in group for group in opt.param_groups):
        return [[group] for group in opt.param_groups]
    numbers = sorted({group["layer_group"] for group in opt.param_groups})
    return [[group for group in opt.param_groups if group["layer_group"] == number] for number in numbers]


def n_layer_groups(opt: Optimizer) -> int:
    """The number of layer groups of `opt`: as many as the splitter made."""
    return len(_members(opt))


def spread(value: Any, n: int, name: str = "lr") -> list[float]:
    """Give each of `n` layer groups its value.

    Args:
        value: a number for all groups; ``slice(a, b)`` for a geometric series from a (first group) to b (last);
            ``slice(b)`` for b in the last group and b/10 in the others; or a sequence with one number a group.
        n: the number of layer groups.
        name: the hyper-parameter, for messages.

    Raises:
        ConfigError: a sequence of another length than `n`, or no number of 0 or more.

    >>> [round(lr, 6) for lr in spread(slice(1e-4, 1e-2), 3)]
    [0.0001, 0.001, 0.01]
    """
    if isinstance(value, slice):
        stop = _rate(value.stop, name)
        if value.start is None:
            return [stop / 10] * (n - 1) + [stop]
        start = _rate(value.start, name)
        return [stop] if n == 1 else [start * (stop / start) ** (i / (n - 1)) for i in range(n)]
    if hasattr(value, "__len__") and getattr(value, "ndim", 1) == 1 and not isinstance(value, str):
        values = [_rate(v, name) for v in value]
        if len(values) != n:
            raise ConfigError(
                f"{name} has {len(values)} values {values}, but the model has {n} parameter groups: give one number"
                f" for each, one number for all, or slice(first, last)."
            )
        return values
    return [_rate(value, name)] * n


def _rate(value: Any, name: str) -> float:
    """A number, 0 or more.

    Raises:
        ConfigError: it is none.
    """
    number = math.nan if value is None or isinstance(value, str) else float(value)
    if not 0 <= number < math.inf:
        raise ConfigError(f"{name} must be a number, 0 or more, got {value!r}.")
    return number


class HyperSetter:
    """Sets one hyper-parameter of an optimiser, again and again, at little cost.

    Args:
        opt: the optimiser.
        name: fastai's name (``lr, mom, sqr_mom, eps, wd``) or torch's own.

    Raises:
        ConfigError: `opt` has no such hyper-parameter.
    """

    def __init__(self, opt: Optimizer, name: str) -> None:
        self.name = name
        self._targets: list[list[tuple[Group, str, int | None]]] = []
        for members in _members(opt):
            targets = []
            for group in members:
                entry = _entry(group, name)
                if entry is None:
                    known = hyper_names(opt)
                    raise ConfigError(
                        f"{type(opt).__name__} has no hyper-parameter {name!r}.{suggest(name, known)}"
                        f" It has: {', '.join(known)}."
                    )
                if name != "wd" or group.get("decays", True):
                    targets.append((group, *entry))
            self._targets.append(targets)

    def __call__(self, values: float | Sequence[float]) -> None:
        """Set the value of each layer group: one number for all, or one number for each."""
        several = not isinstance(values, int | float) and hasattr(values, "__len__")
        for number, targets in enumerate(self._targets):
            value = cast("Sequence[float]", values)[number] if several else values
            for group, key, place in targets:
                if place is None:
                    group[key] = value
                else:
                    pair = group[key]
                    group[key] = (value, pair[1]) if place == 0 else (pair[0], value)

    def get(self) -> list[float]:
        """The present value in each layer group (0 where weight decay is off for all of it)."""
        result = []
        for targets in self._targets:
            if not targets:
                result.append(0.0)
                continue
            group, key, place = targets[0]
            result.append(float(group[key] if place is None else group[key][place]))
        return result


def set_hyper(opt: Optimizer, name: str, value: Any) -> None:
    """Set hyper-parameter `name` of every layer group of `opt`; weight decay spares norm layers and biases.

    Args:
        opt: any torch optimiser.
        name: fastai's name (``lr, mom, sqr_mom, eps, wd``) or torch's own.
        value: as for `spread`.

    Raises:
        ConfigError: no such hyper-parameter, or a list of the wrong length.
    """
    HyperSetter(opt, name)(spread(value, n_layer_groups(opt), name))


def get_hyper(opt: Optimizer, name: str) -> list[float]:
    """Return hyper-parameter `name` of every layer group of `opt`.

    Raises:
        ConfigError: no such hyper-parameter.
    """
    return HyperSetter(opt, name).get()


def match_layout(opt: Optimizer, params: Iterable[torch.Tensor] | None = None) -> None:
    """Give the optimiser's state the memory layout of its parameters.

    Fused kernels walk parameter, gradient and state as flat memory, so a state kept in another layout (loaded from a
    file, or from before the model became channels-last) would be read in the wrong order.

    Args:
        opt: any torch optimiser.
        params: the parameters to look at, all by default.
    """
    with torch.no_grad():
        for parameter in opt.state if params is None else params:
            state = opt.state.get(parameter, {})
            for key, value in state.items():
                if (
                    isinstance(value, torch.Tensor)
                    and value.shape == parameter.shape
                    and value.stride() != parameter.stride()
                ):
                    state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def release_gradients(opt: Optimizer) -> None:
    """Set all gradients to None, as ``opt.zero_grad()`` does; that takes 20 microseconds to prepare for one of work."""
    if type(opt).zero_grad is not Optimizer.zero_grad:  # an optimiser with its own idea of it
        opt.zero_grad()
        return
    for group in opt.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
