"""Residual networks with the refinements of He et al., "Bag of Tricks for Image Classification", 2018."""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack

from torch import nn

from laminar.core.errors import ConfigError, WeightsError, check_keywords
from laminar.nn.blocks import BatchNorm, ConvLayer, NormType
from laminar.nn.downsampling import MaxBlurPool
from laminar.nn.residual import PreActResBlock, ResBlock
from laminar.vision.models.shipped import load_shipped, shipped_weights

__all__ = [
    "XResNet",
    "XResNetOptions",
    "xresnet18",
    "xresnet34",
    "xresnet50",
    "xresnet101",
    "xresnet152",
    "xresnet_small",
]

_MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_ADAPTIVE_AVG_POOL = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
_STAGE_WIDTHS = (64, 128, 256, 512)
_FURTHER_STAGE_WIDTH = 256


class BlockOptions(TypedDict, total=False):
    """Arguments of `XResNet` for its blocks, see `ResBlock`."""

    groups: int
    nh1: int | None
    nh2: int | None
    dw: bool
    g2: int
    sym: bool
    norm_type: NormType | None
    pool: Callable[..., nn.Module]
    pool_first: bool


class XResNetOptions(BlockOptions, total=False):
    """Arguments of `XResNet` that the ready-made networks pass on."""

    p: float
    c_in: int
    stem_szs: Sequence[int]
    widen: float
    sa: bool
    act_cls: Callable[[], nn.Module]
    ndim: int
    ks: int
    stride: int
    pre_act: bool
    reduction: int
    stochastic_depth: float
    blur: bool


