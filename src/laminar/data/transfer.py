"""Fetching a file: streamed, continued after a cut, checked, and in place only when it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laminar.core.errors import DataError
from laminar.core.lazy import lazy_module

__all__ = ["FileFacts", "download", "locked"]

fastprogress = lazy_module("fastprogress.fastprogress")
fcntl: Any
try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

_CHUNK = 1 << 20
_MIB = 1 << 20
_CUT = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file before it is fetched.

    Args:
        size: in bytes.
        sha256: checksum of the whole file, in hexadecimal digits.
        md5: another one of the whole file.
        md5_start: the MD5 of its first MiB.
    """

    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    md5_start: str | None = None

    def difference(self, file: Path) -> str:
        """In what `file` is another than the one that is known; empty if it is the same."""
        size = file.stat().st_size
        if self.size is not None and size != self.size:
            return f"{size} bytes, not {self.size}"
        for kind, wanted in (("sha256", self.sha256), ("md5", self.md5)):
            if wanted is not None:
                with open(file, "rb") as content:
                    found = hashlib.file_digest(content, kind).hexdigest()
                if found != wanted.lower():
                    return f"the checksum ({kind}) {found}, not {wanted}"
        if self.md5_start is not None:
            with open(file, "rb") as content:
                found = hashlib.md5(content.read(_MIB), usedforsecurity=False).hexdigest()
            if found != self.md5_start:
                return f"another beginning (md5 of the first MiB: {found}, not {self.md5_start})"
        return ""


def download(
    url: str,
    dest: str | Path,
    *,
    facts: FileFacts | None = None,
    max_bytes: int | None = None,
    retries: int = 5,
    timeout: float = 30.0,
    show_progress: bool = True,
) -> Path:
    """Fetch `url` into file `dest`, unless that is there.

    What has arrived stays in ``dest.part``, so that a cut download goes on where it stopped, now or in a later call; if
    the file on the server has changed meanwhile, it begins anew. `dest` itself appears only when it is whole.

    Args:
        url: http, https or file.
        dest: the file to make; its folder is created.
        facts: size and checksums of the file, where they are known. A file at `dest` of another size is replaced.
        max_bytes: refuse a larger file.
        retries: how often to go on after a cut or a stall that brought nothing new.
        timeout: seconds without a byte that count as a stall.
        show_progress: show a progress bar.

    Raises:
        DataError: the server does not give the file, gives another than `facts` says, or one that is too large for
            `max_bytes` or the disk; with a way to do without.
    """
    target, known = Path(dest), facts or FileFacts()
    if _is_there(target, known):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        if not _is_there(target, known):  # another process may have fetched it while we waited
            _Download(url, target, known, max_bytes, timeout, show_progress).run(retries)
    return target


def _is_there(target: Path, known: FileFacts) -> bool:
    return target.exists() and known.size in (None, target.stat().st_size)


