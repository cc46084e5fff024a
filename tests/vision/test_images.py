import io
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from laminar.core.errors import DataError
from laminar.core.types import TensorImage, TensorImageBW, TensorMask
from laminar.data.transforms import ToTensor
from laminar.vision.collecting import verify_image
from laminar.vision.images import PILBase, PILImage, PILImageBW, PILMask, image2tensor

MakePicture = Callable[..., Image.Image]


def file_bytes(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(image: Image.Image, orientation: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return file_bytes(image, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, kind: str, smooth_picture: MakePicture) -> None:
    raw = oriented(smooth_picture(), orientation, kind)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(raw))).convert("RGB")
    opened = PILImage.create(raw)
    assert opened.size == upright.size
    assert np.array_equal(pixels(opened), pixels(upright))
    assert np.array_equal(pixels(PILImage.create(Image.open(io.BytesIO(raw)))), pixels(upright))
    assert np.array_equal(pixels(PILImage.create(opened)), pixels(upright))  # not turned again


@pytest.mark.parametrize("orientation", range(1, 9))
def test_resizing_an_unread_file_equals_resizing_the_upright_picture(
    orientation: int, smooth_picture: MakePicture
) -> None:
    raw = oriented(smooth_picture(800, 480), orientation)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(raw)))
    box = (16, 40, 400, 424)
    lazily = PILImage.create(raw).resized((48, 64), box)
    expected = upright.resize((48, 64), Image.Resampling.BILINEAR, box=box)
    assert lazily.size == (48, 64)
    assert abs(pixels(lazily) - pixels(expected)).mean() < 2


def test_only_the_header_is_read_until_pixels_are_needed(tmp_path: Path, smooth_picture: MakePicture) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(file_bytes(smooth_picture(), "PNG"))
    image = PILImage.create(path)
    assert image.size == (96, 64)
    assert image.mode == "RGB"
    assert image.shape == (64, 96)
    other = tmp_path / "b.png"
    path.rename(other)
    PILImage.create(other)  # the content of the file opened last is still at hand
    with pytest.raises(FileNotFoundError, match=r"a\.png"):
        image.load()


def test_many_unread_pictures_hold_no_file_open(tmp_path: Path, smooth_picture: MakePicture) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(file_bytes(smooth_picture(), "JPEG"))
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    images = [PILImage.create(path) for _ in range(50)]
    assert before == 0 or len(os.listdir("/proc/self/fd")) == before
    assert len({image.size for image in images}) == 1


def test_unread_pictures_are_read_rightly_by_other_threads(tmp_path: Path, smooth_picture: MakePicture) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(file_bytes(smooth_picture(400, 300), "JPEG"))
    wanted = pixels(PILImage.create(path))
    images = [PILImage.create(path) for _ in range(16)]
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(found, wanted) for found in pool.map(pixels, images))


def test_resized_pictures_are_pillow_images_like_any_other(picture: Image.Image) -> None:
    image = PILImage.create(picture).resized((30, 20))
    tensor = image2tensor(image)
    tensor.zero_()  # a copy: the picture stays
    assert pixels(image.copy()).any()
    assert np.array_equal(pixels(image), pixels(image.convert("RGB")))
    image.putpixel((0, 0), (1, 2, 3))
    assert image2tensor(image)[:, 0, 0].tolist() == [1, 2, 3]
    again = pickle.loads(pickle.dumps(PILImage.create(picture).resized((30, 20))))
    assert again.size == (30, 20)


def test_a_large_jpeg_is_decoded_at_a_reduced_scale(
    monkeypatch: pytest.MonkeyPatch, smooth_picture: MakePicture
) -> None:
    from laminar.vision import decoding

    reductions = []
    decode = decoding.decode

    def spy(*args: object) -> object:
        result = decode(*args)
        reductions.append(result[1])
        return result

    monkeypatch.setattr(decoding, "decode", spy)
    raw = file_bytes(smooth_picture(800, 640), "JPEG")
    PILImage.create(raw).resized((100, 80))
    PILImage.create(raw).resized((100, 80), (0, 0, 200, 160))  # a small part of it needs more
    PILImage.create(raw).resized((100, 80), resample=Image.Resampling.NEAREST)  # pixels must not be mixed
    assert reductions == [8, 2, 1]


SOURCES = {
    "rgb": lambda image: image,
    "transparent": lambda image: Image.merge("RGBA", [*image.split(), Image.new("L", image.size, 255)]),
    "cmyk": lambda image: image.convert("CMYK"),
    "bytes": lambda image: file_bytes(image, "PNG"),
    "bytearray": lambda image: bytearray(file_bytes(image, "PNG")),
    "array": np.asarray,
    "float array": lambda image: np.asarray(image) / 255,
    "uint8 tensor": lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1),
    "float tensor": lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255,
    "typed tensor": lambda image: TensorImage(torch.from_numpy(np.array(image)).permute(2, 0, 1)),
    "int64 array": lambda image: np.asarray(image).astype(np.int64),
}


