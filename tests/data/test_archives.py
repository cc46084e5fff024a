"""Unpacking archives, friendly and hostile."""

import io
import os
import random
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from laminar.core.errors import DataError
from laminar.data.archives import ExtractLimits, archive_stem, extract, is_archive

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FILES = {"top/a.txt": b"one", "top/sub/b.bin": bytes(3000), "top/empty": b""}


def make_tar(name: str, mode: str = "w:gz", files: dict[str, bytes] | None = None, *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(name, mode) as tar:
        for path, content in (FILES if files is None else files).items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(content), 0o4777
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info)
    return Path(name)


def make_zip(name: str, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return Path(name)


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def unpacked(archive: Path, **options: int) -> dict[str, bytes]:
    folder = Path("out")
    folder.mkdir()
    extract(archive, folder, ExtractLimits(**options))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_of_every_kind_are_unpacked(mode: str) -> None:
    assert unpacked(make_tar("a.tar", mode)) == FILES
    assert not Path("out/top/a.txt").stat().st_mode & 0o4111


def test_zips_are_unpacked_without_what_macs_add() -> None:
    assert unpacked(make_zip("a.zip", {**FILES, "__MACOSX/._a": b"x"})) == FILES


def test_zst_tars_are_unpacked() -> None:
    plain = make_tar("a.tar", "w").read_bytes()
    Path("a.tar.zst").write_bytes(zstd.compress(plain))
    assert is_archive("a.tar.zst")
    assert unpacked(Path("a.tar.zst")) == FILES
    Path("cut.tar.zst").write_bytes(zstd.compress(os.urandom(3000) + plain)[:2000])
    with pytest.raises(DataError, match="the archive is damaged"):
        extract("cut.tar.zst", "out")


def test_a_link_may_come_before_what_it_means_and_lead_there_by_another() -> None:
    links = [special("first", tarfile.SYMTYPE, "second"), special("second", tarfile.SYMTYPE, "./top/../top/a.txt")]
    with tarfile.open("a.tar", "w") as tar:
        for info in links:
            tar.addfile(info)
        info = tarfile.TarInfo("top/a.txt")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"one"))
    assert unpacked(Path("a.tar")) == {"first": b"one", "second": b"one", "top/a.txt": b"one"}


def test_copies_of_links_count_as_files_do() -> None:
    links = [special(f"link{i}", tarfile.LNKTYPE, "top/sub/b.bin") for i in range(100)]
    with pytest.raises(DataError, match="brings it beyond 20000 bytes"):
        unpacked(make_tar("a.tgz", "w:gz", None, *links), max_bytes=20_000)


@pytest.mark.parametrize(
    "files", [{"a": b"1", "a/b": b"2"}, {"a/b": b"1", "a": b"2"}, {"n" * 300: b"1"}], ids=["below", "above", "long"]
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_members_that_cannot_be_beside_each_other_are_refused(files: dict[str, bytes], kind: str) -> None:
    archive = make_tar("a.tgz", "w:gz", files) if kind == "tar" else make_zip("a.zip", files)
    with pytest.raises(DataError, match=r"member .* cannot be made under this name"):
        unpacked(archive)


def test_a_zip_with_a_password_says_so() -> None:
    archive = make_zip("a.zip", {"secret": b"1"})
    data = bytearray(archive.read_bytes())
    for place in (data.index(b"PK\3\4") + 6, data.index(b"PK\1\2") + 8):  # the flags, in both headers
        data[place] |= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match="'secret' is locked with a password"):
        unpacked(archive)


@pytest.mark.parametrize("kind", ["tar", "tgz", "zip", "zst"])
def test_whatever_bytes_are_changed_the_outcome_is_files_or_one_kind_of_error(kind: str) -> None:
    make = {"tar": lambda: make_tar("a", "w"), "tgz": lambda: make_tar("a"), "zip": lambda: make_zip("a", FILES)}
    data = make.get(kind, make["tar"])().read_bytes()
    data = zstd.compress(data) if kind == "zst" else data
    draw, errors = random.Random(7), 0
    for attempt in range(60):
        changed = bytearray(data)
        for _ in range(draw.choice([1, 4, 30])):
            changed[draw.randrange(len(changed))] = draw.choice([0, 0xFF, draw.randrange(256)])
        Path("a").write_bytes(changed)
        Path(f"out{attempt}").mkdir()
        try:
            extract("a", f"out{attempt}", ExtractLimits(max_bytes=1 << 20))
        except DataError:
            errors += 1
    assert errors > 10


