"""torchvision's vision transformers are bodies like others: any size of pictures, weights, groups of layers."""

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from laminar.core.errors import ConfigError
from laminar.vision.learner import create_vision_model
from laminar.vision.models.body import body_splitter, cut_model, num_features
from laminar.vision.models.unet import DynamicUnet
from laminar.vision.models.vision_transformer import TransformerBody


def tiny(image_size: int = 32) -> VisionTransformer:
    model = VisionTransformer(image_size, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=16)
    nn.init.normal_(model.encoder.pos_embedding)
    return model


def test_features_are_those_that_its_own_classifier_gets() -> None:
    model = tiny().eval()
    body = cut_model(model)
    assert isinstance(body, TransformerBody)
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(model.heads(body(x)), model(x))
    assert num_features(body) == 16


@pytest.mark.parametrize("size", [(48, 48), (16, 40)])
def test_positions_are_interpolated_for_pictures_of_other_sizes(size: tuple[int, int]) -> None:
    body = cut_model(tiny()).eval()
    assert body(torch.rand(2, 3, *size)).shape == (2, 16)
    body.encoder.pos_embedding.data[:, 1:] = 3.0  # the same everywhere is the same in any size
    body.encoder.pos_embedding.data[:, 0] = 5.0
    positions = body._positions(size[0] // 8, size[1] // 8)
    assert positions.shape == (1, 1 + size[0] * size[1] // 64, 16)
    torch.testing.assert_close(positions[:, 1:], torch.full_like(positions[:, 1:], 3.0))
    torch.testing.assert_close(positions[:, 0], torch.full_like(positions[:, 0], 5.0))


def test_pictures_that_patches_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match=r"patches of 8x8 do not divide 32x30"):
        cut_model(tiny())(torch.rand(1, 3, 32, 30))


def test_every_parameter_is_in_one_of_three_groups_and_the_stem_in_the_first() -> None:
    model = create_vision_model(tiny, 3, pretrained=False)
    early, late, head = body_splitter(model)
    found = [id(parameter) for group in (early, late, head) for parameter in group]
    assert sorted(found) == sorted(id(parameter) for parameter in model.parameters())
    first = {id(parameter) for parameter in early}
    assert {id(model[0].class_token), id(model[0].conv_proj.weight), id(model[0].encoder.pos_embedding)} <= first
    assert id(model[0].encoder.ln.weight) not in first


def test_weights_come_from_the_whole_network_and_the_first_layer_is_adapted() -> None:
    weights = tiny().state_dict()
    body = create_vision_model(tiny, 3, weights=weights)[0]
    torch.testing.assert_close(body.class_token, weights["class_token"])
    grey = create_vision_model(tiny, 3, weights=weights, n_in=1)[0]
    torch.testing.assert_close(grey.conv_proj.weight, weights["conv_proj.weight"].sum(1, keepdim=True))


def test_heads_stand_on_features_that_have_been_pooled() -> None:
    head = create_vision_model(tiny, 3, pretrained=False)[1]
    assert [layer.in_features for layer in head.modules() if isinstance(layer, nn.Linear)] == [16]
    with pytest.raises(ConfigError, match=r"vision transformer pools its features itself"):
        create_vision_model(tiny, 3, pretrained=False, concat_pool=True)


def test_a_u_net_names_bodies_that_have_several_scales() -> None:
    with pytest.raises(ConfigError, match=r"two scales at least.*vision transformers.*Take one.*resnet34"):
        DynamicUnet(cut_model(tiny()), 2)


def test_one_that_goes_another_way_through_its_layers_still_needs_a_cut() -> None:
    class Own(VisionTransformer):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.heads(self.encoder(self._process_input(x)).mean(1))

    with pytest.raises(ConfigError, match=r"Own: it has parameters outside its layers \(class_token\).*Pass cut="):
        cut_model(Own(16, patch_size=8, num_layers=1, num_heads=1, hidden_dim=4, mlp_dim=4))
