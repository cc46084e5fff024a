"""Weights and optimiser in one safetensors file: tensors by the names of their parameters, numbers as JSON.

Nothing in such a file is executed. ``.pth`` files are read too, as weights only.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from laminar.core.annotations import fits
from laminar.core.errors import ConfigError, WeightsError, describe

__all__ = ["find_file", "fitting_weights", "load_model", "read_weights", "save_model"]

_MODEL, _OPT = "model.", "opt."
_SHOWN = 8  # names in a message


def save_model(file: str | Path, model: nn.Module, opt: Optimizer | None = None, with_opt: bool = True) -> Path:
    """Write weights, and the optimiser's state, to a safetensors file; complete or not at all.

    Args:
        file: where; ``.safetensors`` is added if there is no such ending.
        model: the network.
        opt: its optimiser.
        with_opt: write the optimiser's state too, if there is one.

    Returns:
        The file's path.

    Raises:
        WeightsError: the model's state holds something that is no tensor.
    """
    path = Path(file)
    path = path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
    tensors: dict[str, Tensor] = {}
    for name, value in unwrapped(model).state_dict().items():
        if not isinstance(value, Tensor):
            raise WeightsError(f"{name} in the model's state is a {type(value).__name__}; only tensors can be saved.")
        tensors[_MODEL + name] = value
    about: dict[str, Any] = {"format": 1}
    if with_opt and opt is not None:
        about["opt"] = _describe_opt(opt, unwrapped(model), tensors)
    # Copies: the file format takes neither shared memory (tied weights) nor other memory layouts.
    tensors = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(tensors, unfinished, metadata={"laminar": json.dumps(about)})
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside a wrapper for several devices."""
    inner = getattr(model, "module", None)
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    return inner if isinstance(model, wrappers) and isinstance(inner, nn.Module) else model


def _names(model: nn.Module) -> dict[int, str]:
    return {id(parameter): name for name, parameter in model.named_parameters()}


