"""Fetching a file: streamed, continued after a cut, checked, and in place only when it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from laminar.core.errors import DataError
from laminar.core.lazy import lazy_module

__all__ = ["download", "locked"]

fastprogress = lazy_module("fastprogress.fastprogress")
fcntl: Any
try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

_CHUNK = 1 << 20
_CUT = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)


def download(
    url: str,
    dest: str | Path,
    *,
    sha256: str | None = None,
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
        sha256: checksum of the whole file, in hexadecimal digits, where it is known.
        retries: how often to go on after a cut or a stall that brought nothing new.
        timeout: seconds without a byte that count as a stall.
        show_progress: show a progress bar.

    Raises:
        DataError: the server does not give the file, or gives another than `sha256` says; with a way to do without.
    """
    target = Path(dest)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        if not target.exists():  # another process may have fetched it while we waited
            _Download(url, target, sha256, timeout, show_progress).run(retries)
    return target


class _Download:
    """One file on its way."""

    def __init__(self, url: str, target: Path, sha256: str | None, timeout: float, show_progress: bool) -> None:
        self.url, self.target, self.sha256 = url, target, sha256
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
        self._check_sum()
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
            return -1
        with answer:
            goes_on = answer.status == 206 and _start_of(answer.headers) == have
            if not goes_on:
                self._forget()
                have = 0
                version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
                if version and not version.startswith("W/"):
                    self.note.write_text(json.dumps({"url": self.url, "version": version}), encoding="utf-8")
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length is not None else None
            self._write(answer, have, total)
            return total

    def _write(self, answer: Any, have: int, total: int | None) -> None:
        with open(self.part, "ab" if have else "wb") as file, self._bar(total) as shown:
            while chunk := answer.read1(_CHUNK) if hasattr(answer, "read1") else answer.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
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

    def _check_sum(self) -> None:
        if self.sha256 is None:
            return
        with open(self.part, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256.lower():
            self._forget()
            raise DataError(
                f"{self.url}: what arrived has the checksum {found}, not {self.sha256}. It was thrown away. Either the "
                "file was changed on its way, or its owner has made a new version: then pass the new one as sha256=."
            )

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


def _start_of(headers: Any) -> int:
    """Where the part that the server sends begins, from "Content-Range: bytes 100-199/200"."""
    unit, _, rest = headers.get("Content-Range", "").partition(" ")
    first = rest.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else -1


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
