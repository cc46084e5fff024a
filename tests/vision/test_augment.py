import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from laminar.core.errors import ConfigError, DataError
from laminar.core.pipeline import Pipeline
from laminar.core.random import batch_random
from laminar.core.rebuilding import from_recipe
from laminar.core.recipe import to_recipe
from laminar.core.types import (
    TensorBBox,
    TensorCategory,
    TensorImage,
    TensorImageBW,
    TensorMask,
    TensorPoint,
    plain,
)
from laminar.data.normalize import Normalize
from laminar.data.transforms import IntToFloatTensor
from laminar.vision.augment import (
    Augment,
    Brightness,
    Contrast,
    DeterministicDihedral,
    DeterministicFlip,
    Dihedral,
    Flip,
    Hue,
    RandomResizedCropGPU,
    Rotate,
    Saturation,
    Warp,
    Zoom,
    aug_transforms,
    setup_aug_tfms,
)
from laminar.vision.erasing import RandomErasing, cutout_gaussian, norm_apply_denorm
from laminar.vision.lighting import grayscale

N, HEIGHT, WIDTH = 6, 48, 64
DOT = (29, 22)

SPACE: dict[str, Callable[[], object]] = {
    "flip": lambda: Flip(1.0),
    "dihedral": lambda: Dihedral(1.0),
    "rotate": lambda: Rotate(40, p=1.0, pad_mode="zeros"),
    "zoom": lambda: Zoom(0.8, 1.4, p=1.0, pad_mode="zeros"),
    "warp": lambda: Warp(0.3, p=1.0, pad_mode="zeros"),
    "crop": lambda: RandomResizedCropGPU((40, 40), min_scale=0.5, pad_mode="zeros"),
    "resized": lambda: Rotate(20, p=1.0, size=(36, 52), pad_mode="zeros"),
    "edges": lambda: Rotate(20, p=1.0, align_corners=False, pad_mode="zeros"),
    "recipe": lambda: aug_transforms(max_lighting=0.0, pad_mode="zeros", flip_vert=True)[0],
}
LIGHT: dict[str, Callable[[], object]] = {
    "brightness": lambda: Brightness(0.5, p=1.0),
    "contrast": lambda: Contrast(0.5, p=1.0),
    "saturation": lambda: Saturation(0.5, p=1.0),
    "hue": lambda: Hue(0.3, p=1.0),
    "light recipe": lambda: Augment(light=[Brightness(p=1.0), Contrast(p=1.0), Saturation(p=1.0), Hue(p=1.0)]),
}
ALL = SPACE | LIGHT | {"erasing": lambda: RandomErasing(1.0, sl=0.1, max_count=3)}


