"""Grad-CAM and occlusion: where they point, for what networks, on what they are asked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50
from torchvision.models.vision_transformer import VisionTransformer

from laminar.core.errors import ConfigError
from laminar.data.loaders import DataLoaders
from laminar.interpret import Interpretation, grad_cam, grad_cam_maps, occlusion, occlusion_map
from laminar.interpret.feature_maps import grid_of
from laminar.learner.learner import Learner
from laminar.nn.losses import CrossEntropyLossFlat
from laminar.vision.crop import Resize
from laminar.vision.data import ImageDataLoaders
from laminar.vision.learner import create_vision_model, vision_learner
from laminar.vision.models.unet import DynamicUnet
from laminar.vision.models.xresnet import xresnet_small


class Spots(nn.Module):
    """Says 0 for red spots and 1 for green ones, by how bright a coarse picture of them is."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(3, 2, 8, stride=8, bias=False)
        self.act = nn.ReLU(inplace=True)
        with torch.no_grad():
            self.coarse.weight.zero_()
            for colour in (0, 1):
                self.coarse.weight[colour, colour] = 1 / 16

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.coarse(x)).mean((2, 3))


def spots(*places: tuple[int, int, int]) -> Tensor:
    """One picture of 48 x 64 with a spot of 8 pixels at each (colour, y, x)."""
    picture = torch.zeros(1, 3, 48, 64)
    for colour, y, x in places:
        picture[0, colour, y : y + 8, x : x + 8] = 1
    return picture


def centre(values: Tensor) -> tuple[float, float]:
    values = values.clamp(min=0)
    rows, columns = (torch.arange(side) + 0.5 for side in values.shape)
    total = values.sum()
    return float((values.sum(1) * rows).sum() / total), float((values.sum(0) * columns).sum() / total)


@pytest.mark.parametrize("frozen", [False, True])
def test_grad_cam_points_at_what_speaks_for_the_class(frozen: bool) -> None:
    model = Spots().requires_grad_(not frozen)
    picture = spots((0, 8, 16), (1, 32, 48))
    for colour, y, x in ((0, 8, 16), (1, 32, 48)):
        found = grad_cam_maps(model, picture, target=colour)
        assert centre(found.maps[0]) == pytest.approx((y + 4, x + 4), abs=2)
        assert found.maps.shape == (1, 48, 64)
        assert (found.maps.min(), found.maps.max()) == (0, 1)
        assert found.layer == "act"
    assert all(parameter.grad is None for parameter in model.parameters())


