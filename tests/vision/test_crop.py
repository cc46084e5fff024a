import copy
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from laminar.core.errors import DataError
from laminar.core.pipeline import Pipeline
from laminar.core.rebuilding import from_recipe
from laminar.core.recipe import to_recipe
from laminar.core.types import TensorBBox, TensorCategory, TensorImage, TensorMask, TensorPoint, plain
from laminar.data.transforms import ToTensor
from laminar.vision.augment import Rotate
from laminar.vision.crop import CropPad, RandomCrop, RandomResizedCrop, RatioResize, Resize, ResizeMethod
from laminar.vision.images import PILImage, PILMask, image_to_typed
from laminar.vision.turning import DihedralItem, FlipItem

WIDTH, HEIGHT = 60, 40
DOT = (34, 16)  # x, y of a pixel

MAKERS = {
    "resize crop": lambda: Resize(24),
    "resize tall": lambda: Resize((30, 20)),
    "resize pad": lambda: Resize(48, ResizeMethod.Pad, pad_mode="zeros"),
    "resize pad reflection": lambda: Resize((33, 48), "pad"),
    "squish": lambda: Resize((80, 30), method="squish"),
    "random resized crop": lambda: RandomResizedCrop(32, min_scale=0.5),
    "random crop": lambda: RandomCrop(36),
    "random crop beyond": lambda: RandomCrop(50),
    "crop pad": lambda: CropPad((30, 70)),
    "ratio": lambda: RatioResize(45),
    "flip": lambda: FlipItem(1.0),
    "dihedral": lambda: DihedralItem(),
}


def dotted() -> Image.Image:
    """A dark picture with one bright pixel, blurred enough to survive scaling."""
    array = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    x, y = DOT
    array[y - 2 : y + 3, x - 2 : x + 3] = 255
    return Image.fromarray(array)


def mask_of_dot() -> Image.Image:
    array = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    x, y = DOT
    array[y - 2 : y + 3, x - 2 : x + 3] = 7
    return Image.fromarray(array)


def sample(as_tensors: bool) -> tuple[object, ...]:
    image, mask = PILImage.create(dotted()), PILMask.create(mask_of_dot())
    x, y = DOT
    points = TensorPoint(torch.tensor([[x + 0.5, y + 0.5]]), canvas_size=(HEIGHT, WIDTH))
    boxes = TensorBBox(torch.tensor([[x - 2.0, y - 2, x + 3, y + 3]]), canvas_size=(HEIGHT, WIDTH))
    pictures = (image_to_typed(image), image_to_typed(mask)) if as_tensors else (image, mask)
    return (*pictures, points, boxes, TensorCategory(3), "label")


def centre_of(values: Tensor) -> tuple[float, float]:
    """Middle of what is bright, in continuous coordinates."""
    weights = values.float()
    ys, xs = torch.meshgrid(torch.arange(values.shape[0]) + 0.5, torch.arange(values.shape[1]) + 0.5, indexing="ij")
    return float((xs * weights).sum() / weights.sum()), float((ys * weights).sum() / weights.sum())


def tensors_of(out: tuple[object, ...]) -> tuple[Tensor, Tensor]:
    image, mask = (ToTensor()(part) for part in out[:2])
    return plain(image)[0], plain(mask)


@pytest.mark.parametrize("as_tensors", [False, True], ids=["pillow", "tensor"])
@pytest.mark.parametrize("split_idx", [0, 1])
@pytest.mark.parametrize("name", MAKERS)
def test_picture_mask_points_and_boxes_stay_together(name: str, split_idx: int, as_tensors: bool) -> None:
    checked = 0
    for seed in range(8):
        random.seed(seed)
        out = MAKERS[name]()(sample(as_tensors), split_idx=split_idx)
        image, mask = tensors_of(out)
        x, y = plain(out[2])[0].tolist()
        x1, y1, x2, y2 = plain(out[3])[0].tolist()
        assert x1 < x2
        assert y1 < y2
        assert x1 < x < x2
        assert y1 < y < y2
        assert tuple(out[2].canvas_size) == tuple(out[3].canvas_size) == tuple(mask.shape) == tuple(image.shape)
        inside = x1 > 1 and y1 > 1 and x2 < mask.shape[1] - 1 and y2 < mask.shape[0] - 1
        if inside and "reflection" not in name:
            for found in (centre_of(image), centre_of(mask > 0)):
                assert found == pytest.approx((x, y), abs=0.75)
            checked += 1
    assert checked or "reflection" in name


