"""Augmentations of other libraries, the real ones, as steps of our pipelines."""

import pickle
import random
from collections.abc import Callable
from typing import Any

import albumentations as A
import kornia.augmentation as K
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from laminar.core.adapters import AlbumentationsTransform, KorniaTransform, TorchvisionTransform, to_transform
from laminar.core.errors import ConfigError, DataError
from laminar.core.pipeline import Pipeline
from laminar.core.random import batch_random, item_random
from laminar.core.recipe import to_recipe
from laminar.core.types import TensorBBox, TensorCategory, TensorImage, TensorMask, TensorPoint, plain
from laminar.data import IntToFloatTensor, Normalize, ToTensor
from laminar.vision import PILImage, PILMask

HEIGHT, WIDTH = 40, 60
X, Y = 34, 16  # middle of a square of 7 pixels

POLICIES = {
    "RandAugment": lambda: v2.RandAugment(),
    "TrivialAugmentWide": lambda: v2.TrivialAugmentWide(),
    "AutoAugment": lambda: v2.AutoAugment(),
    "AugMix": lambda: v2.AugMix(),
}
MOVERS: dict[str, Callable[[], Any]] = {
    "albumentations flip": lambda: A.HorizontalFlip(p=1.0),
    "albumentations affine": lambda: A.Affine(translate_px=(3, 5), rotate=10, p=1.0),
    "albumentations crop": lambda: A.RandomCrop(32, 48, p=1.0),
    "albumentations compose": lambda: A.Compose([A.VerticalFlip(p=1.0), A.RandomBrightnessContrast(p=1.0)]),
    "kornia flip": lambda: K.RandomHorizontalFlip(p=1.0),
    "kornia affine": lambda: K.RandomAffine(10.0, p=1.0),
    "kornia sequence": lambda: K.AugmentationSequential(
        K.RandomVerticalFlip(p=1.0), K.ColorJitter(0.1, 0.1, 0.1, 0.1), data_keys=["input"]
    ),
    "torchvision flip": lambda: v2.RandomHorizontalFlip(1.0),
    "torchvision affine": lambda: v2.RandomAffine(10),
}


def sample() -> tuple[Any, ...]:
    """A picture, mask, points and boxes that show one square, and what is none of it."""
    image = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8)
    image[:, Y - 3 : Y + 4, X - 3 : X + 4] = 255
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.int64)
    mask[Y - 3 : Y + 4, X - 3 : X + 4] = 9
    size = (HEIGHT, WIDTH)
    points = TensorPoint(torch.tensor([[X + 0.5, Y + 0.5], [-4.0, 2.0]]), canvas_size=size)
    boxes = TensorBBox(torch.tensor([[X - 3.0, Y - 3, X + 4, Y + 4]]), canvas_size=size)
    return TensorImage(image), TensorMask(mask), points, boxes, TensorCategory(3), "other"


def batch(n: int = 4) -> tuple[Any, ...]:
    image, mask, points, boxes, _, other = sample()
    many = [part.__class__.wrap(torch.stack([plain(part)] * n), part) for part in (image, mask, points, boxes)]
    return (
        many[0].__class__.wrap(plain(many[0]).float() / 255, many[0]),
        *many[1:],
        TensorCategory(torch.arange(n)),
        other,
    )


def centre_of(values: Tensor) -> tuple[float, float]:
    weights = values.float()
    ys, xs = torch.meshgrid(torch.arange(values.shape[0]) + 0.5, torch.arange(values.shape[1]) + 0.5, indexing="ij")
    return float((xs * weights).sum() / weights.sum()), float((ys * weights).sum() / weights.sum())


