"""Masks from files to shown batches."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from laminar.core.errors import DataError
from laminar.core.types import TensorImage, TensorMask, plain
from laminar.data.loaders import DataLoaders
from laminar.vision import RandomResizedCrop, Resize, aug_transforms
from laminar.vision.segmentation import SegmentationDataLoaders
from laminar.vision.turning import FlipItem

CODES = ["sky", "road", "car"]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = []
    for number in range(10):
        mask = np.zeros((30, 40), dtype=np.uint8)
        mask[12:20, 10 + number : 26] = 2
        mask[24:] = 1
        Image.fromarray(mask).save(tmp_path / f"{number}_mask.png")
        pixels = np.stack([mask == 2, mask == 1, mask == 0], -1).astype(np.uint8) * 255
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        paths.append(tmp_path / f"{number}.png")
    return paths


def mask_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}_mask.png")


def loaders(files: list[Path], **options: object) -> DataLoaders:
    settings = {"codes": CODES, "bs": 4, "seed": 1, "device": "cpu", **options}
    return SegmentationDataLoaders.from_label_func(files[0].parent, files, mask_of, **settings)


@pytest.mark.parametrize("item_tfms", [Resize(24), [FlipItem(), RandomResizedCrop(24, min_scale=0.5)]])
def test_a_mask_stays_on_its_picture_and_holds_no_class_that_was_not_there(
    item_tfms: object, files: list[Path]
) -> None:
    dls = loaders(files, item_tfms=item_tfms, batch_tfms=aug_transforms(max_lighting=0.0, flip_vert=True))
    assert (dls.vocab, dls.c) == (CODES, 3)
    for pictures, masks in dls.train:
        assert (type(pictures), type(masks)) == (TensorImage, TensorMask)
        assert masks.codes == CODES
        assert masks.dtype is torch.int64
        assert set(masks.unique().tolist()) <= {0, 1, 2}
        seen = plain(pictures)[:, [2, 1, 0]].argmax(1)
        assert (seen == plain(masks)).float().mean() > 0.93


def test_masks_are_drawn_over_pictures_and_predictions_beside_targets(files: list[Path]) -> None:
    dls = loaders(files, item_tfms=Resize(24))
    batch = dls.valid.one_batch()
    axes = dls.valid.show_batch(batch)
    assert [len(ax.images) for ax in axes] == [2, 2]
    assert axes[0].images[1].get_alpha() == 0.5
    assert axes[0].images[1].get_clim() == (0, 3)
    results = dls.valid.show_results(batch, torch.zeros(2, 24, 24, dtype=torch.int64))
    assert len(results) == 4
    assert results[1].images[1].get_clim() == (0, 3)
    assert np.asarray(results[1].images[1].get_array()).max() == 0
    assert np.asarray(results[0].images[1].get_array()).max() == 2


def test_misspelt_arguments_get_a_suggestion(files: list[Path]) -> None:
    with pytest.raises(TypeError, match=r"SegmentationDataLoaders.from_label_func.*item_tfms"):
        loaders(files, item_tfm=Resize(8))


def test_a_class_that_no_code_names_is_told_with_its_file(files: list[Path]) -> None:
    with pytest.raises(DataError, match=r"the mask holds class 2, but codes has 2 classes"):
        loaders(files, codes=CODES[:2])
