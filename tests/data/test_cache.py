"""The cache folder: where it is, and folders that are there whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from laminar.data.cache import cache_folder, made_once


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAMINAR_HOME", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("LAMINAR_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "laminar"


def test_a_folder_whose_making_failed_is_not_there_and_is_made_next_time(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "first.txt").touch()
        raise OSError("disk full")

    target = tmp_path / "set"
    with pytest.raises(OSError, match="disk full"):
        made_once(target, {"version": 1}, fail)
    assert list(tmp_path.iterdir()) == []
    made_once(target, {"version": 1}, lambda folder: (folder / "whole.txt").touch())
    assert (target / "whole.txt").exists()


def test_a_folder_whose_maker_was_killed_half_way_is_made_anew(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from laminar.data.cache import made_once\n"
        "def make(folder):\n"
        "    (folder / 'half.txt').touch(); os._exit(9)\n"
        "made_once(Path(sys.argv[1]), {'version': 1}, make)"
    )
    target = tmp_path / "set"
    assert subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode == 9
    assert not target.exists()
    made_once(target, {"version": 1}, lambda folder: (folder / "whole.txt").touch())
    assert sorted(path.name for path in target.iterdir()) == ["made.json", "whole.txt"]
    leftover = next(tmp_path.glob(".set.unfinished-*"))
    os.utime(leftover, (0, 0))  # killed long ago: the next making clears it away
    made_once(target, {"version": 2}, lambda folder: None)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_folder_that_another_process_made_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "set"

    def make_while_another_finishes(folder: Path) -> None:
        made_once(target, {"version": 1}, lambda other: (other / "theirs.txt").touch())

    made_once(target, {"version": 1}, make_while_another_finishes)
    assert (target / "theirs.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
