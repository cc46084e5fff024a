"""timm's networks as bodies of classifiers and of U-Nets; nothing is downloaded."""

import sys
from pathlib import Path

import pytest
import timm
import torch
from PIL.Image import Resampling
from safetensors.torch import save_file
from torch import nn
from torchvision.models import inception_v3

from laminar.core.errors import ConfigError, MissingExtraError, WeightsError
from laminar.vision.crop import Resize
from laminar.vision.learner import create_vision_model, vision_network
from laminar.vision.models.body import body_splitter, build_arch, create_body, named_arch, num_features
from laminar.vision.models.expected_input import expected_input
from laminar.vision.models.pretrained import pretrained_body
from laminar.vision.models.timm_networks import TimmBody
from laminar.vision.models.unet import DynamicUnet
from laminar.vision.unet import create_unet_model, unet_network

# Features of the body; channels at every scale.
PICTURES = {
    "resnet18d": (512, [64, 64, 128, 256, 512]),
    "convnext_atto": (320, [40, 80, 160, 320]),
    "edgenext_xx_small": (168, [24, 48, 88, 168]),
    "efficientnet_b0": (1280, [16, 24, 40, 112, 320]),
    "mobilenetv3_small_050": (1024, [16, 8, 16, 24, 288]),
    "poolformer_s12": (512, [64, 128, 320, 512]),
    "regnety_002": (368, [32, 24, 56, 152, 368]),
    "resnetv2_50": (2048, [64, 256, 512, 1024, 2048]),
}
POOLED = {
    "deit_tiny_patch16_224": 192,
    "efficientvit_b0": 1280,
    "mixer_s32_224": 512,
    "swin_tiny_patch4_window7_224": 768,
    "vit_tiny_patch16_224": 192,
}


@pytest.mark.parametrize("name", [*PICTURES, *POOLED])
def test_every_family_loses_its_classifier_and_is_split_into_three_groups(name: str) -> None:
    body = timm_body(name)
    features = PICTURES[name][0] if name in PICTURES else POOLED[name]
    assert num_features(body) == features
    assert body.pooled == (name in POOLED)
    out = body(torch.empty(1, 3, *body.size, device="meta"))
    assert out.shape[:2] == (1, features)
    assert out.ndim == (2 if name in POOLED else 4)
    early, late, head = body_splitter(nn.Sequential(body, nn.Linear(2, 2)))
    assert early
    assert late
    assert len(head) == 2
    assert len({id(p) for p in [*early, *late]}) == len(early) + len(late) == len(list(body.parameters()))


def timm_body(name: str) -> TimmBody:
    with torch.device("meta"):
        model = build_arch(f"timm/{name}")
    body = create_body(model.eval())
    assert isinstance(body, TimmBody)
    return body


@pytest.mark.parametrize("name", PICTURES)
def test_u_nets_stand_on_every_family_with_features_at_several_scales(name: str) -> None:
    body = timm_body(name)
    with torch.device("meta"):
        unet = DynamicUnet(body, 3, init=None).eval()
        assert [part.shape[1] for part in unet.encoder(torch.empty(1, 3, 128, 128))] == PICTURES[name][1]
        assert unet(torch.empty(1, 3, 96, 101)).shape == (1, 3, 96, 101)


def test_a_name_that_both_have_is_torchvisions_and_a_tag_or_prefix_is_timms() -> None:
    assert named_arch("resnet18").__module__.startswith("torchvision.")
    assert named_arch("timm/resnet18").__module__ == named_arch("resnet18.a1_in1k").__module__ == "timm"
    with pytest.raises(ConfigError, match=r"in torchvision or in timm.*Did you mean 'resnet18d'"):
        named_arch("resnet18dd")
    with pytest.raises(ConfigError, match=r"timm has no network 'resnet_18d'.*Did you mean"):
        named_arch("timm/resnet_18d")


def test_without_timm_its_names_are_refused_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"'timm/resnet18' needs timm.*pip install 'laminar\[timm\]'"):
        named_arch("timm/resnet18")
    with pytest.raises(
        ConfigError, match=r"'resnet18d'.*timm \(which is not installed: pip install 'laminar\[timm\]'\)"
    ):
        named_arch("resnet18d")
    assert named_arch("resnet18").__name__ == "resnet18"


def test_a_vision_transformer_is_made_for_the_pictures_at_hand() -> None:
    model = vision_network("vit_tiny_patch16_224", 3, size=(32, 48), n_in=1).eval()
    assert model(torch.rand(2, 1, 32, 48)).shape == (2, 3)
    assert [type(layer).__name__ for layer in model[1][0]] == ["BatchNorm1d", "Dropout", "Linear"]
    assert len(body_splitter(model)) == 3


