import urllib.error
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import SqueezeNet1_1_Weights, googlenet, mobilenet_v3_small, squeezenet1_1

from laminar.core.errors import ConfigError, WeightsError
from laminar.vision.models.body import create_body, cut_model
from laminar.vision.models.pretrained import find_weights, pretrained_body
from laminar.vision.models.shipped import shipped_weights
from laminar.vision.models.xresnet import xresnet18, xresnet_small

IMAGENET = (0.485, 0.456, 0.406)


def tiny(n_out: int = 5) -> nn.Sequential:
    """A network small enough to be made in every test."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, n_out),
    )  # fmt: skip


def same_body(body: nn.Module, model: nn.Module) -> bool:
    whole = dict(model.state_dict())
    return all(torch.equal(value, whole[name]) for name, value in body.state_dict().items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_come_from_files_whatever_their_own_head(suffix: str, tmp_path: Path) -> None:
    model, path = tiny(n_out=99), tmp_path / f"weights{suffix}"
    save_file(model.state_dict(), path) if suffix == ".safetensors" else torch.save(model.state_dict(), path)
    for given in (path, str(path)):
        assert same_body(pretrained_body(tiny, given).body, model)


def test_weights_may_be_a_state_dict_and_in_the_wrappings_of_training_programs(tmp_path: Path) -> None:
    model = tiny()
    state = model.state_dict()
    assert same_body(pretrained_body(tiny, state).body, model)
    path = tmp_path / "checkpoint.pt"
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    assert same_body(pretrained_body(tiny, path).body, model)


def test_weights_of_a_network_that_was_made_here_fit() -> None:
    trained = nn.Sequential(create_body(tiny), nn.Linear(6, 2))
    body = pretrained_body(tiny, trained.state_dict()).body
    assert torch.equal(body[0].weight, trained[0][0].weight)


def test_weights_that_do_not_fit_name_the_layers() -> None:
    def wider() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(3, 8, 3), *list(tiny())[1:3], nn.Conv2d(8, 6, 3), *list(tiny())[4:])

    with pytest.raises(WeightsError, match=r"of another shape: 0.bias \(8,\) instead of \(4,\)"):
        pretrained_body(tiny, wider().state_dict())
    state = {name: value for name, value in tiny().state_dict().items() if not name.startswith("3.")}
    with pytest.raises(WeightsError, match=r"2 missing: 3.bias, 3.weight"):
        pretrained_body(tiny, state)
    deeper = {**squeezenet1_1().state_dict(), "features.13.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"1 not in the network: features.13.weight"):
        pretrained_body(squeezenet1_1, deeper)


def test_a_file_with_more_than_tensors_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "whole.pth"
    torch.save(tiny(), path)
    with pytest.raises(WeightsError, match=r"whole.pth cannot be read as plain weights.*save model.state_dict"):
        pretrained_body(tiny, path)


def test_a_damaged_or_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no file.*absent\.pth"):
        pretrained_body(tiny, tmp_path / "absent.pth")
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"damaged.safetensors cannot be read"):
        pretrained_body(tiny, path)


def test_without_a_connection_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(WeightsError, match=r"cannot download.*squeezenet1_1-.*\.pth.*weights=.*pretrained=False"):
        pretrained_body(squeezenet1_1)


def test_torchvisions_weights_bring_their_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    model = squeezenet1_1()
    monkeypatch.setattr(SqueezeNet1_1_Weights, "get_state_dict", lambda self, **options: model.state_dict())
    for weights in (None, SqueezeNet1_1_Weights.IMAGENET1K_V1, "IMAGENET1K_V1", "SqueezeNet1_1_Weights.DEFAULT"):
        found = pretrained_body(squeezenet1_1, weights)
        assert found.mean == IMAGENET
        assert torch.equal(found.body[0].weight, model.features[0].weight)
    assert find_weights("squeezenet1_1").size == 224


def test_an_unknown_name_of_weights_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"'IMAGENET1K_V7'.*IMAGENET1K_V1.*Did you mean"):
        find_weights(squeezenet1_1, "IMAGENET1K_V7")


def test_networks_that_rescale_their_input_get_the_statistics_they_rescale_to() -> None:
    assert find_weights(googlenet, {"a": torch.zeros(1)}).mean == (0.5, 0.5, 0.5)


def test_a_files_own_statistics_count(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_file(tiny().state_dict(), path, metadata={"mean": "[0.1, 0.2, 0.3]", "std": "[1, 1, 1]"})
    assert pretrained_body(tiny, path).mean == (0.1, 0.2, 0.3)
    assert pretrained_body(tiny, tiny().state_dict()).mean is None


@pytest.mark.parametrize(("n_in", "mean"), [(1, (0.449,)), (2, (0.485, 0.456)), (4, (*IMAGENET, 0.449))])
def test_statistics_follow_the_number_of_channels(n_in: int, mean: tuple[float, ...]) -> None:
    found = pretrained_body(squeezenet1_1, squeezenet1_1().state_dict(), n_in=n_in)
    assert found.mean == pytest.approx(mean)
    assert found.body(torch.rand(1, n_in, 64, 64)).shape[1] == 512


def test_weights_trained_on_other_channels_are_taken_as_they_are() -> None:
    grey = nn.Sequential(nn.Conv2d(1, 4, 3), *list(tiny())[1:])
    body = pretrained_body(tiny, grey.state_dict(), n_in=1).body
    assert torch.equal(body[0].weight, grey[0].weight)


def test_the_shipped_network_comes_with_its_weights_and_statistics() -> None:
    found, shipped = pretrained_body(xresnet_small), shipped_weights("xresnet_small")
    assert found.mean == shipped.mean
    assert found.std == shipped.std
    assert same_body(found.body, cut_model(xresnet_small(pretrained=True)))


def test_networks_without_weights_say_so() -> None:
    with pytest.raises(WeightsError, match="no pretrained weights for xresnet18"):
        pretrained_body(xresnet18)
    with pytest.raises(WeightsError, match=r"no pretrained weights are known for tiny.*pretrained=False"):
        pretrained_body(tiny)
    with pytest.raises(ConfigError, match=r"not resnet34\(\)"):
        pretrained_body(mobilenet_v3_small())


def test_a_users_function_that_loads_its_own_weights_is_let_do_so() -> None:
    def own(pretrained: bool = False) -> nn.Sequential:
        model = tiny()
        if pretrained:
            nn.init.constant_(model[0].weight, 2.0)
        return model

    found = pretrained_body(own)
    assert (found.body[0].weight == 2).all()
    assert found.mean is None
