"""Pictures, masks and target pictures of other shapes are told before they are moved apart or compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

from laminar.core.errors import ConfigError, DataError
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock
from laminar.data.sources import get_image_files
from laminar.data.splitters import RandomSplitter
from laminar.learner.learner import Learner
from laminar.nn.losses import CrossEntropyLossFlat, MSELossFlat
from laminar.vision import ImageBlock, MaskBlock, Resize, aug_transforms
from laminar.vision.crop import RandomCrop

Loaders = Callable[..., Any]


@pytest.fixture
def pairs(tmp_path: Path) -> Loaders:
    """Loaders of pictures of 40 x 30 pixels (width, height), and of what stands beside them."""

    def loaders(size: tuple[int, int], block: Any = ImageBlock, **options: Any) -> Any:
        for folder in ("seen", "wanted"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for number in range(5):
            Image.fromarray(np.full((30, 40, 3), 40 * number, np.uint8)).save(tmp_path / "seen" / f"{number}.png")
            mode = "L" if block is MaskBlock else "RGB"
            Image.new(mode, size).save(tmp_path / "wanted" / f"{number}.png")
        settings = {
            "blocks": (ImageBlock, block),
            "get_y": lambda file: tmp_path / "wanted" / file.name,
            "get_items": get_image_files,
            "splitter": RandomSplitter(seed=1),
        }
        return DataBlock(**(settings | options)).dataloaders(tmp_path / "seen", bs=2, device="cpu")

    return loaders


def test_a_target_picture_of_another_shape_is_told_with_both_files(pairs: Loaders) -> None:
    with pytest.raises(DataError, match=r"wanted/\d.png is made for 30x40.*seen/\d.png, has 40x30.*Resize.*n_inp=2"):
        pairs((30, 40), item_tfms=Resize(16)).one_batch()
    with pytest.raises(DataError, match=r"30x40.*40x30.*Augment would move them apart"):
        pairs((30, 40), batch_tfms=aug_transforms()).one_batch()


def test_a_target_picture_may_be_its_picture_scaled_unless_pixels_are_cut_out(pairs: Loaders) -> None:
    assert [part.shape for part in pairs((80, 60), item_tfms=Resize(16)).one_batch()] == [(2, 3, 16, 16)] * 2
    with pytest.raises(DataError, match=r"80x60.*40x30.*Resize first"):
        pairs((80, 60), item_tfms=RandomCrop(16)).one_batch()


def test_pictures_that_are_inputs_both_may_have_any_shape(pairs: Loaders, tmp_path: Path) -> None:
    getters = [None, lambda file: tmp_path / "wanted" / file.name, lambda file: int(file.stem) % 2]
    dls = pairs(
        (30, 40), item_tfms=Resize(16), n_inp=2, blocks=(ImageBlock, ImageBlock, CategoryBlock), getters=getters,
        get_y=None,
    )  # fmt: skip
    assert [part.shape for part in dls.valid.one_batch()[:2]] == [(1, 3, 16, 16)] * 2


@pytest.mark.parametrize(
    ("block", "loss", "n_out"), [(ImageBlock, MSELossFlat(), 3), (MaskBlock, CrossEntropyLossFlat(axis=1), 2)]
)
def test_a_loss_that_flattens_does_not_compare_a_picture_with_a_turned_one(
    pairs: Loaders, block: Any, loss: Any, n_out: int
) -> None:
    message = r"pictures of 30x40 pixels \(height x width\), targets .* of 40x30: .*other places.*Resize\(\(30, 40\)\)"
    with pytest.raises(ConfigError, match=message):
        Learner(pairs((30, 40), block), nn.Conv2d(3, n_out, 1), loss_func=loss).fit(1)
    fits = Learner(pairs((40, 30), block), nn.Conv2d(3, n_out, 1), loss_func=loss)
    with fits.no_bar(), fits.no_logging():
        fits.fit(1)
    assert np.isfinite(fits.recorder.values[0][0])
