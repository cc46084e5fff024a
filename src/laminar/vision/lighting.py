"""Brightness, contrast and saturation as one linear map of colours in logit space, and hue.

In logit space (``log(x / (1 - x))``) a picture can be made brighter or starker without clipping: results stay between 0
and 1. A step is a 3 by 4 matrix on (red, green, blue, 1); steps compose by multiplication, so any number costs one
pass. A map that treats all colours alike is, for bytes, a table of 256 entries.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "LUMA",
    "apply_light",
    "byte_table",
    "compose_light",
    "grayscale",
    "hsv2rgb",
    "is_grey_map",
    "light_map",
    "rgb2hsv",
    "turn_hue",
]

LUMA = (0.2989, 0.5870, 0.1140)  # ITU-R BT.601, what "grayscale" means in torchvision and fastai
_EPS = 1e-7


def grayscale(x: Tensor) -> Tensor:
    """The luma of colour pictures (ITU-R BT.601): ``[..., 3, height, width]`` to ``[..., 1, height, width]``."""
    return (x * x.new_tensor(LUMA)[:, None, None]).sum(-3, keepdim=True)


def light_map(scale: Tensor, shift: Tensor, saturation: Tensor) -> Tensor:
    """Maps ``[n, 3, 4]`` that mix with grey by `saturation` (1 keeps), then multiply by `scale`, then add `shift`.

    Args:
        scale: ``[n]``, 1 keeps.
        shift: ``[n]``, 0 keeps.
        saturation: ``[n]``, share of the colour; the rest is the picture's grey.
    """
    luma = torch.tensor(LUMA)
    luma = luma / luma.sum()
    mixed = saturation[:, None, None] * torch.eye(3) + (1 - saturation)[:, None, None] * luma.expand(3, 3)
    return torch.cat([scale[:, None, None] * mixed, shift[:, None, None].expand(-1, 3, 1)], 2)


def compose_light(first: Tensor, then: Tensor) -> Tensor:
    """The map that does `first`, then `then`; each ``[n, 3, 4]``."""
    both = then[:, :, :3] @ first
    return torch.cat([both[:, :, :3], both[:, :, 3:] + then[:, :, 3:]], 2)


def is_grey_map(maps: Tensor) -> bool:
    """Whether the maps ``[n, 3, 4]`` treat all colours alike, so that each is one scale and one shift."""
    scale = maps[:, 0, 0]
    return bool((maps[:, :, :3] == scale[:, None, None] * torch.eye(3)).all())


def _scale_and_shift(maps: Tensor) -> tuple[Tensor, Tensor]:
    """What maps ``[n, 3, 4]`` do to grey."""
    return maps[:, 0, :3].sum(1), maps[:, 0, 3]


def _is_identity(maps: Tensor) -> bool:
    return bool((maps == torch.eye(3, 4)).all())


def byte_table(maps: Tensor) -> Tensor:
    """For each of n grey maps, what the bytes 0 to 255 become: ``[n, 256]`` of 0 to 1."""
    scale, shift = _scale_and_shift(maps)
    values = torch.arange(256) / 255
    lit = torch.logit(values, eps=_EPS).mul(scale[:, None]).add_(shift[:, None]).sigmoid_()
    unchanged = (scale == 1) & (shift == 0)
    return torch.where(unchanged[:, None], values, lit)


def apply_light(pictures: Tensor, maps: Tensor) -> Tensor:
    """Apply maps to pictures.

    Args:
        pictures: ``[n, channels, height, width]`` of 0 to 1; with other than 3 channels each is treated as grey.
        maps: ``[n, 3, 4]`` on the CPU.

    Returns:
        New memory, unless no picture changes.
    """
    if _is_identity(maps):
        return pictures
    logits = torch.logit(pictures, eps=_EPS)
    if pictures.shape[1] != 3 or is_grey_map(maps):
        scale, shift = (part.to(logits)[:, None, None, None] for part in _scale_and_shift(maps))
        lit = logits.mul_(scale).add_(shift).sigmoid_()
    else:
        lit = _mixed(logits, maps[:, :, :3].to(logits)).add_(maps[:, :, 3, None, None].to(logits)).sigmoid_()
    same = (maps == torch.eye(3, 4)).flatten(1).all(1)
    if bool(same.any()):
        lit = torch.where(same.to(pictures.device)[:, None, None, None], pictures, lit)
    return lit


def _mixed(pictures: Tensor, matrices: Tensor) -> Tensor:
    """Multiply each colour of picture i by matrix i ``[n, 3, 3]``, keeping the order in memory."""
    if pictures.stride(1) == 1:
        return (pictures.permute(0, 2, 3, 1) @ matrices.transpose(1, 2)[:, None]).permute(0, 3, 1, 2)
    return (matrices @ pictures.flatten(2)).view(pictures.shape)


def rgb2hsv(rgb: Tensor) -> Tensor:
    """Hue, saturation and value, all 0 to 1, of colours ``[n, 3, height, width]`` of 0 to 1 (Smith, 1978)."""
    high, which = rgb.max(1)
    spread = high - rgb.amin(1)
    safe = torch.where(spread > 0, spread, torch.ones_like(spread))
    red, green, blue = rgb.unbind(1)
    hue = torch.where(
        which == 0,
        (green - blue) / safe % 6,
        torch.where(which == 1, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    saturation = spread / torch.where(high > 0, high, torch.ones_like(high))
    return torch.stack([hue / 6, saturation, high], 1)


def hsv2rgb(hsv: Tensor) -> Tensor:
    """Colours ``[n, 3, height, width]`` of 0 to 1 from hue (any, 1 is a full turn), saturation and value."""
    hue, saturation, value = hsv.unbind(1)
    channels = []
    for offset in (5, 3, 1):
        k = (offset + hue * 6) % 6
        channels.append(value - value * saturation * torch.minimum(k, 4 - k).clamp_(0, 1))
    return torch.stack(channels, 1)


def turn_hue(pictures: Tensor, turns: Tensor) -> Tensor:
    """Add to the hue.

    Args:
        pictures: ``[n, 3, height, width]`` of 0 to 1.
        turns: ``[n]``, 1 is a full turn.
    """
    hue, saturation, value = rgb2hsv(pictures).unbind(1)
    turned = hsv2rgb(torch.stack([hue + turns.to(hue)[:, None, None], saturation, value], 1))
    return torch.where((turns == 0).to(hue.device)[:, None, None, None], pictures, turned)
