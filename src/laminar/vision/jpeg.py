"""JPEG files by torchcodec, where it is installed (extra ``fast``): pixels go to torch without Pillow's copies.

Both stand on libjpeg-turbo and give the same pixels. What torchcodec cannot read is left to Pillow, file by file.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from laminar.vision.decoding import (
    Box,
    Header,
    Pixels,
    Resampling,
    Source,
    content_of,
    scale_pixels,
    scales_by_torch,
    whole_box,
)

__all__ = ["cut_jpeg", "decoder", "decodes", "whole_jpeg"]


@cache
def decoder() -> Callable[..., Any] | None:
    """Torchcodec's decoder for JPEG files, or None; one that is installed but cannot be used is warned of, once."""
    if importlib.util.find_spec("torchcodec") is None:
        return None
    try:
        decode_jpeg: Callable[..., Any] = importlib.import_module("torchcodec.decoders").decode_jpeg
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        warnings.warn(
            f"torchcodec is installed but cannot be used ({type(error).__name__}: {str(error).splitlines()[0][:200]}); "
            "pictures are decoded by Pillow. Install the release made for this torch, 0.16 or later, or remove it.",
            stacklevel=2,
        )
        return None
    return decode_jpeg


def decodes(header: Header, mode: str | None) -> bool:
    """Whether the decoder makes of such a file the very pixels that Pillow makes of it for `mode`."""
    return (header.format, mode, header.orientation) == ("JPEG", "RGB", 1) and header.mode in ("RGB", "L")


def cut_jpeg(
    source: Source, header: Header, mode: str | None, size: tuple[int, int], box: Box, resample: Resampling
) -> Pixels | None:
    """Decode a file in full, crop to `box` and scale to `size`.

    Args:
        source: path or content of the file.
        header: its header.
        mode: mode that will be wanted.
        size: width and height of the result.
        box: what is wanted of the picture.
        resample: filter to scale with.

    Returns:
        uint8 ``[height, width, 3]``; None where Pillow has to do it: no torchcodec, another kind of file, a damaged
        one, one to be turned upright, one that Pillow decodes at a reduced scale, or a filter torch does not have.
    """
    reducible = (box[2] - box[0]) >= 2 * size[0] and (box[3] - box[1]) >= 2 * size[1]
    pixels = None
    if not reducible and scales_by_torch(size, box, resample):
        pixels = whole_jpeg(source, header, mode)
    if pixels is None:
        return None
    left, top, right, bottom = whole_box(box)
    return scale_pixels(pixels[:, top:bottom, left:right].permute(1, 2, 0).contiguous(), size, resample)


def whole_jpeg(source: Source, header: Header, mode: str | None) -> Tensor | None:
    """Decode a file in full.

    Args:
        source: path or content of the file.
        header: its header.
        mode: mode that will be wanted.

    Returns:
        uint8 ``[3, height, width]``; None where Pillow has to do it, see `cut_jpeg`.
    """
    decode_jpeg = decoder()
    if decode_jpeg is None or not decodes(header, mode):
        return None
    try:
        # Of bytes, torchcodec would make a tensor itself, which takes longer than decoding a small picture.
        content = torch.frombuffer(bytearray(content_of(source)), dtype=torch.uint8)
        pixels: Tensor = decode_jpeg(content, mode="RGB")
    except RuntimeError:
        return None  # Pillow will say what is wrong with the file
    return pixels
