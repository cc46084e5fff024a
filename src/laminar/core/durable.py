"""Folders that are complete or not there at all: written beside their place, synced, and renamed into it.

Each has a manifest with the size and the checksum of its files, so that a torn one is known as such.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import torch
from torch import Tensor

from laminar.core.errors import DataError

__all__ = ["DurableFolder", "check_durable", "write_tensors"]

_MANIFEST = "manifest.json"
_PART = 1 << 22  # bytes written and summed up at a time
_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
    torch.uint16: "U16", torch.uint32: "U32", torch.uint64: "U64", torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2", torch.complex64: "C64",
}  # fmt: skip


class _SummingFile:
    """A file that is written from beginning to end, and knows its size and checksum."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.size, self.sum = file, 0, 0

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        for start in range(0, len(view), _PART):
            part = view[start : start + _PART]
            self._file.write(part)
            self.sum = zlib.crc32(part, self.sum)
        self.size += len(view)


class DurableFolder:
    """Writes a folder of files in a ``with`` block; it appears, complete and on the disk, when the block ends.

    After an exception, or a kill at any moment, nothing is there under its name. A folder of that name must not exist.

    Args:
        folder: where it will be; the folder it lies in must exist.
        about: what the manifest says besides.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any] | None = None) -> None:
        self.folder, self.about = folder, dict(about or {})
        self._unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
        self._files: dict[str, dict[str, int]] = {}

    def __enter__(self) -> Self:
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._unfinished.mkdir()
        return self

    @contextmanager
    def file(self, name: str) -> Iterator[_SummingFile]:
        """Write one file, through to the disk."""
        with (self._unfinished / name).open("wb") as opened:
            summing = _SummingFile(opened)
            yield summing
            opened.flush()
            os.fsync(opened.fileno())
        self._files[name] = {"size": summing.size, "crc32": summing.sum}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._publish()
        finally:
            shutil.rmtree(self._unfinished, ignore_errors=True)

    def _publish(self) -> None:
        files = dict(self._files)
        with self.file(_MANIFEST) as manifest:
            manifest.write(json.dumps({**self.about, "files": files}).encode())
        sync_folder(self._unfinished)
        os.rename(self._unfinished, self.folder)
        sync_folder(self.folder.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names of a folder's files to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def manifest_of(folder: Path) -> dict[str, Any]:
    """What a durable folder says about itself.

    Raises:
        DataError: it has no manifest, or none that can be read.
    """
    try:
        found = json.loads((folder / _MANIFEST).read_bytes())
        if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
            raise ValueError("it does not list files")
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{folder}: its manifest cannot be read: {error}.") from error
    return found


def check_durable(folder: Path) -> dict[str, Any]:
    """Compare a durable folder with its manifest.

    Returns:
        The manifest.

    Raises:
        DataError: a file is missing, has another size, or other content.
    """
    manifest = manifest_of(folder)
    for name, expected in manifest["files"].items():
        if Path(name).name != name or not isinstance(expected, dict):
            raise DataError(f"{folder}: its manifest names {name!r}, which is no file of the folder.")
        size, checksum = _size_and_sum(folder / name)
        if size != expected.get("size"):
            raise DataError(f"{folder / name} has {size} bytes, and had {expected.get('size')} when it was written.")
        if checksum != expected.get("crc32"):
            raise DataError(f"{folder / name} is damaged: its checksum is not the one it was written with.")
    return manifest


def _size_and_sum(file: Path) -> tuple[int, int]:
    size = checksum = 0
    try:
        with file.open("rb") as opened:
            while part := opened.read(_PART):
                size, checksum = size + len(part), zlib.crc32(part, checksum)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.") from error
    return size, checksum


def write_tensors(file: _SummingFile, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file, one tensor after the other, so that only one of them is copied at a time.

    Args:
        file: of a `DurableFolder`.
        tensors: by name; wherever they are, and in whatever memory layout.

    Raises:
        DataError: a tensor of a kind that the format does not have.
    """
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _DTYPES:
            raise DataError(f"{name} is a tensor of {tensor.dtype}, which safetensors files cannot hold.")
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for tensor in tensors.values():
        flat = tensor.detach().to("cpu").contiguous().reshape(-1)
        if flat.numel():
            file.write(flat.view(torch.uint8).numpy().data)
