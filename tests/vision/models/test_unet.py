"""U-Nets on the bodies of every family."""

import copy

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError
from laminar.nn.attention import SelfAttention
from laminar.nn.blocks import NormType
from laminar.vision.models.body import body_splitter, create_body
from laminar.vision.models.scales import BodyScales
from laminar.vision.models.unet import DynamicUnet
from laminar.vision.unet import create_unet_model

# Channels of the features at every scale, the finest first.
SCALES = {
    "convnext_tiny": [96, 192, 384, 768],
    "densenet121": [64, 256, 512, 1024, 1024],
    "efficientnet_b0": [16, 24, 40, 112, 1280],
    "inception_v3": [64, 192, 288, 768, 2048],
    "mobilenet_v2": [16, 24, 32, 96, 1280],
    "regnet_y_400mf": [32, 48, 104, 208, 440],
    "resnet18": [64, 64, 128, 256, 512],
    "shufflenet_v2_x0_5": [24, 24, 48, 96, 1024],
    "squeezenet1_1": [64, 64, 128, 256, 512][1:],
    "swin_t": [96, 192, 384, 768],
    "vgg11": [64, 128, 256, 512, 512, 512],
    "xresnet_small": [24, 24, 48, 96, 192],
}


def tiny() -> nn.Sequential:
    """A body of three scales, the coarsest an eighth of the picture."""
    layers: list[nn.Module] = []
    for ins, outs in [(3, 8), (8, 8), (8, 16)]:
        layers += [nn.Conv2d(ins, outs, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("name", SCALES)
def test_every_family_gives_its_features_at_every_scale(name: str) -> None:
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # regnet's widths are computed with tensors
        body = create_body(name)
    features = BodyScales(body).to("meta").eval()(torch.empty(1, 3, 224, 224, device="meta"))
    assert [part.shape[1] for part in features] == SCALES[name]
    sides = [part.shape[2] for part in features]
    assert sides == sorted(sides, reverse=True)
    assert all(part.shape[2] == part.shape[3] for part in features)


@pytest.mark.parametrize("size", [(64, 64), (37, 51), (33, 64), (10, 8)])
def test_outputs_have_the_size_of_the_picture_also_an_odd_one(size: tuple[int, int]) -> None:
    model = DynamicUnet(tiny(), 5).eval()
    assert model(torch.rand(2, 3, *size)).shape == (2, 5, *size)


@pytest.mark.parametrize(
    "options",
    [
        {"self_attention": True},
        {"blur": True},
        {"blur": True, "blur_final": False},
        {"bottle": True},
        {"last_cross": False},
        {"norm_type": NormType.Batch},
        {"norm_type": NormType.Weight, "act_cls": nn.GELU},
        {"norm_type": NormType.Spectral},
        {"y_range": (-1.0, 2.0)},
    ],
    ids=str,
)
def test_every_option_trains(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    model = DynamicUnet(tiny(), 2, **options)
    out = model(torch.rand(2, 3, 17, 24) * 50)
    assert out.shape == (2, 2, 17, 24)
    out.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
    if "y_range" in options:
        assert -1 <= out.min() < out.max() <= 2


def test_options_change_what_they_name() -> None:
    def of_kind(kind: type[nn.Module], **options: object) -> int:
        return sum(isinstance(part, kind) for part in DynamicUnet(tiny(), 2, **options).modules())

    assert of_kind(SelfAttention) == 0
    assert of_kind(SelfAttention, self_attention=True) == 1
    assert of_kind(nn.AvgPool2d, blur=True) - of_kind(nn.AvgPool2d, blur=True, blur_final=False) == 1
    plain = of_kind(nn.BatchNorm2d)
    assert of_kind(nn.BatchNorm2d, norm_type=NormType.Batch) > plain
    weights = {
        bottle: sum(p.numel() for p in DynamicUnet(tiny(), 2, bottle=bottle).last.parameters()) for bottle in (0, 1)
    }
    assert weights[1] < weights[0]


def test_the_features_beside_the_way_up_are_those_that_the_body_finds() -> None:
    body = tiny().eval()
    x = torch.rand(1, 3, 32, 32)
    fine, middle, coarse = BodyScales(body)(x)
    torch.testing.assert_close(coarse, body(x))
    torch.testing.assert_close(fine, body[:2](x))
    torch.testing.assert_close(middle, body[:4](x))


def test_a_copy_of_a_u_net_sees_its_own_features() -> None:
    model = DynamicUnet(tiny(), 2).eval()
    x = torch.rand(1, 3, 16, 16)
    before, other = model(x), copy.deepcopy(model)
    nn.init.zeros_(other.encoder.body[0].weight)
    assert not torch.equal(other(x), before)
    assert torch.equal(model(x), before)


def test_a_u_net_can_be_exported_whole() -> None:
    model, x = DynamicUnet(tiny(), 2).eval(), torch.rand(1, 3, 19, 24)
    exported = torch.export.export(model, (x,), strict=True)
    torch.testing.assert_close(exported.module()(x), model(x))


def test_a_body_of_ones_own_gives_a_list_of_features() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 6, 3, stride=2, padding=1)

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            fine = self.first(x)
            return [fine, self.second(fine)]

    assert DynamicUnet(Two(), 3)(torch.rand(2, 3, 15, 16)).shape == (2, 3, 15, 16)


def test_what_a_u_net_cannot_stand_on_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"layer Flatten.*\[batch, features, height, width\].*cut="):
        DynamicUnet(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 4)), 2)
    with pytest.raises(ConfigError, match=r"Conv2d does not tell what it finds at each scale"):
        DynamicUnet(nn.Conv2d(3, 4, 3), 2)
    with pytest.raises(ConfigError, match=r"two scales at least"):
        DynamicUnet(nn.Sequential(nn.Conv2d(3, 4, 3)), 2)
    with pytest.raises(TypeError, match=r"create_unet_model.*'self_atention'. Did you mean 'self_attention'"):
        create_unet_model("xresnet_small", 2, self_atention=True)  # type: ignore[call-arg]


def test_a_u_net_has_groups_of_early_and_late_layers_and_of_the_way_up() -> None:
    model = create_unet_model("xresnet_small", 2, pretrained=False)
    early, late, up = body_splitter(model)
    assert {id(p) for p in [*early, *late]} == {id(p) for p in model.encoder.parameters()}
    assert len({id(p) for p in [*early, *late, *up]}) == len(list(model.parameters()))
    assert early
    assert late


@pytest.mark.parametrize("n_in", [1, 4])
def test_pictures_of_any_number_of_channels(n_in: int) -> None:
    model = create_unet_model("xresnet_small", 2, n_in=n_in).eval()
    assert model(torch.rand(1, n_in, 32, 40)).shape == (1, 2, 32, 40)
