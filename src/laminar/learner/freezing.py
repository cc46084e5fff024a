"""Frozen means frozen: which parameters train, and what batch norms do in the meantime.

A layer group is frozen by taking ``requires_grad`` from its parameters. With ``train_bn=True`` (the default) norm
layers in it go on training, weights and statistics. With ``train_bn=False`` they are frozen like everything else, and
their running statistics stand still: they are in evaluation mode while the rest trains.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from laminar.core.errors import ConfigError
from laminar.optim.groups import bn_types, norm_types

__all__ = ["eval_frozen_norms", "freeze_groups"]


def freeze_groups(model: nn.Module, groups: Sequence[Sequence[nn.Parameter]], n: int, train_bn: bool) -> None:
    """Freeze the first `n` layer groups (all but the last ``-n`` if negative) and let the others train.

    Args:
        model: the network the groups belong to.
        groups: its layer groups.
        n: number of groups to freeze.
        train_bn: leave norm layers in frozen groups out.

    Raises:
        ConfigError: there is only one group, `n` is more than there are, or the groups to freeze hold nothing.
    """
    n_groups = len(groups)
    if not -n_groups <= n <= n_groups:
        raise ConfigError(f"cannot freeze up to group {n}: the model has {n_groups} parameter groups.")
    n_frozen = n if n >= 0 else n_groups + n
    if n and not n_frozen:
        raise ConfigError(
            "freezing all parameter groups but the last would freeze nothing: the model has one group, since the"
            " splitter made no others. Give Learner a splitter that returns several lists of parameters, for example"
            " splitter=lambda m: [list(m.body.parameters()), list(m.head.parameters())]; or train all of it with"
            " fit_one_cycle."
        )
    if n_frozen and not any(groups[:n_frozen]):
        raise ConfigError(f"the first {n_frozen} of {n_groups} parameter groups hold no parameters: nothing to freeze.")
    spared = _norm_parameters(model) if train_bn else set()
    for number, group in enumerate(groups):
        for parameter in group:
            parameter.requires_grad_(number >= n_frozen or id(parameter) in spared)


def _norm_parameters(model: nn.Module) -> set[int]:
    return {id(p) for module in model.modules() if isinstance(module, norm_types) for p in module.parameters()}


def eval_frozen_norms(model: nn.Module) -> None:
    """Put the batch norms that are frozen into evaluation mode, so that their running statistics stand still.

    One without parameters of its own (``affine=False``) is frozen when all parameters of the module it is part of are.
    """

    def visit(module: nn.Module, around_frozen: bool) -> None:
        own = list(module.parameters())
        frozen = all(not p.requires_grad for p in own) if own else around_frozen
        if isinstance(module, bn_types) and frozen:
            module.eval()
        for child in module.children():
            visit(child, frozen)

    visit(model, False)
