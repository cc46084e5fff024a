"""Reading what `Learner.export` wrote.

Only classes and functions of laminar that are meant to be built from files are built, and those the caller trusts. No
pickle is read, no code comes from the file, nothing it names is opened or fetched, and it takes no more memory than it
has bytes, whatever sizes it claims.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from laminar.core.device import default_device
from laminar.core.errors import DataError, VerificationError, describe
from laminar.core.rebuilding import from_recipe, read_call
from laminar.core.transform import Transform
from laminar.learner.export import FORMAT, FORMAT_VERSION, MANIFEST, MODEL, TENSORS
from laminar.learner.golden import check_golden
from laminar.learner.learner import Learner
from laminar.learner.rebuilding import rebuilt_model
from laminar.optim.groups import trainable_params

__all__ = ["load_learner"]

_READABLE = (2, FORMAT_VERSION)
_FIRST_WITH_DIGESTS = 3
_FIELDS = ("model", "data", "loss")
_MANIFEST_LIMIT = 64 * 2**20  # bytes; vocabularies of a million words fit
# What zipfile raises on broken archives (OSError: positions before the beginning; RuntimeError: asks for a password).
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)
_OF_PICKLES = (
    "Weights alone are read by learn.load; what fastai exported is a pickle and can run any code, so it is not read: "
    "load it with fastai and save the weights."
)


def load_learner(fname: str | Path, cpu: bool = True, *, trust: Iterable[Any] = (), verify: bool = True) -> Learner:
    """Read a learner that `Learner.export` wrote, to predict with: ``learn.predict(item)``.

    It goes on training once it has data: ``learn.dls = dls``, in the groups it had and with its normalisation. Metrics
    are not in the file: ``learn.metrics = accuracy``.

    Args:
        fname: the file; where there is no ``export.pkl``, the name in programs for fastai, ``export.laminar`` is taken.
        cpu: predict on the CPU; otherwise on the accelerator, if there is one.
        trust: classes and functions of your own that the file may use: transforms, a function that builds the model.
        verify: predict the file's golden items again, and refuse it where the answers differ from those it holds.

    Raises:
        DataError: the file is no export, is torn, has a malformed field, or was written in another format.
        ConfigError: it names something that is neither laminar's nor trusted.
        WeightsError: the weights do not fit the model that is built.
        VerificationError: it predicts something else than when it was written.
        MissingExtraError: the model needs a package that is not installed.
    """
    file = _found(Path(fname))
    members = _read(file)
    try:
        manifest = json.loads(members[MANIFEST])
        weights, tensors = load_tensors(members[MODEL]), load_tensors(members[TENSORS])
    except (ValueError, RecursionError, SafetensorError) as error:
        raise DataError(f"{file}: the export is damaged ({error}). Copy or export it again.") from error
    _check_format(manifest, file)
    _check_digests(manifest, members, file)
    trusted = list(trust)
    build, arguments = read_call(manifest["model"], tensors, trusted, f"{file}: model")
    dls = from_recipe(manifest["data"], tensors, trusted, f"{file}: data")
    loss_func = from_recipe(manifest["loss"], tensors, trusted, f"{file}: loss")
    model_tfms = from_recipe(manifest.get("model_tfms", []), tensors, trusted, f"{file}: model_tfms")
    if not (isinstance(model_tfms, list) and all(isinstance(tfm, Transform) for tfm in model_tfms)):
        raise DataError(f"{file}: model_tfms: a list of transforms is expected, not {describe(model_tfms)}")
    if not hasattr(dls, "test_dl"):
        raise DataError(f"{file}: data: loaders are expected, not {describe(dls)}")
    if not (callable(loss_func) and hasattr(loss_func, "activation") and hasattr(loss_func, "decodes")):
        raise DataError(f"{file}: loss: a loss that decodes is expected, not {describe(loss_func)}")
    model = rebuilt_model(build, arguments, weights, file)
    if manifest.get("channels_last") is True:
        model.to(memory_format=torch.channels_last)
    if verify and manifest.get("golden") is not None:
        check_golden(manifest["golden"], dls, model, loss_func, tensors, f"{file}: golden")
    dls.path = file.parent
    if not cpu:
        dls.to(default_device())
    splitter = getattr(build, "splitter", trainable_params)  # for who goes on training
    kind: type[Learner] = getattr(build, "learner", Learner)  # an application's own, with what it can do
    learn = kind(dls, model.eval(), loss_func=loss_func, splitter=splitter)
    learn.model_recipe, learn.model_tfms = (build, arguments), model_tfms
    return learn


def _found(file: Path) -> Path:
    ours = file.with_suffix(".laminar")
    return ours if file.suffix == ".pkl" and not file.exists() and ours.is_file() else file


def _read(file: Path) -> dict[str, bytes]:
    """The members of the archive; only those expected, uncompressed, so that nothing can unfold to fill memory."""
    if not file.is_file():
        raise DataError(f"{file}: there is no such file. learn.export(...) writes one and returns its path.")
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            _refuse_pickle(archive, file)
            for info in archive.infolist():
                if info.filename not in (MANIFEST, MODEL, TENSORS) or info.filename in members:
                    raise DataError(f"{file}: holds {info.filename!r}, which no export of laminar has, or has twice")
                if info.compress_type != zipfile.ZIP_STORED or info.file_size > file.stat().st_size:
                    raise DataError(f"{file}: {info.filename} is compressed, which no export of laminar is")
                if info.filename == MANIFEST and info.file_size > _MANIFEST_LIMIT:
                    raise DataError(f"{file}: a manifest of {info.file_size} bytes; at most {_MANIFEST_LIMIT} are read")
                members[info.filename] = archive.read(info)
    except DataError:
        raise
    except _BROKEN_ZIP as error:
        raise DataError(f"{file}: not an export of laminar ({error}). {_OF_PICKLES}") from error
    missing = [name for name in (MANIFEST, MODEL, TENSORS) if name not in members]
    if missing:
        raise DataError(f"{file}: {missing[0]} is missing; not an export of laminar")
    return members


def _refuse_pickle(archive: zipfile.ZipFile, file: Path) -> None:
    """Since torch 1.6 torch.save writes a zip archive with a pickle in it."""
    pickles = [name for name in archive.namelist() if PurePosixPath(name).suffix == ".pkl"]
    if pickles:
        raise DataError(f"{file}: written by torch.save (it holds {pickles[0]!r}), not by learn.export. {_OF_PICKLES}")


def _check_digests(manifest: dict[str, Any], members: dict[str, bytes], file: Path) -> None:
    if manifest["format_version"] < _FIRST_WITH_DIGESTS:
        return
    digests = manifest["digests"]
    for name in (MODEL, TENSORS):
        if not isinstance(digests, dict) or digests.get(name) != hashlib.sha256(members[name]).hexdigest():
            raise VerificationError(f"{file}: {name} is not what was written: its digest differs. Get the file anew.")


def _check_format(manifest: Any, file: Path) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{file}: its manifest is not that of a laminar learner")
    found, versions = manifest.get("format_version"), manifest.get("versions")
    if found not in _READABLE or isinstance(found, bool):
        newer = isinstance(found, int) and found > FORMAT_VERSION
        remedy = (
            "Update laminar." if newer else "Load it with the laminar that wrote it, save the weights, export anew."
        )
        written = versions.get("laminar", "?") if isinstance(versions, dict) else "?"
        raise DataError(
            f"{file}: format version {found!r} (written by laminar {written}); this laminar reads "
            f"{' and '.join(map(str, _READABLE))}. "
            f"{remedy}"
        )
    missing = [
        name for name in (*_FIELDS, *(["digests"] if found >= _FIRST_WITH_DIGESTS else [])) if name not in manifest
    ]
    if missing:
        raise DataError(f"{file}: the manifest has no field {missing[0]!r}; it has: {', '.join(manifest)}")