def test_links_inside_become_copies() -> None:
    links = [special("top/sub/link", tarfile.SYMTYPE, "../a.txt"), special("top/hard", tarfile.LNKTYPE, "top/a.txt")]
    found = unpacked(make_tar("a.tgz", "w:gz", None, *links))
    assert found["top/sub/link"] == found["top/hard"] == b"one"
    assert not any(file.is_symlink() for file in Path("out").rglob("*"))


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "top/../../evil", "C:\\evil", "..\\evil"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_nothing_is_written_outside_the_folder(name: str, kind: str) -> None:
    archive = make_tar("a.tgz", "w:gz", {name: b"x"}) if kind == "tar" else make_zip("a.zip", {name: b"x"})
    before = {file for file in Path().rglob("*") if file.is_file()}
    with pytest.raises(DataError, match="lies outside the folder that it is unpacked to"):
        unpacked(archive)
    assert {file for file in Path().rglob("*") if file.is_file()} == before
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (special("x", tarfile.SYMTYPE, "/etc/passwd"), "is a link to '/etc/passwd', which is not in the archive"),
        (special("x", tarfile.SYMTYPE, "../../secret"), "is a link to"),
        (special("x", tarfile.LNKTYPE, "/etc/passwd"), "is a link to"),
        (special("x", tarfile.SYMTYPE, "x"), "is a link to a link"),
        (special("x", tarfile.SYMTYPE, "top"), "is a link to a folder"),
        (special("x", tarfile.SYMTYPE, "nothing"), "is a link to 'nothing', which is not in the archive"),
        (special("x", tarfile.SYMTYPE, "..\\..\\secret"), "is a link to"),
        (special("x", tarfile.LNKTYPE, "C:/secret"), "is a link to 'C:/secret', which is not in the archive"),
        (special("x", tarfile.FIFOTYPE), "is neither a file nor a folder"),
        (special("x", tarfile.CHRTYPE), "is neither a file nor a folder"),
    ],
)
def test_links_out_and_devices_are_refused(member: tarfile.TarInfo, message: str) -> None:
    with pytest.raises(DataError, match=message):
        unpacked(make_tar("a.tgz", "w:gz", None, member))
    assert not Path("out/x").exists()


def test_a_link_in_a_zip_is_refused() -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="is neither a file nor a folder"):
        unpacked(Path("a.zip"))


def test_floods_are_stopped_by_size_and_by_number() -> None:
    archive = make_zip("bomb.zip", {"zeros": bytes(5_000_000)})
    assert archive.stat().st_size < 10_000
    with pytest.raises(DataError, match=r"'zeros' brings it beyond 1000000 bytes.*limits=ExtractLimits\(max_bytes"):
        unpacked(archive, max_bytes=1_000_000)
    assert not Path("out/zeros").exists()  # a zip says beforehand what it comes to
    with pytest.raises(DataError, match="brings it beyond 1000000 bytes"):
        extract(make_tar("bomb.tgz", "w:gz", {"zeros": bytes(5_000_000)}), "out", ExtractLimits(max_bytes=1_000_000))
    assert Path("out/zeros").stat().st_size <= 1_000_000
    Path("out/zeros").unlink()
    Path("out").rmdir()
    with pytest.raises(DataError, match="is one more than the 2 files"):
        unpacked(make_tar("many.tgz"), max_files=2)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_a_cut_archive_is_called_damaged(kind: str, share: float) -> None:
    noise = bytes((i * 7919 + i // 256 * 31) % 251 for i in range(20_000))
    archive = make_tar("a.tgz", "w:gz", {"noise": noise}) if kind == "tgz" else make_zip("a.zip", {"noise": noise})
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"the archive is damaged, or was cut short|this is no archive"):
        unpacked(archive)


def test_what_is_no_archive_is_refused() -> None:
    Path("a.tgz").write_bytes(b"hello")
    with pytest.raises(DataError, match="this is no archive that can be unpacked"):
        unpacked(Path("a.tgz"))


def test_archives_are_known_by_their_names() -> None:
    assert is_archive("x/PETS.TGZ")
    assert not is_archive("table.csv")
    assert [archive_stem(name) for name in ("a.tar.gz", "b.c.zip", "d")] == ["a", "b.c", "d"]


def test_a_damaged_stream_inside_a_zip_is_called_damaged() -> None:
    archive = make_zip("a.zip", {"text": bytes(range(256)) * 100})
    data = bytearray(archive.read_bytes())
    start = 30 + len("text")  # the member's stream begins behind its header
    data[start : start + 40] = b"\xff" * 40
    archive.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip: the archive is damaged"):
        unpacked(archive)
