"""What pictures a network's weights were trained on: their size, how they were scaled, and how they were normalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL.Image import Resampling

from laminar.core.errors import WeightsError, require
from laminar.vision.models.body import Arch, arch_name, named_arch
from laminar.vision.models.pretrained import torchvision_weights
from laminar.vision.models.shipped import shipped_names, shipped_weights
from laminar.vision.models.timm_networks import TIMM_PREFIX

__all__ = ["ExpectedInput", "expected_input"]


@dataclass(frozen=True)
class ExpectedInput:
    """Pictures as a network's weights know them: ``Resize(expected.size, resamples=expected.resamples)``.

    Attributes:
        size: height and width, pixels.
        resamples: Pillow's filter for pictures, and the one for masks, as `Resize` takes them.
        crop_pct: share of the side that was kept by the crop when validating.
        mean: of each channel, 0 to 1.
        std: standard deviation of each channel.
        fixed: whether the network takes no other size unless it is told, as `vision_learner` does.
    """

    size: tuple[int, int]
    resamples: tuple[Resampling, Resampling]
    crop_pct: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fixed: bool = False


def expected_input(arch: Arch, weights: Any = None) -> ExpectedInput:
    """What the weights of a network of torchvision's, timm's or ours were trained on; nothing is fetched.

    Args:
        arch: a function that makes the network, or its name.
        weights: a member of torchvision's enumeration for this network; None for its default. A name of timm's has the
            tag of its weights in itself.

    Raises:
        WeightsError: that is not known.

    >>> expected = expected_input("resnet18")
    >>> expected.size, expected.crop_pct
    ((224, 224), 0.875)
    """
    function = named_arch(arch) if isinstance(arch, str) else arch
    name, home = arch_name(arch), getattr(function, "__module__", "")
    if home.partition(".")[0] == "timm":
        return _of_timm(name.removeprefix(TIMM_PREFIX))
    offered = torchvision_weights(arch)
    if weights is not None or (offered is not None and len(offered)):
        return _of_torchvision((offered["DEFAULT"] if weights is None else weights).transforms())
    if name in shipped_names():
        shipped = shipped_weights(name)
        size = (shipped.size, shipped.size)
        return ExpectedInput(size, _filters("bilinear"), 1.0, tuple(shipped.mean), tuple(shipped.std))
    raise WeightsError(f"no pretrained weights are known for {name}, and so not what pictures they would expect")


def _of_timm(name: str) -> ExpectedInput:
    told: Any = require("timm.models", "timm", f"the input of {name!r}").get_pretrained_cfg(name)
    height, width = told.input_size[-2:]
    return ExpectedInput(
        (int(height), int(width)),
        _filters(told.interpolation),
        float(told.crop_pct),
        tuple(told.mean),
        tuple(told.std),
        bool(told.fixed_input_size),
    )


def _of_torchvision(preset: Any) -> ExpectedInput:
    side, scaled = int(preset.crop_size[0]), int(preset.resize_size[0])
    filters = _filters(preset.interpolation.value)
    return ExpectedInput((side, side), filters, side / scaled, tuple(preset.mean), tuple(preset.std))


def _filters(name: str) -> tuple[Resampling, Resampling]:
    return Resampling[name.upper()], Resampling.NEAREST
