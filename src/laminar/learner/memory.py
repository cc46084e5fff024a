"""What is held when memory runs out, and letting go of it; processes that were killed for it."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from laminar.core.device import tensors_in
from laminar.core.errors import describe

__all__ = ["WORKER_KILLED", "is_out_of_memory", "is_worker_killed", "memory_released", "what_was_held"]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory has run out, on a device or in the machine."""
    on_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
    return on_cpu or isinstance(error, MemoryError | torch.OutOfMemoryError)


WORKER_KILLED = (
    "A process that makes batches was killed, or crashed: most often by the system, for lack of memory. Fewer workers"
    " (num_workers=) or smaller batches need less. With a Checkpoint, the same call with resume=True goes on there."
)


def is_worker_killed(error: BaseException, n_workers: int) -> bool:
    """Whether an exception is torch's about a worker process that is gone, or of what connected it."""
    told = isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker")
    return told or (n_workers > 0 and isinstance(error, ConnectionError | EOFError))


def what_was_held(learn: Any) -> str:
    """Say what a learner held when memory ran out, and what needs less.

    Args:
        learn: the learner, in the middle of a pass.
    """
    model, opt = learn.model, learn.opt
    weights = _mebibytes([*model.parameters(), *model.buffers()])
    state = 0.0 if opt is None else _mebibytes(tensors_in([list(s.values()) for s in opt.state.values()]))
    device = learn._device
    in_all = f"; all in all {torch.cuda.memory_allocated(device) / 2**20:,.0f} MiB" if device.type == "cuda" else ""
    bs = learn.xb[0].shape[0] if learn.xb and isinstance(learn.xb[0], Tensor) and learn.xb[0].ndim else 0
    half = max(1, bs // 2)
    less = f"bs={half} with GradientAccumulation(n_acc={bs})" if bs > 1 and learn.training else "smaller items"
    if bs > 1 and not learn.training:
        less = f"bs={half}"
    return (
        f"Memory ran out with inputs {', '.join(describe(part) for part in learn.xb) or 'none'}; weights {weights:,.1f}"
        f" MiB, optimiser {state:,.1f} MiB{in_all}; the rest is what layers keep for the backward pass. Less is needed"
        f" with {less}, learn.to_bf16(), or a smaller picture or sequence. What was held has been released."
    )


def _mebibytes(tensors: Iterable[Tensor]) -> float:
    return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)) / 2**20


@contextmanager
def memory_released() -> Iterator[None]:
    """When Ctrl-C or lack of memory ends a block, let go of what its functions held.

    Their local variables, activations among them, would live on with the traceback, in a notebook until the next error.
    After other exceptions they stay, for who wants to look at them in a debugger.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or is_out_of_memory(error):
            seen: BaseException | None = error
            while seen is not None:
                traceback.clear_frames(seen.__traceback__)
                seen = seen.__context__
            gc.collect()
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch has not annotated it
                torch.cuda.empty_cache()
        raise
