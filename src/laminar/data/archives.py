"""Unpacking archives from strangers: nothing outside the folder, no links, no devices, no floods."""

from __future__ import annotations

import errno
import importlib
import lzma
import re
import shutil
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from laminar.core.errors import DataError, require

__all__ = ["ExtractLimits", "extract", "is_archive", "archive_stem"]

_ENDINGS = (
    *(".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".tar"),
    ".zip",
)
_LEFT_OUT = ("__MACOSX",)
_ZSTD_START = b"\x28\xb5\x2f\xfd"
_USUAL_RATIO = 100  # unpacked bytes for each packed one that no data set needs
_USUAL_BYTES = 1 << 30
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError),
    *(ValueError, IndexError, OverflowError, struct.error),
)
_BAD_NAME = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.EINVAL, errno.EILSEQ)


@dataclass(frozen=True)
class ExtractLimits:
    """What an archive may come to.

    Args:
        max_bytes: size of all files together, None for a hundred times the archive's and 1 GiB at least; never more
            than the disk has free.
        max_files: number of files and folders.
    """

    max_bytes: int | None = None
    max_files: int = 10_000_000


def is_archive(name: str | Path) -> bool:
    """Whether a file's name ends like an archive's that `extract` can unpack."""
    return str(name).lower().endswith(_ENDINGS)


def archive_stem(name: str) -> str:
    """The name without an archive's ending.

    >>> archive_stem("mnist_png.tar.gz")
    'mnist_png'
    """
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)] if ending else name


def extract(archive: str | Path, folder: str | Path, limits: ExtractLimits | None = None) -> None:
    """Unpack a tar (plain, gz, bz2, xz, zst) or zip archive into an existing folder.

    A link inside the archive to one of its files becomes a copy of it. Permissions and owners are not taken over.

    Args:
        archive: the file.
        folder: where to.
        limits: what it may come to.

    Raises:
        DataError: it is damaged or no archive, or one of its members is a device, lies outside the folder, links to
            something outside, or goes beyond the limits. What was written until then stays in `folder`.
        MissingExtraError: a zst archive, before Python 3.14, without the package that reads it.
    """
    source, target = Path(archive), Path(folder)
    writer = _Writer(source, target.resolve(), limits or ExtractLimits())
    try:
        if zipfile.is_zipfile(source):
            _extract_zip(source, writer)
        else:
            with _opened_tar(source) as tar:
                _extract_tar(tar, writer)
    except DataError:
        raise
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's trouble, not the archive's; EINVAL is a place in the file that cannot be
        raise DataError(f"{source}: the archive is damaged, or was cut short ({error}). Fetch it again.") from error