def pictures(dtype: torch.dtype = torch.uint8, channels_last: bool = True) -> TensorImage:
    values = torch.randint(0, 256, (N, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    values = values if dtype is torch.uint8 else values.to(dtype) / 255
    return TensorImage(values.contiguous(memory_format=torch.channels_last) if channels_last else values)


def dotted_batch() -> tuple[object, ...]:
    """Pictures, masks, points and boxes that show one square, labels beside them."""
    x, y = DOT
    images = torch.zeros(N, 3, HEIGHT, WIDTH)
    images[:, :, y - 3 : y + 4, x - 3 : x + 4] = 1.0
    masks = torch.zeros(N, HEIGHT, WIDTH, dtype=torch.int64)
    masks[:, y - 3 : y + 4, x - 3 : x + 4] = 9
    points = TensorPoint(torch.tensor([[[x + 0.5, y + 0.5]]]).repeat(N, 1, 1), canvas_size=(HEIGHT, WIDTH))
    box = torch.tensor([[x - 3.0, y - 3, x + 4, y + 4], [0, 0, 0, 0]])  # the second row is padding
    boxes = TensorBBox(box.repeat(N, 1, 1), canvas_size=(HEIGHT, WIDTH))
    return TensorImage(images), TensorMask(masks), points, boxes, TensorCategory(torch.arange(N)), "other"


def centre_of(values: Tensor) -> tuple[float, float]:
    weights = values.float()
    ys, xs = torch.meshgrid(torch.arange(values.shape[0]) + 0.5, torch.arange(values.shape[1]) + 0.5, indexing="ij")
    return float((xs * weights).sum() / weights.sum()), float((ys * weights).sum() / weights.sum())


@pytest.mark.parametrize("name", SPACE)
def test_picture_mask_points_and_boxes_stay_together(name: str) -> None:
    image, mask, points, boxes, *_ = SPACE[name]()(dotted_batch(), split_idx=0)
    assert tuple(points.canvas_size) == tuple(boxes.canvas_size) == tuple(mask.shape[-2:]) == tuple(image.shape[-2:])
    checked = 0
    for i in range(N):
        x, y = plain(points)[i, 0].tolist()
        x1, y1, x2, y2 = plain(boxes)[i, 0].tolist()
        assert x1 < x < x2
        assert y1 < y < y2
        assert plain(boxes)[i, 1].tolist() == [0, 0, 0, 0]
        if x1 > 1 and y1 > 1 and x2 < image.shape[-1] - 1 and y2 < image.shape[-2] - 1:
            assert centre_of(plain(image)[i, 0]) == pytest.approx((x, y), abs=0.35)
            assert centre_of(plain(mask)[i] > 0) == pytest.approx((x, y), abs=0.75)
            seen = plain(mask)[i].nonzero()  # the box holds all of the square
            assert seen[:, 1].min() >= x1 - 1
            assert seen[:, 1].max() <= x2
            assert seen[:, 0].max() <= y2
            checked += 1
    assert checked


@pytest.mark.parametrize("name", ALL)
def test_types_are_kept_inputs_unchanged_and_other_values_untouched(name: str) -> None:
    given = dotted_batch()
    before = copy.deepcopy(given)
    out = ALL[name]()(given, split_idx=0)
    assert [type(part) for part in out] == [type(part) for part in given]
    assert out[4] is given[4]
    assert out[5] is given[5]
    assert all(torch.equal(plain(a), plain(b)) for a, b in zip(given[:5], before[:5], strict=True))
    assert set(plain(out[1]).unique().tolist()) <= {0, 9}
    assert out[1].dtype is torch.int64
    assert out[0].dtype is torch.float32
    assert out[0].shape[:2] == (N, 3)
    if name not in ("erasing",):
        assert out[0].min() >= 0
        assert out[0].max() <= 1


@pytest.mark.parametrize("name", ALL)
def test_same_seed_gives_the_same_result_and_every_picture_its_own(name: str) -> None:
    transform = ALL[name]()
    same = TensorImage(pictures()[:1].repeat(N, 1, 1, 1))

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return plain(transform(same, split_idx=0)).float()

    first = run(1)
    assert torch.equal(first, run(1))
    assert name == "flip" or not torch.equal(first, run(2))
    assert name == "flip" or len({picture.numpy().tobytes() for picture in first}) > 2


@pytest.mark.parametrize("name", ALL)
def test_a_pictures_augmentation_does_not_depend_on_its_batch(name: str) -> None:
    transform, batch = ALL[name](), pictures(torch.float32)
    with batch_random(seed=7, epoch=2, number=0, items=range(10, 10 + N)):
        together = plain(transform(batch, split_idx=0))
    with batch_random(seed=7, epoch=2, number=5, items=[13, 11]):
        apart = plain(transform(TensorImage(plain(batch)[[3, 1]]), split_idx=0))
    torch.testing.assert_close(apart, together[[3, 1]], atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("crop", "resized")])
def test_nothing_happens_to_validation_batches(name: str) -> None:
    batch = dotted_batch()
    assert ALL[name]()(batch, split_idx=1) is batch


SIZED: dict[str, Callable[[], object]] = {
    "step": lambda: Rotate(90, p=1.0, size=(24, 32)),
    "recipe": lambda: aug_transforms(size=(24, 32), max_lighting=0.9, p_lighting=1.0)[0],
    "crop": lambda: RandomResizedCropGPU((24, 32), min_scale=0.1),
    "recipe with crop": lambda: aug_transforms(size=(24, 32), min_scale=0.3)[0],
}


@pytest.mark.parametrize("name", SIZED)
def test_a_size_holds_for_validation_where_nothing_is_random(name: str) -> None:
    image, mask, points, *_ = SIZED[name]()(dotted_batch(), split_idx=1)
    assert image.shape == (N, 3, 24, 32)
    assert mask.shape == (N, 24, 32)
    x, y = DOT
    torch.testing.assert_close(plain(points)[0, 0], torch.tensor([(x + 0.5) / 2, (y + 0.5) / 2]), atol=0.3, rtol=0)
    assert centre_of(plain(image)[0, 0]) == pytest.approx(plain(points)[0, 0].tolist(), abs=0.35)
    ramp = torch.linspace(0.2, 0.8, WIDTH).expand(1, 3, HEIGHT, WIDTH)
    out = plain(SIZED[name]()(TensorImage(ramp), split_idx=1))
    torch.testing.assert_close(out[0, 0, 0], torch.linspace(0.2, 0.8, 32), atol=0.01, rtol=0)


def test_validation_takes_the_middle_of_the_right_shape() -> None:
    wide = torch.linspace(0, 1, 200).expand(1, 3, 50, 200)
    out = plain(RandomResizedCropGPU(20, ratio=(1, 1))(TensorImage(wide), split_idx=1))
    assert (out.min(), out.max()) == (pytest.approx(75 / 200, abs=0.01), pytest.approx(125 / 200, abs=0.01))
    half = plain(RandomResizedCropGPU(20, ratio=(1, 1), valid_scale=0.5)(TensorImage(wide), split_idx=1))
    assert half.max() - half.min() == pytest.approx(25 / 200, abs=0.01)


def test_a_random_part_has_the_shape_asked_for_on_any_picture() -> None:
    # x and y as colours tell how much of the picture's width and height a part covers
    across, down = torch.linspace(0, 300, 300).expand(100, 300), torch.linspace(0, 100, 100)[:, None].expand(100, 300)
    picture = TensorImage(torch.stack([across, down, down]).expand(40, 3, 100, 300))
    out = plain(RandomResizedCropGPU(30, min_scale=0.05, ratio=(1.5, 2.0))(picture, split_idx=0))
    extent = out.amax((2, 3)) - out.amin((2, 3))
    ratios = extent[:, 0] / extent[:, 1]
    assert ratios.min() > 1.45
    assert ratios.max() < 2.05
    assert extent[:, 1].max() > 80
    assert extent[:, 1].min() < 60


P_OF: dict[str, Callable[[float], object]] = {
    "flip": lambda p: Flip(p),
    "dihedral": lambda p: Dihedral(p),
    "rotate": lambda p: Rotate(40, p),
    "zoom": lambda p: Zoom(0.5, 0.8, p),
    "warp": lambda p: Warp(0.4, p),
    "crop": lambda p: RandomResizedCropGPU(min_scale=0.2, max_scale=0.6, p=p),
    "brightness": lambda p: Brightness(0.8, p),
    "contrast": lambda p: Contrast(0.8, p),
    "saturation": lambda p: Saturation(0.8, p),
    "hue": lambda p: Hue(0.3, p),
    "erasing": lambda p: RandomErasing(p, sl=0.1),
}


@pytest.mark.parametrize("name", P_OF)
def test_p_is_the_share_of_pictures_that_are_changed(name: str) -> None:
    batch = pictures(torch.float32)[:1, :, :24, :20].repeat(60, 1, 1, 1)

    def changed(p: float) -> float:
        out = plain(P_OF[name](p)(TensorImage(plain(batch)), split_idx=0))
        return (out - plain(batch)).abs().flatten(1).amax(1).gt(0.01).float().mean().item()

    assert changed(0.0) == 0
    assert 0.3 < changed(0.6) < 0.85
    assert changed(1.0) > 0.7  # of the symmetries one is none, and small changes are hardly any


@pytest.mark.parametrize("name", ALL)
def test_no_draw_stays_on_the_transform(name: str) -> None:
    transform = ALL[name]()
    before = dict(vars(transform))
    transform(dotted_batch(), split_idx=0)
    assert vars(transform) == before
    with ThreadPoolExecutor(4) as pool:
        outs = list(pool.map(lambda n: transform(TensorImage(torch.rand(n, 3, 16, 16)), split_idx=0), range(1, 9)))
    assert [len(out) for out in outs] == list(range(1, 9))


@pytest.mark.parametrize("name", ALL)
def test_transforms_can_be_written_as_data(name: str) -> None:
    transform = ALL[name]()
    again = from_recipe(to_recipe(transform, {}), {})
    outs = []
    for one in (transform, again):
        torch.manual_seed(4)
        outs.append(plain(one(pictures(torch.float32), split_idx=0)))
    assert torch.equal(*outs)


@pytest.mark.parametrize("name", SPACE | LIGHT)
@pytest.mark.parametrize("channels_last", [True, False])
def test_bytes_and_floats_are_treated_alike(name: str, channels_last: bool) -> None:
    outs = []
    for dtype in (torch.uint8, torch.float32):
        torch.manual_seed(4)
        out = plain((SPACE | LIGHT)[name]()(pictures(dtype, channels_last), split_idx=0))
        outs.append(out.float() / 255 if out.dtype is torch.uint8 else out)
        assert out.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    torch.testing.assert_close(outs[0], outs[1], atol=0.5 / 255 + 1e-4, rtol=0)


def test_a_flip_is_exact() -> None:
    for batch in (pictures(), pictures(torch.float32)):
        assert torch.equal(plain(Flip(1.0)(batch, split_idx=0)), plain(batch).flip(-1))
        out = Flip(draw=[1, 0, 0, 1, 0, 1], p=1.0)(batch, split_idx=0)
        assert torch.equal(plain(out[0]), plain(batch[0]).flip(-1))
        assert torch.equal(plain(out[1]), plain(batch[1]))


def test_flips_inside_the_recipe_are_exact_where_nothing_else_moves() -> None:
    flips = aug_transforms(max_rotate=0, max_warp=0, max_zoom=1.0, max_lighting=0)
    batch = pictures()
    out = plain(flips[0](batch, split_idx=0))
    whole = plain(batch).float() / 255
    for picture, given in zip(out, whole, strict=True):
        assert torch.equal(picture, given) or torch.equal(picture, given.flip(-1))


@pytest.mark.parametrize("k", range(8))
def test_every_symmetry_is_exact_on_squares(k: int) -> None:
    from laminar.vision.symmetries import turn_tensor

    square = TensorImage(pictures()[..., :HEIGHT])
    out = Dihedral(p=1.0, draw=k)(square, split_idx=0)
    assert torch.equal(plain(out), turn_tensor(plain(square), k))


def test_oblong_pictures_keep_their_size_under_dihedral() -> None:
    batch = pictures(torch.float32)
    out = plain(Dihedral(1.0)(batch, split_idx=0))
    for picture, given in zip(out, plain(batch), strict=True):
        candidates = [given, given.flip(-1), given.flip(-2), given.flip(-1, -2)]
        assert any(torch.equal(picture, candidate) for candidate in candidates)


def test_a_quarter_rotation_is_a_rotation_on_any_shape() -> None:
    x, y = DOT
    batch = dotted_batch()
    points = plain(Rotate(p=1.0, draw=90.0)(batch[2:3], split_idx=0)[0])[0, 0]
    # against the clock: what was right of the middle comes above it
    centre = torch.tensor([WIDTH / 2, HEIGHT / 2])
    before = torch.tensor([x + 0.5, y + 0.5]) - centre
    torch.testing.assert_close(points - centre, torch.tensor([before[1], -before[0]]), atol=0.4, rtol=0)


def test_all_steps_of_space_cost_one_resampling(monkeypatch: pytest.MonkeyPatch) -> None:
    from laminar.vision import homography

    calls = []
    sample = homography._sample
    monkeypatch.setattr(
        homography, "_sample", lambda pictures, *rest: calls.append(len(pictures)) or sample(pictures, *rest)
    )
    Pipeline(aug_transforms(p_affine=1.0), split_idx=0)(pictures())
    assert sum(calls) == N


def test_composed_steps_do_what_they_do_one_after_another() -> None:
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8), (HEIGHT, WIDTH), mode="bicubic").clamp(0, 1)
    batch = TensorImage(image)
    steps = [Flip(1.0), Rotate(p=1.0, draw=12.0), Zoom(p=1.0, draw=1.2, draw_x=0.5, draw_y=0.5)]
    together = plain(Augment(steps)(batch, split_idx=0))
    for step in steps:
        batch = step(batch, split_idx=0)
    inner = (..., slice(10, -10), slice(10, -10))
    assert (together - plain(batch))[inner].abs().mean() < 0.01


