"""What residual blocks and the parts around them promise."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from laminar.nn.attention import SelfAttention
from laminar.nn.blocks import NormType
from laminar.nn.downsampling import MaxBlurPool
from laminar.nn.excitation import SEModule
from laminar.nn.residual import PreActResBlock, ResBlock, SEBlock, SeparableBlock, SEResNeXtBlock
from laminar.nn.upsampling import PixelShuffle_ICNR, icnr_init

BLOCKS = [ResBlock, PreActResBlock, SEBlock, SEResNeXtBlock, SeparableBlock]
MakeBlock = Callable[..., nn.Module]


@pytest.mark.parametrize("expansion", [1, 2])
@pytest.mark.parametrize("block", [ResBlock, PreActResBlock, SEBlock, SEResNeXtBlock])
def test_a_block_starts_as_its_shortcut(block: MakeBlock, expansion: int) -> None:
    made = block(expansion, 32, 32, sa=True, act_cls=nn.Identity).eval()
    x = torch.randn(2, 32 * expansion, 6, 5)
    # the shift of a silent norm starts at a thousandth
    torch.testing.assert_close(made(x), x, atol=1e-2, rtol=0)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_halves_changes_channels_and_trains(block: MakeBlock) -> None:
    made = block(1, 32, 64, stride=2)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.1)
    made(torch.randn(2, 32, 7, 8)).square().mean().backward()
    assert made(torch.randn(2, 32, 7, 8)).shape == (2, 64, 4, 4)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in made.parameters())


@pytest.mark.parametrize("block", [ResBlock, PreActResBlock])
def test_stochastic_depth_skips_items_and_keeps_the_expectation(block: MakeBlock) -> None:
    torch.manual_seed(0)
    made = block(1, 4, 4, act_cls=nn.Identity, drop_path=0.25)
    made.eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(1, 4, 5, 5)
    expected = made(x)
    made.convs[-1].train()  # the norms keep evaluating
    torch.testing.assert_close(made(x.expand(4000, -1, -1, -1)).mean(0, keepdim=True), expected, atol=0.15, rtol=0.05)
    out = made(x.expand(64, -1, -1, -1))
    skipped = torch.isclose(out, x, atol=1e-6).flatten(1).all(1)
    assert 4 < int(skipped.sum()) < 32


def test_a_pre_activated_chain_passes_its_input_on_unchanged_beside_what_blocks_add() -> None:
    block = PreActResBlock(1, 8, 8).eval()
    x = -torch.rand(2, 8, 4, 4)  # an activation after the sum would take this away
    assert torch.equal(block(x), x)


def test_squeeze_and_excite_weighs_channels_by_numbers_from_0_to_1() -> None:
    x = torch.randn(2, 24, 5, 6)
    weights = SEModule(24, reduction=4)(x) / x
    assert 0 < weights.min() < weights.max() < 1
    torch.testing.assert_close(weights, weights.mean((2, 3), keepdim=True).expand_as(weights), rtol=1e-3, atol=1e-4)
    assert SEModule(24, 4, ndim=1)(torch.randn(2, 24, 7)).shape == (2, 24, 7)


def test_max_blur_pool_minds_a_shift_less_than_a_max_pool() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 64, 64)
    moved = x.roll(1, dims=3)

    def change(pool: nn.Module) -> float:
        return float((pool(moved) - pool(x))[..., 4:-4].square().mean())

    assert change(MaxBlurPool()) < 0.5 * change(nn.MaxPool2d(3, 2, 1))
    assert MaxBlurPool()(x).shape == nn.MaxPool2d(3, 2, 1)(x).shape
    torch.testing.assert_close(MaxBlurPool()(torch.ones(1, 2, 9, 9)), torch.ones(1, 2, 5, 5))


def test_self_attention_starts_as_the_identity_and_looks_everywhere() -> None:
    layer, x = SelfAttention(16), torch.randn(2, 16, 4, 5, requires_grad=True)
    torch.testing.assert_close(layer(x), x)
    nn.init.ones_(layer.gamma)
    layer(x)[0, 0, 0, 0].backward()
    assert (x.grad[0].abs().sum(0) > 0).all()
    assert not x.grad[1].any()


@pytest.mark.parametrize("norm_type", [NormType.Weight, NormType.Batch, None])
def test_a_pixel_shuffle_starts_by_repeating_pixels(norm_type: NormType | None) -> None:
    layer = PixelShuffle_ICNR(6, 3, norm_type=norm_type, act_cls=None).eval()
    out = layer(torch.randn(2, 6, 4, 5))
    assert out.shape == (2, 3, 8, 10)
    torch.testing.assert_close(out[..., ::2, ::2], out[..., 1::2, 1::2], atol=1e-5, rtol=1e-4)
    assert PixelShuffle_ICNR(6, scale=3, blur=True)(torch.randn(2, 6, 4, 5)).shape == (2, 6, 12, 15)
    with pytest.raises(ValueError, match=r"outputs that 4 divides, got 6"):
        icnr_init(torch.empty(6, 2, 1, 1))