class _Download:
    """One file on its way."""

    def __init__(
        self, url: str, target: Path, known: FileFacts, max_bytes: int | None, timeout: float, show_progress: bool
    ) -> None:
        self.url, self.target, self.known, self.max_bytes = url, target, known, max_bytes
        self.timeout, self.show_progress = timeout, show_progress
        self.part = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")  # which version of the file the part is of

    def run(self, retries: int) -> None:
        failures, most = 0, 0
        while True:
            problem: object
            try:
                total = self._fetch()
                if total is None or self._size() == total:
                    break
                problem = f"the connection ends after {self._size()} of {total} bytes"
            except _CUT as error:
                self._give_up_if_final(error)
                problem = error
            failures = 0 if self._size() > most else failures + 1
            most = max(most, self._size())
            if failures > retries:
                raise self._failed(problem) from (problem if isinstance(problem, Exception) else None)
            time.sleep(min(0.05 * 2**failures, 5.0))
        self._check()
        os.replace(self.part, self.target)
        self.note.unlink(missing_ok=True)

    def _fetch(self) -> int | None:
        """Fetch the rest of the file, as far as the connection carries; return the size it should have."""
        request = urllib.request.Request(self.url, headers={"User-Agent": "laminar"})  # the user's own choice
        have, version = self._size(), self._version()
        if have and version:
            request.add_header("Range", f"bytes={have}-")
            request.add_header("If-Range", version)
        try:
            answer = urllib.request.urlopen(request, timeout=self.timeout)  # see above
        except urllib.error.HTTPError as error:
            if error.code != 416:  # "range not satisfiable": what we have is no beginning of that file
                raise
            error.close()
            self._forget()
            raise http.client.HTTPException("what had arrived is no beginning of the file any more") from error
        with answer:
            if answer.status != 206:
                self._forget()
                have = 0
                version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
                if version and not version.startswith("W/"):
                    self.note.write_text(json.dumps({"url": self.url, "version": version}), encoding="utf-8")
            elif _part_of(answer.headers)[0] != have:
                self._forget()
                raise http.client.HTTPException("the server sends another part than the one asked for")
            total = _total(answer, have)
            self._check_room(total, have)
            self._write(answer, have, total)
            return total

    def _check_room(self, total: int | None, have: int) -> None:
        """Refuse at once what can be seen not to fit."""
        if total is None:
            return
        if self.known.size not in (None, total):
            raise self._is_another(f"{total} bytes, not {self.known.size}")
        if self.max_bytes is not None and total > self.max_bytes:
            raise self._too_large(total)
        free = shutil.disk_usage(self.target.parent).free
        if total - have > free:
            raise DataError(
                f"{self.url} has {total} bytes, and only {free} are free in {self.target.parent}. Make room, or keep "
                "data elsewhere: set the environment variable LAMINAR_HOME, or pass base=..."
            )

    def _write(self, answer: Any, have: int, total: int | None) -> None:
        with open(self.part, "ab" if have else "wb") as file, self._bar(total) as shown:
            while chunk := answer.read1(_CHUNK) if hasattr(answer, "read1") else answer.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                if self.max_bytes is not None and have > self.max_bytes:
                    raise self._too_large(have)
                shown(have)
            file.flush()
            os.fsync(file.fileno())

    @contextlib.contextmanager
    def _bar(self, total: int | None) -> Iterator[Any]:
        if not self.show_progress or not total:
            yield lambda have: None
            return
        bar = fastprogress.progress_bar(range(total), leave=False)
        bar.update(0)
        yield lambda have: bar.update(min(have, total - 1))
        bar.update(total)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _version(self) -> str | None:
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return str(note["version"]) if note.get("url") == self.url else None

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def _check(self) -> None:
        different = self.known.difference(self.part)
        if different:
            raise self._is_another(different)

    def _is_another(self, different: str) -> DataError:
        self._forget()
        return DataError(
            f"{self.url}: what arrives has {different}. It was thrown away. Either the file was changed on its way, or "
            "its owner has made a new version: if you trust it, pass sha256=... of that, or check=False, to untar_data."
        )

    def _too_large(self, size: int) -> DataError:
        self._forget()
        return DataError(f"{self.url}: {size} bytes or more, and at most {self.max_bytes} are allowed")

    def _give_up_if_final(self, error: Exception) -> None:
        """An answer such as "not found" will be the same the next time."""
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                raise self._failed(error) from error
        elif isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError | str):
            unreachable = not isinstance(error.reason, TimeoutError | ConnectionResetError)
            if unreachable and not self._size():
                raise self._failed(error) from error

    def _failed(self, reason: object) -> DataError:
        return DataError(
            f"cannot download {self.url}: {reason}. If this machine has no network, fetch the file elsewhere and pass "
            f"its path: untar_data({self.target.name!r})."
        )


def _part_of(headers: Any) -> tuple[int, int | None]:
    """Where the part that a server sends begins, and the size of the whole, from "Content-Range: bytes 100-199/200"."""
    unit, _, rest = headers.get("Content-Range", "").partition(" ")
    span, _, whole = rest.partition("/")
    first = span.partition("-")[0]
    start = int(first) if unit == "bytes" and first.isdigit() else -1
    return start, int(whole) if whole.isdigit() else None


def _total(answer: Any, have: int) -> int | None:
    """The size of the whole file, as far as the server tells."""
    whole = _part_of(answer.headers)[1] if answer.status == 206 else None
    length = answer.headers.get("Content-Length")
    if whole is not None or length is None:
        return whole
    return have + int(length)


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Let one process at a time make `target` (where the system can lock files); the others wait."""
    if fcntl is None:
        yield
        return
    with open(target.with_name(f".{target.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