def test_composing_changes_no_transform_and_can_be_repeated() -> None:
    steps = [Flip(), Rotate(p=0.9), Brightness(), RandomErasing()]
    before = [dict(vars(step)) for step in steps]
    first, second = setup_aug_tfms(steps), setup_aug_tfms(steps)
    assert [dict(vars(step)) for step in steps] == before
    assert repr(first) == repr(second)
    assert len(first) == 2
    assert repr(setup_aug_tfms(first)) == repr(first)  # already joined
    joined = setup_aug_tfms([*aug_transforms(size=32), Saturation()])
    assert len(joined) == 1
    assert joined[0].size == 32
    assert len(joined[0].light) == 3


def test_size_and_padding_come_from_the_steps() -> None:
    joined = setup_aug_tfms([Flip(), Rotate(size=30, pad_mode="zeros")])[0]
    assert joined.size == 30
    assert joined.pad_mode == "zeros"
    assert joined(pictures(), split_idx=0).shape == (N, 3, 30, 30)


def test_what_extra_steps_ask_for_is_kept_in_the_recipe() -> None:
    extra = RandomResizedCropGPU(32, mode="nearest", pad_mode="border", mode_mask="bilinear")
    joined = aug_transforms(xtra_tfms=[extra])[0]
    assert (joined.size, joined.mode, joined.pad_mode, joined.mode_mask) == (32, "nearest", "border", "bilinear")
    assert joined(pictures(), split_idx=0).shape[-2:] == (32, 32)
    asked = aug_transforms(xtra_tfms=[extra], size=20, mode="bicubic", align_corners=False)[0]
    assert (asked.size, asked.mode, asked.pad_mode, asked.align_corners) == (20, "bicubic", "border", False)


