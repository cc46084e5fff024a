import pytest
import torch
import torchvision
from torch import nn

from laminar.core.errors import ConfigError
from laminar.vision.models.body import (
    adapt_channels,
    body_splitter,
    build_arch,
    create_body,
    cut_model,
    named_arch,
    num_features,
)
from laminar.vision.models.head import create_head

# One of every family of torchvision's classifiers, and what its features are.
FEATURES = {
    "alexnet": 256,
    "convnext_tiny": 768,
    "densenet121": 1024,
    "efficientnet_b0": 1280,
    "efficientnet_v2_s": 1280,
    "googlenet": 1024,
    "inception_v3": 2048,
    "maxvit_t": 512,
    "mnasnet0_5": 1280,
    "mobilenet_v2": 1280,
    "mobilenet_v3_small": 576,
    "regnet_y_400mf": 440,
    "resnet18": 512,
    "resnext50_32x4d": 2048,
    "shufflenet_v2_x0_5": 1024,
    "squeezenet1_1": 512,
    "swin_t": 768,
    "swin_v2_t": 768,
    "vgg11": 512,
    "vgg11_bn": 512,
    "vit_b_32": 768,
    "wide_resnet50_2": 2048,
    "xresnet18": 512,
}


@pytest.fixture
def without_initialising(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are of no interest here, and drawing them takes nearly all the time."""
    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.usefixtures("without_initialising")
def test_every_family_of_networks_is_cut_and_split(name: str) -> None:
    model = build_arch(name)
    body = cut_model(model)
    assert num_features(body) == FEATURES[name]
    groups = body_splitter(nn.Sequential(body, nn.Linear(2, 2)))
    assert len(groups) == 3
    assert all(groups)
    whole = [parameter for group in groups for parameter in group]
    assert len({id(parameter) for parameter in whole}) == len(whole) == len(list(body.parameters())) + 2


def test_every_family_of_torchvision_is_tried_here() -> None:
    names = torchvision.models.list_models(module=torchvision.models)
    kinds = {torchvision.models.get_model_builder(name).__module__ for name in names}
    tried = {torchvision.models.get_model_builder(name).__module__ for name in FEATURES if name in names}
    assert kinds == tried


@pytest.mark.parametrize(
    "name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "densenet121", "shufflenet_v2_x0_5"]
)
def test_a_body_gives_the_features_the_network_pools(name: str) -> None:
    model = build_arch(name).eval()
    seen = []
    pool = next(part for part in model.modules() if isinstance(part, nn.AdaptiveAvgPool2d)) if name[0] in "mr" else None
    x = torch.rand(1, 3, 64, 64)
    out = cut_model(model)(x)
    if pool is not None:
        pool = [part for part in model.modules() if isinstance(part, nn.AdaptiveAvgPool2d)][-1]
        pool.register_forward_hook(lambda module, given, result: seen.append(given[0]))
        model(x)
        torch.testing.assert_close(out, seen[0])
    if name == "densenet121":  # its forward applies a ReLU that is no layer
        torch.testing.assert_close(model(x), model.classifier(out.mean((2, 3))))
    assert out.ndim == 4


def test_a_network_without_a_head_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"no head that could be told apart.*cut="):
        cut_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    with pytest.raises(ConfigError, match=r"cut="):
        cut_model(nn.Sequential(nn.Flatten(), nn.Linear(3, 4)))


def test_a_cut_is_a_number_or_a_function() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(5, 2))
    assert num_features(cut_model(model)) == 5
    assert num_features(create_body(model, cut=-3)) == 4
    assert num_features(create_body(model, cut=2)) == 4
    assert num_features(create_body(model, cut=lambda whole: whole[:1])) == 4


def test_a_cut_that_gives_no_picture_of_features_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.ReLU())
    with pytest.raises(ConfigError, match=r"instead of \[batch, features, height, width\].*cut="):
        num_features(model)


def test_counting_features_changes_nothing() -> None:
    body = cut_model(build_arch("mobilenet_v3_small"))
    body[0].eval()
    modes = [part.training for part in body.modules()]
    state = {name: value.clone() for name, value in body.state_dict().items()}
    num_features(body)
    assert [part.training for part in body.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in body.state_dict().items())


@pytest.mark.parametrize("n_in", [1, 2, 3, 5])
def test_first_layer_is_adapted_from_rgb_weights(n_in: int) -> None:
    torch.manual_seed(0)
    rgb = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU())
    rgb[0].weight.data[0, 0, 0, 0] = 3.0
    body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU())
    body.load_state_dict(rgb.state_dict())
    adapt_channels(body, n_in)
    assert body[0].in_channels == n_in
    assert torch.equal(body[0].bias, rgb[0].bias)
    assert body[0].stride == (2, 2)
    grey = torch.rand(2, 1, 8, 8)
    if n_in == 1:
        torch.testing.assert_close(body(grey), rgb(grey.expand(-1, 3, -1, -1)))
    elif n_in == 2:
        torch.testing.assert_close(body[0].weight, rgb[0].weight[:, :2] * 1.5)
    elif n_in == 5:
        torch.testing.assert_close(
            body(torch.cat([grey.expand(-1, 3, -1, -1), torch.rand(2, 2, 8, 8)], 1)), rgb(grey.expand(-1, 3, -1, -1))
        )


def test_an_adapted_first_layer_keeps_its_own_class() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) / self.weight.detach().std()

    body = nn.Sequential(Standardised(3, 4, 3), nn.ReLU())
    adapt_channels(body, 6)
    assert type(body[0]) is Standardised
    assert body(torch.rand(1, 6, 8, 8)).shape == (1, 4, 6, 6)


def test_a_fresh_first_layer_takes_any_number_of_channels() -> None:
    body = create_body("squeezenet1_1", n_in=7)
    assert body(torch.rand(1, 7, 64, 64)).shape[:2] == (1, 512)
    assert num_features(body) == 512


def test_a_network_in_place_of_a_function_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"resnet34, not resnet34\(\)"):
        build_arch(nn.Linear(2, 2))


def test_an_unknown_name_gets_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"'resnet_34'.*Did you mean 'resnet34'"):
        named_arch("resnet_34")
    assert named_arch("xresnet18").__name__ == "xresnet18"


def test_heads_have_fastais_layers() -> None:
    kinds = [
        type(layer).__name__
        for part in create_head(16, 3)
        for layer in (part if len(list(part.children())) > 2 else [part])
    ]
    assert kinds == [
        "AdaptiveConcatPool2d", "Flatten",
        "BatchNorm1d", "Dropout", "Linear", "ReLU",
        "BatchNorm1d", "Dropout", "Linear",
    ]  # fmt: skip
    head = create_head(16, 3)
    assert [layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)] == [0.25, 0.5]
    assert [layer.in_features for layer in head.modules() if isinstance(layer, nn.Linear)] == [32, 512]
    assert head.eval()(torch.rand(2, 16, 3, 3)).shape == (2, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"concat_pool": False},
        {"lin_ftrs": []},
        {"lin_ftrs": [20, 10], "ps": [0.1, 0.2, 0.3]},
        {"lin_first": True},
        {"bn_final": True, "first_bn": False},
        {"y_range": (0, 1)},
        {"ps": 0.0},
    ],
    ids=str,
)
def test_heads_take_their_options(options: dict[str, object]) -> None:
    out = create_head(16, 3, **options).eval()(torch.randn(4, 16, 2, 2))
    assert out.shape == (4, 3)
    assert "y_range" not in options or (out.min() >= 0 and out.max() <= 1)


def test_too_few_dropouts_are_refused() -> None:
    with pytest.raises(ValueError, match="ps has 3 numbers, the head 2"):
        create_head(4, 2, ps=[0.1, 0.2, 0.3])