@pytest.mark.parametrize("name", MOVERS)
def test_picture_mask_points_and_boxes_stay_together(name: str) -> None:
    step = to_transform(MOVERS[name]())
    whole = isinstance(step, KorniaTransform)
    given = batch() if whole else sample()
    out = step(given, split_idx=0)
    assert [type(part) for part in out] == [type(part) for part in given]
    assert (out[4] is given[4], out[5]) == (True, "other")
    assert (out[0].dtype, out[1].dtype) == (given[0].dtype, given[1].dtype)
    image, mask, points, boxes = (plain(part)[0] if whole else plain(part) for part in out[:4])
    assert tuple(out[2].canvas_size) == tuple(out[3].canvas_size) == image.shape[-2:]
    assert set(mask.unique().tolist()) == {0, 9}
    x, y = points[0].tolist()
    off = 0.5 if "torchvision" in name else 0.0  # it counts key points from the middle of a pixel, boxes from its edge
    assert centre_of(image[0] > 0.6 * image.max()) == pytest.approx((x, y), abs=0.6 + off)
    assert centre_of(mask > 0) == pytest.approx((x, y), abs=0.8 + off)
    assert points.shape == (2, 2)  # those outside stay
    x1, y1, x2, y2 = boxes[0].tolist()
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((x, y), abs=0.1 + 2 * off)
    assert 6.9 < x2 - x1 < 9.5


@pytest.mark.parametrize("name", MOVERS)
def test_the_address_decides_what_is_drawn(name: str) -> None:
    step = to_transform(MOVERS[name]())
    whole = isinstance(step, KorniaTransform)

    def run(epoch: int) -> Tensor:
        if whole:
            with batch_random(seed=3, epoch=epoch, number=0, items=range(4)):
                return plain(step(batch(), split_idx=0)[0])
        with item_random(seed=3, epoch=epoch, item=5):
            return plain(step(sample(), split_idx=0)[0])

    torch.manual_seed(1)
    random.seed(1)
    first = run(0)
    torch.manual_seed(2)
    random.seed(2)
    assert torch.equal(first, run(0))
    if "affine" in name:
        assert not torch.equal(first, run(1))


@pytest.mark.parametrize("as_pillow", [True, False])
@pytest.mark.parametrize("name", POLICIES)
def test_policies_work_on_items_and_not_in_validation(name: str, as_pillow: bool) -> None:
    values = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    picture = PILImage.create(values) if as_pillow else TensorImage(torch.from_numpy(values).permute(2, 0, 1))
    training, validation = (Pipeline([POLICIES[name](), ToTensor], split_idx=i) for i in (0, 1))
    outs = []
    for item in range(6):
        with item_random(seed=1, epoch=0, item=item):
            outs.append(training((picture, TensorCategory(1))))
    assert all(type(out[0]) is TensorImage and out[0].dtype is torch.uint8 for out in outs)
    assert len({plain(out[0]).numpy().tobytes() for out in outs}) > 2
    unchanged = validation((picture, TensorCategory(1)))[0]
    assert np.array_equal(plain(unchanged).permute(1, 2, 0).numpy(), values)


@pytest.mark.parametrize("name", POLICIES)
def test_policies_draw_for_each_picture_of_a_batch_whatever_its_neighbours(name: str) -> None:
    step = to_transform(POLICIES[name]())
    pictures = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8).repeat(6, 1, 1, 1)
    labels = TensorCategory(torch.arange(6))
    with batch_random(seed=1, epoch=0, number=0, items=range(6)):
        out = step((TensorImage(pictures), labels), split_idx=0)
    assert out[1] is labels
    assert len({picture.numpy().tobytes() for picture in plain(out[0])}) > 1
    with batch_random(seed=1, epoch=0, number=4, items=[4, 2]):
        apart = step((TensorImage(pictures[:2]), labels[:2]), split_idx=0)
    assert torch.equal(plain(apart[0]), plain(out[0])[[4, 2]])


def test_masks_are_tensors_before_torchvision_scales_them() -> None:
    ids = np.random.default_rng(0).choice(np.array([0, 7, 200], dtype=np.uint8), (40, 30))
    pipeline = Pipeline([v2.Resize((9, 7)), ToTensor])
    image, mask = pipeline((PILImage.create(np.zeros((40, 30, 3), np.uint8)), PILMask.create(Image.fromarray(ids))))
    assert image.shape == (3, 9, 7)
    assert mask.shape == (9, 7)
    assert set(plain(mask).unique().tolist()) <= {0, 7, 200}


