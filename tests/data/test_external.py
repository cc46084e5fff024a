"""Fetching data sets, from a real server on this machine that misbehaves on request."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from laminar.core.errors import DataError
from laminar.data.external import URLs, untar_data
from laminar.data.sources import get_files
from laminar.data.transfer import download

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
        way, content = self.path.split("/")[1], self.server.content
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if way == "missing":
            self.send_error(404)
            return
        if way == "busy" and self.server.cuts > 0:
            self.server.cuts -= 1
            self.send_error(503)
            return
        start = 0
        if wanted and way != "norange" and self.headers.get("If-Range") == self.server.version:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        length = len(content) - start + (1000 if way == "liar" else 0)
        self.send_header("Content-Length", str(length))
        if way != "noversion":
            self.send_header("ETag", self.server.version)
        self.end_headers()
        part = content[start:]
        if way == "stalls" and self.server.cuts > 0:
            self.server.cuts -= 1
            self.wfile.write(part[:100])
            self.wfile.flush()
            threading.Event().wait(1.0)
            return
        if self.server.cuts > 0 and way in ("cuts", "norange", "noversion"):
            self.server.cuts -= 1
            part = part[: len(part) // 2]
        self.wfile.write(part)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("laminar.data.transfer.time.sleep", lambda seconds: None)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
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


@pytest.mark.parametrize("way", ["cuts", "norange", "noversion", "stalls", "busy"])
def test_a_download_that_is_cut_or_stalls_goes_on(server: Server, way: str) -> None:
    server.cuts = 2
    file = download(server.url(f"{way}/a"), "a", show_progress=False, timeout=0.3)
    assert file.read_bytes() == server.content
    continued = [wanted for wanted in server.asked if wanted]
    assert bool(continued) == (way in ("cuts", "norange", "stalls"))
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
    assert download(server.url("plain/a"), "a", sha256=right, show_progress=False).exists()
    with pytest.raises(DataError, match=f"has the checksum {right}, not 0000"):
        download(server.url("plain/b"), "b", sha256="0000", show_progress=False)
    assert not list(Path().glob("b*"))


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
