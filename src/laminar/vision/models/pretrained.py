"""Finding pretrained weights and what they were trained on, and putting them into a body."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251  (the name of an error of torch.load)
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torchvision import models as torchvision_models
from torchvision.models import WeightsEnum

from laminar.core.errors import WeightsError, suggest
from laminar.vision.models.body import (
    Arch,
    Cut,
    accepts,
    adapt_channels,
    arch_name,
    build_arch,
    check_arch,
    cut_model,
    named_arch,
)
from laminar.vision.models.shipped import shipped_names, shipped_weights

__all__ = ["FoundWeights", "PretrainedBody", "Weights", "find_weights", "pretrained_body"]

Weights: TypeAlias = WeightsEnum | str | Path | Mapping[str, Tensor] | None
Numbers = tuple[float, ...]

_FILES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
_INSIDE = ("state_dict", "model", "model_state_dict", "net")  # where training programs put the weights in a file
_HALF = (0.5, 0.5, 0.5)  # these two networks rescale ImageNet-normalised input to this, outside their layers
_RESCALING = ("googlenet", "inception_v3")


@dataclass(frozen=True)
class FoundWeights:
    """Weights and what they expect of their input.

    Attributes:
        state: name to tensor.
        source: what to call them in messages.
        mean: of the channels of the pictures they were trained on, 0 to 1; None when unknown.
        std: standard deviation of the same.
        size: side of the pictures they were trained on, pixels; None when unknown.
    """

    state: Mapping[str, Tensor]
    source: str
    mean: Numbers | None = None
    std: Numbers | None = None
    size: int | None = None


@dataclass(frozen=True)
class PretrainedBody:
    """A body, and the statistics to normalise its input with, one for each channel; None when unknown."""

    body: nn.Module
    mean: Numbers | None
    std: Numbers | None
    pretrained: bool = True


def pretrained_body(arch: Arch, weights: Weights = None, n_in: int = 3, cut: Cut = None) -> PretrainedBody:
    """Make the body of a network with pretrained weights. The weights of its own classifier are ignored.

    The statistics to normalise with are those that came with the weights, else those that the network tells: a mapping
    ``pretrained_cfg`` with ``mean`` and ``std``, as timm's networks have it.

    Args:
        arch: a function that makes the network, or its name, see `body.named_arch`.
        weights: see `find_weights`.
        n_in: channels of the pictures; the first layer is adapted, see `body.adapt_channels`.
        cut: see `body.create_body`.

    Raises:
        WeightsError: weights cannot be found, read, or do not fit.
        ConfigError: the network cannot be cut.
    """
    check_arch(arch)
    arch = named_arch(arch) if isinstance(arch, str) else arch
    if weights is None and _loads_itself(arch):
        model = _loading_itself(arch)
        found = FoundWeights({}, arch_name(arch))
    else:
        found = find_weights(arch, weights)
        model = build_arch(arch)
        load_body(model, found, n_in, cut)
    if found.mean is None or found.std is None:
        mean, std = _statistics_told_by(model)
        found = replace(found, mean=mean, std=std)
    body = cut_model(model, cut)
    adapt_channels(body, n_in)
    return PretrainedBody(body, _for_channels(found.mean, n_in), _for_channels(found.std, n_in))


def _statistics_told_by(model: nn.Module) -> tuple[Numbers | None, Numbers | None]:
    """Mean and std of the pictures that a network was trained on; None if it does not tell them as timm's do."""
    told = getattr(model, "pretrained_cfg", None)
    if not isinstance(told, Mapping) or not told.get("mean") or not told.get("std"):
        return None, None
    mean, std = (tuple(float(number) for number in told[key]) for key in ("mean", "std"))
    return mean, std


def _for_channels(numbers: Numbers | None, n_in: int) -> Numbers | None:
    """Statistics of red, green and blue for `n_in` channels: those there are, and their average for the others."""
    if numbers is None or len(numbers) == n_in:
        return numbers
    average = sum(numbers) / len(numbers)
    return (average,) if n_in == 1 else (*numbers[:n_in], *[average] * (n_in - len(numbers)))


