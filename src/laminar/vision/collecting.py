"""Pictures of one's own: fetch them from a list of addresses, find the damaged ones, make large ones smaller."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, Unpack
from urllib.parse import unquote, urlsplit

from PIL import Image, ImageSequence

from laminar.core.errors import ConfigError, DataError, check_keywords, suggest
from laminar.data.parallel import in_threads
from laminar.data.sources import get_image_files, image_extensions
from laminar.data.transfer import download
from laminar.vision.decoding import Resampling, open_source, reading
from laminar.vision.decoding import read_header as header_of
from laminar.vision.images import PILImage

__all__ = [
    "ResizeImageOptions",
    "download_images",
    "resize_image",
    "resize_images",
    "resize_to",
    "verify_image",
    "verify_images",
]


_MAX_BYTES = 200 << 20  # of one picture from the net
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_USUAL_ENDINGS = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2", "MPO": ".jpg"}


class ResizeImageOptions(TypedDict, total=False):
    """How `resize_image` and `resize_images` write.

    Attributes:
        n_channels: 3 for colour (the default), 1 for grey, 4 for colour with transparency.
        ext: ending of the new file, ``".png"`` for instance; that of the old one by default.
        img_format: Pillow's name of the format; by default it follows the ending.
        resample: Pillow's filter, smooth (`Resampling.BILINEAR`) by default.
        resume: leave out what is there already.
        quality: for formats that lose something, 0 to 100; 90 by default.
    """

    n_channels: int
    ext: str | None
    img_format: str | None
    resample: int
    resume: bool
    quality: int


def verify_image(fn: str | Path) -> bool:
    """Whether a picture file can be decoded to the last pixel of its last frame."""
    return not _trouble_with(Path(fn))


def verify_images(
    fns: Iterable[str | Path], n_workers: int | None = None, *, show_progress: bool = False
) -> list[Path]:
    """Decode every file in full and return those that cannot be, in the order given.

    Nothing is skipped or read at a reduced size, so a file that was cut short is found wherever it was cut.

    Args:
        fns: paths of picture files.
        n_workers: threads (decoding does not hold Python's lock); None for as many as there are processors.
        show_progress: show a progress bar.
    """
    paths = [Path(fn) for fn in fns]
    troubles = in_threads(_trouble_with, paths, n_workers, show_progress)
    return [path for path, trouble in zip(paths, troubles, strict=True) if trouble]


def _trouble_with(path: Path) -> str:
    """What is wrong with a picture file; empty if nothing is."""
    try:
        with reading(path, "decode"), open_source(path) as image:
            for frame in ImageSequence.Iterator(image):
                frame.load()
    except Exception as error:  # noqa: BLE001  # whatever a decoder raises means that it cannot decode this file
        return f"{type(error).__name__}: {error}"
    return ""


def download_images(
    dest: str | Path,
    url_file: str | Path | None = None,
    urls: Sequence[str] | None = None,
    max_pics: int = 1000,
    n_workers: int = 8,
    timeout: float = 4.0,
    preserve_filename: bool = False,
    *,
    show_progress: bool = True,
) -> dict[str, str]:
    """Fetch pictures into a folder; only what can be decoded gets there. Called again, it fetches what is missing.

    Args:
        dest: the folder; it is made.
        url_file: text file with an address on each line.
        urls: the addresses, instead of `url_file`.
        max_pics: take the first so many addresses.
        n_workers: how many to fetch at a time.
        timeout: seconds without a byte after which an address is given up.
        preserve_filename: name files as their addresses do; otherwise by the number of the address in the list,
            ``00000017.jpg``.
        show_progress: show a progress bar.

    Returns:
        The addresses that gave no picture, each with the reason.

    Raises:
        ConfigError: neither or both of `url_file` and `urls` are given.
    """
    if (url_file is None) == (urls is None):
        raise ConfigError("download_images needs either url_file= (a text file) or urls= (a list), and not both")
    lines = Path(url_file).read_text(encoding="utf-8").splitlines() if url_file is not None else urls or ()
    wanted = [line.strip() for line in lines if line.strip()][:max_pics]
    folder = Path(dest)
    folder.mkdir(parents=True, exist_ok=True)
    there = {file.stem for file in folder.iterdir()}
    named = zip(wanted, _stems(wanted, preserve_filename), strict=True)
    missing = [(url, stem) for url, stem in named if stem not in there]
    with tempfile.TemporaryDirectory(prefix=".arriving-", dir=folder) as arriving:

        def fetch(url_and_stem: tuple[str, str]) -> str:
            return _fetch_picture(*url_and_stem, folder, Path(arriving), timeout)

        troubles = list(in_threads(fetch, missing, n_workers, show_progress))
    return {url: trouble for (url, _), trouble in zip(missing, troubles, strict=True) if trouble}


def _stems(urls: Sequence[str], preserve: bool) -> Iterator[str]:
    """A name without ending for each address, each only once."""
    taken: set[str] = set()
    for number, url in enumerate(urls):
        own = re.sub(r"[^\w.-]+", "_", Path(unquote(urlsplit(url).path)).stem).lstrip(".")
        stem = own if preserve and own else f"{number:08}"
        if stem in taken:
            stem = f"{stem}_{number}"
        taken.add(stem)
        yield stem


def _fetch_picture(url: str, stem: str, folder: Path, arriving: Path, timeout: float) -> str:
    """Fetch one picture; return why there is none, or an empty text."""
    try:
        file = download(url, arriving / stem, max_bytes=_MAX_BYTES, retries=1, timeout=timeout, show_progress=False)
    except (DataError, OSError, ValueError) as error:
        return str(error)
    trouble = _trouble_with(file)
    if trouble:
        return f"what is there is no picture that can be decoded ({trouble})"
    ending = Path(urlsplit(url).path).suffix.lower()
    with open_source(file) as image:
        kind = image.format or ""
    if ending not in image_extensions:
        ending = _USUAL_ENDINGS.get(kind, f".{kind.lower()}")
    os.replace(file, folder / f"{stem}{ending}")
    return ""


def resize_to(img: Image.Image, targ_sz: int, use_min: bool = False) -> tuple[int, int]:
    """Width and height at which the longer side of `img` (with `use_min`, the shorter) is `targ_sz` pixels.

    >>> resize_to(Image.new("L", (400, 300)), 100), resize_to(Image.new("L", (400, 300)), 150, use_min=True)
    ((100, 75), (200, 150))
    """
    scale = targ_sz / (min if use_min else max)(img.size)
    return max(1, round(img.width * scale)), max(1, round(img.height * scale))


def resize_image(
    file: str | Path,
    dest: str | Path,
    src: str | Path = ".",
    max_size: int | None = None,
    **options: Unpack[ResizeImageOptions],
) -> Path:
    """Write a copy of a picture whose longer side is `max_size` pixels at most; nothing is ever enlarged.

    The copy is upright, without what the camera noted. The file appears in one step, so a picture may replace itself.

    Args:
        file: the picture, as seen from `src`; the copy has the same place below `dest`.
        dest: folder for the copy.
        src: folder of the picture.
        max_size: in pixels; None keeps the size.
        options: see `ResizeImageOptions`.

    Returns:
        The copy's path.

    Raises:
        DataError: the picture cannot be decoded.
        ConfigError: no picture can be written with this ending, format or number of channels.
    """
    check_keywords(options, ResizeImageOptions, "resize_image")
    target = Path(dest, file)
    ext = options.get("ext")
    target = target if ext is None else target.with_suffix(ext)
    if options.get("resume") and target.exists():
        return target
    source = Path(src, file)
    picture = PILImage.create(source, _mode_of(options.get("n_channels", 3)))
    header = header_of(source)
    if max_size is not None and max(picture.size) > max_size:
        picture = picture.resized(resize_to(picture, max_size), resample=options.get("resample", Resampling.BILINEAR))
    elif (picture.mode, picture.size, target.suffix) == (header.mode, header.size, source.suffix):
        picture.load()
        if options.get("img_format") in (None, header.format):
            return _copy(source, target)
    _write(picture, target, options.get("img_format"), options.get("quality", 90))
    return target


def _copy(source: Path, target: Path) -> Path:
    """The same bytes: written anew, a picture would only lose."""
    with _in_one_step(target) as unfinished:
        shutil.copyfile(source, unfinished)
    return target


def _mode_of(n_channels: int) -> str:
    if n_channels not in _MODES:
        raise ConfigError(f"n_channels must be 1 (grey), 3 (colour) or 4 (with transparency), not {n_channels!r}")
    return _MODES[n_channels]


def _write(picture: Image.Image, target: Path, img_format: str | None, quality: int) -> None:
    known = Image.registered_extensions()
    kind = img_format or known.get(target.suffix.lower())
    if kind is None:
        raise ConfigError(
            f"{target}: no picture can be written with the ending {target.suffix!r}.{suggest(target.suffix, known)}"
        )
    try:
        with _in_one_step(target) as unfinished:
            picture.save(unfinished, kind, quality=quality)
    except (KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ConfigError(f"{target}: {kind} cannot be written, or not with mode {picture.mode} ({error})") from error


@contextmanager
def _in_one_step(target: Path) -> Iterator[Path]:
    """A file to write, which becomes `target` when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        yield unfinished
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def resize_images(
    path: str | Path,
    max_workers: int | None = None,
    max_size: int | None = None,
    recurse: bool = False,
    dest: str | Path = ".",
    *,
    show_progress: bool = True,
    **options: Unpack[ResizeImageOptions],
) -> dict[Path, str]:
    """Make the pictures of a folder smaller, in parallel: `resize_image` for each.

    Args:
        path: the folder.
        max_workers: threads; None for as many as there are processors.
        max_size: longest side of the copies in pixels; None keeps the size.
        recurse: take subfolders too; they are made below `dest`.
        dest: folder for the copies; with `path` itself, pictures are replaced.
        show_progress: show a progress bar.
        options: see `ResizeImageOptions`.

    Returns:
        The files that could not be decoded, each with the reason; no copies are made of these.
    """
    check_keywords(options, ResizeImageOptions, "resize_images")
    files = get_image_files(path, recurse=recurse)

    def resized(file: Path) -> str:
        try:
            resize_image(file.relative_to(path), dest, path, max_size, **options)
        except DataError as error:
            return str(error)
        return ""

    troubles = list(in_threads(resized, files, max_workers, show_progress))
    return {file: trouble for file, trouble in zip(files, troubles, strict=True) if trouble}
