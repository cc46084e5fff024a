"""Enlarging feature maps without patterns that the picture does not have."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from laminar.nn.blocks import ActivationClass, ConvLayer, NormType

__all__ = ["PixelShuffle_ICNR", "icnr_init"]


def icnr_init(x: Tensor, scale: int = 2, init: Callable[[Tensor], object] = nn.init.kaiming_normal_) -> Tensor:
    """Weights for a convolution before a pixel shuffle, so that it starts by repeating pixels, without a chequerboard.

    Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017: the filters that a shuffle puts beside each
    other start equal.

    Args:
        x: weights of a convolution ``[out, in, height, width]``; only shape, dtype and device count.
        scale: of the shuffle; its square must divide the outputs.
        init: draws weights in place.
    """
    if len(x) % scale**2:
        raise ValueError(f"a shuffle by {scale} needs outputs that {scale**2} divides, got {len(x)}")
    start = x.new_empty(len(x) // scale**2, *x.shape[1:])
    init(start)
    return start.repeat_interleave(scale**2, dim=0)


class PixelShuffle_ICNR(nn.Sequential):
    """Enlarge a feature map: a 1x1 convolution makes the pixels' channels, a shuffle puts them beside each other.

    Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
    Network", 2016; started by `icnr_init`.

    Args:
        ni: channels in.
        nf: channels out, `ni` unless given.
        scale: how many times larger.
        blur: average neighbours at the end (Sugawara et al., "Super-Resolution using Convolutional Neural Networks
            without Any Checkerboard Artifacts", 2018).
        norm_type: of the convolution.
        act_cls: makes the activation after it.
    """

    def __init__(
        self,
        ni: int,
        nf: int | None = None,
        scale: int = 2,
        blur: bool = False,
        norm_type: NormType | None = NormType.Weight,
        act_cls: ActivationClass | None = nn.ReLU,
    ) -> None:
        nf = ni if nf is None else nf
        conv = ConvLayer(ni, nf * scale**2, ks=1, norm_type=norm_type, act_cls=act_cls, bias_std=0)
        layer = conv[0]
        with torch.no_grad():
            start = icnr_init(cast(Tensor, layer.weight), scale)
            if parametrize.is_parametrized(layer):
                layer.weight = start  # the parametrization finds the parameters that give it
            else:
                cast(Tensor, layer.weight).copy_(start)
        layers: list[nn.Module] = [conv, nn.PixelShuffle(scale)]
        if blur:
            layers += [nn.ReplicationPad2d((1, 0, 1, 0)), nn.AvgPool2d(2, stride=1)]
        super().__init__(*layers)
