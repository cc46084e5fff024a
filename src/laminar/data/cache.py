"""The user's cache folder, and folders that are made once: whole and up to date, or not there at all."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["cache_folder", "made_once", "unfinished_folder"]

MANIFEST = "made.json"
LEFTOVER_AGE = 24 * 3600.0  # seconds after which an unfinished folder can no longer be somebody's work in progress


def cache_folder() -> Path:
    """Where laminar keeps what it downloads or makes: ``LAMINAR_HOME``, else ``laminar`` in the user's cache folder.

    The environment is read at each call, so that a program (or a test) can set it. The folder need not exist yet.
    """
    home = os.environ.get("LAMINAR_HOME")
    if home:
        return Path(home).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "laminar"


def made_once(target: Path, recipe: Mapping[str, object], make: Callable[[Path], None]) -> Path:
    """Make the folder `target` unless one made by the same `recipe` is there already.

    `make` fills a temporary folder beside the target; only when it has returned is the folder, with the recipe written
    into it, renamed into place. So a killed run never leaves a folder that looks complete, and a changed recipe
    (a new version of the maker, other parameters) makes the folder anew.

    Args:
        target: the folder to make; its parents are created.
        recipe: everything that decides the content, as JSON values; include a version of the maker.
        make: fills the empty folder that it is given.

    Returns:
        `target`.
    """
    wanted = json.loads(json.dumps(recipe))
    if _recipe_of(target) == wanted:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = unfinished_folder(target)
    try:
        make(unfinished)
        (unfinished / MANIFEST).write_text(json.dumps(wanted, indent=2, sort_keys=True), encoding="utf-8")
        unfinished.chmod(0o755)  # mkdtemp made it private; the cache may be shared
        _put_in_place(unfinished, target, wanted)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def unfinished_folder(target: Path) -> Path:
    """Make an empty folder beside `target` to work in; those that were left by runs killed long ago are removed."""
    _remove_leftovers(target)
    return Path(tempfile.mkdtemp(dir=target.parent, prefix=_unfinished_prefix(target)))


def _recipe_of(folder: Path) -> object:
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or cut short: not made
        return None


def _unfinished_prefix(target: Path) -> str:
    return f".{target.name}.unfinished-"


def _remove_leftovers(target: Path) -> None:
    """Remove what runs that were killed long ago left beside `target`; a recent one may still be at work."""
    for leftover in target.parent.glob(f"{_unfinished_prefix(target)}*"):
        if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE:
            shutil.rmtree(leftover, ignore_errors=True)


def _put_in_place(finished: Path, target: Path, recipe: object) -> None:
    """Rename `finished` to `target`; an outdated target goes first, and an equal one made meanwhile stays."""
    for _ in range(10):
        if target.exists():
            if _recipe_of(target) == recipe:
                return
            outdated = Path(tempfile.mkdtemp(dir=target.parent, prefix=_unfinished_prefix(target)))
            target.rename(outdated / "outdated")
            shutil.rmtree(outdated, ignore_errors=True)
        try:
            finished.rename(target)
            return
        except OSError:  # another process put its folder there between the look and the rename: look again
            if not target.exists():
                raise
    raise OSError(f"{target}: other processes keep replacing this folder with one of another recipe than {recipe}")