def test_shrinking_much_averages_first() -> None:
    stripes = TensorImage((torch.arange(256) % 2).float().expand(2, 3, 256, 256))
    out = plain(Augment(size=32)(stripes, split_idx=0))
    assert (out - 0.5).abs().max() < 0.05


def test_augmentation_gives_floats_and_the_conversion_leaves_them() -> None:
    pipeline = Pipeline(
        [*aug_transforms(), IntToFloatTensor(), Normalize.from_stats([0.5] * 3, [0.25] * 3)], split_idx=0
    )
    assert [type(step) for step in pipeline.transforms] == [Augment, IntToFloatTensor, Normalize]
    out = pipeline((pictures(), TensorMask(torch.randint(0, 3, (N, HEIGHT, WIDTH), dtype=torch.uint8))))
    assert out[0].dtype is torch.float32
    assert out[1].dtype is torch.int64
    assert out[0].min() >= -2
    assert out[0].max() <= 2


def test_light_keeps_black_white_and_the_order_of_greys() -> None:
    ramp = TensorImage(torch.arange(256, dtype=torch.uint8).view(1, 1, 1, 256).repeat(1, 3, 2, 1))
    for step in (Brightness(p=1.0, draw=0.7), Contrast(p=1.0, draw=0.6), Contrast(p=1.0, draw=1.6)):
        out = plain(Augment(light=[step])(ramp, split_idx=0))[0, 0, 0]
        assert (out.diff() > 0).all()
        assert out[0] < 0.01
        assert out[-1] > 0.99
    middle = plain(Brightness(p=1.0, draw=0.7)(TensorImage(torch.full((1, 3, 2, 2), 0.5)), split_idx=0))
    assert middle.mean() == pytest.approx(0.7, abs=1e-5)


