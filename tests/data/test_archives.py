"""Unpacking archives, friendly and hostile."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from laminar.core.errors import DataError
from laminar.data.archives import ExtractLimits, archive_stem, extract, is_archive

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
        (special("x", tarfile.SYMTYPE, "top"), "is a link to 'top', which is not in the archive"),
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
    with pytest.raises(DataError, match="brings the archive beyond 1000000 bytes"):
        unpacked(archive, max_bytes=1_000_000)
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