@pytest.mark.parametrize("as_tensors", [False, True], ids=["pillow", "tensor"])
@pytest.mark.parametrize("name", MAKERS)
def test_types_are_kept_and_other_values_untouched(name: str, as_tensors: bool) -> None:
    given = sample(as_tensors)
    before = copy.deepcopy(given)
    out = MAKERS[name]()(given, split_idx=0)
    assert [type(part) for part in out] == [type(part) for part in given]
    assert out[4] is given[4]
    assert out[5] is given[5]
    for part, old in zip(given, before, strict=True):  # inputs are as they were
        assert np.array_equal(np.asarray(part), np.asarray(old))
    assert set(np.unique(np.asarray(out[1]))) <= {0, 7}  # ids are never mixed


@pytest.mark.parametrize("name", MAKERS)
def test_same_seed_gives_the_same_result(name: str) -> None:
    transform = MAKERS[name]()

    def run(seed: int) -> np.ndarray:
        random.seed(seed)
        return np.asarray(transform(sample(False), split_idx=0)[0])

    assert np.array_equal(run(5), run(5))


@pytest.mark.parametrize("name", MAKERS)
def test_validation_is_the_same_every_time(name: str) -> None:
    transform = MAKERS[name]()
    first, second = (np.asarray(transform(sample(False), split_idx=1)[0]) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", MAKERS)
def test_one_transform_serves_many_threads_at_once(name: str) -> None:
    transform = MAKERS[name]()
    with ThreadPoolExecutor(8) as pool:
        outs = list(pool.map(lambda _: transform(sample(False), split_idx=0), range(32)))
    assert all(part.size == out[1].size for out in outs for part in out[:2])


@pytest.mark.parametrize("name", MAKERS)
def test_transforms_can_be_written_as_data(name: str) -> None:
    transform = MAKERS[name]()
    again = from_recipe(to_recipe(transform, {}), {})
    assert type(again) is type(transform)
    random.seed(1)
    first = transform(sample(False), split_idx=0)[0]
    random.seed(1)
    assert np.array_equal(np.asarray(first), np.asarray(again(sample(False), split_idx=0)[0]))


@pytest.mark.parametrize("method", list(ResizeMethod))
@pytest.mark.parametrize("size", [(20, 30), (64, 64), (50, 13)])
def test_pillow_and_tensor_are_resized_alike(method: ResizeMethod, size: tuple[int, int], picture: Image.Image) -> None:
    image = PILImage.create(picture)
    resize = Resize(size, method)
    by_pillow, by_torch = image_to_typed(resize(image, split_idx=1)), resize(image_to_typed(image), split_idx=1)
    assert by_pillow.shape == by_torch.shape == (3, *size)
    assert (plain(by_pillow).int() - plain(by_torch).int()).abs().max() <= 2
    reference = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    if method is ResizeMethod.Squish:
        assert abs(np.asarray(reference).astype(int) - plain(by_pillow).permute(1, 2, 0).int().numpy()).max() <= 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8])
def test_nearest_takes_the_very_pixels_pillow_takes(dtype: torch.dtype) -> None:
    ids = torch.randint(0, 200, (31, 47))
    wanted = np.asarray(Image.fromarray(ids.numpy().astype(np.uint8)).resize((20, 13), Image.Resampling.NEAREST))
    out = Resize((13, 20), "squish")(TensorMask(ids.to(dtype)), split_idx=1)
    assert out.dtype is dtype
    assert np.array_equal(out.numpy(), wanted)


def test_random_resized_crop_takes_the_middle_in_validation(picture: Image.Image) -> None:
    out = RandomResizedCrop(32)(PILImage.create(picture), split_idx=1)
    squished = picture.resize((40, 40), Image.Resampling.BILINEAR).crop((4, 4, 36, 36))
    assert abs(np.asarray(out).astype(int) - np.asarray(squished).astype(int)).max() <= 2


def test_random_resized_crop_respects_scale_and_ratio() -> None:
    transform = RandomResizedCrop(32, min_scale=0.3, max_scale=0.5, ratio=(0.8, 1.25))
    for seed in range(50):
        random.seed(seed)
        drawn = copy.copy(transform)
        drawn.before_call(PILImage.create(dotted()), 0)
        left, top, right, bottom = drawn.cut((WIDTH, HEIGHT)).box
        width, height = right - left, bottom - top
        assert 0 <= left < right <= WIDTH
        assert 0 <= top < bottom <= HEIGHT
        assert 0.28 <= width * height / (WIDTH * HEIGHT) <= 0.52
        assert 0.75 <= width / height <= 1.33


def test_a_long_thin_picture_is_cropped_in_its_middle() -> None:
    drawn = RandomResizedCrop(32)
    drawn.before_call(PILImage.create(Image.new("RGB", (400, 4))), 0)
    left, top, right, bottom = drawn.cut((400, 4)).box
    assert bottom - top <= 4
    assert 1 <= right - left <= 400
    assert left >= 0
    assert top >= 0
    assert right <= 400


