"""How the tensors of a batch come from a worker process: small ones in the message itself.

Torch puts every tensor into shared memory and asks the worker for it when it arrives. The worker answers between two
items, so that a few bytes of labels are waited for as long as a whole batch of pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laminar.core.device import apply
from laminar.core.types import TensorBase, metadata, plain

__all__ = ["packed", "unpacked"]

_SMALL = 1 << 19  # bytes; from twice as many on, shared memory is the faster way


@dataclass(frozen=True, slots=True)
class _InMessage:
    """A small tensor as it is sent."""

    content: np.ndarray[Any, Any]  # uint8, in the order of memory
    dtype: torch.dtype
    shape: tuple[int, ...]
    order: tuple[int, ...]  # the dimensions from the one with the longest steps in memory to that with the shortest
    kind: type[Tensor]
    meta: dict[str, Any]


def packed(batch: Any) -> Any:
    """The same nested structure, fit to be sent: small tensors on the CPU as their bytes."""
    return apply(_packed, batch)


def unpacked(batch: Any) -> Any:
    """What was given to `packed`."""
    return apply(_unpacked, batch)


def _packed(part: Any) -> Any:
    if type(part) is not Tensor and not isinstance(part, TensorBase):
        return part
    tensor = plain(part)
    if (
        tensor.device.type != "cpu"
        or tensor.layout is not torch.strided
        or tensor.is_quantized
        or tensor.requires_grad
        or not 0 < tensor.nbytes <= _SMALL
    ):
        return part
    order = tuple(sorted(range(tensor.ndim), key=lambda dim: -tensor.stride(dim)))
    in_order = tensor.resolve_conj().resolve_neg().permute(order)
    if not in_order.is_contiguous():
        return part
    content = in_order.reshape(-1).view(torch.uint8).numpy()
    return _InMessage(content, tensor.dtype, tuple(in_order.shape), order, type(part), metadata(part))


def _unpacked(part: Any) -> Any:
    if not isinstance(part, _InMessage):
        return part
    in_order = torch.from_numpy(part.content).view(part.dtype).reshape(part.shape)
    tensor = in_order.permute([part.order.index(dim) for dim in range(len(part.order))])
    if part.kind is Tensor:
        return tensor
    typed: Any = tensor.as_subclass(part.kind)
    typed.__dict__.update(part.meta)
    return typed
