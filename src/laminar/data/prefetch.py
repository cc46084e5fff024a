"""Copying batches to a CUDA device ahead of their use, on a stream of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch

from laminar.core.device import tensors_in, to_device
from laminar.data.fetching import BatchRequest, Fetched

__all__ = ["copied_ahead"]


def copied_ahead(
    answers: Iterable[tuple[BatchRequest, Fetched]], device: torch.device | None
) -> Iterator[tuple[BatchRequest, Fetched]]:
    """Begin to copy each batch while the one before it is worked on.

    Args:
        answers: requests and batches in page-locked memory, as worker processes make them.
        device: where they go; only to a CUDA device they are copied here.

    Yields:
        The same in the same order; work on the device's current stream waits for the copy.
    """
    if device is None or device.type != "cuda":
        yield from answers
        return
    stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch has not annotated it
    held: tuple[BatchRequest, Fetched, torch.cuda.Event] | None = None
    for request, fetched in answers:
        with torch.cuda.stream(stream):
            copied = replace(fetched, batch=to_device(fetched.batch, device, non_blocking=True))
            done = stream.record_event()
        if held is not None:
            yield _ready(*held, device)
        held = request, copied, done
    if held is not None:
        yield _ready(*held, device)


def _ready(
    request: BatchRequest, fetched: Fetched, done: torch.cuda.Event, device: torch.device
) -> tuple[BatchRequest, Fetched]:
    """Let the current stream wait for the copy, and keep its memory until that stream is done with it."""
    current = torch.cuda.current_stream(device)
    current.wait_event(done)
    for tensor in tensors_in(fetched.batch):
        tensor.record_stream(current)
    return request, fetched