class _Writer:
    """Writes the members of one archive into one folder, and counts."""

    def __init__(self, archive: Path, folder: Path, limits: ExtractLimits) -> None:
        self.archive, self.folder = archive, folder
        usual = max(_USUAL_BYTES, _USUAL_RATIO * archive.stat().st_size)
        self.allowed = usual if limits.max_bytes is None else limits.max_bytes
        self.free = shutil.disk_usage(folder).free
        self.max_files = limits.max_files
        self.bytes = self.files = 0
        self.links: dict[Path, tuple[Path, str]] = {}  # from where, to where, and the member's name

    def place(self, name: str) -> Path | None:
        """Where member `name` goes; None for what is left out."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in parts or "\0" in name:
            raise self.refuse(name, "lies outside the folder that it is unpacked to")
        if not parts or parts[0] in _LEFT_OUT:
            return None
        self.files += 1
        if self.files > self.max_files:
            raise self.refuse(name, f"is one more than the {self.max_files} files that are allowed")
        return self.folder.joinpath(*parts)

    def folder_at(self, place: Path, name: str) -> None:
        with self._named(name):
            place.mkdir(parents=True, exist_ok=True)

    def file_at(self, place: Path, content: IO[bytes], name: str) -> None:
        with self._named(name):
            place.parent.mkdir(parents=True, exist_ok=True)
            with open(place, "wb") as file:
                while chunk := content.read(1 << 20):
                    self.count(len(chunk), name)
                    file.write(chunk)

    def count(self, size: int, name: str) -> None:
        """Count `size` more bytes, if they are allowed."""
        self.bytes += size
        if self.bytes > self.allowed:
            raise self.refuse(
                name,
                f"brings it beyond {self.allowed} bytes, which is allowed for an archive of "
                f"{self.archive.stat().st_size}. If you trust it: limits=ExtractLimits(max_bytes=...)",
            )
        if self.bytes > self.free:
            raise self.refuse(name, f"brings it beyond the {self.free} bytes that are free in {self.folder}")

    def link_at(self, place: Path, target: str, name: str, *, symbolic: bool) -> None:
        """Remember a link; what it means may come later in the archive."""
        near = PurePosixPath(name).parent if symbolic else PurePosixPath()
        path = _normal(near / target.replace("\\", "/"))
        if path is None or re.match(r"[A-Za-z]:", path):
            raise self.refuse(name, f"is a link to {target!r}, which is not in the archive")
        self.links[place] = self.folder.joinpath(path), name

    def copy_links(self) -> None:
        """Put a copy of what it means in the place of each link."""
        for place, (target, name) in self.links.items():
            for _ in range(8):
                if target not in self.links:
                    break
                target = self.links[target][0]
            else:
                raise self.refuse(name, "is a link to a link, and so on, too often")
            if target.is_dir():
                raise self.refuse(name, "is a link to a folder; only files can be linked to")
            if not target.is_file():
                raise self.refuse(name, f"is a link to {target.name!r}, which is not in the archive")
            with open(target, "rb") as content:
                self.file_at(place, content, name)

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _BAD_NAME:
                raise
            raise self.refuse(name, f"cannot be made under this name ({error.strerror})") from error

    def refuse(self, name: str, why: str) -> DataError:
        return DataError(f"{self.archive}: member {name!r} {why}. Nothing of this archive is used.")


@contextmanager
def _opened_tar(source: Path) -> Iterator[tarfile.TarFile]:
    with open(source, "rb") as file:
        is_zstd = file.read(4) == _ZSTD_START
    if is_zstd:
        zstd = _zstd()
        try:
            with zstd.open(source) as content, tarfile.open(fileobj=content) as tar:
                yield tar
        except zstd.ZstdError as error:
            raise tarfile.ReadError(str(error)) from error
        return
    if not tarfile.is_tarfile(source):
        raise DataError(f"{source}: this is no archive that can be unpacked ({', '.join(_ENDINGS)})")
    with tarfile.open(source) as tar:
        yield tar


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        return importlib.import_module("compression.zstd")
    return require("backports.zstd", "zstd", "unpacking a zst archive")


def _extract_tar(tar: tarfile.TarFile, writer: _Writer) -> None:
    for member in tar:
        place = writer.place(member.name)
        if place is None:
            continue
        if member.isdir():
            writer.folder_at(place, member.name)
        elif member.issym() or member.islnk():
            writer.link_at(place, member.linkname, member.name, symbolic=member.issym())
        else:
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise writer.refuse(member.name, "is neither a file nor a folder (a device, a pipe)")
            writer.file_at(place, content, member.name)
    writer.copy_links()


def _normal(path: PurePosixPath) -> str | None:
    """The path without ``.`` and ``..``; None if it leads outside."""
    parts: list[str] = []
    for part in path.parts:
        if part == "/" or (part == ".." and not parts):
            return None
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _extract_zip(source: Path, writer: _Writer) -> None:
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
        declared = sum(member.file_size for member in members)
        if members and declared > writer.allowed:  # before a byte of it is written
            writer.count(declared, max(members, key=lambda member: member.file_size).filename)
        for member in members:
            place = writer.place(member.filename)
            if place is None:
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                writer.folder_at(place, member.filename)
            elif kind not in (0, stat.S_IFREG):
                raise writer.refuse(member.filename, "is neither a file nor a folder (a link, a device)")
            elif member.flag_bits & 1:
                raise writer.refuse(member.filename, "is locked with a password. Unpack it yourself, pass the folder")
            else:
                with archive.open(member) as content:
                    writer.file_at(place, content, member.filename)