def _describe_opt(opt: Optimizer, model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The optimiser's numbers as JSON; its tensors go into `tensors`."""
    names = _names(model)
    groups, numbers = [], {}
    for group in opt.param_groups:
        hypers = {key: value for key, value in group.items() if key not in ("params", "param_names")}
        hypers = {key: value.item() if isinstance(value, Tensor) else value for key, value in hypers.items()}
        groups.append({"hypers": hypers, "params": [names.get(id(p), "") for p in group["params"]]})
    for parameter, state in opt.state.items():
        name = names.get(id(parameter))
        if name is None:
            raise WeightsError(
                f"the optimiser holds a parameter of shape {tuple(parameter.shape)} that is not the model's; save with"
                " with_opt=False."
            )
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{_OPT}{name}|{key}"] = value
            else:
                numbers[f"{name}|{key}"] = value
    return {"class": type(opt).__name__, "groups": groups, "numbers": numbers}


# ---- reading ---------------------------------------------------------------------------------------------------------


def find_file(folder: Path, file: str | Path) -> Path:
    """Find a file of weights by its name, with or without ending.

    Raises:
        WeightsError: there is none; the message lists those that are there.
    """
    path = folder / file
    candidates = [path.with_name(path.name + ending) for ending in ("", ".safetensors", ".pth", ".pt")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    there = sorted(p.name for p in path.parent.glob("*") if p.suffix in (".safetensors", ".pth", ".pt"))
    raise WeightsError(
        f"there are no weights {path} (nor with .safetensors or .pth). In {path.parent} there are:"
        f" {', '.join(there) or 'none'}."
    )


def read_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a ``.safetensors`` file, or the weights of a ``.pth`` file, to the CPU.

    Returns:
        The tensors, named as the file names them, and what it says about itself (nothing, if it is not ours).

    Raises:
        WeightsError: the file is damaged, or holds more than weights.
    """
    if file.suffix == ".safetensors":
        with _opened(file) as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}, _about(opened, file)  # noqa: SIM118  # no dict
    _refuse_unfolding(file)
    try:
        # weights_only: nothing in the file is executed.
        content = torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251  # see the line above
    except Exception as error:
        why = (str(error) or repr(error)).splitlines()[0]
        raise WeightsError(f"{file} holds more than weights, or is damaged, and was not read: {why}") from error
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{file} holds no state dict: a {type(content).__name__}.")
    return {str(key): value for key, value in content.items()}, {}


def _refuse_unfolding(file: Path) -> None:
    """Refuse an archive that holds more than its bytes: torch writes none, and reads any to the end.

    Raises:
        WeightsError: it is compressed, or its members overlap.
    """
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{file} is damaged: {error}.") from error
    folded = [info.filename for info in members if info.compress_type != zipfile.ZIP_STORED]
    if folded or sum(info.file_size for info in members) > file.stat().st_size:
        what = f"{folded[0]} in it is compressed" if folded else "its members overlap"
        raise WeightsError(f"{file} was not read: {what}, which torch.save never does; it may unfold to any size.")


def has_opt(file: Path) -> bool:
    """Whether a file holds an optimiser's state beside the weights.

    Raises:
        WeightsError: it is damaged, or no such file.
    """
    if file.suffix != ".safetensors":
        return False
    with _opened(file) as opened:
        return "opt" in _about(opened, file)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """A safetensors file, to read in."""
    try:
        with safe_open(file, framework="pt", device="cpu") as opened:
            yield opened
    except SafetensorError as error:
        raise WeightsError(f"{file} is damaged or no safetensors file: {error}.") from error


def _about(opened: Any, file: Path) -> dict[str, Any]:
    """What a file says about itself: nothing, if it is not ours."""
    try:
        about = json.loads((opened.metadata() or {}).get("laminar", "{}"))
        if not isinstance(about, dict):
            raise ValueError(f"it is {describe(about)}")
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{file}: what the file says about itself cannot be read: {error}.") from error
    return about


def load_model(
    file: str | Path,
    model: nn.Module,
    opt: Optimizer | None = None,
    with_opt: bool = True,
    strict: bool = True,
) -> None:
    """Read weights, and the optimiser's state, into `model` and `opt`; both stay as they are if anything is wrong.

    Args:
        file: a ``.safetensors`` or ``.pth`` file.
        model: the network.
        opt: its optimiser.
        with_opt: read the optimiser's state too, if the file has one.
        strict: names and shapes must be the model's; otherwise those that are, are read.

    Raises:
        WeightsError: the file does not fit; the message names the layers.
    """
    path = Path(file)
    tensors, about = read_weights(path)
    weights = {name.removeprefix(_MODEL): t for name, t in tensors.items() if name.startswith(_MODEL)}
    if "format" not in about:
        weights = tensors
    target = unwrapped(model)
    fitting = fitting_weights(weights, target, path, strict, " strict=False reads what fits.")
    state = _opt_state(tensors, about["opt"], opt, target, path) if with_opt and opt and "opt" in about else None
    target.load_state_dict(fitting, strict=False)
    if state is not None and opt is not None:
        before = opt.param_groups
        opt.load_state_dict(state)
        for group, loaded in zip(before, opt.param_groups, strict=True):  # schedulers hold on to the groups
            group.update(loaded)
        opt.param_groups = before


def fitting_weights(
    weights: Mapping[str, Tensor], model: nn.Module, path: Path, strict: bool = True, remedy: str = ""
) -> dict[str, Tensor]:
    """The weights that fit the model by name, shape and kind of number.

    Args:
        weights: tensors by the names of the model's state.
        model: the network.
        path: the file they come from.
        strict: all must fit; otherwise those that do are given back.
        remedy: what to do, to end the message.

    Raises:
        WeightsError: `strict`, and they do not; names the layers.
    """
    own = model.state_dict()
    missing = [name for name in own if name not in weights]
    unknown = [name for name in weights if name not in own]
    shapes = [
        f"{name} is {_form(weights[name], own[name])} in the file, {_form(own[name], weights[name])} in the model"
        for name in own
        if name in weights and not _alike(own[name], weights[name])
    ]
    if strict and (missing or unknown or shapes):
        parts = [
            ("of another shape or kind of number", shapes),
            ("missing in the file", missing),
            ("not in the model", unknown),
        ]
        told = "; ".join(f"{title}: {_some(names)}" for title, names in parts if names)
        raise WeightsError(f"{path.name} does not fit {type(model).__name__}: {told}.{remedy}")
    return {name: t for name, t in weights.items() if name in own and _alike(own[name], t)}


def _alike(own: Tensor, given: Tensor) -> bool:
    """Whether a tensor of the file can take the place of the model's own."""
    return own.shape == given.shape and own.is_floating_point() == given.is_floating_point()


def _form(tensor: Tensor, other: Tensor) -> str:
    """The shape, or, if that is no difference, the kind of number."""
    return str(tuple(tensor.shape)) if tensor.shape != other.shape else str(tensor.dtype).removeprefix("torch.")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _opt_state(
    tensors: Mapping[str, Tensor], about: Mapping[str, Any], opt: Optimizer, model: nn.Module, path: Path
) -> dict[str, Any]:
    """A state dict for `opt` from what the file holds, matched by the names of parameters."""
    _check_opt(about, path)
    if about["class"] != type(opt).__name__:
        raise WeightsError(
            f"{path.name} holds the state of {about['class']}, the learner's optimiser is {type(opt).__name__};"
            " load with with_opt=False, or use the same opt_func."
        )
    names = _names(model)
    group_of = {name: group["hypers"] for group in about["groups"] for name in group["params"]}
    own = [names.get(id(p), "") for group in opt.param_groups for p in group["params"]]
    unmatched = sorted(set(group_of) ^ set(own))
    if unmatched:
        raise WeightsError(
            f"the optimiser's state in {path.name} is for other parameters: {_some(unmatched)} are on one side only;"
            " load with with_opt=False."
        )
    by_name: dict[str, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith(_OPT):
            name, _, entry = key.removeprefix(_OPT).rpartition("|")
            by_name.setdefault(name, {})[entry] = value
    for key, value in about["numbers"].items():
        name, _, entry = key.rpartition("|")
        by_name.setdefault(name, {})[entry] = value
    result: dict[str, Any] = {"state": {}, "param_groups": opt.state_dict()["param_groups"]}
    for group, members in zip(result["param_groups"], opt.param_groups, strict=True):
        for index, parameter in zip(group["params"], members["params"], strict=True):
            name = names[id(parameter)]
            if name in by_name:
                result["state"][index] = {
                    key: torch.empty_like(parameter, dtype=value.dtype, device="cpu").copy_(value)
                    if isinstance(value, Tensor) and value.shape == parameter.shape
                    else value
                    for key, value in by_name[name].items()
                }
        if members["params"]:
            group.update(_hypers(group_of[names[id(members["params"][0])]], members, path))
    return result


def _hypers(saved: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The hyper-parameters of a group as the file has them."""
    for key, value in saved.items():
        if isinstance(now.get(key), int | float) and not isinstance(value, int | float):
            raise WeightsError(f"{path.name}: {key} of the optimiser is {value!r}, not a number.")
    return {key: tuple(v) if isinstance(v, list) else v for key, v in saved.items() if key != "layer_group"}


def _check_opt(about: Any, path: Path) -> None:
    """Refuse what `_describe_opt` has not written."""
    expected = {"class": str, "groups": list[dict[str, Any]], "numbers": dict[str, Any]}
    right = isinstance(about, dict) and all(fits(about.get(name), hint) for name, hint in expected.items())
    in_group = {"hypers": dict[str, Any], "params": list[str]}
    groups = about["groups"] if right else []
    if not right or not all(fits(group.get(name), hint) for group in groups for name, hint in in_group.items()):
        raise WeightsError(f"{path.name}: its description of the optimiser is malformed; load with with_opt=False.")


def model_folder(path: Path, model_dir: str | Path) -> Path:
    """The folder for a learner's weights.

    Raises:
        ConfigError: `path` is a file.
    """
    if path.is_file():
        raise ConfigError(f"the learner's path {path} is a file; it must be a folder.")
    return path / model_dir


def writable_folder(folder: Path) -> Path:
    """Make `folder` if it is not there, and see that files can be written in it.

    Raises:
        ConfigError: they cannot; the message names the folder and the reason.
    """
    probe = folder / f".{os.getpid()}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"{folder}: weights cannot be written there ({error.strerror}). Give the learner a folder that can be: "
            "Learner(..., path=..., model_dir=...)."
        ) from error
    return folder
