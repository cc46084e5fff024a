"""Reading what `Learner.export` wrote.

Only classes and functions of laminar that are meant to be built from files are built, and those the caller trusts. No
pickle is read, and no code comes from the file.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from laminar.core.device import default_device
from laminar.core.errors import ConfigError, DataError, WeightsError
from laminar.core.recipe import from_recipe, read_call
from laminar.learner.export import FORMAT, FORMAT_VERSION, MANIFEST, MODEL, TENSORS
from laminar.learner.learner import Learner

__all__ = ["load_learner"]

_MANIFEST_LIMIT = 64 * 2**20  # bytes; vocabularies of a million words fit


def load_learner(fname: str | Path, cpu: bool = True, *, trust: Iterable[Any] = ()) -> Learner:
    """Read a learner that `Learner.export` wrote, to predict with: ``learn.predict(item)``.

    Args:
        fname: the file.
        cpu: predict on the CPU; otherwise on the accelerator, if there is one.
        trust: classes and functions of your own that the file may use: transforms, a function that builds the model.

    Raises:
        DataError: the file is no export, is torn, or was written by a newer format.
        ConfigError: it names something that is neither laminar's nor trusted.
        WeightsError: the weights do not fit the model that is built.
    """
    file = Path(fname)
    members = _read(file)
    try:
        manifest = json.loads(members[MANIFEST])
        weights, tensors = load_tensors(members[MODEL]), load_tensors(members[TENSORS])
    except (ValueError, SafetensorError) as error:
        raise DataError(f"{file}: the export is damaged ({error}). Copy or export it again.") from error
    _check_format(manifest, file)
    trusted = list(trust)
    try:
        build, arguments = read_call(manifest["model"], tensors, trusted)
        model = build(**arguments)
        dls = from_recipe(manifest["data"], tensors, trusted)
        loss_func = from_recipe(manifest["loss"], tensors, trusted)
    except (ConfigError, KeyError, TypeError, AttributeError) as error:
        error.add_note(f"while reading {file}")
        raise
    _load_weights(model, weights, file)
    dls.path = file.parent
    if not cpu:
        dls.to(default_device())
    learn = Learner(dls, model.eval(), loss_func=loss_func)
    learn.model_recipe = (build, arguments)
    return learn


def _read(file: Path) -> dict[str, bytes]:
    """The members of the archive; only those expected, uncompressed, so that nothing can unfold to fill memory."""
    if not file.is_file():
        raise DataError(f"{file}: there is no such file. learn.export(...) writes one and returns its path.")
    members = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.filename not in (MANIFEST, MODEL, TENSORS):
                    raise DataError(f"{file}: holds {info.filename!r}, which no export of laminar has")
                if info.compress_type != zipfile.ZIP_STORED or info.file_size > file.stat().st_size:
                    raise DataError(f"{file}: {info.filename} is compressed, which no export of laminar is")
                if info.filename == MANIFEST and info.file_size > _MANIFEST_LIMIT:
                    raise DataError(f"{file}: a manifest of {info.file_size} bytes; at most {_MANIFEST_LIMIT} are read")
                members[info.filename] = archive.read(info)
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{file}: not an export of laminar ({error}). Weights alone are read by learn.load; what fastai exported "
            "is a pickle and can run any code, so it is not read: load it with fastai and save the weights."
        ) from error
    missing = [name for name in (MANIFEST, MODEL, TENSORS) if name not in members]
    if missing:
        raise DataError(f"{file}: {missing[0]} is missing; not an export of laminar")
    return members


def _check_format(manifest: Any, file: Path) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{file}: its manifest is not that of a laminar learner")
    found = manifest.get("format_version")
    if not isinstance(found, int) or not 1 <= found <= FORMAT_VERSION:
        written = manifest.get("versions", {})
        raise DataError(
            f"{file}: format version {found!r} (written by laminar {written.get('laminar', '?')}); this laminar reads "
            f"up to {FORMAT_VERSION}. Update laminar."
        )


def _load_weights(model: nn.Module, weights: Mapping[str, Tensor], file: Path) -> None:
    try:
        model.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise WeightsError(f"{file}: the weights do not fit the model it describes. {error}") from error
