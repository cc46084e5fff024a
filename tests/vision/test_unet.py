"""From pictures and masks to a network that draws masks."""

import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError
from laminar.core.types import TensorMask
from laminar.data.glyphs import make_glyph_scenes
from laminar.data.loaders import DataLoaders
from laminar.data.normalize import Normalize
from laminar.learner.learner import Learner
from laminar.learner.loading import load_learner
from laminar.metrics import DiceMulti, foreground_acc
from laminar.nn.blocks import NormType
from laminar.vision import SegmentationDataLoaders, xresnet_small
from laminar.vision.learner import vision_learner
from laminar.vision.models.timm_networks import timm_arch
from laminar.vision.unet import unet_learner

CODES = ["background", "glyph"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> DataLoaders:
    folder = make_glyph_scenes(tmp_path_factory.mktemp("scenes"), "♥", train=32, valid=16, size=48)
    files = sorted((folder / "images").iterdir())
    return SegmentationDataLoaders.from_label_func(
        folder, files, mask_beside, codes=CODES, bs=8, valid_pct=0.25, seed=1, device="cpu"
    )


def mask_beside(path: Path) -> Path:
    return path.parents[1] / "masks" / f"{path.stem}.png"


def test_a_u_net_learns_to_find_glyphs_and_predicts_the_same_after_an_export(
    scenes: DataLoaders, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    learn = unet_learner(
        scenes, xresnet_small, metrics=[DiceMulti(), foreground_acc], path=tmp_path, norm_type=NormType.Batch
    )
    assert not next(learn.model.encoder.parameters()).requires_grad
    assert scenes.train.after_batch.find(Normalize) is None
    assert learn.dls.train.after_batch.find(Normalize) is not None
    with learn.no_bar(), learn.no_logging():
        before = learn.validate()[1]
        learn.fit_one_cycle(4, 5e-3)
        _, dice, foreground = learn.validate()
    assert dice > max(0.8, before + 0.2)
    assert foreground > 0.7
    assert len(learn.show_results(max_n=2)) == 4

    picture = scenes.valid_ds.items[0]
    mask, decided, probabilities = learn.predict(picture)
    assert type(mask) is TensorMask
    assert decided.shape == (48, 48)
    assert probabilities.shape == (2, 48, 48)
    loaded = load_learner(learn.export("masks.laminar"))
    torch.testing.assert_close(loaded.predict(picture)[2], probabilities, rtol=1e-4, atol=1e-5)


def test_arguments_are_checked(scenes: DataLoaders) -> None:
    with pytest.raises(TypeError, match=r"unet_learner.*'blurr'. Did you mean 'blur'"):
        unet_learner(scenes, xresnet_small, blurr=True)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r"unet_learner\(dls, xresnet_small\)"):
        unet_learner(xresnet_small, scenes)  # type: ignore[arg-type]


def test_a_u_net_from_scratch_is_trained_whole_and_normalised_by_the_data(scenes: DataLoaders) -> None:
    def body() -> nn.Sequential:
        layers: list[nn.Module] = []
        for ins, outs in [(3, 4), (4, 8)]:
            layers += [nn.Conv2d(ins, outs, 3, stride=2, padding=1), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    learn: Any = unet_learner(scenes, body, pretrained=False, n_out=2, y_range=(0.0, 1.0), self_attention=True)
    assert all(parameter.requires_grad for parameter in learn.model.parameters())
    assert learn.model(torch.rand(1, 3, 21, 30)).shape == (1, 2, 21, 30)


def wide_views(pretrained: bool = False) -> nn.Module:
    """A network whose second layer wants more pixels than small pictures have."""
    body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 4, 31, stride=2))
    return nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))


@pytest.mark.parametrize("make", [unet_learner, vision_learner])
def test_pictures_that_a_body_cannot_be_run_on_are_refused_with_sizes_that_it_takes(
    scenes: DataLoaders, make: Callable[..., Learner]
) -> None:
    with pytest.raises(ConfigError, match=r"wide_views cannot be run on pictures of 48x48 .*64x64.*Resize\(64\)"):
        make(scenes, wide_views, pretrained=False, n_out=2)


def test_a_body_of_one_scale_is_refused_for_that_and_not_for_the_size_of_pictures(scenes: DataLoaders) -> None:
    pytest.importorskip("timm")
    small = {"img_size": 64, "depth": 1}  # 48 pixels are no multiple of 32-pixel patches
    with pytest.raises(ConfigError, match="two scales at least"):
        unet_learner(scenes, partial(timm_arch("vit_tiny_patch16_224"), patch_size=32, **small), pretrained=False)


def test_predictions_leave_no_tensor_behind(scenes: DataLoaders, tmp_path: Path) -> None:
    """A U-Net that hands features across by hooks or on tensors would keep those of every picture."""
    learn = unet_learner(scenes, xresnet_small, pretrained=False, path=tmp_path)
    picture = scenes.valid_ds.items[0]
    learn.predict(picture)
    gc.collect()
    before = tensors_alive()
    gc.disable()  # what only the collector would find counts as left behind, too
    try:
        for _ in range(10):
            learn.predict(picture)
        assert tensors_alive() <= before
    finally:
        gc.enable()


def tensors_alive() -> int:
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
