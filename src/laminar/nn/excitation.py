"""Weighing the channels of a feature map by what is in all of it."""

import math

from torch import Tensor, nn

from laminar.nn.blocks import ActivationClass, ConvLayer

__all__ = ["SEModule"]


class SEModule(nn.Module):
    """Weigh each channel, 0 to 1, by a small network on the channels' averages.

    Hu et al., "Squeeze-and-Excitation Networks", 2018.

    Args:
        ch: channels in and out.
        reduction: how many times fewer the small network has (rounded up to a multiple of 8).
        act_cls: makes its activation.
        ndim: 1, 2 or 3.
    """

    def __init__(self, ch: int, reduction: int = 16, act_cls: ActivationClass = nn.ReLU, ndim: int = 2) -> None:
        super().__init__()
        width = max(8, math.ceil(ch / reduction / 8) * 8)
        self.weigh = nn.Sequential(
            ConvLayer(ch, width, ks=1, norm_type=None, act_cls=act_cls, ndim=ndim),
            ConvLayer(width, ch, ks=1, norm_type=None, act_cls=nn.Sigmoid, ndim=ndim),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels of ``[batch, channels, ...]``."""
        places = tuple(range(2, x.ndim))
        weights: Tensor = self.weigh(x.mean(places, keepdim=True))
        return x * weights
