"""Every torchvision v2 transform that applies to pictures, masks, boxes and key points works in a pipeline as it is."""

import random
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from laminar.core.pipeline import Pipeline
from laminar.core.types import (
    TensorBBox,
    TensorCategory,
    TensorImage,
    TensorMask,
    TensorPoint,
    plain,
)
from laminar.data.collation import collate

HEIGHT, WIDTH = 48, 64
DOT = (30, 22)

MOVES: dict[str, Callable[[], v2.Transform]] = {
    "CenterCrop": partial(v2.CenterCrop, (40, 44)),
    "Compose": lambda: v2.Compose([v2.RandomHorizontalFlip(1.0), v2.Resize((30, 50))]),
    "ElasticTransform": partial(v2.ElasticTransform, alpha=15.0),
    "Identity": v2.Identity,
    "Pad": partial(v2.Pad, (3, 5, 7, 9)),
    "RandomAffine": partial(v2.RandomAffine, 20, translate=(0.1, 0.1), scale=(0.8, 1.2), shear=5),
    "RandomApply": lambda: v2.RandomApply([v2.RandomVerticalFlip(1.0)], p=1.0),
    "RandomChoice": lambda: v2.RandomChoice([v2.RandomVerticalFlip(1.0), v2.CenterCrop(40)]),
    "RandomCrop": partial(v2.RandomCrop, (44, 50)),
    "RandomHorizontalFlip": partial(v2.RandomHorizontalFlip, 1.0),
    "RandomIoUCrop": partial(v2.RandomIoUCrop, min_scale=0.7),
    "RandomOrder": lambda: v2.RandomOrder([v2.RandomVerticalFlip(1.0), v2.Resize((30, 50))]),
    "RandomPerspective": partial(v2.RandomPerspective, 0.2, p=1.0),
    "RandomResize": partial(v2.RandomResize, 40, 60),
    "RandomResizedCrop": partial(v2.RandomResizedCrop, (40, 40), scale=(0.7, 1.0)),
    "RandomRotation": partial(v2.RandomRotation, 20, expand=True),
    "RandomShortestSize": partial(v2.RandomShortestSize, [40, 50]),
    "RandomVerticalFlip": partial(v2.RandomVerticalFlip, 1.0),
    "RandomZoomOut": partial(v2.RandomZoomOut, p=1.0, side_range=(1.2, 1.5)),
    "Resize": partial(v2.Resize, (36, 40)),
    "ScaleJitter": partial(v2.ScaleJitter, (60, 60), scale_range=(0.6, 1.2)),
}
STAYS: dict[str, Callable[[], v2.Transform]] = {
    "ClampBoundingBoxes": v2.ClampBoundingBoxes,
    "ClampKeyPoints": v2.ClampKeyPoints,
    "ColorJitter": partial(v2.ColorJitter, 0.3, 0.3, 0.3, 0.1),
    "ConvertImageDtype": partial(v2.ConvertImageDtype, torch.float32),
    "GaussianBlur": partial(v2.GaussianBlur, 3),
    "GaussianNoise": lambda: v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.GaussianNoise()]),
    "Grayscale": partial(v2.Grayscale, 3),
    "JPEG": partial(v2.JPEG, (50, 90)),
    "Normalize": lambda: v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]),
    "RGB": v2.RGB,
    "RandomAdjustSharpness": partial(v2.RandomAdjustSharpness, 2.0, 1.0),
    "RandomAutocontrast": partial(v2.RandomAutocontrast, 1.0),
    "RandomChannelPermutation": v2.RandomChannelPermutation,
    "RandomEqualize": partial(v2.RandomEqualize, 1.0),
    "RandomErasing": partial(v2.RandomErasing, 1.0),
    "RandomGrayscale": partial(v2.RandomGrayscale, 1.0),
    "RandomInvert": partial(v2.RandomInvert, 1.0),
    "RandomPhotometricDistort": partial(v2.RandomPhotometricDistort, p=1.0),
    "RandomPosterize": partial(v2.RandomPosterize, 4, 1.0),
    "RandomSolarize": partial(v2.RandomSolarize, 100.0, 1.0),
    "SanitizeBoundingBoxes": partial(v2.SanitizeBoundingBoxes, labels_getter=None),
    "SanitizeKeyPoints": v2.SanitizeKeyPoints,
    "SetClampingMode": partial(v2.SetClampingMode, "hard"),
    "ToDtype": lambda: v2.ToDtype({TensorImage: torch.float32, "others": None}, scale=True),
    "ToImage": v2.ToImage,
}
PICTURES_ONLY = {"AugMix", "AutoAugment", "RandAugment", "TrivialAugmentWide"}  # they refuse boxes and masks themselves
ITEMS_ONLY = {"RandomIoUCrop", "SanitizeBoundingBoxes", "SanitizeKeyPoints", "JPEG"}  # what they do has no batches
OTHERS = {  # take types off, give several pictures or mix whole batches with their labels
    "CutMix", "MixUp", "FiveCrop", "TenCrop", "Lambda", "LinearTransformation", "PILToTensor", "ToPILImage", "ToTensor",
    "ToPureTensor", "Transform", "UniformTemporalSubsample", "ConvertBoundingBoxFormat",
}  # fmt: skip


