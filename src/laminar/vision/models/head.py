"""The part of a classifier that decides: pool, and linear layers with batch norm and dropout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from laminar.nn.layers import Flatten, LinBnDrop, SigmoidRange, adaptive_pool

__all__ = ["create_head", "init_head"]


def create_head(
    nf: int,
    n_out: int,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = 0.5,
    pool: bool = True,
    concat_pool: bool = True,
    first_bn: bool = True,
    bn_final: bool = False,
    lin_first: bool = False,
    y_range: tuple[float, float] | None = None,
) -> nn.Sequential:
    """Make a head for a body of `nf` features: ``[batch, nf, height, width]`` to ``[batch, n_out]``.

    Args:
        nf: features that come in.
        n_out: outputs: classes, or quantities.
        lin_ftrs: widths of the hidden layers, one of 512 by default.
        ps: dropout before each linear layer, or before the last one (the others get half of it).
        pool: begin with a pool.
        concat_pool: pool maximum and average, which doubles the features.
        first_bn: batch norm before the first linear layer.
        bn_final: batch norm at the end.
        lin_first: linear layers come before batch norm and dropout.
        y_range: bounds of the outputs.

    >>> create_head(8, 2)[-1][-1]
    Linear(in_features=512, out_features=2, bias=False)
    """
    hidden = [512] if lin_ftrs is None else list(lin_ftrs)
    widths = [nf * 2 if pool and concat_pool else nf, *hidden, n_out]
    steps = len(widths) - 1
    dropouts = [ps] if isinstance(ps, int | float) else list(ps)
    if len(dropouts) == 1:
        dropouts = [dropouts[0] / 2] * (steps - 1) + dropouts
    if len(dropouts) != steps:
        raise ValueError(f"ps has {len(dropouts)} numbers, the head {steps} linear layers (lin_ftrs={hidden})")
    layers: list[nn.Module] = [adaptive_pool(concat_pool), Flatten()] if pool else []
    if lin_first:
        layers.append(nn.Dropout(dropouts.pop(0)))
    for step, ((before, after), dropout) in enumerate(zip(pairwise(widths), dropouts, strict=False)):
        activation = nn.ReLU(inplace=True) if step < steps - 1 else None
        layers.append(LinBnDrop(before, after, bn=first_bn or step > 0, p=dropout, act=activation, lin_first=lin_first))
    if lin_first:
        layers.append(nn.Linear(widths[-2], n_out))
    if bn_final:
        layers.append(nn.BatchNorm1d(n_out, momentum=0.01))
    if y_range is not None:
        layers.append(SigmoidRange(*y_range))
    return nn.Sequential(*layers)


def init_head(head: nn.Module, init: Callable[[Tensor], object] | None = nn.init.kaiming_normal_) -> None:
    """Start the weights of linear and convolutional layers by `init`, their biases at 0 (changes `head`).

    Args:
        head: layers that hold no pretrained weights.
        init: draws weights in place; None leaves torch's own start.
    """
    if init is None:
        return
    for layer in head.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            init(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