def find_weights(arch: Arch, weights: Weights = None) -> FoundWeights:
    """Find weights for a network.

    Args:
        arch: a function that makes the network, or the name of one of torchvision's.
        weights: a member of the network's torchvision ``..._Weights``, its name (``"IMAGENET1K_V1"``), a path to a
            ``.safetensors`` or ``.pth`` file, or a state dict. None for those that belong to `arch`: torchvision's
            default (downloaded into torch's cache), or those that come with laminar.

    Raises:
        WeightsError: there are none, they cannot be downloaded or read; the message says what to do.
    """
    if isinstance(weights, Mapping):
        return replace(_known_input(arch), state=_tensors(weights, "the state dict"), source="the state dict")
    if isinstance(weights, Path) or (isinstance(weights, str) and weights.endswith(_FILES)):
        return _read_file(arch, Path(weights))
    offered = torchvision_weights(arch)
    if isinstance(weights, WeightsEnum):
        return _download(arch, weights)
    if isinstance(weights, str):
        name = weights.rpartition(".")[2]
        names = [] if offered is None else list(offered.__members__)
        if offered is None or name not in names:
            raise WeightsError(
                f"{arch_name(arch)} has no weights {weights!r}, only {names or 'none by name'}.{suggest(name, names)} "
                f"A file must end in {', '.join(_FILES)}."
            )
        return _download(arch, offered[name])
    if offered is not None and len(offered):
        return _download(arch, offered["DEFAULT"])
    if arch_name(arch) in shipped_names():
        shipped = shipped_weights(arch_name(arch))
        return FoundWeights(shipped.state_dict(), str(shipped.path), shipped.mean, shipped.std, shipped.size)
    raise WeightsError(
        f"no pretrained weights are known for {arch_name(arch)}. Pass weights= (a .safetensors or .pth file, or a "
        "state dict), or pretrained=False to train from scratch."
    )


def _loads_itself(arch: Callable[..., nn.Module]) -> bool:
    """Whether `arch` is a function of the user's (or one of ours without shipped weights) with ``pretrained=``."""
    return accepts(arch, "pretrained") and torchvision_weights(arch) is None and arch_name(arch) not in shipped_names()


def _loading_itself(arch: Callable[..., nn.Module]) -> nn.Module:
    try:
        return build_arch(arch, pretrained=True)
    except (OSError, RuntimeError) as error:  # timm finds no connection, or knows no weights
        if not getattr(arch, "__module__", "").startswith("timm"):
            raise
        raise WeightsError(
            f"timm cannot get the weights of {arch_name(arch)} ({str(error).splitlines()[0]}). Without a connection: "
            "fetch model.safetensors of that name elsewhere, from huggingface.co/timm, and pass its path as weights=, "
            "or train from scratch with pretrained=False."
        ) from error


def torchvision_weights(arch: Arch) -> Any:
    """The enum in torchvision of the weights of `arch`; None when it is not torchvision's."""
    arch = named_arch(arch) if isinstance(arch, str) else arch
    theirs = getattr(arch, "__module__", "").startswith("torchvision.")
    return torchvision_models.get_model_weights(arch) if theirs else None


def _input_of(arch: Arch, weights: Any) -> FoundWeights:
    """What a member of a torchvision enum says about the pictures it was trained on."""
    preset = weights.transforms()
    mean, std = tuple(preset.mean), tuple(preset.std)
    if arch_name(arch) in _RESCALING:
        mean, std = _HALF, _HALF
    return FoundWeights({}, str(weights), mean, std, int(preset.crop_size[0]))


def _known_input(arch: Arch) -> FoundWeights:
    """The input that torchvision's default weights of `arch` want; also right for users' own in most cases."""
    offered = torchvision_weights(arch)
    return FoundWeights({}, arch_name(arch)) if not offered else _input_of(arch, offered["DEFAULT"])


def _download(arch: Arch, weights: Any) -> FoundWeights:
    try:
        state = weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash is a RuntimeError
        file = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
        raise WeightsError(
            f"cannot download the weights {weights} of {arch_name(arch)} ({error}). Without a connection: fetch "
            f"{weights.url} elsewhere and put it at {file}, or pass its path as weights=, or train from scratch with "
            "pretrained=False."
        ) from error
    return replace(_input_of(arch, weights), state=state)


