"""Convolutional blocks: their parts in order, and how they start."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError
from laminar.nn.attention import SimpleSelfAttention
from laminar.nn.blocks import ConvLayer, NormType, activation_gain, init_default
from laminar.nn.residual import ResBlock


def mean_square(values: torch.Tensor) -> float:
    return float(values.detach().square().mean())


@pytest.mark.parametrize(
    ("activation", "gain"),
    [
        (None, 1.0),
        (nn.ReLU(), math.sqrt(2)),
        (nn.ReLU(inplace=True), math.sqrt(2)),
        (nn.LeakyReLU(0.3), math.sqrt(2 / (1 + 0.3**2))),
    ],
)
def test_activation_gain_is_the_published_one_where_there_is_one(activation: nn.Module | None, gain: float) -> None:
    assert activation_gain(activation) == pytest.approx(gain, rel=1e-4)


@pytest.mark.parametrize("act_cls", [nn.ReLU, nn.Mish, nn.GELU, lambda: nn.LeakyReLU(0.5)])
@pytest.mark.parametrize("transpose", [False, True])
def test_the_start_keeps_the_signal_whatever_the_activation(act_cls: Callable[[], nn.Module], transpose: bool) -> None:
    torch.manual_seed(0)
    layer = ConvLayer(64, 128, 1, norm_type=None, act_cls=act_cls, transpose=transpose, bias_std=0)
    assert mean_square(layer(torch.randn(8, 64, 8, 8))) == pytest.approx(1.0, rel=0.15)


def test_init_can_be_a_function_or_left_out() -> None:
    layer = nn.Conv2d(3, 4, 3)
    before = layer.weight.clone()
    assert init_default(layer, init=None) is layer
    assert torch.equal(layer.weight, before)
    init_default(layer, init=nn.init.ones_, bias_std=0)
    assert layer.weight.min() == 1
    assert layer.bias is not None
    assert not layer.bias.any()
    with pytest.raises(ConfigError, match="init='kaiming'"):
        init_default(layer, init="kaiming")


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("norm_type", [None, *NormType])
def test_conv_layer_in_every_dimension_and_with_every_norm(ndim: int, norm_type: NormType | None) -> None:
    layer = ConvLayer(3, 6, stride=2, ndim=ndim, norm_type=norm_type)
    assert layer(torch.randn(2, 3, *[8] * ndim)).shape == (2, 6, *[4] * ndim)


def test_conv_layer_orders_its_parts_as_asked() -> None:
    def kinds(layer: nn.Sequential) -> list[str]:
        return [type(part).__name__ for part in layer]

    assert kinds(ConvLayer(3, 4)) == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds(ConvLayer(3, 4, bn_1st=False)) == ["Conv2d", "ReLU", "BatchNorm2d"]
    assert kinds(ConvLayer(3, 4, act_cls=None, xtra=nn.Dropout())) == ["Conv2d", "BatchNorm2d", "Dropout"]
    assert kinds(ConvLayer(3, 4, norm_type=None, transpose=True)) == ["ConvTranspose2d", "ReLU"]


def test_a_convolution_has_a_bias_only_where_no_norm_brings_one() -> None:
    assert ConvLayer(3, 4)[0].bias is None
    assert ConvLayer(3, 4, norm_type=NormType.Instance)[0].bias is None
    assert ConvLayer(3, 4, norm_type=NormType.Spectral)[0].bias is not None
    assert ConvLayer(3, 4, norm_type=None)[0].bias is not None


def test_a_misspelt_keyword_of_conv_layer_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(TypeError, match=r"'dilatation'. Did you mean 'dilation'"):
        ConvLayer(3, 4, dilatation=2)  # type: ignore[call-arg]


@pytest.mark.parametrize("expansion", [1, 4])
@pytest.mark.parametrize("norm_type", [NormType.Batch, NormType.Instance])
def test_a_residual_block_starts_as_the_identity(expansion: int, norm_type: NormType) -> None:
    block = ResBlock(expansion, 8, 8, norm_type=norm_type)
    x = torch.rand(2, 8 * expansion, 6, 6)
    assert torch.allclose(block(x), x + 1e-3)  # what is left is the shift of the last norm


@pytest.mark.parametrize("expansion", [1, 4])
@pytest.mark.parametrize("pool_first", [False, True])
@pytest.mark.parametrize("side", [8, 9])
def test_a_residual_block_with_a_stride_halves_even_and_odd_sides(expansion: int, pool_first: bool, side: int) -> None:
    block = ResBlock(expansion, 4, 6, stride=2, pool_first=pool_first)
    assert block(torch.rand(2, 4 * expansion, side, side)).shape == (2, 6 * expansion, (side + 1) // 2, (side + 1) // 2)


def test_residual_blocks_can_be_grouped_depthwise_and_of_other_widths() -> None:
    x = torch.rand(2, 8, 6, 6)
    assert ResBlock(1, 8, 8, dw=True)(x).shape == x.shape
    assert ResBlock(1, 8, 8, groups=2, g2=4, nh2=16)(x).shape == x.shape
    assert ResBlock(2, 4, 4, nh1=6, nh2=12, groups=3, sa=True, sym=True)(x).shape == x.shape


@pytest.mark.parametrize("sym", [False, True])
def test_self_attention_starts_as_the_identity_and_then_mixes_all_places(sym: bool) -> None:
    layer = SimpleSelfAttention(4, sym=sym).eval()
    x = torch.randn(1, 4, 3, 3)
    assert torch.equal(layer(x), x)
    with torch.no_grad():
        layer.gamma.fill_(1.0)
    other = x.clone()
    other[..., 0, 0] += 1
    assert (layer(x)[..., 2, 2] != layer(other)[..., 2, 2]).any()