def sample() -> tuple[object, ...]:
    x, y = DOT
    image = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8)
    image[:, y - 4 : y + 4, x - 4 : x + 4] = 255
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)
    mask[y - 4 : y + 4, x - 4 : x + 4] = 5
    points = TensorPoint([[float(x), float(y)]], canvas_size=(HEIGHT, WIDTH))
    boxes = TensorBBox([[x - 4.0, y - 4.0, x + 4.0, y + 4.0]], canvas_size=(HEIGHT, WIDTH))
    return TensorImage(image), TensorMask(mask, codes=list("abcdef")), points, boxes, TensorCategory(3)


def centre_of(values: Tensor) -> tuple[float, float]:
    weights = values.float()
    ys, xs = torch.meshgrid(*(torch.arange(n) + 0.5 for n in weights.shape), indexing="ij")
    return float((xs * weights).sum() / weights.sum()), float((ys * weights).sum() / weights.sum())


def check(name: str, out: tuple[object, ...], moves: bool) -> None:
    image, mask, points, boxes, label = out
    assert [type(part) for part in out] == [TensorImage, TensorMask, TensorPoint, TensorBBox, TensorCategory]
    assert mask.codes == list("abcdef")
    assert set(mask.unique().tolist()) <= {0, 5}
    assert plain(label).unique().tolist() == [3]
    size = tuple(image.shape[-2:])
    assert tuple(mask.shape[-2:]) == tuple(points.canvas_size) == tuple(boxes.canvas_size) == size
    seen = plain(mask) if mask.ndim == 2 else plain(mask)[0]
    x, y = plain(points).reshape(-1, 2)[0].tolist()
    x1, y1, x2, y2 = plain(boxes).reshape(-1, 4)[0].tolist()
    near = 2.5 if name == "ElasticTransform" else 1.3  # torchvision flips points by the numbers of pixels: one less
    assert centre_of(seen) == pytest.approx((x, y), abs=near)
    if moves:
        picture = plain(image) if image.ndim == 3 else plain(image)[0]
        assert centre_of(picture[0]) == pytest.approx((x, y), abs=near)
    assert x1 < x < x2
    assert y1 < y < y2
    assert (x2 - x1) * (y2 - y1) >= 0.8 * float((seen == 5).sum())


@pytest.mark.filterwarnings("ignore:RandomErasing.. is currently passing:UserWarning")
@pytest.mark.filterwarnings("ignore:The image decoding and encoding:DeprecationWarning")
@pytest.mark.parametrize("name", [*MOVES, *STAYS])
@pytest.mark.parametrize("batched", [False, True], ids=["item", "batch"])
def test_everything_stays_together(name: str, batched: bool) -> None:
    if batched and name in ITEMS_ONLY:
        pytest.skip("torchvision does this to single items")
    random.seed(2)
    torch.manual_seed(2)
    pipeline = Pipeline([(MOVES | STAYS)[name]()])
    given = collate([sample(), sample()]) if batched else sample()
    check(name, pipeline(given), name in MOVES)


@pytest.mark.parametrize("name", sorted(PICTURES_ONLY))
def test_policies_for_pictures_keep_type_and_label(name: str) -> None:
    transform = getattr(v2, name)()
    for given in (sample(), collate([sample(), sample()])):
        image, label = Pipeline([transform], split_idx=0)((given[0], given[-1]))
        assert (type(image), type(label)) == (TensorImage, TensorCategory)
        assert image.shape == given[0].shape
        with pytest.raises(TypeError, match="not supported"):
            Pipeline([transform], split_idx=0)(given)


def test_no_transform_of_torchvision_is_forgotten() -> None:
    found = {name for name in dir(v2) if isinstance(kind := getattr(v2, name), type) and issubclass(kind, v2.Transform)}
    assert found - {*MOVES, *STAYS, *PICTURES_ONLY, *OTHERS} == set()


def test_several_samples_are_moved_by_several_draws_and_one_sample_by_one() -> None:
    pipeline = Pipeline([v2.RandomCrop((24, 24))])
    torch.manual_seed(0)
    places = {tuple(plain(pipeline(sample())[2])[0].tolist()) for _ in range(6)}
    assert len(places) > 1
