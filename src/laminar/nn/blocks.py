"""Convolutional building blocks: convolution with norm and activation."""

import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from laminar.core.errors import ConfigError, check_keywords

__all__ = [
    "AvgPool",
    "BatchNorm",
    "ConvLayer",
    "ConvOptions",
    "InstanceNorm",
    "MaxPool",
    "NormType",
    "activation_gain",
    "init_default",
]

ActivationClass = Callable[[], nn.Module]

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_CONV_TRANSPOSE = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE_NORM = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
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


def MaxPool(
    ks: int = 2, stride: int | None = None, padding: int = 0, ndim: int = 2, ceil_mode: bool = False
) -> nn.Module:
    """Max pooling in 1, 2 or 3 dimensions; `stride` is `ks` unless given."""
    return _of_dimension(_MAX_POOL, ndim)(ks, stride=stride, padding=padding, ceil_mode=ceil_mode)


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