@pytest.mark.parametrize("name", SOURCES)
def test_all_sources_give_the_same_picture(name: str, picture: Image.Image) -> None:
    made = PILImage.create(SOURCES[name](picture))
    assert type(made) is PILImage
    assert made.mode == "RGB"
    assert abs(pixels(made) - pixels(picture)).max() <= 1


@pytest.mark.parametrize("mode", ["L", "P", "LA", "I;16", "F", "1"])
def test_grey_sources_become_three_equal_channels(mode: str) -> None:
    grey = np.arange(0, 256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(grey)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray((grey / 255).astype(np.float32))
    elif mode != "L":
        image = image.convert(mode)
    made = pixels(PILImage.create(image))
    assert (made[..., 0] == made[..., 1]).all()
    assert (made[..., 0] == made[..., 2]).all()
    if mode != "1":
        assert abs(made[..., 0] - grey.astype(int)).max() <= 1


def test_transparency_shows_white_and_not_the_hidden_colour() -> None:
    hidden = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (pixels(PILImage.create(hidden)) == 255).all()
    palette = hidden.convert("RGB").convert("P")
    palette.info["transparency"] = palette.getpixel((0, 0))
    assert (pixels(PILImage.create(file_bytes(palette, "PNG"))) == 255).all()


def test_sixteen_bits_survive_where_they_are_asked_for() -> None:
    class Depth(PILImageBW):
        _open_args = {"mode": "I;16"}

    values = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16) // 3
    raw = file_bytes(Image.fromarray(values), "PNG")
    tensor = ToTensor()(Depth.create(raw))
    assert type(tensor) is TensorImageBW
    assert tensor.dtype is torch.float32
    assert torch.equal((tensor[0] * 65535).round().int(), torch.from_numpy(values.astype(np.int32)))
    assert pixels(PILImageBW.create(raw)).max() == round(int(values.max()) / 257)


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    raw = file_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixels(PILImage.create(raw))[0, 0].tolist() == [255, 0, 0]


def test_floats_beyond_0_to_1_are_refused_and_not_made_black() -> None:
    with pytest.raises(DataError, match=r"0 to 1, got -2.*decode_batch"):
        PILImage.create(torch.linspace(-2, 2, 48).reshape(3, 4, 4))


