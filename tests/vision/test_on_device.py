"""Pictures decoded on the device of their batch. Where there is no GPU, the same code decodes on the CPU."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from laminar.core.errors import DataError
from laminar.core.types import TensorImage, plain
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock
from laminar.data.loaders import DataLoaders
from laminar.vision import jpeg, on_device
from laminar.vision.blocks import ImageBlock, MaskBlock
from laminar.vision.crop import RandomCrop, RandomResizedCrop, RatioResize, Resize
from laminar.vision.cutting import _scaled_as_floats
from laminar.vision.decoding import Resampling
from laminar.vision.images import PILImage
from laminar.vision.on_device import DecodePictures, DeviceImage, EncodedPicture

MakePicture = Callable[..., Image.Image]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def photos(tmp_path: Path, smooth_picture: MakePicture) -> list[Path]:
    """Six JPEG files, one of them grey."""
    files = [tmp_path / f"{index}.jpg" for index in range(6)]
    for index, file in enumerate(files):
        smooth_picture(60 + 4 * index, 48).convert("L" if index == 2 else "RGB").save(file, quality=95)
    return files


def loaders(files: list[Path], kind: type[PILImage], item_tfms: object = None, **options: object) -> DataLoaders:
    block = DataBlock(
        (ImageBlock(kind), CategoryBlock),
        get_items=lambda source: source,
        get_y=lambda file: Path(file).stem,
        splitter=lambda items: (range(len(items) // 2), range(len(items) // 2, len(items))),
        item_tfms=item_tfms,
    )
    return block.dataloaders([*files, *files], bs=len(files), device="cpu", **{"seed": 1, **options})


def both(files: list[Path], item_tfms: object, training: bool = True) -> list[torch.Tensor]:
    """The first batch, decoded on the device and as usual."""
    found = []
    for kind in (DeviceImage, PILImage):
        dls = loaders(files, kind, item_tfms)
        pictures = next(iter(dls.train if training else dls.test_dl(files)))[0]
        assert type(pictures) is TensorImage
        found.append(plain(pictures))
    return found


@pytest.mark.parametrize(
    "cut",
    [
        Resize(40),
        Resize((30, 40), "squish"),
        Resize(44, "pad", "zeros"),
        Resize(44, "pad"),
        Resize(32, resamples=(Resampling.NEAREST, Resampling.NEAREST)),
        RandomResizedCrop(40, min_scale=0.6),
        RandomCrop(50),
    ],
    ids=repr,
)
@pytest.mark.parametrize("training", [True, False])
def test_crops_are_the_same_as_of_pictures_decoded_by_workers(photos: list[Path], cut: Resize, training: bool) -> None:
    late, usual = both(photos, cut, training)
    assert late.shape == usual.shape
    assert float((late - usual).abs().max()) <= 2.5 / 255


def test_items_are_not_decoded_before_the_batch(photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    loader = loaders(photos, DeviceImage, Resize(32)).train
    decode, calls = jpeg.decoder(), []
    assert decode is not None
    monkeypatch.setattr(on_device, "decoder", lambda: lambda *args, **kw: calls.append(args) or decode(*args, **kw))
    sample = loader.after_item(loader.dataset[0])
    assert isinstance(sample[0], EncodedPicture)
    assert sample[0].is_file
    assert not calls
    next(iter(loader))
    assert [len(files) for (files,) in calls] == [6]  # all in one call, as nvJPEG wants it


def test_pictures_that_cannot_wait_are_decoded_in_the_worker_and_stand_in_the_same_batch(
    photos: list[Path], tmp_path: Path, smooth_picture: MakePicture
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth_picture(48, 64).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    smooth_picture(64, 48).convert("RGBA").save(tmp_path / "other.png")
    smooth_picture(64, 48).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    files = [*photos, tmp_path / "turned.jpg", tmp_path / "other.png", tmp_path / "print.jpg"]
    late, usual = both(files, Resize(40, "squish"))
    assert float((late - usual).abs().max()) <= 2.5 / 255
    assert [DeviceImage.create(file).for_batch().is_file for file in files] == [True] * 6 + [False] * 3


def test_what_an_item_transform_looks_at_is_decoded(photos: list[Path]) -> None:
    def mirrored(image: PILImage) -> PILImage:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    late, usual = both(photos, [Resize(32), mirrored])
    assert float((late - usual).abs().max()) <= 2.5 / 255


def test_a_second_cut_sees_the_first_ones_result(photos: list[Path]) -> None:
    late, usual = both(photos, [Resize(48), RandomCrop(32)])
    assert float((late - usual).abs().max()) <= 2.5 / 255


def test_workers_give_the_same(photos: list[Path]) -> None:
    here = next(iter(loaders(photos, DeviceImage, RandomResizedCrop(32)).train))[0]
    there = next(iter(loaders(photos, DeviceImage, RandomResizedCrop(32), num_workers=1).train))[0]
    assert torch.equal(plain(here), plain(there))


def test_masks_move_with_pictures_decoded_later(tmp_path: Path, smooth_picture: MakePicture) -> None:
    smooth_picture(64, 48).save(tmp_path / "a.jpg")
    Image.linear_gradient("L").resize((64, 48)).point(lambda value: value // 64).save(tmp_path / "mask.png")
    found = []
    for kind in (DeviceImage, PILImage):
        block = DataBlock(
            (ImageBlock(kind), MaskBlock(list("abcd"))),
            get_items=lambda source: source,
            get_y=lambda file: file.with_name("mask.png"),
            splitter=lambda items: ([0], [1]),
            item_tfms=RandomResizedCrop(24),
        )
        found.append(next(iter(block.dataloaders([tmp_path / "a.jpg"] * 2, bs=1, device="cpu", seed=2).train)))
    assert torch.equal(plain(found[0][1]), plain(found[1][1]))
    assert float((plain(found[0][0]) - plain(found[1][0])).abs().max()) <= 2.5 / 255


def test_one_damaged_file_costs_the_others_nothing_and_is_named(photos: list[Path]) -> None:
    content = photos[3].read_bytes()
    at = content.index(b"\xff\xda")
    photos[3].write_bytes(content[:at] + b"\xff\xda")  # its header is whole
    with pytest.raises(DataError, match=r"3\.jpg.*damaged"):
        next(iter(loaders(photos, DeviceImage, Resize(32)).train))


def test_a_device_that_decodes_nothing_is_warned_of_and_the_pictures_come_all_the_same(photos: list[Path]) -> None:
    late = [DeviceImage.create(file).cut_later(*cut_of(32, file)).for_batch() for file in photos]  # type: ignore[union-attr]
    batch = EncodedPicture.collate(late).to("meta")
    with pytest.warns(UserWarning, match="meta decodes none of 6 JPEG files.*PILImage"):
        pictures = DecodePictures()(batch)
    assert pictures.shape == (6, 3, 32, 32)
    assert pictures.device.type == "meta"


def cut_of(size: int, file: Path) -> tuple[object, ...]:
    resize = Resize(size)
    return resize.cut(PILImage.create(file).size), resize.pad_mode, resize.resamples[0]


def test_pictures_of_several_sizes_are_named(photos: list[Path]) -> None:
    with pytest.raises(DataError, match=r"0\.jpg"):
        next(iter(loaders(photos, DeviceImage).train))
    with pytest.raises(DataError, match=r"0\.jpg"):
        next(iter(loaders(photos, DeviceImage, RatioResize(32)).train))


def test_without_torchcodec_workers_decode(photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (jpeg, on_device):
        monkeypatch.setattr(module, "decoder", lambda: None)
    late, usual = both(photos, Resize(32))
    assert torch.equal(late, usual)
    assert not DeviceImage.create(photos[0]).for_batch().is_file


def test_bytes_without_a_file_and_a_picture_alone(photos: list[Path]) -> None:
    one = DeviceImage.create(photos[0].read_bytes())
    pixels = DecodePictures()(EncodedPicture.collate([one.for_batch()]))
    assert float((plain(pixels)[0].float() - torch.tensor(one.pixels()).permute(2, 0, 1)).abs().max()) <= 1


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_scaling_as_floats_gives_the_bytes_that_the_cpu_gives(mode: str, smooth_picture: MakePicture) -> None:
    pixels = torch.tensor(PILImage.create(smooth_picture(64, 48)).pixels()).permute(2, 0, 1)[None]
    ours = _scaled_as_floats(pixels, (30, 40), mode)
    torchs = torch.nn.functional.interpolate(pixels, (40, 30), mode=mode, antialias=True)
    assert ours.dtype is torch.uint8
    assert int((ours.int() - torchs.int()).abs().max()) <= 1


@needs_cuda
def test_a_gpu_gives_about_the_same_pixels(photos: list[Path]) -> None:
    usual = next(iter(loaders(photos, PILImage, Resize(40)).train))[0]
    late = next(iter(loaders(photos, DeviceImage, Resize(40)).train.to(torch.device("cuda"))))[0]
    assert late.device.type == "cuda"
    assert float((plain(late).cpu() - plain(usual)).abs().mean()) <= 4 / 255
