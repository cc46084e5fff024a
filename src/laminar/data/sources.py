"""Finding the files to learn from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from laminar.core.errors import DataError, suggest

__all__ = [
    "image_extensions",
    "text_extensions",
    "get_files",
    "get_image_files",
    "get_text_files",
    "FileGetter",
    "ImageGetter",
]

image_extensions = frozenset(
    [
        ".apng",
        ".avif",
        ".bmp",
        ".gif",
        ".ico",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
text_extensions = frozenset({".txt"})


def get_files(
    path: str | Path,
    extensions: Iterable[str] | str | None = None,
    recurse: bool = True,
    folders: Iterable[str] | str | None = None,
    followlinks: bool = True,
) -> list[Path]:
    """List the files below a folder, sorted; files and folders whose name begins with a dot are left out.

    Args:
        path: the folder.
        extensions: endings to keep, with the dot, upper and lower case alike; None keeps all.
        recurse: look into subfolders too.
        folders: names of the subfolders of `path` to look into; None for all (and `path` itself).
        followlinks: follow links to folders; a folder reached twice is read once.

    Raises:
        DataError: there is no such folder or subfolder, or no such file in it; the message tells what is there.

    >>> get_files("no/such/folder")
    Traceback (most recent call last):
    laminar.core.errors.DataError: no/such/folder: there is no such folder. ...
    """
    root = Path(path)
    _check_folder(root)
    wanted = None if extensions is None else {extension.lower() for extension in _names(extensions)}
    only = None if folders is None else _names(folders)
    if only is not None:
        _check_subfolders(root, only)
    other: Counter[str] = Counter()
    found: list[Path] = []
    for folder, name in _walk(_starts(root, only if recurse else None), recurse, followlinks):
        extension = "" if wanted is None else os.path.splitext(name)[1].lower()
        if wanted is None or extension in wanted:
            found.append(Path(folder, name))
        else:
            other[extension] += 1
    if not found:
        raise DataError(_nothing_found(root, wanted, other, only, recurse))
    return found


def get_image_files(path: str | Path, recurse: bool = True, folders: Iterable[str] | str | None = None) -> list[Path]:
    """List the pictures below a folder, sorted: `get_files` with `image_extensions`."""
    return get_files(path, image_extensions, recurse, folders)


def get_text_files(path: str | Path, recurse: bool = True, folders: Iterable[str] | str | None = None) -> list[Path]:
    """List the text files below a folder, sorted: `get_files` with `text_extensions`."""
    return get_files(path, text_extensions, recurse, folders)


def FileGetter(  # a factory that reads like a class, under the name people know
    suf: str = "",
    extensions: Iterable[str] | str | None = None,
    recurse: bool = True,
    folders: Iterable[str] | str | None = None,
) -> Callable[[str | Path], list[Path]]:
    """Make a function that lists the files below ``path/suf``, to be given as ``get_items``."""
    kept = None if extensions is None else tuple(_names(extensions))
    return partial(_files_below, suf=suf, extensions=kept, recurse=recurse, folders=folders)


def ImageGetter(
    suf: str = "", recurse: bool = True, folders: Iterable[str] | str | None = None
) -> Callable[[str | Path], list[Path]]:
    """Make a function that lists the pictures below ``path/suf``, to be given as ``get_items``."""
    return FileGetter(suf, image_extensions, recurse, folders)


def _files_below(
    path: str | Path,
    suf: str,
    extensions: Iterable[str] | None,
    recurse: bool,
    folders: Iterable[str] | str | None,
) -> list[Path]:
    return get_files(Path(path) / suf, extensions, recurse, folders)


def _names(given: Iterable[str] | str) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _starts(root: Path, only: list[str] | None) -> list[str]:
    """The folders to begin in, by name."""
    return [str(root)] if only is None else [os.path.join(root, name) for name in sorted(set(only))]


def _walk(starts: list[str], recurse: bool, followlinks: bool) -> Iterator[tuple[str, str]]:
    """Give each file once, as its folder and its name, in the order of the names along their paths.

    A million files are listed like this: nothing is kept of a folder but the names still to come.
    """
    seen: set[str] = set()
    ahead: list[Iterator[os.DirEntry[str]]] = []
    for start in starts:
        ahead.append(_entries(start, seen, followlinks))
        while ahead:
            entry = next(ahead[-1], None)
            if entry is None:
                ahead.pop()
            elif not entry.is_dir():
                yield os.path.dirname(entry.path), entry.name
            elif recurse and (followlinks or not entry.is_symlink()):
                ahead.append(_entries(entry.path, seen, followlinks))


def _entries(folder: str, seen: set[str], followlinks: bool) -> Iterator[os.DirEntry[str]]:
    """What a folder holds, by name; nothing if it has been read before: a link back up would go round for ever."""
    true_place = os.path.realpath(folder) if followlinks else folder
    if true_place in seen:
        return iter(())
    seen.add(true_place)
    with os.scandir(folder) as listing:
        entries = [entry for entry in listing if not entry.name.startswith(".")]
    return iter(sorted(entries, key=_name))


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _check_folder(root: Path) -> None:
    if root.is_dir():
        return
    if root.exists():
        raise DataError(f"{root}: this is a file, a folder is needed. For an archive, use untar_data({str(root)!r}).")
    above = root.parent
    there = _subfolders(above) if above.is_dir() else []
    raise DataError(
        f"{root}: there is no such folder.{suggest(root.name, there)}"
        + (f" {above} holds: {_listed(there)}." if there else f" {above} does not exist either, or holds no folder.")
        + f" (The current folder is {Path.cwd()}.)"
    )


def _check_subfolders(root: Path, names: list[str]) -> None:
    there = _subfolders(root)
    for name in names:
        if not (root / name).is_dir():
            raise DataError(
                f"{root} has no folder {name!r}.{suggest(name, there)} Its folders are: {_listed(there) or 'none'}. "
                "Check the path, or name the folders that are there."
            )


def _subfolders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def _listed(names: list[str], most: int = 10) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _nothing_found(
    root: Path, wanted: set[str] | None, other: Counter[str], only: list[str] | None, recurse: bool
) -> str:
    where = f"{root}" if only is None else f"{root} (in {_listed(only)})"
    if not other:
        inside = _subfolders(root)
        remedy = (
            f"It has the folders {_listed(inside)}: pass recurse=True to look into them."
            if inside and not recurse
            else "Is the path right, and was the archive unpacked?"
        )
        return f"{where} holds no files{'' if recurse else ' itself'}. {remedy}"
    kinds = ", ".join(f"{n} of {extension or 'no extension'}" for extension, n in other.most_common(6))
    asked = ", ".join(sorted(wanted or ()))
    return (
        f"{where} holds no file that ends in {asked}. What is there: {kinds}. "
        "Is the path right? Other kinds are found with get_files(path, extensions=[...])."
    )