def test_light_that_changes_nothing_is_exact() -> None:
    batch = pictures()
    out = Augment(light=[Brightness(p=0.0), Contrast(p=0.0), Saturation(p=0.0), Hue(p=0.0)])(batch, split_idx=0)
    assert torch.equal(plain(out), plain(batch).float() / 255)
    floats = pictures(torch.float32)
    out = Brightness(p=0.0)(floats, split_idx=0)
    assert torch.equal(plain(out), plain(floats))
    assert out.data_ptr() != floats.data_ptr()


def test_saturation_zero_is_grey_and_grey_pictures_stay() -> None:
    grey = plain(Saturation(p=1.0, draw=0.0)(pictures(torch.float32), split_idx=0))
    torch.testing.assert_close(grey[:, 0], grey[:, 1], atol=1e-5, rtol=0)
    mono = TensorImageBW(torch.rand(2, 1, 8, 8))
    torch.testing.assert_close(plain(Saturation(0.5, p=1.0)(mono, split_idx=0)), plain(mono), atol=1e-5, rtol=0)


def test_hue_turns_red_to_green() -> None:
    red = TensorImage(torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).repeat(1, 1, 2, 2))
    out = plain(Hue(p=1.0, draw=1 / 3)(red, split_idx=0))[0, :, 0, 0]
    torch.testing.assert_close(out, torch.tensor([0.0, 1.0, 0.0]), atol=1e-5, rtol=0)


