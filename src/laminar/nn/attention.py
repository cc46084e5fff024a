"""Self-attention over the places of a feature map."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

__all__ = ["SelfAttention", "SimpleSelfAttention"]


class SimpleSelfAttention(nn.Module):
    """Let every place of a feature map look at all others, at a cost linear in the number of places.

    After Zhang et al., "Self-Attention Generative Adversarial Networks", 2018, without its separate queries, keys and
    softmax: with x as a matrix of channels by places, ``x + gamma * (x x^T) W x``, where gamma starts at 0, so that the
    layer starts as the identity. `W` is a 1x1 convolution with spectral norm.

    Args:
        n_in: channels.
        ks: side of the kernel of `W`.
        sym: keep `W` symmetric (only where `ks` is 1).
    """

    def __init__(self, n_in: int, ks: int = 1, sym: bool = False):
        super().__init__()
        if sym and ks != 1:
            raise ValueError(f"sym=True needs ks=1, got ks={ks}: only a 1x1 kernel is a square matrix")
        self.sym = sym
        self.conv = parametrizations.spectral_norm(nn.Conv1d(n_in, n_in, ks, padding=ks // 2, bias=False))
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the places of ``[batch, channels, ...]``."""
        places = x.flatten(2)
        if self.sym:
            weight = cast(Tensor, self.conv.weight)
            weighted = nn.functional.conv1d(places, (weight + weight.transpose(0, 1)) / 2)
        else:
            weighted = self.conv(places)
        covariance = torch.bmm(places, places.transpose(1, 2))
        return x + self.gamma * torch.bmm(covariance, weighted).reshape(x.shape)


class SelfAttention(nn.Module):
    """Let every place of a feature map look at all others, by queries, keys and values.

    Zhang et al., "Self-Attention Generative Adversarial Networks", 2018. What is found is added times gamma, which
    starts at 0, so that the layer starts as the identity. Memory grows with the square of the number of places.

    Args:
        n_channels: channels in and out; queries and keys have an eighth of them.
    """

    def __init__(self, n_channels: int):
        super().__init__()
        narrow = max(1, n_channels // 8)
        self.query, self.key, self.value = (
            parametrizations.spectral_norm(nn.Conv1d(n_channels, width, 1, bias=False))
            for width in (narrow, narrow, n_channels)
        )
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the places of ``[batch, channels, ...]``."""
        places = x.flatten(2)
        # [batch, looked at, looking]: each column sums to 1
        attention = torch.softmax(self.query(places).transpose(1, 2) @ self.key(places), dim=1)
        found: Tensor = (self.value(places) @ attention).reshape(x.shape)
        return x + self.gamma * found