def test_grad_cam_is_the_formula_of_its_paper() -> None:
    torch.manual_seed(0)
    model, pictures = resnet18(num_classes=4).eval(), torch.rand(2, 3, 128, 128)
    kept: list[Tensor] = []
    handle = model.layer4.register_forward_hook(lambda layer, given, out: kept.append(out))
    outputs = model(pictures)
    handle.remove()
    (gradient,) = torch.autograd.grad(outputs[:, 2].sum(), kept)
    expected = torch.einsum("nc,nchw->nhw", gradient.mean((2, 3)), kept[0]).relu()
    found = grad_cam_maps(model, pictures, target=2)
    assert found.layer == "layer4"
    coarse = nn.functional.interpolate(expected[:, None], size=(128, 128), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(found.maps, coarse / coarse.amax((1, 2), keepdim=True), rtol=1e-4, atol=1e-5)
    assert torch.equal(grad_cam_maps(model, pictures, 2, layer="layer4.1").maps, found.maps)
    assert torch.equal(grad_cam_maps(model, pictures, 2, layer=model.layer4[1]).maps, found.maps)


LAYERS = {
    "xresnet_small": "0.6",
    "squeezenet1_1": "0",
    "swin_t": "0",
    "mobilenet_v3_small": "0",
    "vit_tiny_patch16_224": "0.model.blocks.11.norm1",
    "deit_tiny_distilled_patch16_224": "0.model.blocks.11.norm1",
    "swin_tiny_patch4_window7_224": "0.model.norm",
    "convnext_atto": "0",
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_is_found_in_networks_of_every_kind_and_hooks_come_off(name: str) -> None:
    torch.manual_seed(0)
    model = create_vision_model(name, 3, pretrained=False).train()
    side = 96 if name == "xresnet_small" else 224 if "224" in name else 128
    found = grad_cam_maps(model, torch.rand(1, 3, side, side), target=1)
    assert found.layer == LAYERS[name]
    assert found.maps.shape == (1, side, side)
    assert found.maps.isfinite().all()
    assert not any(part._forward_hooks or part._backward_hooks for part in model.modules())
    assert all(part.training for part in model.modules())


def test_small_pictures_are_mapped_by_a_whole_stage_that_still_tells_places_apart() -> None:
    assert grad_cam_maps(resnet50(num_classes=2), torch.rand(1, 3, 64, 64)).layer == "layer3"


def test_a_transformer_of_torchvisions_is_mapped_by_its_tokens() -> None:
    model = VisionTransformer(64, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=16, num_classes=3)
    nn.init.normal_(model.heads.head.weight)  # which begins at zero
    found = grad_cam_maps(model, torch.rand(2, 3, 64, 64))
    assert found.layer.startswith("encoder.layers.encoder_layer_1.")
    assert found.maps.amax((1, 2)).gt(0).any()


def test_a_u_net_is_mapped_by_its_coarsest_features_for_a_class_of_pixels() -> None:
    body = nn.Sequential(*list(xresnet_small(n_out=2))[:-4])
    model = DynamicUnet(body, 3).eval()
    found = grad_cam_maps(model, torch.rand(1, 3, 128, 160), target=2)
    assert found.layer.startswith("middle")
    assert found.maps.shape == (1, 128, 160)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 8, 7, 10), (7, 10, "channels first", 0)),
        ((2, 7, 10, 8), (7, 10, "channels last", 0)),
        ((2, 71, 16), (7, 10, "tokens", 1)),
        ((2, 75, 16), (7, 10, "tokens", 5)),
        ((2, 8, 1, 1), None),
        ((2, 8, 224, 320), None),  # as large as the picture
        ((2, 8), None),
        ((2, 13, 16), None),  # patches that were no squares
    ],
)
def test_features_over_a_picture_are_told_by_their_shape(shape: tuple[int, ...], expected: Any) -> None:
    grid = grid_of(shape, (224, 320))
    assert (grid and (grid.height, grid.width, grid.order, grid.prefix)) == expected


def test_hooks_come_off_when_the_model_fails() -> None:
    class Failing(Spots):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise RuntimeError("no")

    model = Failing().train()
    with pytest.raises(RuntimeError, match="no"):
        grad_cam_maps(model, spots())
    assert not any(part._forward_hooks for part in model.modules())
    assert model.training


def test_occlusion_points_at_what_is_missed_and_at_what_stands_in_the_way() -> None:
    def predict(pictures: Tensor) -> Tensor:
        return Spots()(pictures).softmax(1)

    found = occlusion_map(predict, spots((0, 8, 16), (1, 32, 48))[0], target=0, size=8, stride=4)
    assert centre(found) == pytest.approx((12, 20), abs=1)
    assert centre(-found) == pytest.approx((36, 52), abs=1)
    assert found.shape == (48, 64)
    with pytest.raises(ConfigError, match=r"size=49.* do not fit pictures of 48x64"):
        occlusion_map(predict, spots()[0], 0, size=49)


def test_occlusion_asks_for_so_many_pictures_at_a_time() -> None:
    sizes = []

    def predict(pictures: Tensor) -> Tensor:
        sizes.append(len(pictures))
        return Spots()(pictures)

    occlusion_map(predict, spots()[0], target=0, size=16, stride=16, bs=5)
    assert sizes == [1, 5, 5, 2]


# ---- on a learner ----------------------------------------------------------------------------------------------------


@pytest.fixture
def learn(tmp_path: Path) -> Learner:
    """A learner of red and green spots in pictures of one size."""
    for split in ("train", "valid"):
        for number, name in enumerate(("green", "red")):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(3):
                pixels = np.zeros((48, 48, 3), dtype=np.uint8)
                pixels[8 * index : 8 * index + 8, 24:32, 1 - number] = 255
                Image.fromarray(pixels).save(tmp_path / split / name / f"{index}.png")
    dls = ImageDataLoaders.from_folder(tmp_path, item_tfms=Resize(48), bs=2, device="cpu", seed=0)
    model = nn.Sequential(Spots(), nn.Linear(2, 2, bias=False))
    model[1].weight.data = torch.eye(2).flip(0) * 100
    return Learner(dls, model, default_cbs=False)