def test_without_a_split_positions_are_random_as_in_training() -> None:
    crop = RandomCrop(10)
    image = PILImage.create(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    assert len({np.asarray(crop(image)).tobytes() for _ in range(5)}) > 1


def test_padding_fills_as_asked() -> None:
    image = PILImage.create(np.arange(12, dtype=np.uint8).reshape(3, 4))
    rows = {
        mode: np.asarray(CropPad((3, 8), mode)(image))[0, :, 0].tolist() for mode in ("zeros", "border", "reflection")
    }
    assert rows == {
        "zeros": [0, 0, 0, 1, 2, 3, 0, 0],
        "border": [0, 0, 0, 1, 2, 3, 3, 3],
        "reflection": [2, 1, 0, 1, 2, 3, 2, 1],
    }


def test_reflection_may_be_wider_than_the_picture() -> None:
    image = PILImage.create(np.array([[1, 2]], dtype=np.uint8))
    assert np.asarray(CropPad((1, 8), "reflection")(image))[0, :, 0].tolist() == [2, 1, 2, 1, 2, 1, 2, 1]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_sample_without_a_picture_is_refused_and_not_skipped(make: object) -> None:
    with pytest.raises(DataError, match=r"found no picture.*float32.*TensorImage"):
        make()((torch.zeros(3, 40, 60), TensorCategory(1)), split_idx=0)


def test_plain_targets_pass_untouched() -> None:
    target = torch.arange(4.0)
    assert Resize(8)((PILImage.create(dotted()), target), split_idx=1)[1] is target


def test_two_pictures_of_different_sizes_get_the_same_relative_crop() -> None:
    for seed in range(5):
        random.seed(seed)
        drawn = RandomResizedCrop(32, min_scale=0.3, max_scale=0.4)
        drawn.before_call((PILImage.create(dotted()), PILImage.create(dotted())), 0)
        small, large = drawn.cut((WIDTH, HEIGHT)).box, drawn.cut((WIDTH * 2, HEIGHT * 2)).box
        assert large == pytest.approx([2 * edge for edge in small], abs=2)


@pytest.mark.parametrize("k", range(8))
def test_every_symmetry_is_exact_and_alike_for_all_types(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "randrange", lambda n: k)
    out = DihedralItem()(sample(False), split_idx=0)
    other = DihedralItem()(sample(True), split_idx=0)
    assert torch.equal(plain(image_to_typed(out[0])), plain(other[0]))
    assert torch.equal(plain(image_to_typed(out[1])), plain(other[1]))
    assert centre_of(plain(other[1]) > 0) == pytest.approx(tuple(plain(out[2])[0].tolist()))


def test_flipping_twice_is_nothing() -> None:
    given = sample(True)
    flipped = FlipItem(1.0)(given, split_idx=0)
    again = FlipItem(1.0)(flipped, split_idx=0)
    assert all(torch.equal(plain(a), plain(b)) for a, b in zip(again[:4], given[:4], strict=True))
    assert not torch.equal(plain(flipped[0]), plain(given[0]))


def test_flips_are_for_training_only() -> None:
    given = sample(False)
    assert FlipItem(1.0)(given, split_idx=1) is given


def test_points_without_a_canvas_belong_to_the_samples_picture() -> None:
    points = TensorPoint(torch.tensor([[10.0, 20.0]]))
    out = Resize((80, 120), "squish")((PILImage.create(dotted()), points), split_idx=1)[1]
    assert plain(out).tolist() == [[20.0, 40.0]]
    assert tuple(out.canvas_size) == (80, 120)


def test_squishing_draws_nothing_and_says_so() -> None:
    assert Pipeline(Resize(8, "squish")).deterministic
    assert Pipeline(CropPad(8)).deterministic
    assert not Pipeline(Resize(8)).deterministic


def test_nothing_is_drawn_in_validation_so_nothing_is_seeded() -> None:
    steps = [Resize(8), RandomResizedCrop(8), RandomCrop(8)]
    assert Pipeline(steps, split_idx=1).deterministic
    assert not any(Pipeline(step, split_idx=0).deterministic for step in steps)
    before = random.getstate()
    Pipeline(steps, split_idx=1)(PILImage.create(dotted()))
    assert random.getstate() == before


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="size must be 1 to"):
        Resize(0)
    with pytest.raises(
        ValueError, match=r"ResizeMethod is one of 'squish', 'crop', 'pad', not 'sqush'. Did you mean 'squish'\?"
    ):
        Resize(8, "sqush")
    with pytest.raises(ValueError, match="min_scale"):
        RandomResizedCrop(8, min_scale=1.2)


