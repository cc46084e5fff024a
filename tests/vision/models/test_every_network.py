"""Networks of all families that the star import offers make classifiers, and U-Nets over all their scales."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import get_model, list_models

import laminar.vision.all as everything
from laminar.vision.learner import create_vision_model
from laminar.vision.models.body import body_splitter
from laminar.vision.models.expected_input import expected_input
from laminar.vision.models.measuring import on_meta
from laminar.vision.models.unet import DynamicUnet

# The shallowest network of each family, and the side of the pictures that it is tried with.
NETWORKS = {
    "alexnet": 96,
    "convnext_tiny": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "efficientnet_v2_s": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "maxvit_t": 224,
    "mnasnet1_0": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "regnet_y_400mf": 64,
    "resnet18": 64,
    "resnet50": 64,
    "resnext50_32x4d": 64,
    "shufflenet_v2_x1_0": 64,
    "squeezenet1_0": 64,
    "swin_t": 64,
    "swin_v2_t": 64,
    "vgg11_bn": 64,
    "wide_resnet50_2": 64,
}


def test_every_family_of_the_star_import_is_tried() -> None:
    def families(names: Iterable[str]) -> set[str]:
        return {getattr(everything, name).__module__ for name in names}

    offered = set(list_models(module=torchvision.models)) & set(everything.__all__)
    assert families(NETWORKS) == families(offered)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_makes_a_classifier_in_groups_of_layers_and_a_u_net(name: str) -> None:
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # RegNets compute their widths by tensors
        options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model = create_vision_model(lambda: get_model(name, **options), 7, pretrained=False)
    body, head = model
    picture = torch.empty(2, 3, NETWORKS[name], NETWORKS[name], device="meta")
    first, last = (layer for layer in head.modules() if isinstance(layer, nn.Linear))
    assert (first.in_features, last.out_features) == (2 * on_meta(body, picture).shape[1], 7)
    assert on_meta(head, on_meta(body, picture)).shape == (2, 7)

    groups = body_splitter(model)
    assert [id(parameter) for parameter in groups[2]] == [id(parameter) for parameter in head.parameters()]
    in_groups = [id(parameter) for group in groups for parameter in group]
    assert sorted(in_groups) == sorted(id(parameter) for parameter in model.parameters())

    with torch.device("meta"):
        unet = DynamicUnet(body, 5)
    assert on_meta(unet, picture).shape == (2, 5, *picture.shape[2:])
    sides = [features.shape[2] for features in on_meta(unet.encoder, picture)]
    assert len(sides) >= 3
    assert all(finer > coarser for finer, coarser in pairwise(sides))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_says_what_pictures_its_weights_know(name: str) -> None:
    expected = expected_input(name)
    own_scaling = name in ("googlenet", "inception_v3")  # those rescale ImageNet's, see `pretrained.py`
    assert own_scaling or (list(expected.mean), list(expected.std)) == tuple(everything.imagenet_stats)
    assert expected.size[0] >= 224
