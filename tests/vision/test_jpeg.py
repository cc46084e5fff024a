import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laminar.core.errors import DataError
from laminar.vision import jpeg
from laminar.vision.crop import RandomResizedCrop
from laminar.vision.images import PILImage

MakePicture = Callable[..., Image.Image]
find_decoder = jpeg.decoder  # the function itself, whatever stands in its place in a test


@pytest.fixture(autouse=True)
def _decoder_looked_for_anew() -> Iterator[None]:
    find_decoder.cache_clear()
    yield
    find_decoder.cache_clear()


@pytest.fixture
def photo(tmp_path: Path, smooth_picture: MakePicture) -> Callable[..., Path]:
    def write(name: str = "photo.jpg", mode: str = "RGB", **options: object) -> Path:
        smooth_picture(300, 200).convert(mode).save(tmp_path / name, quality=90, **options)
        return tmp_path / name

    return write


def by_pillow(monkeypatch: pytest.MonkeyPatch, file: Path, box: tuple[int, int, int, int]) -> np.ndarray:
    with monkeypatch.context() as patch:
        patch.setattr(jpeg, "decoder", lambda: None)
        return np.asarray(PILImage.create(file).resized((64, 64), box))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}])
def test_torchcodec_and_pillow_give_the_same_pixels(
    photo: Callable[..., Path], options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, box = photo(**options), (30, 20, 150, 110)
    asked = []
    decode = jpeg.decoder()
    assert decode is not None
    monkeypatch.setattr(jpeg, "decoder", lambda: lambda *args, **kw: asked.append(args) or decode(*args, **kw))
    ours = np.asarray(PILImage.create(file).resized((64, 64), box))
    assert asked  # it was torchcodec
    assert np.array_equal(ours, by_pillow(monkeypatch, file, box))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}])
def test_a_whole_file_has_the_pixels_that_pillow_decodes(
    options: dict[str, object], photo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = photo(**options)
    by_torchcodec = PILImage.create(file).pixels()
    by_torchcodec[0, 0] = 0  # may be written to
    monkeypatch.setattr(jpeg, "decoder", lambda: None)
    by_pillow_alone = PILImage.create(file).pixels()
    assert by_torchcodec.shape == by_pillow_alone.shape
    assert np.array_equal(by_torchcodec[1:], by_pillow_alone[1:])


def test_a_crop_of_content_in_memory_equals_that_of_the_file(photo: Callable[..., Path]) -> None:
    file = photo()
    crops = [PILImage.create(source).resized((50, 40), (0, 0, 90, 80)) for source in (file, file.read_bytes())]
    assert np.array_equal(*map(np.asarray, crops))


@pytest.mark.parametrize("options", [{"mode": "CMYK"}, {"name": "photo.png"}, {"exif": 6}])
def test_pillow_does_what_torchcodec_is_not_asked_for(
    photo: Callable[..., Path], options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "exif" in options:
        exif = Image.Exif()
        exif[0x0112] = options["exif"]
        options = {"exif": exif}
    file = photo(**options)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("asked for a file that is Pillow's")

    monkeypatch.setattr(jpeg, "decoder", lambda: refuse)
    assert PILImage.create(file).resized((64, 64), (30, 20, 150, 110)).size == (64, 64)


def test_a_picture_much_larger_than_needed_is_decoded_at_a_reduced_scale_instead(photo: Callable[..., Path]) -> None:
    image = PILImage.create(photo())
    header = image._undecoded.header
    assert jpeg.cut_jpeg(image._undecoded.source, header, "RGB", (64, 64), (0, 0, 300, 200), 2) is None


def test_a_truncated_file_is_named(photo: Callable[..., Path]) -> None:
    file = photo()
    file.write_bytes(file.read_bytes()[:1500])
    with pytest.raises(DataError, match=r"photo\.jpg"):
        PILImage.create(file).resized((64, 64), (30, 20, 150, 110))


def test_without_torchcodec_pictures_are_decoded_all_the_same(
    photo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg.importlib.util, "find_spec", lambda name: None)
    assert jpeg.decoder() is None
    assert RandomResizedCrop(64)(PILImage.create(photo()), split_idx=0).size == (64, 64)


def test_a_torchcodec_that_cannot_be_used_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", types.ModuleType("torchcodec.decoders"))
    with pytest.warns(UserWarning, match="torchcodec is installed but cannot be used"):
        assert jpeg.decoder() is None