def test_a_float_picture_stays_between_its_values(picture: Image.Image) -> None:
    image = TensorImage(plain(image_to_typed(PILImage.create(picture))).float() / 255)
    out = Resize(20, resamples=(Image.Resampling.BICUBIC, Image.Resampling.NEAREST))(image, split_idx=1)
    assert out.dtype is torch.float32
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize(
    "make", [lambda p: Resize(24, p=p), lambda p: RandomResizedCrop(32, p=p), lambda p: RandomCrop(36, p=p)]
)
def test_p_is_the_share_of_samples_that_are_cut_at_random(make: Callable[[float], object]) -> None:
    random.seed(0)
    picture = PILImage.create(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    central = np.asarray(make(1.0)(picture, split_idx=1))

    def share_at_random(p: float) -> float:
        return np.mean([not np.array_equal(np.asarray(make(p)(picture, split_idx=0)), central) for _ in range(60)])

    assert share_at_random(0.0) == 0
    assert 0.15 < share_at_random(0.4) < 0.65
    assert share_at_random(1.0) > 0.8


def test_what_draws_nothing_takes_no_probability() -> None:
    with pytest.raises(TypeError, match="'p'"):
        CropPad(24, p=0.5)


@pytest.mark.parametrize("make", [Resize, RandomResizedCrop, RandomCrop, CropPad, lambda size: Rotate(size=size)])
@pytest.mark.parametrize("size", [0, -3, (20, 0), 10**6])
def test_sizes_without_pixels_or_with_far_too_many_are_refused(make: Callable[..., object], size: object) -> None:
    with pytest.raises(ValueError, match=r"size must be 1 to \d+ pixels in all, got"):
        make(size)


@pytest.mark.parametrize(
    ("given", "found"), [((60, 40), (30, 20)), ((40, 60), (20, 30)), ((9, 9), (30, 30)), ((300, 2), (30, 1))]
)
def test_the_longer_side_gets_the_size_and_the_shape_stays(given: tuple[int, int], found: tuple[int, int]) -> None:
    for picture in (PILImage.create(Image.new("RGB", given)), TensorImage(torch.zeros(3, given[1], given[0]))):
        out = RatioResize(30)(picture)
        assert tuple(out.shape[-2:]) == (found[1], found[0])


@pytest.mark.parametrize("make", [FlipItem, DihedralItem])
def test_p_is_the_share_of_samples_that_are_turned_in_training_alone(make: Callable[[float], object]) -> None:
    random.seed(0)
    picture = TensorImage(torch.arange(3 * 5 * 5).view(3, 5, 5).byte())

    def turned(p: float, split_idx: int) -> float:
        outs = [plain(make(p)(picture, split_idx=split_idx)) for _ in range(60)]
        return float(np.mean([not torch.equal(out, plain(picture)) for out in outs]))

    assert turned(0.0, 0) == turned(1.0, 1) == 0
    assert 0.15 < turned(0.4, 0) < 0.65
    assert turned(1.0, 0) > 0.75


@pytest.mark.parametrize("transform", [Resize(24), RatioResize(24), RandomResizedCrop(24), Rotate(p=1.0)], ids=repr)
def test_what_has_another_shape_than_its_picture_is_refused_with_both_sizes(transform: Callable[..., object]) -> None:
    image, mask, points, *_ = sample(as_tensors=True)
    transform((image, mask, points), split_idx=0)
    turned = TensorPoint(plain(points), canvas_size=(WIDTH, HEIGHT))  # type: ignore[arg-type]
    for wrong in (TensorMask(plain(mask).T), turned):  # type: ignore[arg-type]
        with pytest.raises(DataError, match=r"is made for 40x60 .*has 60x40"):
            transform((image, wrong), split_idx=0)


@pytest.mark.parametrize("size", [(30, 20), (90, 60), (45, 31), (301, 200)])
def test_a_mask_that_is_its_picture_scaled_and_rounded_is_cut_alike(size: tuple[int, int]) -> None:
    image = PILImage.create(dotted())
    image_out, mask_out = Resize(40)((image, PILMask.create(mask_of_dot().resize(size, 0))), split_idx=1)
    picture, ids = tensors_of((image_out, mask_out))
    assert centre_of(picture) == pytest.approx(centre_of(ids), abs=1.5)


@pytest.mark.parametrize("transform", [RandomCrop(24), CropPad(24)], ids=repr)
def test_unscaled_parts_need_masks_as_large_as_their_picture(transform: Callable[..., object]) -> None:
    with pytest.raises(DataError, match=r"is made for 30x20 .*has 60x40.*Resize first"):
        transform((PILImage.create(dotted()), PILMask.create(mask_of_dot().resize((30, 20), 0))))
