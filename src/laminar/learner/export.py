"""A whole predictor in one file: weights, how to build the model, and the fitted transforms, all as data.

The file is a zip archive of ``manifest.json`` (what to build, with which arguments, and a digest of each of the others)
and two safetensors files.
`laminar.learner.loading.load_learner` reads it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

import laminar
from laminar.core.errors import ConfigError
from laminar.core.recipe import call_recipe, inference_recipe, to_recipe
from laminar.core.transform import Transform
from laminar.learner.golden import N_GOLDEN, golden_data
from laminar.learner.program import as_program, example_inputs, program_content, program_model
from laminar.learner.same_model import check_same_model
from laminar.nn.decoding import decoding_equal, loss_name

__all__ = ["FORMAT", "FORMAT_VERSION", "MANIFEST", "MODEL", "TENSORS", "ModelRecipe", "export_learner"]

FORMAT = "laminar-learner"
FORMAT_VERSION = 3
_LAYOUTS = {False: torch.contiguous_format, True: torch.channels_last}
MANIFEST, MODEL, TENSORS = "manifest.json", "model.safetensors", "tensors.safetensors"

ModelRecipe = tuple[Callable[..., nn.Module], Mapping[str, Any]]
"""A function that builds the model, and the arguments to call it with."""


class Exportable(Protocol):
    """What an export reads of a learner."""

    model: nn.Module
    loss_func: Any
    dls: Any
    model_recipe: ModelRecipe | None
    model_tfms: Sequence[Transform]

    @property
    def device(self) -> torch.device: ...


def export_learner(learn: Exportable, file: Path, golden: int = N_GOLDEN, program: bool = False) -> None:
    """Write what `learn` predicts with to `file`; replaced as a whole, or not at all.

    Args:
        learn: the learner.
        file: where.
        golden: how many items of the validation set to put in, with their predictions.
        program: write the model as a program of torch.export, not as a function that builds it.

    Raises:
        ConfigError: something cannot be written as data, or the model was changed since the learner was made; the
            message says what, and what to do.
    """
    tensors: dict[str, Tensor] = {}
    loss_func = _known_loss(learn.loss_func)
    build, arguments = _program_recipe(learn) if program else _model_recipe(learn)
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "versions": {"laminar": laminar.__version__, "torch": version("torch"), "torchvision": version("torchvision")},
        "model": call_recipe(build, arguments, tensors),
        "loss": to_recipe(loss_func, tensors),
        "data": inference_recipe(learn.dls, tensors),
        "model_tfms": to_recipe(list(learn.model_tfms), tensors),
    }
    rebuilt = build(**arguments) if program else check_same_model(learn, build, arguments)
    manifest["channels_last"] = not program and _is_channels_last(learn.model)
    rebuilt = rebuilt.to(memory_format=_LAYOUTS[manifest["channels_last"]])
    if golden:
        manifest["golden"] = golden_data(learn.dls, rebuilt, loss_func, golden, tensors)
    weights = {name: tensor.detach().contiguous() for name, tensor in rebuilt.state_dict().items()}
    contents = {MODEL: save_tensors(_unshared(weights)), TENSORS: save_tensors(_unshared(tensors))}
    manifest["digests"] = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
            for name, content in ({MANIFEST: json.dumps(manifest, indent=1)} | contents).items():
                archive.writestr(name, content)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _is_channels_last(model: nn.Module) -> bool:
    """Whether its kernels are: others sum in another order, and the last bits of what they predict differ."""
    kernels = [parameter for parameter in model.parameters() if parameter.ndim == 4]
    told = [kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels if not kernel.is_contiguous()]
    return bool(told) and all(told)


def _model_recipe(learn: Exportable) -> ModelRecipe:
    if learn.model_recipe is None:
        raise ConfigError(
            "it is not known how to build this model again. Learners made by vision_learner know; for a model of your "
            "own, name a function that builds it and its arguments: learn.model_recipe = (build_model, {'n_out': 10}), "
            "and pass the function when loading: load_learner(file, trust=[build_model]). Or write its graph without "
            "the code: learn.export(program=True)."
        )
    return learn.model_recipe


def _program_recipe(learn: Exportable) -> ModelRecipe:
    inputs = example_inputs(learn)
    model = copy.deepcopy(learn.model).cpu().eval()
    return program_model, {"content": program_content(as_program(model, inputs, type(model).__name__))}


def _known_loss(loss_func: Any) -> Any:
    """The loss tells how outputs are read; for a plain one of torch's, one of ours that reads them alike is written."""
    known = decoding_equal(loss_func)
    if known is None:
        raise ConfigError(
            f"it is not known how outputs trained with {loss_name(loss_func)} are read (probabilities? classes?). "
            "Before exporting, set learn.loss_func to a loss with `activation` and `decodes`, such as "
            "CrossEntropyLossFlat(), or to a subclass of BaseLoss of your own, and pass its class when loading: "
            "trust=[MyLoss]."
        )
    return known


def _unshared(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Safetensors refuses names that share memory (tied weights); give each its own."""
    seen: set[int] = set()
    result = {}
    for name, tensor in weights.items():
        pointer = tensor.untyped_storage().data_ptr()
        result[name] = tensor.clone() if pointer in seen and tensor.numel() else tensor
        seen.add(pointer)
    return result
