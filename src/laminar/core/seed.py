"""The global random generators: set, keep, restore."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

__all__ = ["set_seed", "get_random_states", "set_random_states", "no_random"]


def set_seed(s: int, reproducible: bool = False) -> None:
    """Seed Python, numpy and torch on every device.

    Args:
        s: the seed.
        reproducible: also ask cuDNN for deterministic algorithms and no timing of alternatives; slower.
    """
    random.seed(s)
    np.random.seed(s % 2**32)
    torch.manual_seed(s)
    if reproducible:
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def get_random_states() -> dict[str, Any]:
    """The state of every global generator, for `set_random_states`."""
    cuda_used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch has not annotated it
    return {
        "random_state": random.getstate(),
        "numpy_state": np.random.get_state(),
        "torch_state": torch.get_rng_state(),
        "torch_cuda_state": torch.cuda.get_rng_state_all() if cuda_used else [],
        "torch_deterministic": torch.backends.cudnn.deterministic,
        "torch_benchmark": torch.backends.cudnn.benchmark,
    }


def set_random_states(
    random_state: Any,
    numpy_state: Any,
    torch_state: torch.Tensor,
    torch_cuda_state: list[torch.Tensor],
    torch_deterministic: bool,
    torch_benchmark: bool,
) -> None:
    """Put every global generator back into a state that `get_random_states` returned."""
    random.setstate(random_state)
    np.random.set_state(numpy_state)
    torch.set_rng_state(torch_state)
    if torch_cuda_state:
        torch.cuda.set_rng_state_all(torch_cuda_state)
    torch.backends.cudnn.deterministic = torch_deterministic
    torch.backends.cudnn.benchmark = torch_benchmark


@contextlib.contextmanager
def no_random(seed: int = 42, reproducible: bool = True) -> Iterator[None]:
    """Seed everything inside, and leave the generators outside as they were."""
    states = get_random_states()
    try:
        set_seed(seed, reproducible)
        yield
    finally:
        set_random_states(**states)