@pytest.mark.parametrize(
    ("step", "split_idx"),
    [
        (A.HorizontalFlip(), 0),
        (A.Resize(8, 8), None),
        (A.Normalize(), None),
        (A.Compose([A.Resize(8, 8), A.Normalize()]), None),
        (A.OneOf([A.HorizontalFlip(), A.Blur()]), 0),
        (K.RandomAffine(10.0), 0),
        (K.Resize((8, 8)), None),
        (K.ImageSequential(K.RandomAffine(10.0), K.ColorJiggle(0.1, 0.1, 0.1, 0.1)), 0),
        (v2.RandAugment(), 0),
        (v2.ColorJitter(), None),
        (TorchvisionTransform(v2.ColorJitter(), split_idx=0), 0),
        (AlbumentationsTransform(A.HorizontalFlip(), split_idx=None), None),
        (KorniaTransform(K.RandomAffine(10.0), split_idx=None), None),
    ],
    ids=str,
)
def test_what_a_step_is_for(step: Any, split_idx: int | None) -> None:
    assert to_transform(step).split_idx == split_idx


@pytest.mark.parametrize(
    "step",
    [A.Compose([A.Resize(8, 8), A.HorizontalFlip()]), K.ImageSequential(K.Resize((8, 8)), K.RandomAffine(10.0))],
    ids=["albumentations", "kornia"],
)
def test_a_mixture_must_be_said_what_it_is_for(step: Any) -> None:
    with pytest.raises(ConfigError, match=r"say what the whole is for: .*split_idx=0\) for training only"):
        Pipeline([step])


def test_steps_find_their_place_in_pipelines_and_values_their_range() -> None:
    normalize = Normalize.from_stats([0.5] * 3, [0.5] * 3)
    items = Pipeline([A.HorizontalFlip(p=1.0), ToTensor], split_idx=0)
    batches = Pipeline([normalize, K.RandomHorizontalFlip(p=1.0), IntToFloatTensor], split_idx=0)
    values = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    one = items((PILImage.create(values), TensorCategory(0)))
    assert np.array_equal(plain(one[0]).permute(1, 2, 0).numpy(), values[:, ::-1])
    out = batches((TensorImage(plain(one[0])[None]), TensorCategory([0])))[0]
    there_and_back = (plain(out)[0].permute(1, 2, 0) * 0.5 + 0.5) * 255
    torch.testing.assert_close(there_and_back, torch.from_numpy(values).float(), atol=1e-3, rtol=0)


def test_grey_pictures_several_pictures_and_what_makes_floats() -> None:
    grey = TensorImage(torch.randint(0, 256, (1, 8, 10), dtype=torch.uint8))
    out = to_transform(A.HorizontalFlip(p=1.0))((grey, grey), split_idx=0)
    assert all(torch.equal(plain(part), plain(grey).flip(-1)) for part in out)
    brighter = to_transform(A.RandomBrightnessContrast(p=1.0))(sample(), split_idx=0)
    assert torch.equal(plain(brighter[2]), plain(sample()[2]))  # nothing has moved
    normalised = to_transform(A.Normalize())(TensorImage(torch.zeros(3, 4, 4, dtype=torch.uint8)), split_idx=1)
    assert normalised.dtype is torch.float32
    assert type(normalised) is TensorImage


def test_the_wrong_place_is_told() -> None:
    with pytest.raises(DataError, match=r"works on single pictures that are tensors.* among item_tfms"):
        to_transform(A.HorizontalFlip())(batch()[0], split_idx=0)
    with pytest.raises(DataError, match=r"works on batches of pictures from 0 to 1.* among batch_tfms"):
        to_transform(K.RandomAffine(10.0))(sample()[0], split_idx=0)


def test_steps_can_be_sent_to_workers_and_cannot_be_exported() -> None:
    step = to_transform(A.HorizontalFlip(p=1.0))
    step(sample(), split_idx=0)
    again = pickle.loads(pickle.dumps(step))
    assert torch.equal(plain(again(sample(), split_idx=0)[0]), plain(sample()[0]).flip(-1))
    with pytest.raises(ConfigError, match=r"of albumentations as data.*AlbumentationsTransform\(\.\.\., split_idx=0\)"):
        to_recipe(step, {})