def test_hue_there_and_back() -> None:
    from laminar.vision.lighting import hsv2rgb, rgb2hsv

    colours = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(hsv2rgb(rgb2hsv(colours)), colours, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 4])
def test_pictures_with_other_numbers_of_channels_are_augmented(channels: int) -> None:
    batch = TensorImage(torch.randint(0, 256, (3, channels, 20, 20), dtype=torch.uint8))
    out = aug_transforms(xtra_tfms=[Saturation(p=1.0), Hue(p=1.0)])[0](batch, split_idx=0)
    assert out.shape == batch.shape
    assert out.min() >= 0
    assert out.max() <= 1


def test_a_single_picture_is_a_batch_of_one() -> None:
    out = aug_transforms()[0]((TensorImage(pictures()[0]), TensorMask(torch.zeros(HEIGHT, WIDTH))), split_idx=0)
    assert out[0].shape == (3, HEIGHT, WIDTH)
    assert out[1].shape == (HEIGHT, WIDTH)


def test_a_batch_without_pictures_is_refused() -> None:
    with pytest.raises(DataError, match=r"Rotate.*found no picture.*TensorImage"):
        Rotate()((torch.zeros(2, 3, 8, 8), TensorCategory(torch.zeros(2))), split_idx=0)


def test_scaled_points_stay_with_the_picture_and_stay_scaled() -> None:
    x, y = DOT
    scaled = torch.tensor([[[(x + 0.5) / WIDTH * 2 - 1, (y + 0.5) / HEIGHT * 2 - 1]]]).repeat(N, 1, 1)
    batch = (dotted_batch()[0], TensorPoint(scaled, scaled=True))
    out = plain(Flip(1.0)(batch, split_idx=0)[1])
    torch.testing.assert_close(out, scaled * torch.tensor([-1.0, 1.0]), atol=1e-5, rtol=0)
    for make in (SPACE["rotate"], SPACE["warp"], SPACE["resized"]):
        step = make()
        torch.manual_seed(5)
        pixels = step(dotted_batch(), split_idx=0)[2]
        torch.manual_seed(5)
        moved = step(batch, split_idx=0)[1]
        assert moved.scaled
        size = torch.tensor(pixels.canvas_size).flip(0)
        torch.testing.assert_close(plain(moved), plain(pixels) / size * 2 - 1, atol=1e-5, rtol=0)


def test_points_that_do_not_know_their_canvas_are_in_pixels_of_the_picture_beside_them() -> None:
    points = TensorPoint(plain(dotted_batch()[2]))
    out = Flip(1.0)((dotted_batch()[0], points), split_idx=0)[1]
    assert plain(out)[0].tolist() == [[WIDTH - DOT[0] - 0.5, DOT[1] + 0.5]]
    assert tuple(out.canvas_size) == (HEIGHT, WIDTH)


def test_batch_draws_once_for_all() -> None:
    same = TensorImage(pictures()[:1].repeat(N, 1, 1, 1))
    out = plain(aug_transforms(batch=True, p_affine=1.0)[0](same, split_idx=0))
    assert all(torch.allclose(picture, out[0], atol=1e-5) for picture in out)
    crops = plain(RandomResizedCropGPU(24, batch=True)(same, split_idx=0))
    assert all(torch.equal(picture, crops[0]) for picture in crops)


def test_probability_is_per_picture() -> None:
    batch = TensorImage(torch.rand(400, 1, 2, 3))
    out = plain(Flip(0.25)(batch, split_idx=0))
    share = sum(not torch.equal(a, b) for a, b in zip(out, plain(batch), strict=True)) / 400
    assert 0.15 < share < 0.35


