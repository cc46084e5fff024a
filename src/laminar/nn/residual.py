"""Residual blocks made of convolutions."""

from collections.abc import Callable

from torch import Tensor, nn

from laminar.nn.attention import SimpleSelfAttention
from laminar.nn.blocks import ActivationClass, AvgPool, ConvLayer, NormType

__all__ = ["ResBlock"]


class ResBlock(nn.Module):
    """Residual block (He et al., "Deep Residual Learning for Image Recognition", 2015) with two later refinements.

    The last norm's scale starts at 0, so that the block starts as its shortcut (Goyal et al., "Accurate, Large
    Minibatch SGD", 2017); where the block halves the picture, its shortcut averages before a 1x1 convolution instead of
    dropping three pixels of four, and the 3x3 convolution is the one with the stride (He et al., "Bag of Tricks for
    Image Classification with Convolutional Neural Networks", 2018).

    Args:
        expansion: 1: two convolutions; more: a bottleneck 1x1, 3x3, 1x1 with `expansion` times `nf` channels out.
        ni: channels in, before expansion.
        nf: channels out, before expansion.
        stride: 1, or 2 to halve the picture.
        groups: groups of the convolution at full width (ResNeXt).
        nh1: width of the first convolution in a bottleneck; `nh2` unless given.
        nh2: width of the inner convolutions; `nf` unless given.
        dw: depthwise: as many groups as channels in.
        g2: groups of the second convolution where there are two.
        sa: end with self-attention.
        sym: make that self-attention symmetric.
        norm_type: of every convolution; the last one's starts at 0 where it is batch or instance norm.
        act_cls: makes the activations.
        ndim: 1, 2 or 3.
        ks: side of the inner kernels.
        pool: makes the shortcut's pooling, called with stride, `ndim` and `ceil_mode`.
        pool_first: in the shortcut, pool before the convolution (less work) instead of after.
    """

    def __init__(
        self,
        expansion: int,
        ni: int,
        nf: int,
        stride: int = 1,
        groups: int = 1,
        nh1: int | None = None,
        nh2: int | None = None,
        dw: bool = False,
        g2: int = 1,
        sa: bool = False,
        sym: bool = False,
        norm_type: NormType | None = NormType.Batch,
        act_cls: ActivationClass = nn.ReLU,
        ndim: int = 2,
        ks: int = 3,
        pool: Callable[..., nn.Module] = AvgPool,
        pool_first: bool = True,
    ):
        super().__init__()
        nh2 = nh2 or nf
        nh1 = nh1 or nh2
        ni, nf = ni * expansion, nf * expansion

        def conv(n_in: int, n_out: int, ks: int, *, stride: int = 1, groups: int = 1, last: bool = False) -> ConvLayer:
            norm, act = (_silent(norm_type), None) if last else (norm_type, act_cls)
            return ConvLayer(n_in, n_out, ks, stride=stride, groups=groups, ndim=ndim, norm_type=norm, act_cls=act)

        if expansion == 1:
            layers: list[nn.Module] = [
                conv(ni, nh2, ks, stride=stride, groups=ni if dw else groups),
                conv(nh2, nf, ks, groups=g2, last=True),
            ]
        else:
            layers = [
                conv(ni, nh1, 1),
                conv(nh1, nh2, ks, stride=stride, groups=nh1 if dw else groups),
                conv(nh2, nf, 1, groups=g2, last=True),
            ]
        if sa:
            layers.append(SimpleSelfAttention(nf, ks=1, sym=sym))
        shortcut: list[nn.Module] = []
        if ni != nf:
            shortcut.append(ConvLayer(ni, nf, 1, act_cls=None, ndim=ndim, norm_type=norm_type))
        if stride != 1:
            shortcut.insert(0 if pool_first else len(shortcut), pool(stride, ndim=ndim, ceil_mode=True))
        self.convs = nn.Sequential(*layers)
        self.shortcut = nn.Sequential(*shortcut)
        self.act = act_cls()

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions found to the shortcut: ``[batch, channels, ...]``."""
        out: Tensor = self.act(self.convs(x) + self.shortcut(x))
        return out


def _silent(norm_type: NormType | None) -> NormType | None:
    """The same norm, with a scale that starts at 0."""
    silent = {NormType.Batch: NormType.BatchZero, NormType.Instance: NormType.InstanceZero}
    return None if norm_type is None else silent.get(norm_type, norm_type)
