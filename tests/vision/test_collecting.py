"""Fetching pictures, finding the damaged ones, making large ones smaller."""

import io
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laminar.core.errors import ConfigError, DataError
from laminar.data.sources import get_image_files
from laminar.vision.collecting import (
    download_images,
    resize_image,
    resize_images,
    resize_to,
    verify_image,
    verify_images,
)

MakePicture = Callable[..., Image.Image]


def file_bytes(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(path: str | Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    "a.jpg": ("JPEG", {}),
    "progressive.jpg": ("JPEG", {"progressive": True}),
    "a.png": ("PNG", {}),
    "a.bmp": ("BMP", {}),
    "a.webp": ("WEBP", {}),
    "a.gif": ("GIF", {}),
    "a.ppm": ("PPM", {}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_pain_11_a_truncated_file_is_found_wherever_it_was_cut(name: str, smooth_picture: MakePicture) -> None:
    kind, options = FORMATS[name]
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    whole = file_bytes(Image.fromarray(noise), kind, **options)
    Path(name).write_bytes(whole)
    assert verify_image(name)
    for percent in range(10, 100, 10):
        Path(name).write_bytes(whole[: len(whole) * percent // 100])
        assert not verify_image(name), f"{percent} % of the file"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_a_later_frame_that_is_cut_off_is_found(kind: str) -> None:
    frames = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)) for i in range(3)]
    whole = file_bytes(frames[0], kind, save_all=True, append_images=frames[1:])
    Path("a").write_bytes(whole)
    assert verify_image("a")
    Path("a").write_bytes(whole[: int(len(whole) * 0.8)])
    assert not verify_image("a")


def test_verify_images_returns_the_broken_ones_in_the_order_given(smooth_picture: MakePicture) -> None:
    good = file_bytes(smooth_picture(), "PNG")
    files = [Path(f"{i:03}.png") for i in range(100)]
    for number, file in enumerate(files):
        file.write_bytes(good[:300] if number % 10 == 3 else b"" if number == 50 else good)
    Path("notes.jpg").write_text("no picture")
    wanted = [file for number, file in enumerate(files) if number % 10 == 3 or number == 50]
    strange = [Path("notes.jpg"), Path("absent.png"), Path(".")]
    assert verify_images([*files, *strange], n_workers=3) == [*wanted, *strange]
    assert verify_images([str(file) for file in files[:5]]) == [Path("003.png")]
    assert verify_images([]) == []


@pytest.fixture
def site(smooth_picture: MakePicture) -> Iterator[str]:
    """A server of the files in ``site/``: its address."""
    for name, content in {
        "cat.jpg": file_bytes(smooth_picture(), "JPEG"),
        "dog": file_bytes(smooth_picture(seed=1), "PNG"),
        "cut.jpg": file_bytes(smooth_picture(), "JPEG")[:400],
        "page.jpg": b"<html>Please log in</html>",
        "other/cat.jpg": file_bytes(smooth_picture(seed=2), "JPEG"),
    }.items():
        Path("site", name).parent.mkdir(parents=True, exist_ok=True)
        Path("site", name).write_bytes(content)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory="site")) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


NAMES = ["cat.jpg", "dog", "cut.jpg", "page.jpg", "missing.jpg", "other/cat.jpg"]


def test_download_images_keeps_pictures_only_and_returns_what_failed_and_why(site: str) -> None:
    failed = download_images("pets", urls=[site + name for name in NAMES], show_progress=False)
    assert sorted(file.name for file in Path("pets").iterdir()) == ["00000000.jpg", "00000001.png", "00000005.jpg"]
    assert list(failed) == [site + name for name in ("cut.jpg", "page.jpg", "missing.jpg")]
    assert "no picture that can be decoded" in failed[site + "cut.jpg"]
    assert "no picture that can be decoded" in failed[site + "page.jpg"]
    assert "404" in failed[site + "missing.jpg"]
    assert verify_images(get_image_files("pets")) == []


def test_download_images_again_fetches_what_is_missing(site: str) -> None:
    urls = [site + name for name in ("cat.jpg", "page.jpg")]
    download_images("pets", urls=urls, show_progress=False)
    Path("pets/00000000.jpg").write_bytes(b"kept as it is")
    Path("site/page.jpg").write_bytes(Path("site/cat.jpg").read_bytes())
    assert download_images("pets", urls=urls, show_progress=False) == {}
    assert Path("pets/00000000.jpg").read_bytes() == b"kept as it is"
    assert verify_image("pets/00000001.jpg")


