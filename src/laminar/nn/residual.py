"""Residual blocks made of convolutions."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from laminar.nn.attention import SimpleSelfAttention
from laminar.nn.blocks import ActivationClass, AvgPool, BatchNorm, ConvLayer, NormType
from laminar.nn.excitation import SEModule

__all__ = ["PreActResBlock", "ResBlock", "SEBlock", "SEResNeXtBlock", "SeparableBlock"]


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
        reduction: weigh channels before they are added (`SEModule`), with so many times fewer in between; 0 for not.
        drop_path: chance that an item of a training batch skips the convolutions; the others' are scaled up, so that
            the expectation is what an evaluation gives (Huang et al., "Deep Networks with Stochastic Depth", 2016).
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
        reduction: int = 0,
        drop_path: float = 0.0,
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
        if reduction:
            layers.append(SEModule(nf, reduction, act_cls, ndim))
        if sa:
            layers.append(SimpleSelfAttention(nf, ks=1, sym=sym))
        if drop_path:
            layers.append(StochasticDepth(drop_path, "row"))
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


class PreActResBlock(nn.Module):
    """Residual block whose norms and activations come before the convolutions, so that shortcuts stay clean.

    He et al., "Identity Mappings in Deep Residual Networks", 2016. The last convolution starts at 0, so that the block
    starts as its shortcut (Zhang et al., "Fixup Initialization", 2019). A network of such blocks needs a norm and an
    activation after the last one; `XResNet` adds them.

    Args:
        expansion: see `ResBlock`, as all others.
        ni: channels in, before expansion.
        nf: channels out, before expansion.
        stride: 1, or 2 to halve the picture.
        sa: end with self-attention.
        act_cls: makes the activations.
        ndim: 1, 2 or 3.
        ks: side of the inner kernels.
        reduction: weigh channels before they are added.
        drop_path: chance that an item of a training batch skips the convolutions.
    """

    def __init__(
        self,
        expansion: int,
        ni: int,
        nf: int,
        stride: int = 1,
        sa: bool = False,
        act_cls: ActivationClass = nn.ReLU,
        ndim: int = 2,
        ks: int = 3,
        reduction: int = 0,
        drop_path: float = 0.0,
    ):
        super().__init__()
        n_in, n_out = ni * expansion, nf * expansion

        def convolution(before: int, after: int, ks: int, stride: int = 1) -> nn.Module:
            return ConvLayer(before, after, ks, stride=stride, ndim=ndim, norm_type=None, act_cls=None, bias=False)

        self.start = nn.Sequential(BatchNorm(n_in, ndim), act_cls())
        if expansion == 1:
            layers = [convolution(n_in, nf, ks, stride), BatchNorm(nf, ndim), act_cls(), convolution(nf, nf, ks)]
        else:
            layers = [convolution(n_in, nf, 1), BatchNorm(nf, ndim), act_cls(), convolution(nf, nf, ks, stride)]
            layers += [BatchNorm(nf, ndim), act_cls(), convolution(nf, n_out, 1)]
        for last in layers[-1].parameters():
            nn.init.zeros_(last)
        if reduction:
            layers.append(SEModule(n_out, reduction, act_cls, ndim))
        if sa:
            layers.append(SimpleSelfAttention(n_out))
        if drop_path:
            layers.append(StochasticDepth(drop_path, "row"))
        self.convs = nn.Sequential(*layers)
        shortcut: list[nn.Module] = [] if stride == 1 else [AvgPool(stride, ndim=ndim, ceil_mode=True)]
        if n_in != n_out:
            shortcut.append(convolution(n_in, n_out, 1))
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions found to the shortcut: ``[batch, channels, ...]``."""
        started = self.start(x)
        out: Tensor = self.convs(started) + self.shortcut(started if len(self.shortcut) else x)
        return out


def SEBlock(expansion: int, ni: int, nf: int, groups: int = 1, reduction: int = 16, **options: Any) -> ResBlock:
    """`ResBlock` that weighs its channels, wider inside, as in Hu et al., "Squeeze-and-Excitation Networks", 2018.

    Args:
        expansion: see `ResBlock`, as all others.
        ni: channels in, before expansion.
        nf: channels out, before expansion.
        groups: of the convolution at full width.
        reduction: see `SEModule`.
        **options: for `ResBlock`.
    """
    return ResBlock(expansion, ni, nf, groups=groups, reduction=reduction, nh1=nf * 2, nh2=nf * expansion, **options)


def SEResNeXtBlock(
    expansion: int, ni: int, nf: int, groups: int = 32, reduction: int = 16, base_width: int = 4, **options: Any
) -> ResBlock:
    """`ResBlock` of many narrow groups that weighs its channels.

    Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", 2017.

    Args:
        expansion: see `ResBlock`, as all others.
        ni: channels in, before expansion.
        nf: channels out, before expansion.
        groups: of the convolution at full width.
        reduction: see `SEModule`; 0 for a plain ResNeXt.
        base_width: channels of a group where `nf` is 64.
        **options: for `ResBlock`.
    """
    width = max(1, nf * base_width // 64) * groups
    return ResBlock(expansion, ni, nf, groups=groups, reduction=reduction, nh2=width, **options)


def SeparableBlock(expansion: int, ni: int, nf: int, reduction: int = 16, stride: int = 1, **options: Any) -> ResBlock:
    """`ResBlock` whose first spatial convolution goes over each channel alone, twice as wide inside.

    Args:
        expansion: see `ResBlock`, as all others.
        ni: channels in, before expansion.
        nf: channels out, before expansion.
        reduction: see `SEModule`.
        stride: 1, or 2 to halve the picture.
        **options: for `ResBlock`.
    """
    return ResBlock(expansion, ni, nf, stride=stride, reduction=reduction, nh2=nf * 2, dw=True, **options)