def _read_file(arch: Arch, path: Path) -> FoundWeights:
    """Read a file without executing anything in it."""
    if not path.is_file():
        raise WeightsError(f"there is no file {path} (weights=)")
    known = replace(_known_input(arch), source=str(path))
    try:
        if path.suffix != ".safetensors":
            content = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251  (tensors only: runs nothing)
            return replace(known, state=_tensors(content, str(path)))
        with safe_open(path, framework="pt") as opened:
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (not a mapping)
            header = opened.metadata() or {}
    except (UnpicklingError, RuntimeError, EOFError, SafetensorError) as error:
        raise WeightsError(
            f"{path} cannot be read as plain weights ({type(error).__name__}): it is damaged, or holds more than "
            "tensors. Such a file is not opened, since that would run code: where it came from, save "
            "model.state_dict() with safetensors.torch.save_file or torch.save."
        ) from error
    if "mean" in header and "std" in header:
        mean, std = (tuple(float(number) for number in json.loads(header[key])) for key in ("mean", "std"))
        known = replace(known, mean=mean, std=std)
    return replace(known, state=state)


def _tensors(content: Any, source: str) -> dict[str, Tensor]:
    """The state dict in what a file holds."""
    for key in _INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"{source} holds {type(content).__name__} instead of names and tensors (a state dict)")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    prefix = "module."  # DataParallel's
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


def load_body(model: nn.Module, found: FoundWeights, n_in: int = 3, cut: Cut = None) -> None:
    """Put weights into the part of `model` that its body is cut from (changes `model`); its head stays as it is.

    Args:
        model: the whole network.
        found: names as in `model`, or as in a network that was made of this body and a head.
        n_in: channels of the pictures; if the weights were trained on so many, the first layer is made for them.
        cut: see `body.create_body`.

    Raises:
        WeightsError: weights of the body are missing, or there are too many, or of other shapes; named in the message.
    """
    all_names = model.state_dict().keys()  # timm's networks lose their heads when they are cut
    names = _names_of_body(model, cut)
    state = dict(found.state)
    ours = {f"0.{inner}": outer for inner, outer in names.items()}
    if ours.keys() <= state.keys():  # trained here: "0." is the body, "1." the head
        state = {outer: state[name] for name, outer in ours.items()}
    first = next((name for name, part in model.named_modules() if isinstance(part, nn.Conv2d)), "")
    weight = state.get(f"{first}.weight")
    if weight is not None and weight.ndim == 4 and weight.shape[1] == n_in != 3:
        adapt_channels(model, n_in, fresh=True)
    own = model.state_dict()
    wanted = set(names.values())
    missing = [name for name in wanted - state.keys() if not name.endswith("num_batches_tracked")]
    other = [name for name in wanted & state.keys() if own[name].shape != state[name].shape]
    parts = {name.partition(".")[0] for name in wanted}
    surplus = [name for name in state.keys() - all_names if name.partition(".")[0] in parts]
    if missing or other or surplus:
        shapes = [f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}" for name in sorted(other)]
        problems = [("missing", missing), ("of another shape", shapes), ("not in the network", surplus)]
        told = "; ".join(
            f"{len(found_names)} {what}: {_few(found_names)}" for what, found_names in problems if found_names
        )
        raise WeightsError(
            f"{found.source} does not fit the body of {type(model).__name__}: {told}. Are these the weights of another "
            "architecture?"
        )
    model.load_state_dict({name: state[name] for name in wanted & state.keys()}, strict=False)


def _names_of_body(model: nn.Module, cut: Cut) -> dict[str, str]:
    """Name in the body to name in the whole network; all names, if the cut copies layers."""
    inner = {id(value): name for name, value in cut_model(model, cut).state_dict(keep_vars=True).items()}
    whole = model.state_dict(keep_vars=True)
    shared = {inner[id(value)]: name for name, value in whole.items() if id(value) in inner}
    return shared or {name: name for name in whole}


def _few(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:4]) + (", ..." if len(listed) > 4 else "")