def test_download_images_reads_addresses_from_a_file_and_can_keep_names(site: str) -> None:
    Path("urls.txt").write_text("\n".join([site + "cat.jpg?size=1", "", site + "other/cat.jpg", site + "dog"]))
    assert download_images("pets", "urls.txt", max_pics=2, preserve_filename=True, show_progress=False) == {}
    assert sorted(file.name for file in Path("pets").iterdir()) == ["cat.jpg", "cat_1.jpg"]


def test_download_images_needs_one_list_of_addresses() -> None:
    with pytest.raises(ConfigError, match=r"either url_file= .* or urls="):
        download_images("pets")


def test_resize_to_fits_the_longer_side_or_the_shorter() -> None:
    assert resize_to(Image.new("L", (300, 400)), 200) == (150, 200)
    assert resize_to(Image.new("L", (300, 400)), 150, use_min=True) == (150, 200)


def test_resize_images_makes_copies_that_are_no_larger_and_upright(smooth_picture: MakePicture) -> None:
    Path("big/sub").mkdir(parents=True)
    smooth_picture(400, 200).save("big/wide.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth_picture(400, 200).save("big/turned.jpg", exif=exif)
    smooth_picture(30, 20).convert("L").save("big/sub/grey.png")
    small = file_bytes(smooth_picture(40, 20), "JPEG", quality=40)
    Path("big/small.jpg").write_bytes(small)
    Path("big/broken.jpg").write_bytes(small[:300])
    failed = resize_images("big", max_size=100, recurse=True, dest="out", show_progress=False)
    assert list(failed) == [Path("big/broken.jpg")]
    assert "broken.jpg: cannot" in failed[Path("big/broken.jpg")]
    sizes = {file.relative_to("out").as_posix(): opened(file).size for file in get_image_files("out")}
    assert sizes == {"wide.jpg": (100, 50), "turned.jpg": (50, 100), "small.jpg": (40, 20), "sub/grey.png": (30, 20)}
    assert Path("out/small.jpg").read_bytes() == small  # nothing to do: nothing lost
    assert opened("out/sub/grey.png").mode == "RGB"
    assert opened("out/turned.jpg").getexif() == {}


def test_resize_images_in_place_and_in_another_format(smooth_picture: MakePicture) -> None:
    Path("big").mkdir()
    smooth_picture(400, 200).save("big/a.jpg")
    assert resize_images("big", max_size=80, dest="big", show_progress=False) == {}
    assert opened("big/a.jpg").size == (80, 40)
    resize_images("big", dest="grey", ext=".png", n_channels=1, show_progress=False)
    assert (opened("grey/a.png").mode, opened("grey/a.png").format) == ("L", "PNG")
    assert sorted(file.name for file in Path("big").iterdir()) == ["a.jpg"]


def test_resizing_can_be_resumed_and_says_what_it_cannot_write(smooth_picture: MakePicture) -> None:
    smooth_picture(400, 200).save("a.jpg")
    Path("out").mkdir()
    Path("out/a.jpg").write_bytes(b"there already")
    assert resize_image("a.jpg", "out", max_size=10, resume=True).read_bytes() == b"there already"
    assert opened(resize_image("a.jpg", "out", max_size=10)).size == (10, 5)
    with pytest.raises(ConfigError, match=r"no picture can be written with the ending '\.jpgg'. Did you mean '\.jpg'"):
        resize_image("a.jpg", "out", ext=".jpgg")
    with pytest.raises(ConfigError, match="JPEG cannot be written, or not with mode RGBA"):
        resize_image("a.jpg", "out", n_channels=4)
    with pytest.raises(ConfigError, match="n_channels must be 1"):
        resize_image("a.jpg", "out", n_channels=2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'maxsize'"):
        resize_images(".", maxsize=3)  # type: ignore[call-arg]
    Path("a.jpg").write_text("nothing")
    with pytest.raises(DataError, match=r"a\.jpg"):
        resize_image("a.jpg", "out", max_size=3)
    assert sorted(file.name for file in Path("out").iterdir()) == ["a.jpg"]
