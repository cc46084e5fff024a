from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image

from laminar.core.errors import DataError
from laminar.vision.header import jpeg_header
from laminar.vision.images import PILImage

MakePicture = Callable[..., Image.Image]


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


PLAIN = {
    "as it is": {},
    "progressive": {"progressive": True},
    "with a comment": {"comment": b"a comment"},
    "with a colour profile": {"icc_profile": bytes(70_000)},
    "with restarts": {"restart_marker_rows": 1},
    "other tables": {"quality": 12, "optimize": True, "subsampling": 0},
}


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_header_says_what_pillow_says(name: str, mode: str, smooth_picture: MakePicture) -> None:
    content = jpeg(smooth_picture(37, 21).convert(mode), **PLAIN[name])
    header = jpeg_header(content)
    assert header is not None
    with Image.open(BytesIO(content)) as image:
        assert (header.size, header.mode, header.format) == (image.size, image.mode, image.format)
    assert header.orientation == 1


def test_what_is_not_plain_is_left_to_pillow(smooth_picture: MakePicture, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = smooth_picture(37, 21)
    exif = Image.Exif()
    exif[0x0112] = 6
    several = BytesIO()
    picture.save(several, "MPO", save_all=True, append_images=[picture])
    png = BytesIO()
    picture.save(png, "PNG")
    for content in (
        jpeg(picture, exif=exif),
        jpeg(picture.convert("CMYK")),
        several.getvalue(),
        png.getvalue(),
        b"",
        b"\xff\xd8",
        b"no picture at all",
    ):
        assert jpeg_header(content) is None
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 37 * 21 - 1)
    assert jpeg_header(jpeg(picture)) is None


def test_no_beginning_of_a_file_is_taken_for_another_picture(smooth_picture: MakePicture) -> None:
    content = jpeg(smooth_picture(37, 21))
    whole = jpeg_header(content)
    found = [jpeg_header(content[:length]) for length in range(len(content))]
    assert set(found) == {None, whole}
    at = next(length for length, header in enumerate(found) if header is not None)
    with pytest.raises(DataError, match="bytes>: cannot"):
        PILImage.create(content[:at]).load()
