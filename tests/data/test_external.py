"""Fetching data sets, from a real server on this machine that misbehaves on request."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from laminar.core.errors import DataError
from laminar.data.external import untar_data
from laminar.data.known import URLs, known_files
from laminar.data.sources import get_files
from laminar.data.transfer import FileFacts, download

FILES = {"top/a.txt": b"one", "top/sub/b.bin": bytes(3000), "top/empty": b""}


def make_tar(name: str, files: dict[str, bytes] = FILES) -> Path:
    with tarfile.open(name, "w:gz") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return Path(name)


def make_zip(name: str, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(name, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return Path(name)


class Server(ThreadingHTTPServer):
    """Serves one file in several ways, and writes down what was asked."""

    content: bytes = b""
    version: str = '"1"'
    cuts: int = 0
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        way = self.path.split("/")[1]
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if way == "missing":
            self.send_error(404)
        elif way == "busy" and self.cut_now():
            self.send_error(503)
        elif way == "notrange" and wanted:
            self.send_error(416)
        else:
            self.send_part(way, self.send_head_of(way, wanted))

    def cut_now(self) -> bool:
        self.server.cuts -= 1
        return self.server.cuts >= 0

    def send_head_of(self, way: str, wanted: str | None) -> bytes:
        """Send the head of the answer; return what its body is to be."""
        content, start = self.server.content, 0
        lie = 1000 if way == "liar" else 0
        if wanted and way != "norange" and self.headers.get("If-Range") == self.server.version:
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) - (7 if way == "elsewhere" else 0)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content) + lie}")
        else:
            self.send_response(200)
        length = len(content) - start + (-50 if way == "short" else lie)
        if way == "pieces" and wanted:  # a server may send less of a range than was asked for
            length = min(length, 500)
        if way != "nolength":
            self.send_header("Content-Length", str(length))
        if way != "noversion":
            self.send_header("ETag", self.server.version)
        self.end_headers()
        return content[start : start + length]

    def send_part(self, way: str, part: bytes) -> None:
        if way == "drips":
            for at in range(0, len(part), 4096):
                self.wfile.write(part[at : at + 4096])
                threading.Event().wait(0.02)
        elif way == "stalls" and self.cut_now():
            self.wfile.write(part[:100])
            self.wfile.flush()
            threading.Event().wait(1.0)
        elif way in ("cuts", "norange", "noversion", "pieces", "elsewhere", "notrange") and self.cut_now():
            self.wfile.write(part[: len(part) // 2])
        else:
            self.wfile.write(part)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("laminar.data.transfer.time.sleep", lambda seconds: None)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        running.content = make_tar("served.tgz").read_bytes()
        yield running
        running.shutdown()


def below(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in get_files(folder)}


CONTENT = {name.removeprefix("top/"): content for name, content in FILES.items()}


def test_an_archive_is_fetched_once_and_unpacked_without_its_single_folder(server: Server) -> None:
    path = untar_data(server.url("plain/pets.tgz"), base="home")
    assert path == Path("home/data/pets")
    assert below(path) == CONTENT
    assert untar_data(server.url("plain/pets.tgz"), base="home") == path
    assert len(server.asked) == 1
    untar_data(server.url("plain/pets.tgz"), base="home", force_download=True)
    assert len(server.asked) == 2
    assert [file.name for file in Path("home/data").iterdir() if file.is_dir()] == ["pets"]


@pytest.mark.parametrize("way", ["cuts", "norange", "noversion", "stalls", "busy", "pieces", "elsewhere", "notrange"])
def test_a_download_that_is_cut_or_stalls_goes_on(server: Server, way: str) -> None:
    server.cuts = 2
    file = download(server.url(f"{way}/a"), "a", show_progress=False, timeout=0.3)
    assert file.read_bytes() == server.content
    continued = [wanted for wanted in server.asked if wanted]
    assert bool(continued) == (way not in ("noversion", "busy"))
    assert sorted(path.name for path in Path().glob("a*")) == ["a"]


def test_a_cut_download_goes_on_in_a_later_call(server: Server) -> None:
    server.cuts = 1
    with pytest.raises(DataError, match=r"the connection ends after \d+ of \d+ bytes"):
        download(server.url("cuts/a"), "a", retries=-1, show_progress=False)
    assert not Path("a").exists()
    assert download(server.url("cuts/a"), "a", show_progress=False).read_bytes() == server.content
    assert server.asked[-1] == f"bytes={len(server.content) // 2}-"


def test_a_part_of_an_older_version_is_thrown_away(server: Server) -> None:
    server.cuts = 1
    with pytest.raises(DataError):
        download(server.url("cuts/a"), "a", retries=-1, show_progress=False)
    server.content, server.version = b"something else", '"2"'
    assert download(server.url("cuts/a"), "a", show_progress=False).read_bytes() == b"something else"


def test_a_server_that_lies_about_the_length_is_given_up(server: Server) -> None:
    with pytest.raises(DataError, match=r"cannot download .*the connection ends after"):
        download(server.url("liar/a"), "a", retries=2, show_progress=False)
    assert not Path("a").exists()
    assert len(server.asked) < 12


def test_a_missing_file_is_an_error_at_once_with_the_remedy(server: Server) -> None:
    with pytest.raises(
        DataError, match=r"cannot download .*/missing/pets.tgz: HTTP Error 404.*fetch the file elsewhere"
    ):
        untar_data(server.url("missing/pets.tgz"), base="home")
    assert len(server.asked) == 1


def test_no_server_at_all_is_an_error_with_the_remedy() -> None:
    with pytest.raises(DataError, match=r"cannot download .*If this machine has no network"):
        download("http://127.0.0.1:9/x.tgz", "x.tgz", retries=0)


def test_the_checksum_is_checked(server: Server) -> None:
    right = hashlib.sha256(server.content).hexdigest()
    assert download(server.url("plain/a"), "a", facts=FileFacts(sha256=right.upper()), show_progress=False).exists()
    with pytest.raises(DataError, match=rf"what arrives has the checksum \(sha256\) {right}, not 0000"):
        download(server.url("plain/b"), "b", facts=FileFacts(sha256="0000"), show_progress=False)
    assert not list(Path().glob("b*"))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (FileFacts(size=5), r"what arrives has \d+ bytes, not 5"),
        (FileFacts(md5="11"), r"the checksum \(md5\) [0-9a-f]{32}, not 11"),
        (FileFacts(md5_start="22"), r"another beginning .*not 22"),
    ],
)
def test_a_file_that_is_not_the_known_one_is_thrown_away(server: Server, facts: FileFacts, message: str) -> None:
    with pytest.raises(DataError, match=message):
        download(server.url("plain/b"), "b", facts=facts, show_progress=False)
    assert not list(Path().glob("b*"))


def test_a_kept_file_of_another_size_than_the_known_one_is_fetched_anew(server: Server) -> None:
    Path("a").write_bytes(b"an older version")
    facts = FileFacts(len(server.content), md5_start=hashlib.md5(server.content[: 1 << 20]).hexdigest())
    assert download(server.url("plain/a"), "a", facts=facts, show_progress=False).read_bytes() == server.content


@pytest.mark.parametrize("way", ["plain", "nolength"])
def test_a_file_may_be_too_large(server: Server, way: str) -> None:
    with pytest.raises(DataError, match=r"and at most 100 are allowed"):
        download(server.url(f"{way}/a"), "a", max_bytes=100, show_progress=False)
    assert not list(Path().glob("a*"))


def test_a_file_that_the_disk_cannot_hold_is_refused_at_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("laminar.data.transfer.shutil.disk_usage", lambda folder: shutil._ntuple_diskusage(9, 8, 1))
    with pytest.raises(DataError, match=r"bytes, and only 1 are free in .*LAMINAR_HOME"):
        download(server.url("plain/a"), "a", show_progress=False)


@pytest.mark.parametrize("way", ["short", "nolength"])
def test_an_archive_that_arrived_short_is_not_kept(server: Server, way: str) -> None:
    whole = server.content
    server.content = whole[:-50] if way == "nolength" else whole
    with pytest.raises(DataError, match="the archive is damaged, or was cut short") as caught:
        untar_data(server.url(f"{way}/pets.tgz"), base="home", show_progress=False)
    assert "has been removed" in caught.value.__notes__[0]
    assert not get_files_or_none("home")
    server.content = whole
    if way == "nolength":
        assert below(untar_data(server.url("nolength/pets.tgz"), base="home", show_progress=False)) == CONTENT


def get_files_or_none(folder: str) -> list[Path]:
    return [file for file in Path(folder).rglob("*") if file.is_file() and not file.name.startswith(".")]


KILLED = """
import sys
from laminar.data.external import untar_data
print("ready", flush=True)
untar_data(sys.argv[1], base="home", show_progress=False)
"""


def test_a_download_that_is_killed_never_looks_complete_and_goes_on(server: Server) -> None:
    server.content = make_tar("big.tgz", {"noise.bin": os.urandom(400_000)}).read_bytes()
    url = server.url("drips/noise.tgz")
    with subprocess.Popen([sys.executable, "-c", KILLED, url], stdout=subprocess.PIPE) as process:
        part = wait_for(lambda: next(iter(Path("home/archive").glob("*.part")), None))
        wait_for(lambda: part.stat().st_size > 50_000)
        process.kill()
    assert not Path("home/data/noise").exists()
    assert [file.suffix for file in get_files_or_none("home/archive") if file.suffix == ".tgz"] == []
    arrived = part.stat().st_size
    assert 0 < arrived < len(server.content)
    path = untar_data(url, base="home", show_progress=False)
    assert [file.stat().st_size for file in get_files(path)] == [400_000]
    assert server.asked[-1] == f"bytes={arrived}-"


def wait_for(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in a minute"
        threading.Event().wait(0.01)
    return found


def test_unpacking_that_was_broken_off_never_looks_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_tar("mine.tgz")

    class Killed(BaseException):
        """What no `except Exception` catches, as a signal's."""

    def dies(self: Any, place: Path, content: Any, name: str) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("laminar.data.archives._Writer.file_at", dies)
        with pytest.raises(Killed):
            untar_data(archive, base="home")
    assert not Path("home/data/mine").exists()
    left = Path("home/data/.mine.unfinished-killed")  # as a process leaves it that had no time to clean up
    left.mkdir()
    (left / "part.txt").touch()
    os.utime(left, (0, 0))
    assert below(untar_data(archive, base="home")) == CONTENT
    assert not left.exists()


