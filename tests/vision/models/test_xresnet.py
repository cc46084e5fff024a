"""XResNets: shapes, counts, shipped weights."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from laminar.core.errors import ConfigError, WeightsError
from laminar.data.glyph_characters import DEMO_CHARACTERS, PRETRAINING_CHARACTERS, class_name
from laminar.data.glyphs import GENERATOR_VERSION, glyph_item
from laminar.nn.attention import SimpleSelfAttention
from laminar.nn.blocks import ConvLayer, MaxPool, NormType
from laminar.nn.excitation import SEModule
from laminar.nn.residual import PreActResBlock, ResBlock, SEBlock
from laminar.vision.models import xresnet_variants
from laminar.vision.models.body import cut_model, named_arch, num_features
from laminar.vision.models.shipped import load_shipped, shipped_names, shipped_weights
from laminar.vision.models.xresnet import (
    XResNet,
    xresnet18,
    xresnet34,
    xresnet50,
    xresnet101,
    xresnet152,
    xresnet_small,
)
from laminar.vision.models.xresnet_variants import xse_resnet18, xse_resnext18


def number_of_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# ---- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "blocks", "features"),
    [
        (xresnet18, 8, 512),
        (xresnet34, 16, 512),
        (xresnet50, 16, 2048),
        (xresnet101, 33, 2048),
        (xresnet152, 50, 2048),
    ],
)
def test_the_known_depths_have_their_blocks_and_features(
    build: Callable[..., XResNet], blocks: int, features: int
) -> None:
    with torch.device("meta"):
        model = build(n_out=10)
    assert sum(isinstance(module, ResBlock) for module in model.modules()) == blocks
    last = model[-1]
    assert isinstance(last, nn.Linear)
    assert (last.in_features, last.out_features) == (features, 10)
    assert model(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 10)


def test_parameter_counts_are_those_of_the_published_networks_with_the_longer_stem() -> None:
    with torch.device("meta"):
        # torchvision's have 11,689,512 and 25,557,032; the stem's 7x7 convolution of 9,408 weights and 128 of its norm
        # gives way to 28,512 and 256, and the first bottleneck's input is 64 channels as there.
        assert number_of_parameters(xresnet18()) == 11_689_512 - 9_536 + 28_768
        assert number_of_parameters(xresnet50()) == 25_557_032 - 9_536 + 28_768


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_xresnets_in_every_dimension_and_number_of_channels(ndim: int) -> None:
    model = XResNet(ResBlock, 1, [1, 1, 1], c_in=2, n_out=5, stem_szs=(4, 8), widen=0.125, ndim=ndim, sa=True)
    assert model(torch.rand(2, 2, *[16] * ndim)).shape == (2, 5)


def test_more_than_four_stages_go_on_with_256_channels() -> None:
    model = XResNet(ResBlock, 1, [1] * 6, stem_szs=(8, 8), widen=0.125)
    last = model[-1]
    assert isinstance(last, nn.Linear)
    assert last.in_features == 32


def test_a_misspelt_option_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(TypeError, match=r"xresnet18\(\).*'widden'. Did you mean 'widen'"):
        xresnet18(widden=2)  # type: ignore[call-arg]


SMALL = {"stem_szs": (8, 8, 8), "widen": 0.125, "n_out": 3}


@pytest.mark.parametrize(
    "options",
    [{"pre_act": True}, {"reduction": 4}, {"stochastic_depth": 0.5}, {"blur": True}, {"sa": True}],
    ids=str,
)
def test_every_refinement_trains_alone_and_with_the_others(options: dict[str, object]) -> None:
    together = {"pre_act": True, "reduction": 4, "stochastic_depth": 0.2, "blur": True, "sa": True}
    for chosen in (options, together):
        model = XResNet(ResBlock, 1, [1, 2], **SMALL, **chosen)
        model(torch.rand(4, 3, 32, 32)).square().mean().backward()
        assert model.eval()(torch.rand(2, 3, 33, 31)).shape == (2, 3)
        assert num_features(cut_model(model)) == 16


def test_stochastic_depth_rises_in_proportion_to_the_depth() -> None:
    model = XResNet(ResBlock, 1, [1, 2, 1], stochastic_depth=0.4, **SMALL)
    rates = [part.p for part in model.modules() if isinstance(part, StochasticDepth)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_pre_activated_network_ends_with_a_norm_and_an_activation() -> None:
    model = XResNet(ResBlock, 1, [1, 1], pre_act=True, **SMALL)
    assert [type(layer) for layer in list(model)[-6:-4]] == [nn.BatchNorm2d, nn.ReLU]
    assert sum(isinstance(part, PreActResBlock) for part in model.modules()) == 2


def test_refinements_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"pre_act=True.*block="):
        XResNet(SEBlock, 1, [1], pre_act=True)
    with pytest.raises(ConfigError, match=r"blur=True is for pictures, but ndim=1"):
        XResNet(ResBlock, 1, [1], blur=True, ndim=1)
    with pytest.raises(ConfigError, match=r"stochastic_depth=1"):
        XResNet(ResBlock, 1, [1], stochastic_depth=1.0)


@pytest.mark.parametrize("name", xresnet_variants.__all__)
def test_every_variant_is_made_by_name(name: str) -> None:
    build = named_arch(name)
    assert build.__name__ == name
    with torch.device("meta"):
        model = build(n_out=10)
        assert model(torch.empty(2, 3, 64, 64)).shape == (2, 10)
    weighs = any(isinstance(part, SEModule) for part in model.modules())
    grouped = any(isinstance(part, nn.Conv2d) and part.groups == 32 for part in model.modules())
    assert (weighs, grouped) == ("xse" in name, "resnext" in name)
    stages = sum(type(layer) is nn.Sequential for layer in model)
    assert stages == (8 if name.endswith("deeper") else 6 if name.endswith("deep") else 4)
    with pytest.raises(TypeError, match=rf"{name}.*'widden'. Did you mean 'widen'"):
        build(widden=2)


def test_asking_for_weights_that_do_not_exist_says_what_to_do() -> None:
    with pytest.raises(WeightsError, match=r"no pretrained weights for xresnet50.*xresnet_small"):
        xresnet50(pretrained=True)


def test_a_number_in_place_of_the_weights_is_taken_for_outputs_and_told() -> None:
    with pytest.raises(ConfigError, match="write n_out=10"):
        xse_resnet18(10)


def test_options_of_the_blocks_are_passed_on() -> None:
    with torch.device("meta"):
        model = xse_resnext18(n_out=4, act_cls=nn.Mish, sa=True, sym=True, pool=MaxPool, norm_type=NormType.Instance)
        assert model(torch.empty(2, 3, 64, 64)).shape == (2, 4)
    blocks = [part for part in model.modules() if isinstance(part, ResBlock)]
    assert {type(layer) for block in blocks for layer in block.shortcut} == {nn.MaxPool2d, ConvLayer}
    assert all(isinstance(part, nn.InstanceNorm2d) for part in blocks[-1].modules() if "Norm" in type(part).__name__)
    assert [part.sym for part in model.modules() if isinstance(part, SimpleSelfAttention)] == [True]
    with pytest.raises(ConfigError, match="PreActResBlock takes no sym, pool"):
        XResNet(ResBlock, 1, [1], pre_act=True, sym=True, pool=MaxPool)
    with pytest.raises(TypeError, match=r"'poool'\. Did you mean 'pool'"):
        XResNet(ResBlock, 1, [1], poool=MaxPool)


def test_a_stem_that_the_expansion_does_not_divide_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"30 channels.*expansion=4"):
        XResNet(ResBlock, 4, [1], stem_szs=(30,))


def test_an_xresnet_can_be_exported_whole_and_gives_the_same() -> None:
    model = xresnet_small(n_out=3).eval()
    x = torch.rand(2, 3, 32, 32)
    exported = torch.export.export(model, (x,), strict=True)
    assert torch.allclose(exported.module()(x), model(x), atol=1e-5)


def test_an_xresnet_keeps_channels_last() -> None:
    model = xresnet_small(n_out=3).to(memory_format=torch.channels_last).eval()
    body = nn.Sequential(*list(model)[:-4])
    features = body(torch.rand(2, 3, 64, 64).to(memory_format=torch.channels_last))
    assert features.is_contiguous(memory_format=torch.channels_last)


# ---- weights that come with laminar ----------------------------------------------------------------------------------


def test_the_shipped_weights_are_small_and_say_what_they_are() -> None:
    assert shipped_names() == ["xresnet_small"]
    weights = shipped_weights("xresnet_small")
    assert weights.path.stat().st_size <= 2_000_000
    assert weights.classes == tuple(map(class_name, PRETRAINING_CHARACTERS))
    assert not set(weights.classes) & set(DEMO_CHARACTERS)
    assert weights.metadata["generator_version"] == str(GENERATOR_VERSION)
    assert weights.metadata["licence"] == "Apache-2.0"
    assert len(weights.mean) == len(weights.std) == 3
    assert weights.size == 64


def test_the_shipped_weights_load_strictly_as_float32() -> None:
    model = xresnet_small(pretrained=True)
    own = model.state_dict()
    stored = shipped_weights("xresnet_small").state_dict()
    assert own.keys() == stored.keys()
    assert all(torch.equal(own[name], stored[name]) for name in own)
    assert {value.dtype for value in own.values()} == {torch.float32, torch.int64}
    assert 500_000 < number_of_parameters(model) < 1_000_000


def test_the_shipped_network_reads_the_characters_it_was_trained_on() -> None:
    weights = shipped_weights("xresnet_small")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (weights.mean, weights.std))
    characters = PRETRAINING_CHARACTERS[::8]
    pictures = torch.stack([torch.from_numpy(glyph_item(c, 1000).image).permute(2, 0, 1) for c in characters])
    model = xresnet_small(pretrained=True).eval()
    with torch.no_grad():
        predicted = model((pictures / 255 - mean) / std).argmax(dim=1)
    right = [weights.classes[index] == class_name(c) for index, c in zip(predicted.tolist(), characters, strict=True)]
    assert sum(right) / len(right) > 0.7


def test_another_number_of_outputs_keeps_the_body_and_starts_the_last_layer_afresh() -> None:
    model = xresnet_small(pretrained=True, n_out=7)
    shipped = shipped_weights("xresnet_small").state_dict()
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 7)
    assert torch.equal(model[0][0].weight, shipped["0.0.weight"])  # type: ignore[index]


def test_weights_that_do_not_fit_name_the_layers() -> None:
    with pytest.raises(WeightsError, match=r"do not fit this model.*0\.0\.weight.*pretrained=False"):
        xresnet_small(pretrained=True, c_in=1)


def test_asking_for_unknown_shipped_weights_suggests() -> None:
    with pytest.raises(WeightsError, match=r"'xresnet_smal'.*Did you mean 'xresnet_small'"):
        load_shipped(nn.Sequential(nn.Linear(1, 1)), "xresnet_smal")
