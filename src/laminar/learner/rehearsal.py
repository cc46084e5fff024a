"""A rehearsal: a few batches of a fit on a copy, to see what each will take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.callbacks.events import CancelValidException
from laminar.core.device import tensors_in
from laminar.core.lengths import Batches
from laminar.learner.course import course_of
from laminar.learner.loop import TrainingLoop
from laminar.learner.snapshot import Snapshot

__all__ = ["Measured", "measure", "rehearsing"]

_BATCHES = 3  # the first one, which prepares much, and two that are timed


@dataclass(frozen=True)
class Measured:
    """What batches of a fit take.

    Attributes:
        batch_seconds: a training batch, its loading included.
        valid_seconds: a validation batch; 0 without validation.
        weights: bytes of parameters and buffers.
        gradients: bytes of the gradients.
        optimizer: bytes of the optimiser's state.
        activations: bytes that a batch keeps for the backward pass, inputs included.
    """

    batch_seconds: float
    valid_seconds: float
    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def memory(self) -> int:
        """Bytes in all."""
        return self.weights + self.gradients + self.optimizer + self.activations


@contextmanager
def rehearsing(learn: Any) -> Iterator[None]:
    """Let nothing that is done with a learner last: no weights, no optimiser, no run, and nothing to undo."""
    snapshot, in_transaction = Snapshot(learn), learn._in_transaction
    learn._in_transaction = True  # so that no run is noted
    try:
        yield
    finally:
        learn._in_transaction = in_transaction
        snapshot.restore()


def measure(learn: TrainingLoop) -> Measured:
    """Train on a few batches and validate on as many; inside `rehearsing`, which puts back what that changes."""
    watch, train = _Watch(), learn.dls[0]
    with learn.added_cbs(watch):
        learn._fit(
            course_of(Batches(_BATCHES)), kind="lr_find", train_dl=train.new() if hasattr(train, "new") else train
        )
    held = [*learn.model.parameters(), *learn.model.buffers()]
    weights = sum(tensor.nbytes for tensor in held)
    return Measured(
        _mean(watch.train_times), _mean(watch.valid_times), weights, watch.gradients, watch.optimizer, watch.activations
    )


def _mean(times: list[float]) -> float:
    """The mean time between readings of the clock, without the first one where there are more."""
    between = [after - before for before, after in pairwise(times)]
    timed = between[1:] or between
    return sum(timed) / len(timed) if timed else 0.0


class _Watch(Callback):
    """Reads the clock after each batch, and adds up the memory of the first."""

    order = 1000
    passes = ("lr_find",)

    def __init__(self) -> None:
        self.train_times: list[float] = []
        self.valid_times: list[float] = []
        self.gradients = self.optimizer = self.activations = 0
        self._saved: dict[int, int] = {}
        self._watched = ExitStack()

    def before_train(self) -> None:
        """Start the clock."""
        self.train_times.append(self._now())

    def before_validate(self) -> None:
        """Start the clock."""
        self.valid_times.append(self._now())

    def before_batch(self) -> None:
        """Watch what the first batch keeps for its backward pass."""
        if self.training and not self._saved:
            self._watched.enter_context(torch.autograd.graph.saved_tensors_hooks(self._note, lambda kept: kept))

    def _note(self, kept: Tensor) -> Tensor:
        storage = kept.untyped_storage()  # which several tensors may share, and of which a batch may be a small part
        place = storage.data_ptr()
        self._saved[place] = min(storage.nbytes(), self._saved.get(place, 0) + kept.nbytes)
        return kept

    def after_loss(self) -> None:
        """Add up what is kept, but for the weights."""
        self._watched.close()
        if self.training and not self.activations:
            weights = {t.untyped_storage().data_ptr() for t in [*self.model.parameters(), *self.model.buffers()]}
            for tensor in tensors_in(self.xb):
                self._note(tensor)
            self.activations = sum(size for place, size in self._saved.items() if place not in weights)

    def after_backward(self) -> None:
        """Add up the gradients."""
        grads = [parameter.grad for parameter in self.model.parameters()]
        self.gradients = sum(grad.nbytes for grad in grads if grad is not None)

    def after_batch(self) -> None:
        """Read the clock; leave a validation that has been seen for long enough."""
        (self.train_times if self.training else self.valid_times).append(self._now())
        if self.training:
            self.optimizer = sum(tensor.nbytes for state in self.opt.state.values() for tensor in tensors_in(state))
        elif self.iter + 1 == _BATCHES:
            raise CancelValidException

    def _now(self) -> float:
        if self.learn.device.type == "cuda":
            torch.cuda.synchronize(self.learn.device)
        return time.perf_counter()

    def cleanup_fit(self) -> None:
        """Stop watching, if an exception ended the batch."""
        self._watched.close()