def test_progress_is_shown(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.content = bytes(3_000_000)
    download(server.url("plain/a"), "a")
    assert "100.00%" in capsys.readouterr().out


def test_a_hostile_archive_leaves_nothing_behind(server: Server) -> None:
    server.content = make_tar("evil.tgz", {"ok": b"1", "../evil": b"x"}).read_bytes()
    with pytest.raises(DataError, match="lies outside"):
        untar_data(server.url("plain/evil.tgz"), base="home", show_progress=False)
    assert [file.name for file in Path("home/data").iterdir() if file.is_dir()] == []


def test_two_data_sets_of_one_name_do_not_mix(server: Server) -> None:
    first = untar_data(server.url("plain/data.tgz"), base="home", show_progress=False)
    server.content = make_zip("z.zip", {"only.txt": b"2"}).read_bytes()
    second = untar_data(server.url("other/data.tgz"), base="home", show_progress=False)
    assert first != second
    assert below(second) == {"only.txt": b"2"}
    assert untar_data(server.url("plain/data.tgz"), base="home") == first
    assert untar_data(server.url("other/data.tgz"), base="home") == second


def test_a_github_archive_is_called_after_its_repository(server: Server) -> None:
    assert (
        untar_data(server.url("owner/repo/archive/abc123.tar.gz").replace("owner", "plain"), base="home").name == "repo"
    )


@pytest.mark.parametrize("as_url", [False, True])
def test_a_local_archive_is_unpacked_and_again_when_it_changes(as_url: bool) -> None:
    archive = make_tar("mine.tgz").resolve()
    source = archive.as_uri() if as_url else archive
    path = untar_data(source, base="home")
    assert (path, below(path)) == (Path("home/data/mine"), CONTENT)
    marker = path / "mine_is_kept"
    marker.touch()
    untar_data(source, base="home")
    assert marker.exists()
    make_tar("mine.tgz", {"x/new.txt": b"new", "x/more": bytes(99)})
    assert below(untar_data(source, base="home")) == {"new.txt": b"new", "more": bytes(99)}


def test_a_folder_is_returned_as_it_is() -> None:
    Path("photos").mkdir()
    assert untar_data("photos") == Path("photos")


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMINAR_HOME", "elsewhere")
    assert untar_data(make_tar("mine.tgz")) == Path("elsewhere/data/mine")


def test_embedded_data_are_made_here() -> None:
    path = untar_data("laminar:glyphs_tiny")
    assert get_files(path, ".jpg", folders=["train"])
    with pytest.raises(DataError, match="Did you mean 'glyphs'"):
        untar_data("laminar:glyhps")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such.tgz", "no/such.tgz: there is no such file or folder"),
        ("PETTS", r"there is no such file or folder. Did you mean 'PETS'\?"),
        ("ftp://x/y.tgz", "addresses that begin with ftp:// cannot be fetched"),
    ],
)
def test_errors_name_the_source(source: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        untar_data(source)


def test_a_file_that_is_no_archive_needs_no_unpacking() -> None:
    Path("table.csv").touch()
    with pytest.raises(DataError, match="this is no archive"):
        untar_data("table.csv")


def test_well_known_addresses_are_complete() -> None:
    addresses = {name: value for name, value in vars(URLs).items() if name.isupper() and isinstance(value, str)}
    assert URLs.PETS.endswith("oxford-iiit-pet.tgz")
    assert all(value.startswith(("https://", "laminar:")) for value in addresses.values())


def test_what_is_known_of_files_belongs_to_addresses_and_is_well_formed() -> None:
    assert known_files.keys() <= set(vars(URLs).values())
    assert len(known_files) > 50
    for facts in known_files.values():
        assert facts.size
        sums = {64: facts.sha256, 32: facts.md5 or facts.md5_start}
        assert any(sums.values())
        assert all(value is None or re.fullmatch(rf"[0-9a-f]{{{length}}}", value) for length, value in sums.items())


def test_a_new_version_of_a_known_file_is_refused_unless_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.url("plain/pets.tgz")
    monkeypatch.setattr("laminar.data.external.known_files", {url: FileFacts(4, md5_start="0")})
    with pytest.raises(DataError, match=r"bytes, not 4\. .*has made a new version: .*check=False"):
        untar_data(url, base="home", show_progress=False)
    right = hashlib.sha256(server.content).hexdigest()
    assert below(untar_data(url, base="home", sha256=right, show_progress=False)) == CONTENT
    assert below(untar_data(url, base="other", check=False, show_progress=False)) == CONTENT