class XResNet(nn.Sequential):
    """ResNet with a stem of three small convolutions, and shortcuts that average before they project.

    He et al., "Deep Residual Learning for Image Recognition", 2015, with the changes B, C and D of He et al., "Bag of
    Tricks for Image Classification with Convolutional Neural Networks", 2018, and residual branches that start at 0.

    A sequence of stem, max pool, one `nn.Sequential` for each stage, average pool, flatten, dropout and linear layer;
    everything before the average pool is the body.

    Args:
        block: makes a block, as `ResBlock`: called with expansion, channels in, channels out, stride, `sa`, `act_cls`,
            `ndim` and `ks`, and with `reduction` and `drop_path` where these are asked for.
        expansion: channels out of a block over its width.
        layers: number of blocks in each stage.
        p: dropout before the last layer.
        c_in: channels of the input.
        n_out: outputs, usually the number of classes.
        stem_szs: channels of the stem's convolutions.
        widen: factor on the channels of all stages.
        sa: self-attention at the end of the first stage.
        act_cls: makes the activations.
        ndim: 1, 2 or 3 dimensions (signals, pictures, volumes).
        ks: side of the kernels.
        stride: of the stem's first convolution.
        pre_act: blocks whose norms and activations come first (`PreActResBlock`); needs `block` to be `ResBlock`.
        reduction: weigh channels in every block (`SEModule`), with so many times fewer in between; 0 for not.
        stochastic_depth: chance of the last block to be skipped by an item in training, 0 to 1; it rises in proportion
            from the first (Huang et al., "Deep Networks with Stochastic Depth", 2016).
        blur: `MaxBlurPool` in place of the max pool.
        **block_options: for the blocks, see `ResBlock`: `sym`, `norm_type`, `pool`, `groups`, ...

    Raises:
        ConfigError: options that exclude each other.
    """

    def __init__(
        self,
        block: Callable[..., nn.Module],
        expansion: int,
        layers: Sequence[int],
        p: float = 0.0,
        c_in: int = 3,
        n_out: int = 1000,
        stem_szs: Sequence[int] = (32, 32, 64),
        widen: float = 1.0,
        sa: bool = False,
        act_cls: Callable[[], nn.Module] = nn.ReLU,
        ndim: int = 2,
        ks: int = 3,
        stride: int = 2,
        pre_act: bool = False,
        reduction: int = 0,
        stochastic_depth: float = 0.0,
        blur: bool = False,
        **block_options: Unpack[BlockOptions],
    ):
        check_keywords(block_options, XResNetOptions, "XResNet")
        if pre_act and block_options:
            raise ConfigError(f"pre_act=True: PreActResBlock takes no {', '.join(block_options)}")
        if pre_act and block is not ResBlock:
            raise ConfigError(f"pre_act=True takes PreActResBlock in place of ResBlock, but block={block!r}")
        if blur and ndim != 2:
            raise ConfigError(f"blur=True is for pictures, but ndim={ndim}")
        if not 0 <= stochastic_depth < 1:
            raise ConfigError(f"stochastic_depth={stochastic_depth}, but it is a chance, from 0 to less than 1")
        if ks % 2 == 0:
            raise ConfigError(f"ks={ks}, but the kernels' side must be odd, so that stem and blocks keep their sizes")
        widths = [c_in, *stem_szs]
        stem = [
            ConvLayer(widths[i], widths[i + 1], ks, stride=stride if i == 0 else 1, act_cls=act_cls, ndim=ndim)
            for i in range(len(stem_szs))
        ]
        stage_widths = [*_STAGE_WIDTHS, *[_FURTHER_STAGE_WIDTH] * (len(layers) - len(_STAGE_WIDTHS))]
        outs = [int(width * widen) for width in stage_widths[: len(layers)]]
        # A block multiplies its channels in by the expansion, and the stem's are not expanded yet.
        ins = [stem_szs[-1] // expansion, *outs[:-1]]
        if stem_szs[-1] % expansion:
            raise ConfigError(
                f"the stem ends with {stem_szs[-1]} channels, which expansion={expansion} does not divide"
            )
        make = PreActResBlock if pre_act else block
        stages = []
        for i, n_blocks in enumerate(layers):
            blocks = []
            for j in range(n_blocks):
                further: dict[str, Any] = {**block_options, **({"reduction": reduction} if reduction else {})}
                if stochastic_depth:
                    further["drop_path"] = stochastic_depth * (sum(layers[:i]) + j + 1) / sum(layers)
                blocks.append(
                    make(
                        expansion,
                        ins[i] if j == 0 else outs[i],
                        outs[i],
                        stride=2 if i > 0 and j == 0 else 1,
                        sa=sa and i == 0 and j == n_blocks - 1,
                        act_cls=act_cls,
                        ndim=ndim,
                        ks=ks,
                        **further,
                    )
                )
            stages.append(nn.Sequential(*blocks))
        pool = MaxBlurPool if blur else _MAX_POOL[ndim]
        super().__init__(
            *stem,
            pool(kernel_size=ks, stride=2, padding=ks // 2),
            *stages,
            *([BatchNorm(outs[-1] * expansion, ndim), act_cls()] if pre_act else []),
            _ADAPTIVE_AVG_POOL[ndim](1),
            nn.Flatten(),
            nn.Dropout(p),
            nn.Linear(outs[-1] * expansion, n_out),
        )


def without_weights(name: str, pretrained: bool) -> None:
    """Refuse to make a network with weights that there are not.

    Args:
        name: of the network.
        pretrained: whether weights are asked for.

    Raises:
        WeightsError: they are.
        ConfigError: `pretrained` is a number.
    """
    if pretrained is not True and pretrained:  # fastai's xse_resnet50 takes the number of outputs first
        raise ConfigError(f"{name}(pretrained={pretrained!r}): for {pretrained!r} outputs, write n_out={pretrained!r}.")
    if pretrained:
        raise WeightsError(
            f"there are no pretrained weights for {name}. Train it from scratch (pretrained=False), take xresnet_small,"
            f" whose weights come with laminar, or one of torchvision's networks (resnet18, resnet34, ...)."
        )


def xresnet18(pretrained: bool = False, n_out: int = 1000, **options: Unpack[XResNetOptions]) -> XResNet:
    """XResNet with the depth of ResNet-18; `options` are those of `XResNet`."""
    without_weights("xresnet18", pretrained)
    check_keywords(options, XResNetOptions, "xresnet18")
    return XResNet(ResBlock, 1, [2, 2, 2, 2], n_out=n_out, **options)


def xresnet34(pretrained: bool = False, n_out: int = 1000, **options: Unpack[XResNetOptions]) -> XResNet:
    """XResNet with the depth of ResNet-34; `options` are those of `XResNet`."""
    without_weights("xresnet34", pretrained)
    check_keywords(options, XResNetOptions, "xresnet34")
    return XResNet(ResBlock, 1, [3, 4, 6, 3], n_out=n_out, **options)


def xresnet50(pretrained: bool = False, n_out: int = 1000, **options: Unpack[XResNetOptions]) -> XResNet:
    """XResNet with the depth of ResNet-50; `options` are those of `XResNet`."""
    without_weights("xresnet50", pretrained)
    check_keywords(options, XResNetOptions, "xresnet50")
    return XResNet(ResBlock, 4, [3, 4, 6, 3], n_out=n_out, **options)


def xresnet101(pretrained: bool = False, n_out: int = 1000, **options: Unpack[XResNetOptions]) -> XResNet:
    """XResNet with the depth of ResNet-101; `options` are those of `XResNet`."""
    without_weights("xresnet101", pretrained)
    check_keywords(options, XResNetOptions, "xresnet101")
    return XResNet(ResBlock, 4, [3, 4, 23, 3], n_out=n_out, **options)


def xresnet152(pretrained: bool = False, n_out: int = 1000, **options: Unpack[XResNetOptions]) -> XResNet:
    """XResNet with the depth of ResNet-152; `options` are those of `XResNet`."""
    without_weights("xresnet152", pretrained)
    check_keywords(options, XResNetOptions, "xresnet152")
    return XResNet(ResBlock, 4, [3, 8, 36, 3], n_out=n_out, **options)


def xresnet_small(pretrained: bool = False, n_out: int | None = None, **options: Unpack[XResNetOptions]) -> XResNet:
    """A small XResNet whose weights come with laminar: trained on the glyph pictures by ``scripts/pretrain.py``.

    Args:
        pretrained: load the weights that come with laminar.
        n_out: outputs. Without it, those of the shipped network, one for each class it was trained on; with any other
            number, the last layer starts afresh.
        options: those of `XResNet`; with `pretrained` only `p` can be changed.

    Raises:
        WeightsError: the options make a network that the weights do not fit.
    """
    check_keywords(options, XResNetOptions, "xresnet_small")
    if n_out is None:
        n_out = len(shipped_weights("xresnet_small").classes)
    small: XResNetOptions = {"stem_szs": (16, 16, 24), "widen": 0.375}
    model = XResNet(ResBlock, 1, [2, 2, 1, 1], n_out=n_out, **(small | options))
    if pretrained:
        load_shipped(model, "xresnet_small")
    return model
