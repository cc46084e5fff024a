"""Unpacking archives from strangers: nothing outside the folder, no links, no devices, no floods."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from laminar.core.errors import DataError

__all__ = ["ExtractLimits", "extract", "is_archive", "archive_stem"]

_ENDINGS = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".tar", ".zip")
_LEFT_OUT = ("__MACOSX",)


@dataclass(frozen=True)
class ExtractLimits:
    """What an archive may come to.

    Args:
        max_bytes: size of all files together; never more than the disk has free.
        max_files: number of files and folders.
    """

    max_bytes: int = 1 << 40
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
    """Unpack a tar (plain, gz, bz2, xz) or zip archive into an existing folder.

    A link inside the archive to one of its files becomes a copy of it. Permissions and owners are not taken over.

    Args:
        archive: the file.
        folder: where to.
        limits: what it may come to.

    Raises:
        DataError: it is damaged or no archive, or one of its members is a device, lies outside the folder, links to
            something outside, or goes beyond the limits. What was written until then stays in `folder`.
    """
    source, target = Path(archive), Path(folder)
    writer = _Writer(source, target.resolve(), limits or ExtractLimits())
    try:
        if zipfile.is_zipfile(source):
            _extract_zip(source, writer)
        elif tarfile.is_tarfile(source):
            _extract_tar(source, writer)
        else:
            raise DataError(f"{source}: this is no archive that can be unpacked ({', '.join(_ENDINGS)})")
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's trouble, not the archive's
            raise
        raise DataError(f"{source}: the archive is damaged, or was cut short ({error}). Fetch it again.") from error


class _Writer:
    """Writes the members of one archive into one folder, and counts."""

    def __init__(self, archive: Path, folder: Path, limits: ExtractLimits) -> None:
        self.archive, self.folder = archive, folder
        self.max_bytes = min(limits.max_bytes, shutil.disk_usage(folder).free)
        self.max_files = limits.max_files
        self.bytes = self.files = 0

    def place(self, name: str) -> Path | None:
        """Where member `name` goes; None for what is left out."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        windows_drive = bool(parts) and ":" in parts[0]
        if name.startswith(("/", "\\")) or windows_drive or ".." in parts or "\0" in name:
            raise self.refuse(name, "lies outside the folder that it is unpacked to")
        if not parts or parts[0] in _LEFT_OUT:
            return None
        self.files += 1
        if self.files > self.max_files:
            raise self.refuse(name, f"is one more than the {self.max_files} files that are allowed")
        return self.folder.joinpath(*parts)

    def folder_at(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)

    def file_at(self, place: Path, content: IO[bytes], name: str) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place, "wb") as file:
            while chunk := content.read(1 << 20):
                self.bytes += len(chunk)
                if self.bytes > self.max_bytes:
                    raise self.refuse(
                        name, f"brings the archive beyond {self.max_bytes} bytes, the limit or the free space"
                    )
                file.write(chunk)

    def refuse(self, name: str, why: str) -> DataError:
        return DataError(f"{self.archive}: member {name!r} {why}. Nothing of this archive is used.")


def _extract_tar(source: Path, writer: _Writer) -> None:
    with tarfile.open(source) as tar:
        for member in tar:
            place = writer.place(member.name)
            if place is None:
                continue
            if member.isdir():
                writer.folder_at(place)
                continue
            true_member = _followed(tar, member, writer)
            content = tar.extractfile(true_member) if true_member.isreg() else None
            if content is None:
                raise writer.refuse(
                    member.name, "is neither a file nor a folder (a device, a pipe, a link to a folder)"
                )
            writer.file_at(place, content, member.name)


def _followed(tar: tarfile.TarFile, member: tarfile.TarInfo, writer: _Writer) -> tarfile.TarInfo:
    """The file that a link means, if that is in the archive."""
    for _ in range(8):
        if not member.issym() and not member.islnk():
            return member
        near = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
        path = _normal(near / member.linkname)
        try:
            found = None if path is None else tar.getmember(path)
        except KeyError:
            found = None
        if found is None:
            raise writer.refuse(member.name, f"is a link to {member.linkname!r}, which is not in the archive")
        member = found
    raise writer.refuse(member.name, "is a link to a link, and so on, too often")


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
        for member in archive.infolist():
            place = writer.place(member.filename)
            if place is None:
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                writer.folder_at(place)
            elif kind not in (0, stat.S_IFREG):
                raise writer.refuse(member.filename, "is neither a file nor a folder (a link, a device)")
            else:
                with archive.open(member) as content:
                    writer.file_at(place, content, member.filename)