def test_a_file_a_picture_a_list_a_batch_or_nothing_can_be_asked_about(learn: Learner) -> None:
    files = learn.dls.valid_ds.items
    red = [file for file in files if file.parent.name == "red"]
    one = grad_cam(learn, red[1])
    assert (len(one), one.names, one.method) == (1, ["red"], "Grad-CAM, layer '0.act'")
    assert one.scores[0] > 0.9
    assert centre(one.maps[0]) == pytest.approx((12, 28), abs=2)
    assert torch.equal(grad_cam(learn, Image.open(red[1])).maps, one.maps)
    assert torch.equal(grad_cam(learn, red).maps[1], one.maps[0])
    whole = grad_cam(learn)
    assert whole.names == ["green"] * 3 + ["red"] * 3
    assert len(grad_cam(learn, n=2)) == 2
    interp = Interpretation.from_learner(learn)
    batch = interp.batch([list(files).index(red[1]), 0])
    assert torch.equal(grad_cam(learn, batch).maps[0], one.maps[0])
    assert torch.equal(grad_cam(learn, batch[0]).maps[0], one.maps[0])


def test_maps_are_drawn_over_the_pictures_the_model_saw(learn: Learner) -> None:
    axes = grad_cam(learn, target="red").show(max_n=4)
    assert len(axes) == 4
    picture, over = axes[3].images
    assert picture.get_array().shape[:2] == (48, 48)
    assert over.get_extent() == picture.get_extent()
    assert axes[0].get_title().startswith("red 0.0")
    assert axes[0].figure.get_suptitle().startswith("Grad-CAM")


def test_occlusion_of_a_learner_tells_what_probability_is_lost(learn: Learner) -> None:
    red = next(file for file in learn.dls.valid_ds.items if file.parent.name == "red")
    found = occlusion(learn, red, size=8, stride=8)
    assert 0.3 < found.maps.max() < found.scores[0]
    assert centre(found.maps[0]) == pytest.approx((4, 28), abs=1)
    assert len(found.show()) == 1


def test_a_trained_vision_learner_is_asked_with_its_normalisation(learn: Learner) -> None:
    trained = vision_learner(learn.dls, xresnet_small)
    found = grad_cam(trained, learn.dls.valid_ds.items[:2])
    assert found.maps.shape == (2, 48, 48)
    probabilities = trained.get_preds()[0][:2]
    torch.testing.assert_close(found.scores, probabilities.max(1).values)
    low, high = (float(getattr(found.pictures[0].float(), name)()) for name in ("min", "max"))
    assert (round(low), round(high)) in ((0, 1), (0, 255))  # drawn as it was before


def test_batches_from_elsewhere_can_be_asked_about() -> None:
    x, y = torch.cat([spots((0, 8, 16)), spots((1, 0, 0))]), torch.tensor([0, 1])
    dls = DataLoaders([(x, y)], [(x, y)], device="cpu")
    plain = Learner(dls, Spots(), CrossEntropyLossFlat(), default_cbs=False)
    found = grad_cam(plain)
    assert found.names == ["0", "1"]
    assert len(found.show()) == 2


def test_what_cannot_be_asked_is_told(learn: Learner) -> None:
    files = learn.dls.valid_ds.items
    with pytest.raises(ConfigError, match=r"no class 'rod'. Did you mean 'red'"):
        grad_cam(learn, files, target="rod")
    with pytest.raises(ConfigError, match="no class 7: the model has 2 outputs"):
        occlusion(learn, files, target=7)
    with pytest.raises(ConfigError, match="target holds 2 classes for 3 pictures"):
        grad_cam(learn, files[:3], target=["red", "green"])
    with pytest.raises(ConfigError, match=r"no layer '0.coars'. Did you mean '0.coarse'"):
        grad_cam(learn, files, layer="0.coars")
    with pytest.raises(ConfigError, match=r"layer '1' \(Linear\) gives nothing that lies over the picture"):
        grad_cam(learn, files, layer="1")
    with pytest.raises(ConfigError, match="this ReLU is no layer of the model"):
        grad_cam(learn, files, layer=nn.ReLU())
    with pytest.raises(ConfigError, match="an empty list"):
        grad_cam(learn, [])
    with pytest.raises(ConfigError, match=r"no layer whose features lie over pictures of 8x8"):
        grad_cam(learn, torch.rand(1, 3, 8, 8))
