"""Convolutional building blocks: convolution with norm and activation, and the residual block made of them."""

import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from laminar.core.errors import ConfigError, check_keywords
from laminar.nn.attention import SimpleSelfAttention

__all__ = [
    "AvgPool",
    "BatchNorm",
    "ConvLayer",
    "ConvOptions",
    "InstanceNorm",
    "NormType",
    "ResBlock",
    "activation_gain",
    "init_default",
]

ActivationClass = Callable[[], nn.Module]

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_CONV_TRANSPOSE = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE_NORM = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_AVG_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}


class NormType(Enum):
    """How a layer is normalised; in the ``Zero`` variants the norm's scale starts at 0, so the layer starts silent."""

    Batch = "batch"
    BatchZero = "batch_zero"
    Weight = "weight"
    Spectral = "spectral"
    Instance = "instance"
    InstanceZero = "instance_zero"


class ConvOptions(TypedDict, total=False):
    """Arguments of torch's convolutions that `ConvLayer` passes on."""

    dilation: int
    groups: int
    padding_mode: str
    output_padding: int


def _of_dimension(classes: Mapping[int, type[nn.Module]], ndim: int) -> type[nn.Module]:
    if ndim not in classes:
        raise ConfigError(f"ndim={ndim}, but there are layers for 1, 2 and 3 dimensions only")
    return classes[ndim]


def AvgPool(
    ks: int = 2, stride: int | None = None, padding: int = 0, ndim: int = 2, ceil_mode: bool = False
) -> nn.Module:
    """Average pooling in 1, 2 or 3 dimensions; `stride` is `ks` unless given."""
    return _of_dimension(_AVG_POOL, ndim)(ks, stride=stride, padding=padding, ceil_mode=ceil_mode)


def BatchNorm(nf: int, ndim: int = 2, norm_type: NormType = NormType.Batch) -> nn.Module:
    """Batch norm whose shift starts at 0.001 and whose scale starts at 1, or at 0 for `NormType.BatchZero`."""
    return _started(_of_dimension(_BATCH_NORM, ndim)(nf), silent=norm_type is NormType.BatchZero)


def InstanceNorm(nf: int, ndim: int = 2, norm_type: NormType = NormType.Instance, affine: bool = True) -> nn.Module:
    """Instance norm, with the starting values of `BatchNorm` where it is `affine`."""
    return _started(_of_dimension(_INSTANCE_NORM, ndim)(nf, affine=affine), silent=norm_type is NormType.InstanceZero)


def _started(norm: nn.Module, *, silent: bool) -> nn.Module:
    if isinstance(norm.weight, Tensor) and isinstance(norm.bias, Tensor):
        nn.init.constant_(norm.weight, 0.0 if silent else 1.0)
        nn.init.constant_(norm.bias, 1e-3)
    return norm


def activation_gain(activation: nn.Module | None) -> float:
    """Return the factor on the weights that makes up for what `activation` takes from the signal.

    He et al., "Delving Deep into Rectifiers", 2015, derive it for ReLU (square root of 2) and for leaky ReLU with its
    slope; here it is one over the root of the mean square of the output for normal inputs, found by integration: exact
    for activations that scale with their input, as those two, and within about a tenth for the smooth ones (GELU, Mish,
    SiLU). None, and activations that need more than the value itself, count as the identity.

    >>> round(activation_gain(nn.ReLU()), 3), round(activation_gain(nn.LeakyReLU(1.0)), 3)
    (1.414, 1.0)
    """
    if activation is None or isinstance(activation, (nn.GLU, nn.Softmax, nn.LogSoftmax)):
        return 1.0
    with torch.no_grad():
        inputs = torch.linspace(-8, 8, 4001, device="cpu")  # also where models are built on another device
        density = torch.exp(-inputs.square() / 2) / math.sqrt(2 * math.pi)
        outputs = activation(inputs.clone()).float()
        mean_square = torch.trapezoid(outputs.square() * density, inputs).item()
    return 1 / math.sqrt(mean_square) if mean_square > 0 else 1.0


