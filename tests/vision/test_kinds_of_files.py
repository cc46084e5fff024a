"""What docs/vision.md says of kinds of files, and of pictures of unusual size."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from laminar.core.errors import DataError
from laminar.core.pipeline import Pipeline
from laminar.core.types import TensorImage, plain
from laminar.data.collation import collate
from laminar.data.glyphs import make_glyphs
from laminar.data.transforms import IntToFloatTensor, ToTensor
from laminar.learner import Learner
from laminar.vision.augment import RandomResizedCropGPU, aug_transforms
from laminar.vision.crop import CropPad, RandomCrop, RandomResizedCrop, RatioResize, Resize
from laminar.vision.data import ImageDataLoaders
from laminar.vision.images import PILImage, PILImageBW, PILMask, image_to_typed
from laminar.vision.turning import DihedralItem, FlipItem


def content(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def one_pixel(mode: str, value: object) -> Image.Image:
    return Image.new(mode, (1, 1), value)


def test_cmyk_becomes_the_colours_it_stands_for() -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        seen = np.asarray(PILImage.create(content(red, kind)))
        assert np.abs(seen.astype(int) - (255, 0, 0)).max() < 5
    grey = np.asarray(PILImageBW.create(content(red, "TIFF")))
    assert np.abs(grey.astype(int) - 76).max() < 5
    with pytest.raises(DataError, match=r"holds colours \(mode CMYK\)"):
        PILMask.create(content(red, "TIFF")).load()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_by_their_range_and_kept_in_masks(kind: str) -> None:
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    file = content(Image.fromarray(values), kind)
    assert np.asarray(PILImageBW.create(file)).tolist() == [[0, 1, 128, 255]]
    assert np.asarray(PILImage.create(file))[0, :, 2].tolist() == [0, 1, 128, 255]
    ids = image_to_typed(PILMask.create(file))
    assert plain(ids).tolist() == values.tolist()


def test_alpha_is_laid_over_the_background_of_the_class() -> None:
    class OnBlack(PILImage):
        _background = (0, 0, 0)

    half_red = content(one_pixel("RGBA", (255, 0, 0, 128)))
    assert np.asarray(PILImage.create(half_red)).tolist() == [[[255, 127, 127]]]
    assert np.asarray(OnBlack.create(half_red)).tolist() == [[[128, 0, 0]]]
    for mode, value in (("RGBA", (7, 7, 7, 9)), ("LA", (7, 9))):
        assert np.asarray(PILMask.create(content(one_pixel(mode, value)))).tolist() == [[7]]


def test_lab_becomes_colours_or_its_lightness_and_is_no_mask() -> None:
    middle = content(one_pixel("LAB", (128, 0, 0)), "TIFF")
    assert np.asarray(PILImageBW.create(middle)).tolist() == [[128]]
    assert np.asarray(PILImage.create(middle)).shape == (1, 1, 3)
    with pytest.raises(DataError, match=r"holds colours \(mode LAB\)"):
        PILMask.create(middle).load()


def test_a_mask_of_fractions_is_refused() -> None:
    with pytest.raises(DataError, match=r"holds fractions \(mode F\)"):
        PILMask.create(content(one_pixel("F", 0.5), "TIFF")).load()


@pytest.mark.parametrize(
    ("begin", "said"), [(b"", "it is empty"), (b"ftypheic", "begins with b'ftypheic', which Pillow")]
)
def test_what_no_picture_begins_with_is_told(tmp_path: Path, begin: bytes, said: str) -> None:
    (tmp_path / "a.jpg").write_bytes(begin)
    with pytest.raises(DataError, match=f"a.jpg.*{said}"):
        PILImage.create(tmp_path / "a.jpg")


def test_an_address_is_not_taken_for_a_file() -> None:
    with pytest.raises(DataError, match=r"https://example.com/a.jpg: .* Fetch the file first"):
        PILImage.create("https://example.com/a.jpg")


def test_a_palette_gives_colours_to_pictures_and_ids_to_masks() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.putpixel((1, 0), 1)
    file = content(image)
    assert np.asarray(PILImage.create(file)).tolist() == [[[0, 0, 0], [10, 200, 30]]]
    assert np.asarray(PILMask.create(file)).tolist() == [[0, 1]]


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_frames_the_first_is_taken(kind: str) -> None:
    frames = [Image.new("L", (8, 8), value) for value in (0, 255)]
    file = content(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.asarray(PILImage.create(file)).max() < 5


STEPS = [
    Resize(8),
    Resize(8, "squish"),
    Resize(8, "pad"),
    RandomResizedCrop(8),
    RandomCrop(8),
    CropPad(8),
    RatioResize(8),
]


@pytest.mark.parametrize("split_idx", [0, 1])
@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_one_pixel_is_a_picture_like_any_other(step: object, split_idx: int) -> None:
    for source in (content(one_pixel("RGB", (9, 8, 7))), content(one_pixel("RGB", (9, 8, 7)), "JPEG")):
        items = Pipeline([step, FlipItem(1.0), DihedralItem(), ToTensor()], split_idx=split_idx)
        batch = collate([items(PILImage.create(source)) for _ in range(2)])
        assert batch.shape == (2, 3, 8, 8)
        out = Pipeline([*aug_transforms(flip_vert=True), IntToFloatTensor()], split_idx=split_idx)(batch)
        assert bool(out.isfinite().all())


def test_a_batch_of_single_pixels_is_augmented() -> None:
    batch = TensorImage(torch.full((4, 3, 1, 1), 0.5))
    for steps in (aug_transforms(max_lighting=0.0, flip_vert=True), [RandomResizedCropGPU(5)]):
        out = Pipeline(steps, split_idx=0)(batch)
        assert torch.allclose(plain(out), torch.tensor(0.5))


def test_a_hundred_megapixels_are_refused_with_a_remedy_beyond_the_limit_and_cropped_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "large.png"
    Image.new("1", (10_000, 10_000)).save(file)  # 100 million pixels in 12 kB
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000_000)
    with pytest.raises(DataError, match=r"large\.png: .*100000000 pixels.*PIL\.Image\.MAX_IMAGE_PIXELS = "):
        PILImage.create(file)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000_000)
    assert PILImageBW.create(file).resized((8, 8)).size == (8, 8)


def test_pictures_of_different_channels_in_a_batch_are_named_with_their_shapes() -> None:
    samples = [(TensorImage(torch.zeros(channels, 4, 4, dtype=torch.uint8)),) for channels in (3, 1)]
    with pytest.raises(DataError, match=r"\(3, 4, 4\).*\(1, 4, 4\).*with one class of pictures"):
        collate(samples)


def test_a_model_for_other_channels_says_what_pictures_it_takes(tmp_path: Path) -> None:
    path = make_glyphs(tmp_path, "AB", per_class=4, valid_per_class=2, size=16)
    grey = ImageDataLoaders.from_folder(path, img_cls=PILImageBW, bs=4, device="cpu")
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(RuntimeError, match="channels") as caught:
        Learner(grey, model)
    assert any("have 1 channel(s), the model's first convolution takes 3" in note for note in caught.value.__notes__)
