"""`TerminateOnNaNCallback`: ends a fit whose loss or gradients are no numbers any more, and says where that began."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from laminar.callbacks.base import Callback, LearnerState
from laminar.callbacks.events import CancelFitException
from laminar.core.device import tensors_in
from laminar.core.errors import describe
from laminar.core.seed import get_random_states, set_random_states
from laminar.nn.calling import call_model

__all__ = ["NonFiniteReport", "TerminateOnNaNCallback"]

_BETWEEN_LOOKS = 0.2  # seconds, on an accelerator
_SHOWN = 5  # names in a report


@dataclass(frozen=True)
class NonFiniteReport:
    """Where values that are no numbers began.

    Attributes:
        epoch: number of the epoch.
        batch: number of the batch in it.
        split: ``"training"`` or ``"validation"``.
        first: what went wrong first, in words.
        layer: name of the layer that went wrong first, None if it was none.
        rows: which items of the batch are affected, as far as the model's outputs or its inputs tell.
        items: their names, where the loader knows them.
    """

    epoch: int
    batch: int
    split: str
    first: str
    layer: str | None = None
    rows: tuple[int, ...] = ()
    items: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = self.items or tuple(f"number {row}" for row in self.rows)
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        items = f" Items: {', '.join(named[:_SHOWN])}{more}." if named else ""
        return f"epoch {self.epoch}, batch {self.batch} of {self.split}: {self.first}.{items}"


class TerminateOnNaNCallback(Callback):
    """Ends the fit when the loss is infinite or no number, or a gradient is; prints and keeps a report.

    On a CPU each batch is looked at before its step, so the weights are the last good ones. On an accelerator it looks
    a few times a second, so that the device need not wait; weights may be spoilt by then, and ``learn.undo()`` brings
    back those from before the fit. With float16 infinite gradients are usual: the scaler skips such steps.

    Attributes:
        report: where it began; None if nothing has.
    """

    order = 90  # after who changes the loss

    def __init__(self) -> None:
        self.report: NonFiniteReport | None = None
        self._finite: Any = None
        self._next_look = 0.0

    def before_fit(self) -> None:
        """Begin."""
        self.report, self._finite, self._next_look = None, None, 0.0

    def after_loss(self) -> None:
        """Look at the loss.

        Raises:
            CancelFitException: it is infinite or no number.
        """
        if self.learn.loss is not None and self._wrong(torch.isfinite(self.learn.loss).all()):
            self._end(_look_forward(self.learn))

    def before_step(self) -> None:
        """Look at the gradients.

        Raises:
            CancelFitException: one is infinite or no number.
        """
        if self.learn.scaler.is_enabled():
            return
        gradients = [p.grad for p in self.learn.model.parameters() if p.grad is not None]
        if gradients and self._wrong(torch.isfinite(torch.nn.utils.get_total_norm(gradients))):
            self._end(_look_backward(self.learn))

    def _wrong(self, finite: Tensor) -> bool:
        """Whether something is known to have gone wrong."""
        if finite.device.type == "cpu":
            return not bool(finite)
        self._finite = finite if self._finite is None else self._finite & finite
        now = time.perf_counter()
        if now < self._next_look and not self.learn.is_last_batch:
            return False
        self._next_look = now + _BETWEEN_LOOKS
        return not bool(self._finite)

    def _end(self, found: tuple[str, str | None, tuple[int, ...]]) -> None:
        first, layer, rows = found
        split = "training" if self.learn.training else "validation"
        names = getattr(self.learn.dl, "names_in_batch", None)
        items = tuple(names(self.learn.iter, rows)) if names is not None and rows else ()
        self.report = NonFiniteReport(self.learn.epoch, self.learn.iter, split, first, layer, rows, items)
        print(f"The fit ended: {self.report}")
        raise CancelFitException


def _look_forward(learn: LearnerState) -> tuple[str, str | None, tuple[int, ...]]:
    """What went wrong first on the way to the loss, in which layer, for which items."""
    for number, tensor in enumerate(tensors_in(learn.xb)):
        if rows := _bad_rows(tensor):
            return f"input {number} holds values that are no numbers ({describe(tensor)})", None, rows
    if spoilt := [name for name, weight in learn.model.named_parameters() if not _is_finite(weight)]:
        return f"weights are no numbers any more: {_listed(spoilt)}; an earlier step spoilt them", spoilt[0], ()
    outputs: list[tuple[str, Any]] = []
    with _as_found(learn), torch.no_grad(), learn.autocast(), _outputs_into(learn.model, outputs):
        pred = call_model(learn.model, learn.xb)
    rows = next(filter(None, map(_bad_rows, tensors_in(pred))), ())
    for name, output in outputs:
        if any(not _is_finite(tensor) for tensor in tensors_in(output)):
            layer = type(learn.model.get_submodule(name)).__name__
            return f"the first outputs that are no numbers are those of {_called(name, layer)}", name, rows
    for number, tensor in enumerate(tensors_in(learn.yb)):
        if rows := _bad_rows(tensor):
            return f"target {number} holds values that are no numbers ({describe(tensor)})", None, rows
    return f"the model's outputs are finite ({_span(learn.pred)}), the loss made of them is not", None, ()


def _look_backward(learn: LearnerState) -> tuple[str, str | None, tuple[int, ...]]:
    """What went wrong first on the way back from a loss that is finite."""
    spoilt = [name for name, p in learn.model.named_parameters() if p.grad is not None and not _is_finite(p.grad)]
    outputs: list[tuple[str, Any]] = []
    arrived: list[str] = []
    with _as_found(learn), torch.enable_grad(), learn.autocast(), _outputs_into(learn.model, outputs):
        pred = call_model(learn.model, learn.xb)
        for name, output in outputs:
            for tensor in tensors_in(output):
                if tensor.requires_grad:
                    watch: Any = tensor.register_hook
                    watch(lambda grad, name=name: None if _is_finite(grad) else arrived.append(name))
        weights = [p for p in learn.model.parameters() if p.requires_grad]
        if learn.yb:
            torch.autograd.grad(learn.loss_func(pred, *learn.yb), weights, allow_unused=True)
    if arrived:
        where = f"coming back, it is first no number at the output of {_called(arrived[0])}"
    else:
        where = f"it becomes so inside {_called(spoilt[-1].rpartition('.')[0])}"
    return (
        f"the loss is finite, its gradient is not: {where}. Gradients of {_listed(spoilt)}",
        (arrived or spoilt)[0],
        (),
    )


@contextmanager
def _as_found(learn: LearnerState) -> Iterator[None]:
    """Put back buffers and random states after asking the model again."""
    states = get_random_states()
    buffers = [(buffer, buffer.clone()) for buffer in learn.model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, saved in buffers:
                buffer.copy_(saved)
        set_random_states(**states)


@contextmanager
def _outputs_into(model: nn.Module, outputs: list[tuple[str, Any]]) -> Iterator[None]:
    """Collect the outputs of all modules, in the order in which they are made: inner ones before outer ones."""

    def note(name: str) -> Any:
        return lambda module, inputs, output: outputs.append((name, output))

    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _bad_rows(tensor: Tensor) -> tuple[int, ...]:
    """The items of a batch that hold values that are no numbers."""
    if not tensor.ndim or _is_finite(tensor):
        return ()
    wrong = ~torch.isfinite(tensor).reshape(len(tensor), -1).all(1)
    return tuple(wrong.nonzero().flatten().tolist())


def _called(name: str, kind: str = "") -> str:
    return f"the layer {name!r}{f' ({kind})' * bool(kind)}" if name else f"the model{f' ({kind})' * bool(kind)}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _span(pred: Any) -> str:
    values = torch.cat([tensor.detach().float().flatten() for tensor in tensors_in(pred)])
    return f"from {float(values.min()):.4g} to {float(values.max()):.4g}" if len(values) else "none"