def test_what_pictures_the_weights_expect_is_told_by_their_owners() -> None:
    vit = expected_input("vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    assert (vit.size, vit.resamples[0], vit.crop_pct, vit.fixed) == ((224, 224), Resampling.BICUBIC, 0.9, True)
    assert vit.mean == (0.5, 0.5, 0.5)
    assert expected_input("timm/vgg11").resamples[0] is Resampling.BILINEAR
    assert expected_input(inception_v3).size == (299, 299)
    assert expected_input(timm.models.inception_v3).size == (299, 299)
    assert expected_input("xresnet_small").size == (64, 64)
    Resize(vit.size, resamples=vit.resamples)
    with pytest.raises(WeightsError, match="no pretrained weights are known for xresnet18"):
        expected_input("xresnet18")


def test_positions_are_interpolated_and_other_weights_kept_when_the_size_changes() -> None:
    whole = timm.create_model("vit_tiny_patch16_224", num_classes=7)
    body = pretrained_body("vit_tiny_patch16_224", whole.state_dict()).body
    assert isinstance(body, TimmBody)
    body.fit_to((64, 64))
    assert body.model.pos_embed.shape[1] == 17
    torch.testing.assert_close(body.model.blocks[0].attn.qkv.weight, whole.blocks[0].attn.qkv.weight)


def test_sizes_that_a_network_cannot_take_are_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"MlpMixer takes pictures of 224x224 pixels only.*Resize\(224\)"):
        timm_body("mixer_s32_224").fit_to((64, 64))
    with pytest.raises(ConfigError, match=r"cannot take pictures of 30x30 pixels.*224x224"):
        create_body("vit_tiny_patch16_224").fit_to((30, 30))  # type: ignore[operator]


def test_weights_come_from_a_file_with_the_statistics_of_the_network(tmp_path: Path) -> None:
    whole = timm.create_model("resnet18d", num_classes=11)
    save_file(whole.state_dict(), tmp_path / "own.safetensors")
    found = pretrained_body("resnet18d", tmp_path / "own.safetensors", n_in=4)
    assert found.mean == pytest.approx((0.485, 0.456, 0.406, 0.449))
    x = torch.rand(1, 3, 64, 64)
    expected = whole.eval().forward_features(x)
    padded = torch.cat([x, torch.rand(1, 1, 64, 64)], 1)  # further channels begin with no influence
    torch.testing.assert_close(found.body.eval()(padded), expected)
    without = {name: value for name, value in whole.state_dict().items() if not name.startswith("layer4.0.conv1")}
    with pytest.raises(WeightsError, match=r"1 missing: layer4.0.conv1.weight"):
        pretrained_body("resnet18d", without)


def test_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **options: object) -> None:
        raise FileNotFoundError("no route to host")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", offline)
    with pytest.raises(WeightsError, match=r"timm cannot get the weights of resnet18d.*weights=.*pretrained=False"):
        pretrained_body("resnet18d")


def test_a_head_with_options_stands_on_pooled_features() -> None:
    model = create_vision_model("vit_tiny_patch16_224", 2, pretrained=False, lin_ftrs=[16], y_range=(0, 1))
    assert model[1][0][-2].out_features == 16
    with pytest.raises(ConfigError, match=r"VisionTransformer pools its features itself"):
        create_vision_model("vit_tiny_patch16_224", 2, pretrained=False, concat_pool=True)


def test_a_u_net_on_one_scale_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"two scales at least.*vision transformers"):
        create_unet_model("vit_tiny_patch16_224", 2, pretrained=False)


@pytest.mark.parametrize(
    "name", ["timm/resnet10t", "convnext_atto", "mobilenetv3_small_050", "regnety_002", "deit_tiny_patch16_224"]
)
def test_a_step_with_a_frozen_body_changes_the_head_alone(name: str) -> None:
    model = vision_network(name, 2, size=(32, 32))
    early, late, head = body_splitter(model)
    for parameter in [*early, *late]:
        parameter.requires_grad_(False)
    before = [parameter.detach().clone() for parameter in [*early, *late, *head]]
    optimiser = torch.optim.SGD(head, 0.1)
    nn.functional.cross_entropy(model(torch.rand(4, 3, 32, 32)), torch.tensor([0, 1, 0, 1])).backward()
    optimiser.step()
    same = [torch.equal(old, new) for old, new in zip(before, [*early, *late, *head], strict=True)]
    assert all(same[: -len(head)])
    assert not all(same[-len(head) :])


def test_a_u_net_on_timms_network_trains_and_can_be_made_again() -> None:
    torch.manual_seed(0)
    model = unet_network("mobilenetv3_small_050", 2)
    model(torch.rand(2, 3, 40, 50)).square().mean().backward()
    assert all(p.grad is not None for p in model.parameters())
    again = unet_network("mobilenetv3_small_050", 2)
    again.load_state_dict(model.state_dict())
    x = torch.rand(1, 3, 40, 50)
    torch.testing.assert_close(again.eval()(x), model.eval()(x))
    assert len(body_splitter(model)) == 3
