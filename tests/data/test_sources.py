"""Finding files."""

import os
import tracemalloc
from pathlib import Path

import pytest

from laminar.core.errors import DataError
from laminar.data.sources import FileGetter, ImageGetter, get_files, get_image_files, get_text_files


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_files_are_sorted_and_dot_files_and_folders_left_out() -> None:
    touch("root/b/2.jpg", "root/b/10.jpg", "root/a.jpg", "root/b/.hidden.jpg", "root/.git/x.jpg", "root/a/z.JPG")
    assert [file.as_posix() for file in get_files("root")] == [
        "root/a/z.JPG",
        "root/a.jpg",
        "root/b/10.jpg",
        "root/b/2.jpg",
    ]


def test_extensions_are_matched_in_upper_and_lower_case() -> None:
    touch("root/a.PNG", "root/b.txt", "root/c.jpeg")
    assert [file.name for file in get_image_files("root")] == ["a.PNG", "c.jpeg"]
    assert [file.name for file in get_text_files("root")] == ["b.txt"]


def test_folders_limit_the_first_level() -> None:
    touch("root/train/x/1.jpg", "root/valid/x/2.jpg", "root/test/x/3.jpg", "root/0.jpg")
    assert [file.name for file in get_image_files("root", folders=["train", "valid"])] == ["1.jpg", "2.jpg"]


def test_without_recursion_only_the_folder_itself_is_read() -> None:
    touch("root/0.jpg", "root/sub/1.jpg")
    assert [file.name for file in get_image_files("root", recurse=False)] == ["0.jpg"]


def test_a_folder_reached_by_two_links_is_read_once() -> None:
    touch("root/a/1.jpg")
    Path("root/a/up").symlink_to(Path("root").resolve(), target_is_directory=True)
    assert [file.name for file in get_files("root")] == ["1.jpg"]


def test_getters_look_below_a_subfolder() -> None:
    touch("root/images/1.jpg", "root/images/notes.txt", "root/other/2.jpg")
    assert [file.name for file in ImageGetter("images")("root")] == ["1.jpg"]
    assert [file.name for file in FileGetter("images", [".txt"])("root")] == ["notes.txt"]


def test_error_for_a_missing_folder_names_it_and_the_nearest() -> None:
    touch("data/clothing/1.jpg")
    with pytest.raises(
        DataError, match=r"data/clohting: there is no such folder. Did you mean 'clothing'\? data holds: 'clothing'"
    ):
        get_image_files("data/clohting")


def test_error_for_a_file_in_place_of_a_folder_names_the_remedy() -> None:
    touch("a.tgz")
    with pytest.raises(DataError, match=r"this is a file, a folder is needed. .*untar_data\('a.tgz'\)"):
        get_image_files("a.tgz")


def test_error_for_an_empty_folder_says_so() -> None:
    Path("empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no files. Is the path right, and was the archive unpacked\?"):
        get_image_files("empty")


def test_error_for_a_folder_without_pictures_tells_what_is_there() -> None:
    touch(*[f"texts/{i}.txt" for i in range(12)], "texts/readme")
    with pytest.raises(
        DataError, match=r"texts holds no file that ends in .*What is there: 12 of .txt, 1 of no extension"
    ):
        get_image_files("texts")


def test_error_for_a_missing_subfolder_lists_those_there() -> None:
    touch("root/train/1.jpg", "root/validation/2.jpg")
    with pytest.raises(
        DataError, match=r"has no folder 'valid'. Did you mean 'validation'\? Its folders are: 'train', 'validation'"
    ):
        get_image_files("root", folders=["train", "valid"])


def test_order_is_that_of_the_names_along_the_path_whatever_the_file_system_gives() -> None:
    touch("root/b/1.jpg", "root/a.jpg", "root/a/2.jpg", "root/a/sub/0.jpg", "root/B.jpg", "root/a-b/3.jpg")
    files = get_files("root")
    assert files == sorted(files, key=lambda file: file.parts)
    assert get_files("root", folders=["b", "a", "b"]) == [file for file in files if file.parts[1] in "ab"]


def test_links_to_folders_are_not_followed_if_told_so() -> None:
    touch("root/1.jpg", "elsewhere/2.jpg")
    Path("root/link").symlink_to(Path("elsewhere").resolve(), target_is_directory=True)
    assert [file.name for file in get_files("root")] == ["1.jpg", "2.jpg"]
    assert [file.name for file in get_files("root", followlinks=False)] == ["1.jpg"]


def test_a_file_that_a_broken_link_stands_for_is_listed_and_a_folder_that_cannot_be_read_is_an_error() -> None:
    touch("root/locked/1.jpg")
    Path("root/gone.jpg").symlink_to("nowhere.jpg")
    assert [file.name for file in get_files("root")] == ["gone.jpg", "1.jpg"]
    if os.geteuid() == 0:  # nothing is locked for root
        return
    Path("root/locked").chmod(0)
    with pytest.raises(PermissionError, match="root/locked"):
        get_files("root")


def test_listing_keeps_nothing_but_the_paths() -> None:
    touch(*[f"root/{kind}/{i:05}.jpg" for kind in range(5) for i in range(400)])
    get_files("root")
    tracemalloc.start()
    files = get_files("root")
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    bare = Path("root/0/00000.jpg")
    assert len(files) == 2000
    assert kept / len(files) < 300, f"a path alone takes about 200, for example {bare!r}"
    assert most < 1.6 * kept  # the names of one folder come on top, not those of all
