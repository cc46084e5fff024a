"""The weights that come with laminar: where they are, what they were trained on, and how they go into a model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from laminar.core.errors import WeightsError, suggest

__all__ = ["ShippedWeights", "load_shipped", "shipped_names", "shipped_weights"]

_FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class ShippedWeights:
    """Weights that come with laminar, as the file's own header describes them.

    Args:
        name: of the network, as its builder is called.
        path: the ``.safetensors`` file.
        mean: of the training pictures' channels, on the scale 0 to 1; inputs are normalised with it.
        std: standard deviation of the same.
        size: side of the training pictures, in pixels.
        classes: what the last layer's outputs mean.
        metadata: the whole header: licence, generator version, measured accuracy and so on.
    """

    name: str
    path: Path
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    classes: tuple[str, ...]
    metadata: Mapping[str, str]

    def state_dict(self) -> dict[str, Tensor]:
        """The weights, on the CPU; those stored in half precision come as float32."""
        with safe_open(self.path, framework="pt") as opened:
            stored = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (not a mapping)
        return {name: value.float() if value.dtype == torch.float16 else value for name, value in stored.items()}


def shipped_names() -> list[str]:
    """Names of the networks whose weights come with laminar."""
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


@cache
def shipped_weights(name: str) -> ShippedWeights:
    """Describe the weights of a network that come with laminar.

    Raises:
        WeightsError: none come for that network.
    """
    if name not in shipped_names():
        names = shipped_names()
        raise WeightsError(
            f"no weights for {name!r} come with laminar, only for {', '.join(names)}.{suggest(name, names)}"
        )
    path = _FOLDER / f"{name}.safetensors"
    with safe_open(path, framework="pt") as opened:
        header: dict[str, str] = opened.metadata()
    return ShippedWeights(
        name=name,
        path=path,
        mean=tuple(json.loads(header["mean"])),
        std=tuple(json.loads(header["std"])),
        size=int(header["size"]),
        classes=tuple(json.loads(header["classes"])),
        metadata=header,
    )


def load_shipped(model: nn.Sequential, name: str) -> None:
    """Put the shipped weights of the network `name` into `model` (changes `model`).

    All layers must fit, but for the last one: where that has another number of outputs than the shipped one, it
    keeps its own start.

    Raises:
        WeightsError: a layer other than the last has other weights; the message names them.
    """
    weights = shipped_weights(name).state_dict()
    own: dict[str, Any] = model.state_dict()
    last = f"{len(model) - 1}."
    if any(key.startswith(last) and key in own and own[key].shape != weights[key].shape for key in weights):
        weights |= {key: value for key, value in own.items() if key.startswith(last)}
    differing = sorted(
        key for key in own.keys() | weights.keys()
        if key not in own or key not in weights or own[key].shape != weights[key].shape
    )  # fmt: skip
    if differing:
        raise WeightsError(
            f"the weights of {name} do not fit this model: {len(differing)} differ ({', '.join(differing[:5])}, ...)."
            f" They fit {name}() with no other argument than n_out; pass pretrained=False to change the network."
        )
    model.load_state_dict(weights)