def init_default(
    layer: nn.Module,
    activation: nn.Module | None = None,
    init: str | Callable[[Tensor], object] | None = "auto",
    bias_std: float = 0.01,
) -> nn.Module:
    """Start the weights of a convolution or linear layer for the activation that follows (changes `layer`).

    Args:
        layer: with a `weight` and perhaps a `bias`.
        activation: what follows; its gain scales the weights (`activation_gain`).
        init: ``"auto"``: normal, He et al. 2015, by number of inputs; a function: called with the weight; None: left.
        bias_std: standard deviation of the bias; 0 starts it at 0. Left alone where `init` is None.

    Returns:
        `layer`.
    """
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    if init is None or not isinstance(weight, Tensor) or weight.is_meta:
        return layer
    with torch.no_grad():
        if callable(init):
            init(weight)
        elif init == "auto":
            # A transposed convolution has its inputs on the first axis, where torch counts the outputs.
            transposed = isinstance(layer, tuple(_CONV_TRANSPOSE.values()))
            nn.init.kaiming_normal_(weight, mode="fan_out" if transposed else "fan_in", nonlinearity="linear")
            weight.mul_(activation_gain(activation))
        else:
            raise ConfigError(f'init={init!r}, but it must be "auto", a function of the weight, or None')
        if isinstance(bias, Tensor):
            bias.normal_(0, bias_std) if bias_std else bias.zero_()
    return layer


class ConvLayer(nn.Sequential):
    """Convolution, norm and activation, in 1, 2 or 3 dimensions.

    Args:
        ni: channels in.
        nf: channels out.
        ks: side of the kernel.
        stride: step of the kernel.
        padding: on each side; ``(ks - 1) // 2`` unless given, 0 for a transposed convolution.
        bias: whether the convolution has one; without a norm with a shift of its own, yes, else no.
        ndim: 1, 2 or 3.
        norm_type: `NormType`, or None for no norm.
        bn_1st: norm before activation.
        act_cls: makes the activation; None for none.
        transpose: a transposed convolution.
        init: see `init_default`.
        xtra: a layer to put at the end.
        bias_std: standard deviation of the bias at the start; 0 starts it at 0.
        conv_options: `ConvOptions`, passed on to torch.
    """

    def __init__(
        self,
        ni: int,
        nf: int,
        ks: int = 3,
        stride: int = 1,
        padding: int | None = None,
        bias: bool | None = None,
        ndim: int = 2,
        norm_type: NormType | None = NormType.Batch,
        bn_1st: bool = True,
        act_cls: ActivationClass | None = nn.ReLU,
        transpose: bool = False,
        init: str | Callable[[Tensor], object] | None = "auto",
        xtra: nn.Module | None = None,
        bias_std: float = 0.01,
        **conv_options: Unpack[ConvOptions],
    ):
        check_keywords(conv_options, ConvOptions, "ConvLayer")
        batch_norm = norm_type in (NormType.Batch, NormType.BatchZero)
        instance_norm = norm_type in (NormType.Instance, NormType.InstanceZero)
        if padding is None:
            padding = 0 if transpose else (ks - 1) // 2
        if bias is None:
            bias = not (batch_norm or instance_norm)
        conv_class = _of_dimension(_CONV_TRANSPOSE if transpose else _CONV, ndim)
        conv = conv_class(ni, nf, kernel_size=ks, stride=stride, padding=padding, bias=bias, **conv_options)
        activation = None if act_cls is None else act_cls()
        init_default(conv, activation, init, bias_std)
        if norm_type is NormType.Weight:
            conv = parametrizations.weight_norm(conv)
        elif norm_type is NormType.Spectral:
            conv = parametrizations.spectral_norm(conv)
        after: list[nn.Module] = [] if activation is None else [activation]
        if norm_type is not None and (batch_norm or instance_norm):
            norm = (BatchNorm if batch_norm else InstanceNorm)(nf, ndim=ndim, norm_type=norm_type)
            after.insert(0 if bn_1st else len(after), norm)
        super().__init__(conv, *after, *([] if xtra is None else [xtra]))


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