def test_shapes_that_are_no_pictures_are_refused() -> None:
    with pytest.raises(DataError, match=r"got shape \(4, 4, 7\)"):
        PILImage.create(np.zeros((4, 4, 7), dtype=np.uint8))
    with pytest.raises(DataError, match="got int"):
        PILImage.create(3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_named_with_a_remedy(share: float, tmp_path: Path, smooth_picture: MakePicture) -> None:
    raw = file_bytes(smooth_picture(400, 300), "JPEG")
    path = tmp_path / "broken.jpg"
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(DataError, match=r"broken.jpg.*verify_images"):
        PILImage.create(path).load()
    with pytest.raises(DataError, match=r"broken.jpg.*verify_images"):
        PILImage.create(path).resized((20, 20))
    assert not verify_image(path)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("no picture")
    with pytest.raises(DataError, match=r"notes.jpg: cannot open"):
        PILImage.create(path)


def test_a_picture_with_too_many_pixels_says_how_to_allow_it(
    monkeypatch: pytest.MonkeyPatch, smooth_picture: MakePicture
) -> None:
    raw = file_bytes(smooth_picture(), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="MAX_IMAGE_PIXELS"):
        PILImage.create(raw)


def test_a_palette_mask_keeps_its_indices() -> None:
    ids = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    image = Image.fromarray(ids)
    image.putpalette([channel for colour in range(256) for channel in (colour, 255 - colour, 7)])
    mask = PILMask.create(file_bytes(image, "PNG"))
    assert mask.mode == "L"
    assert np.array_equal(pixels(mask), ids)
    tensor = ToTensor()(mask)
    assert type(tensor) is TensorMask
    assert tensor.tolist() == ids.tolist()


def test_masks_of_other_kinds_keep_their_ids() -> None:
    two = Image.fromarray(np.array([[True, False]]))
    assert pixels(PILMask.create(two)).tolist() == [[1, 0]]
    many = np.array([[300, 4]], dtype=np.uint16)
    assert ToTensor()(PILMask.create(file_bytes(Image.fromarray(many), "PNG"))).tolist() == [[300, 4]]
    assert pixels(PILMask.create(np.array([[3, 4]]))).tolist() == [[3, 4]]
    grey = Image.fromarray(np.array([[5, 6]], dtype=np.uint8)).convert("RGB")
    assert pixels(PILMask.create(grey)).tolist() == [[5, 6]]


SHRINK = {
    "resized": lambda mask: mask.resized((7, 9)),
    "to_thumb": lambda mask: mask.to_thumb(9),
    "reshape": lambda mask: mask.reshape(9, 7),
    "resize_max": lambda mask: mask.resize_max(max_h=9),
    "resize": lambda mask: mask.resize((7, 9)),
    "thumbnail": lambda mask: mask.thumbnail((9, 9)) or mask,
}


@pytest.mark.parametrize("as_file", [True, False])
@pytest.mark.parametrize("shrink", SHRINK)
def test_scaling_a_mask_invents_no_classes(shrink: str, as_file: bool, tmp_path: Path) -> None:
    ids = np.random.default_rng(0).choice(np.array([0, 7, 200], dtype=np.uint8), (40, 30))
    Image.fromarray(ids).save(tmp_path / "mask.png")
    mask = PILMask.create(tmp_path / "mask.png" if as_file else ids)
    small = SHRINK[shrink](mask)
    assert isinstance(small, PILMask)
    assert small.size == (7, 9)
    assert set(np.unique(np.asarray(small))) <= {0, 7, 200}


def test_a_coloured_mask_is_refused(picture: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    picture.save(path)
    with pytest.raises(DataError, match=r"mask.png.*holds colours"):
        PILMask.create(path).load()


def test_tensors_are_channels_last_views_of_one_copy(picture: Image.Image) -> None:
    tensor = ToTensor()(PILImage.create(picture))
    assert type(tensor) is TensorImage
    assert tensor.dtype is torch.uint8
    assert tensor.shape == (3, 64, 96)
    assert tensor.stride() == (1, 96 * 3, 3)
    assert type(ToTensor()(PILImageBW.create(picture))) is TensorImageBW
    assert torch.equal(image2tensor(picture), torch.from_numpy(np.array(picture)).permute(2, 0, 1))


def test_operations_of_pillow_keep_the_class(picture: Image.Image) -> None:
    image = PILImage.create(picture)
    assert type(image.transpose(Image.Transpose.ROTATE_90)) is PILImage
    assert type(image.resize((8, 8))) is PILImage
    assert type(image.crop((0, 0, 8, 8))) is PILImage
    assert type(image.copy()) is PILImage
    assert image.to_thumb(32).size == (32, 21)
    assert image.reshape(10, 12).shape == (10, 12)
    assert image.resize_max(max_h=image.height / 2).shape == (image.height // 2, image.width // 2)
    assert image.resize_max(max_px=image.n_px / 4).n_px <= image.n_px / 4
    assert image.resize_max(max_w=10 * image.width).size == image.size
    assert PILImage.create(image.to_bytes_format()).size == image.size


def test_creating_does_not_share_memory_with_the_users_picture(picture: Image.Image) -> None:
    before = pixels(picture).copy()
    made = PILImage.create(picture)
    made.putpixel((0, 0), (1, 2, 3))
    assert np.array_equal(pixels(picture), before)


def test_unread_pictures_can_be_pickled(picture: Image.Image) -> None:
    image = PILImage.create(file_bytes(picture, "PNG"))
    again = pickle.loads(pickle.dumps(image))
    assert type(again) is PILImage
    assert np.array_equal(pixels(again), pixels(picture))


def test_pictures_show_themselves(picture: Image.Image) -> None:
    ax = PILImage.create(picture).show()
    assert ax.images[0].get_array().shape == (64, 96, 3)
    assert PILMask.create(np.eye(4, dtype=np.uint8)).show(ctx=ax) is ax
    assert ax.images[1].get_alpha() == 0.5


def test_the_class_says_which_tensor_is_made(picture: Image.Image) -> None:
    class TensorScan(TensorImage):
        pass

    class Scan(PILBase):
        _open_args = {"mode": "L"}
        _tensor_cls = TensorScan

    assert type(ToTensor()(Scan.create(picture))) is TensorScan


def photo(path: Path, size: tuple[int, int] = (120, 90)) -> Path:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    smooth.save(path, quality=95)
    return path


def test_a_crop_scaled_without_pillow_is_the_one_pillow_gives(tmp_path: Path) -> None:
    file, box = photo(tmp_path / "a.jpg"), (10, 5, 90, 85)
    ours = np.asarray(PILImage.create(file).resized((64, 64), box)).astype(int)
    with Image.open(file) as image:
        theirs = np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR, box=box)).astype(int)
    assert np.abs(ours - theirs).max() <= 2


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
def test_a_truncated_file_is_found_when_a_part_is_scaled(tmp_path: Path, share: float) -> None:
    file = photo(tmp_path / "cut.jpg", (400, 300))
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"cut\.jpg: cannot .* this picture"):
        PILImage.create(file).resized((200, 200), (0, 0, 300, 300))
