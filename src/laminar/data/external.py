"""`untar_data`: data sets from the net, from an archive at hand, or made here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from laminar.core.errors import DataError, suggest
from laminar.data.archives import ExtractLimits, archive_stem, extract, is_archive
from laminar.data.cache import cache_folder, unfinished_folder
from laminar.data.glyphs import glyph_dataset
from laminar.data.known import URLs, known_files
from laminar.data.transfer import FileFacts, download, locked

__all__ = ["untar_data"]

_MADE_HERE = "laminar:"
_ORIGIN = ".origin.json"  # in every unpacked folder: what it was unpacked from


def untar_data(
    url: str | Path,
    archive: str | Path | None = None,
    data: str | Path | None = None,
    *,
    force_download: bool = False,
    base: str | Path | None = None,
    sha256: str | None = None,
    check: bool = True,
    limits: ExtractLimits | None = None,
    show_progress: bool = True,
) -> Path:
    """Bring a data set to this machine, once, and return its folder.

    A folder that holds the archive's files appears only when all of them are there.

    Args:
        url: an http(s) or file address of an archive (tar, tgz, zip, ...), the path of one, a folder (returned as it
            is), or one of `URLs`.
        archive: folder for the fetched archive; None for ``archive`` in `base`.
        data: folder in which the data set's folder is made; None for ``data`` in `base`.
        force_download: fetch and unpack anew.
        base: where both are kept; None for laminar's cache (environment variable ``LAMINAR_HOME``).
        sha256: checksum of the archive, where you know it.
        check: compare the archive with what is known of those in `URLs` (size, checksum); False takes a newer version.
        limits: what the archive may come to when unpacked.
        show_progress: show a progress bar while fetching.

    Raises:
        DataError: it cannot be fetched, is damaged, or tries to write where it must not.
    """
    text = str(url)
    if text.startswith(_MADE_HERE):
        return glyph_dataset(text.removeprefix(_MADE_HERE))
    root = cache_folder() if base is None else Path(base)
    folder = root / "data" if data is None else Path(data)
    scheme = urlsplit(text).scheme
    if scheme in ("http", "https"):
        name = _name_of(text)
        target = _target(folder, archive_stem(name), {"url": text})
        if target.exists() and not force_download:
            return target
        kept = (root / "archive" if archive is None else Path(archive)) / f"{_digest(text)}-{name}"
        if force_download:
            kept.unlink(missing_ok=True)
        facts = FileFacts(sha256=sha256) if sha256 else known_files.get(text) if check else None
        download(text, kept, facts=facts, show_progress=show_progress)
        try:
            return _unpack(kept, target, {"url": text}, limits, force_download)
        except DataError as error:
            kept.unlink()  # the next call is to fetch another one, not to fail with this one for ever
            error.add_note(f"The archive that was fetched, {kept}, has been removed.")
            raise
    return _from_disk(_local_path(text, scheme), folder, force_download, limits)


def _local_path(text: str, scheme: str) -> Path:
    if scheme == "file":
        return Path(url2pathname(urlsplit(text).path))
    if "://" in text:
        raise DataError(f"{text}: addresses that begin with {scheme}:// cannot be fetched; http, https and file can")
    return Path(text).expanduser()


def _from_disk(path: Path, folder: Path, force: bool, limits: ExtractLimits | None) -> Path:
    if path.is_dir():
        return path
    if not path.exists():
        near = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        known = suggest(str(path), [name for name in vars(URLs) if name.isupper()])
        raise DataError(f"{path}: there is no such file or folder.{suggest(path.name, near) or known}")
    if not is_archive(path):
        raise DataError(f"{path}: this is no archive (tar, tgz, zip, ...); read it as it is, it needs no unpacking")
    state = path.stat()
    origin = {"file": str(path.resolve()), "size": state.st_size, "changed": state.st_mtime_ns}
    return _unpack(path, _target(folder, archive_stem(path.name), origin), origin, limits, force)


def _unpack(archive: Path, target: Path, origin: dict[str, Any], limits: ExtractLimits | None, force: bool) -> Path:
    """Unpack into a folder beside `target`, then put it there in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        if target.exists() and _origin_of(target) == origin and not force:
            return target
        unfinished = unfinished_folder(target)
        try:
            inside = unfinished / "content"
            inside.mkdir()
            extract(archive, inside, limits)
            entries = list(inside.iterdir())
            whole = entries[0] if len(entries) == 1 and entries[0].is_dir() else inside
            (whole / _ORIGIN).write_text(json.dumps(origin), encoding="utf-8")
            if target.exists():
                os.replace(target, unfinished / "outdated")
            os.replace(whole, target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _target(folder: Path, name: str, origin: dict[str, Any]) -> Path:
    """The folder for a data set: its own name, unless another data set of that name is there."""
    plain = folder / name
    there = _origin_of(plain)
    key = "url" if "url" in origin else "file"
    if not plain.exists() or (there is not None and there.get(key) == origin[key]):
        return plain
    return folder / f"{name}-{_digest(str(origin[key]))}"


def _origin_of(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / _ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _name_of(url: str) -> str:
    """A file's name for what an address gives; a GitHub archive is called after its repository."""
    parts = [unquote(part) for part in urlsplit(url).path.split("/") if part]
    name = parts[-1] if parts else urlsplit(url).netloc
    if len(parts) > 3 and parts[2] == "archive":
        ending = name[len(archive_stem(name)) :]
        name = f"{parts[1]}{ending}"
    return name.replace("\\", "_").replace(":", "_")