def test_aug_transforms_takes_fastais_arguments() -> None:
    augment = aug_transforms(mult=2.0, flip_vert=True, min_zoom=0.9, size=(20, 30), min_scale=0.7, pad_mode="border")[0]
    assert [type(step) for step in augment.space] == [Dihedral, Warp, Rotate, Zoom, RandomResizedCropGPU]
    assert augment.space[2].max_deg == 20
    assert augment.light[0].max_lighting == 0.4
    assert augment(pictures(), split_idx=0).shape == (N, 3, 20, 30)
    assert aug_transforms(do_flip=False, max_rotate=0, max_warp=0, max_zoom=1.0, max_lighting=0) == []
    with pytest.raises(TypeError, match="max_rotat"):
        aug_transforms(max_rotat=3)


def test_erasing_makes_other_holes_in_each_picture() -> None:
    batch = TensorImage(torch.full((N, 3, HEIGHT, WIDTH), 5.0))
    out = plain(RandomErasing(1.0, sl=0.1, sh=0.2)(batch, split_idx=0))
    holes = (out != 5).any(1)
    shares = holes.flatten(1).float().mean(1)
    assert (shares > 0.05).all()
    assert (shares < 0.25).all()
    assert len({hole.numpy().tobytes() for hole in holes}) == N
    assert out[holes.unsqueeze(1).expand_as(out)].std() == pytest.approx(1, abs=0.1)
    assert RandomErasing(0.0)(batch, split_idx=0) is batch


def test_deterministic_steps_take_turns() -> None:
    batch = TensorImage(pictures(torch.float32)[..., :HEIGHT])
    step = DeterministicFlip()
    outs = [plain(step(batch, split_idx=0)) for _ in range(4)]
    assert torch.equal(outs[0], plain(batch))
    assert torch.equal(outs[1], plain(batch).flip(-1))
    assert torch.equal(outs[0], outs[2])
    assert torch.equal(outs[1], outs[3])
    symmetries = DeterministicDihedral()
    assert len({plain(symmetries(batch, split_idx=0)).numpy().tobytes() for _ in range(8)}) == 8
    assert DeterministicFlip(size=20).size == 20


def test_cutting_out_puts_noise_where_it_is_asked_for() -> None:
    batch = TensorImage(torch.full((2, 3, 20, 20), 7.0))
    out = cutout_gaussian(batch, [(2, 8, 3, 18), (15, 20, 0, 4)])
    assert type(out) is TensorImage
    hole = torch.zeros(20, 20, dtype=torch.bool)
    hole[2:8, 3:18] = hole[15:20, 0:4] = True
    assert torch.equal(plain(out) != 7, hole.expand(2, 3, 20, 20))
    assert plain(out)[..., hole].std() == pytest.approx(1, abs=0.15)
    assert (plain(batch) == 7).all()


def test_what_is_done_to_normalised_pictures_can_be_looked_at() -> None:
    batch = pictures(torch.float32)
    normalize = Normalize.from_stats([0.5] * 3, [0.25] * 3)
    torch.testing.assert_close(norm_apply_denorm(batch, lambda x: x, normalize), plain(batch))
    dark = norm_apply_denorm(batch, lambda x: x - 10, normalize)
    assert (dark == 0).all()


def test_grey_is_what_pillow_calls_grey() -> None:
    picture = pictures()[0]
    theirs = torch.from_numpy(np.asarray(Image.fromarray(plain(picture).permute(1, 2, 0).numpy()).convert("L")).copy())
    assert (plain(grayscale(plain(picture).float()))[0] - theirs).abs().max() <= 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Zoom(0.0, 1.0), "0 < min_zoom <= max_zoom, got 0.0 and 1.0"),
        (lambda: Zoom(2.0, 1.5), "got 2.0 and 1.5"),
        (lambda: Brightness(1.0), "Brightness: max_lighting is 0 to less than 1"),
        (lambda: Contrast(1.0), "Contrast: max_lighting"),
        (lambda: aug_transforms(mult=5.0), r"max_lighting .* got 1.0"),
        (lambda: Rotate(mode="cubic"), "mode is one of bilinear, nearest, bicubic, not 'cubic'"),
        (lambda: aug_transforms(mode="linear"), "not 'linear'"),
        (lambda: Rotate(draw=[1.0, 2.0, 3.0]).maps(2, (8, 8)), r"draw gives \(3,\) values, the batch has 2 pictures"),
    ],
)
def test_what_no_step_can_do_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
