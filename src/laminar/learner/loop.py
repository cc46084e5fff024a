"""The loop: epochs, batches, backward pass and step, with every event where it happens. Read it top to bottom.

A *pass* is one run of the loop: a fit, or an evaluation (`validate`, `get_preds`), which may come in the middle of a
fit. Whatever belongs to a pass is put back when it ends, however it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from laminar.callbacks.base import Callback
from laminar.callbacks.events import (
    CancelBackwardException,
    CancelBatchException,
    CancelEpochException,
    CancelException,
    CancelFitException,
    CancelStepException,
    CancelTrainException,
    CancelValidException,
)
from laminar.callbacks.table import EventTable
from laminar.core.device import default_device, to_device
from laminar.core.errors import ConfigError
from laminar.core.seed import get_random_states, set_random_states
from laminar.core.transform import Transform
from laminar.core.types import plain
from laminar.learner.callback_list import CallbackOwner
from laminar.learner.course import FROM_THE_BEGINNING, Course, Start, length_of
from laminar.learner.freezing import eval_frozen_norms
from laminar.learner.interrupts import Interrupts
from laminar.learner.memory import WORKER_KILLED, is_out_of_memory, is_worker_killed, memory_released, what_was_held
from laminar.learner.model_input import loaders_for_model, parts_of
from laminar.nn.calling import call_model
from laminar.optim.groups import release_gradients

__all__ = ["TrainingLoop"]

_ONE_EPOCH = Course(1)


# What belongs to a pass: saved when one begins, put back when it ends.
_PASS_FIELDS = (
    *("dl", "training", "epoch", "n_epoch", "iter", "n_iter", "train_iter", "pct_train"),
    *("xb", "yb", "pred", "loss", "loss_grad", "should_step", "logger", "autocast", "scaler", "fire"),
    *("_kind", "_train_events", "_valid_events", "_joining", "_device", "_n_inp"),
    *("_other_train_dl", "_course", "_reading", "_loss_may_change"),
)


class TrainingLoop(CallbackOwner):
    """The loop and the state it works on; `Learner` adds what users call.

    Args:
        dls: loaders for training and validation.
        model: the network.
        loss_func: the loss.
        train_bn: let norm layers in frozen groups train.
    """

    opt: Optimizer | None = None

    def __init__(self, dls: Any, model: nn.Module, loss_func: Callable[..., Any], train_bn: bool = True) -> None:
        super().__init__()
        self.model_tfms: Sequence[Transform] = ()  # batch transforms that belong to the model: its normalisation
        self.dls, self.model, self.loss_func, self.train_bn = dls, model, loss_func, train_bn
        self.logger: Callable[[list[Any]], None] = print
        # the pass that runs
        self.dl: Any = None
        self.training = False
        self.epoch = self.n_epoch = self.iter = self.n_iter = self.train_iter = 0
        self.pct_train = 0.0
        # the batch in hand
        self.xb: tuple[Any, ...] = ()
        self.yb: tuple[Any, ...] = ()
        self.pred: Any = None
        self.loss: Any = None
        self.loss_grad: Any = None
        self.should_step = True
        # precision
        self.autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
        self.scaler = torch.amp.GradScaler("cpu", enabled=False)
        self._interrupts = Interrupts()
        # which callbacks are asked
        self._kind = ""  # one of Callback.passes; empty outside any pass
        self._joining: list[Callback] | None = None
        self._busy: list[Callback] = []
        self._other_train_dl: Any = None
        self._course = self._reading = _ONE_EPOCH  # of the fit, and of the part of it that runs
        self._device = torch.device("cpu")
        self._n_inp: int | None = None  # how many parts of a batch are inputs; None: all but the last
        self._loss_may_change = False
        self.fire = self._train_events = self._valid_events = EventTable((), False, self._position, self._busy)

    @property
    def dls(self) -> Any:
        """The loaders. New ones that lack the model's own batch transforms are taken with these added, to a copy."""
        return self._dls

    @dls.setter
    def dls(self, dls: Any) -> None:
        self._dls = loaders_for_model(dls, self.model_tfms)

    # ---- a fit, from the outside in ----------------------------------------------------------------------------------

    def _fit(self, course: Course, start: Start = FROM_THE_BEGINNING, kind: str = "fit", train_dl: Any = None) -> None:
        """Train along a course from its `start` on; `kind` decides which callbacks take part."""
        if self._kind:
            raise ConfigError("a fit cannot begin while another pass runs; end that one first (CancelFitException).")
        with memory_released(), self._pass(kind), closing(course) as self._course:
            first = 0 if start.is_resumed else start.epoch
            self.n_epoch, self.epoch, self._other_train_dl = course.n_epoch, first, train_dl
            self.n_iter = course.n_iter(self._train_dl, first)
            self.train_iter = course.n_before(self._train_dl, first)
            try:
                self.fire.before_fit()
                start.put_back()
                if start.part == "finished":
                    return
                for self.epoch in course.epochs(start.epoch):
                    self._one_epoch(start)
                    start = FROM_THE_BEGINNING
            except CancelFitException:
                self.fire.after_cancel_fit()
            self.fire.after_fit()

    def _one_epoch(self, start: Start) -> None:
        try:
            self.fire.before_epoch()
            if start.part != "valid":
                self._train_epoch(start.within("train"))
            if self._valid_dl is not None:
                self._validate_epoch(self._valid_dl, start.within("valid"))
        except CancelEpochException:
            self.fire.after_cancel_epoch()
        self.fire.after_epoch()

    def _train_epoch(self, start: Start) -> None:
        self.dl, self.training, self.fire = self._train_dl, True, self._train_events
        self.iter, self.n_iter = start.done, self._course.n_iter(self.dl, self.epoch)
        self.pct_train = self._course.progress(self.epoch, start.done, self.n_iter)
        self.model.train()
        if not self.train_bn:
            eval_frozen_norms(self.model)
        try:
            self.fire.before_train()
            start.put_back()
            self._all_batches(self._course, start.done)
        except CancelTrainException:
            self.fire.after_cancel_train()
        self.fire.after_train()
        self._zero_grad()  # nothing of an unfinished accumulation may leak into the next epoch

    def _validate_epoch(self, dl: Any, start: Start = FROM_THE_BEGINNING) -> None:
        self.dl, self.training, self.fire = dl, False, self._valid_events
        self.iter, self.n_iter = start.done, length_of(self.dl)
        self.model.eval()
        try:
            self.fire.before_validate()
            start.put_back()
            with torch.no_grad():
                self._all_batches(Course(1), start.done)
        except CancelValidException:
            self.fire.after_cancel_validate()
        self.fire.after_validate()

    def _all_batches(self, course: Course, done: int) -> None:
        self._reading, self.iter, number, self.n_iter = course, done, done, course.n_iter(self.dl, self.epoch)
        batches = course.batches(self.dl, self.epoch, partial(setattr, self, "n_iter"), done)
        try:
            for self.iter, batch in enumerate(batches, done):
                self._one_batch(batch)
                number = self.iter + 1  # that the loader is asked for now
        except CancelException:
            raise
        except Exception as error:
            self.iter = number
            if not any(note.startswith("in callback") for note in getattr(error, "__notes__", ())):
                error.add_note(f"in {self._position()}")
            raise

    def _one_batch(self, batch: Any) -> None:
        self._receive(batch)
        self.pred = self.loss = self.loss_grad = None  # of the batch before; nobody may take it for this one's
        self.should_step = True
        try:
            self.fire.before_batch()
            with self.autocast():  # does nothing in float32
                xb = self.xb
                self.pred = self.model(*xb) if type(xb[0]) is not dict else call_model(self.model, xb)
                self.fire.after_pred()
                if self.yb:
                    self.loss_grad = self.loss_func(self.pred, *self.yb)
                    loss = self.loss_grad.detach()
                    self.loss = loss.clone() if self._loss_may_change else loss
                self.fire.after_loss()
            if self.training:
                self._backward()
                if self.should_step:
                    self._step()
        except CancelBatchException:
            self.fire.after_cancel_batch()
        if self.training:
            self.train_iter += 1
            self.pct_train = self._course.progress(self.epoch, self.iter + 1, self.n_iter)
        self.fire.after_batch()

    def _backward(self) -> None:
        if self.loss_grad is None:
            raise ConfigError(
                f"there is no loss to learn from: the batch has {len(self.xb)} input(s) and no target. Batches are "
                "tuples (input, target); of several parts, say how many are inputs: DataLoaders(..., n_inp=1). A model "
                "or a callback that makes its own loss sets self.learn.loss_grad in after_loss."
            )
        try:
            self.fire.before_backward()
            self.scaler.scale(self.loss_grad).backward()
        except CancelBackwardException:
            self.fire.after_cancel_backward()
        self.fire.after_backward()

    def _step(self) -> None:
        assert self.opt is not None
        try:
            self.scaler.unscale_(self.opt)
            self.fire.before_step()
            with self._interrupts:  # Ctrl-C waits: no weights are half-stepped
                self.scaler.step(self.opt)
        except CancelStepException:
            self.fire.after_cancel_step()
        self.scaler.update()
        self.fire.after_step()
        release_gradients(self.opt)

    # ---- an evaluation -----------------------------------------------------------------------------------------------

    def _evaluate(self, dl: Any, cbs: Sequence[Callback]) -> None:
        """Go through `dl` once without training, with `cbs` too; inside a fit, the fit does not notice."""
        joining = list(cbs) if self._kind else None
        with memory_released(), self.added_cbs(cbs), self._pass("nested" if self._kind else "evaluation", joining):
            self.n_epoch, self.epoch = 1, 0
            try:
                self.fire.before_fit()
                self.fire.before_epoch()
                self._validate_epoch(dl)
                self.fire.after_epoch()
            except CancelEpochException:
                self.fire.after_cancel_epoch()
            except CancelFitException:
                self.fire.after_cancel_fit()
            self.fire.after_fit()

    # ---- what the loops stand on -------------------------------------------------------------------------------------

    @contextmanager
    def _pass(self, kind: str, joining: list[Callback] | None = None) -> Iterator[None]:
        """Begin a pass, and put back all that belongs to it at the end."""
        random_states = get_random_states() if self._kind else None
        fields = {name: getattr(self, name) for name in _PASS_FIELDS}
        modes = [(module, module.training) for module in self.model.modules()]
        switches = [(callback, callback.run) for callback in self._cbs]
        trains = kind in ("fit", "lr_find")
        try:
            self._kind, self._joining, self._device, self.training = kind, joining, self.device, trains
            self._n_inp = self._count_inputs()
            self.model.to(self._device)
            if isinstance(self.loss_func, nn.Module):
                self.loss_func.to(self._device)
            for callback in self._cbs:  # another learner may have had it meanwhile
                callback.learn = self  # type: ignore[assignment]  # the subclass is a whole learner
            self._bind()
            yield
        except BaseException as error:
            self._clean_up(error)
            raise
        else:
            self._clean_up(None)
        finally:
            if trains:
                self._zero_grad()
            for callback, run in switches:
                callback.run = run
            for module, training in modes:
                module.training = training
            for name, value in fields.items():
                setattr(self, name, value)
            if random_states is not None:
                set_random_states(**random_states)

    def _clean_up(self, error: BaseException | None) -> None:
        """Let callbacks put back what they changed; if that fails too, the exception that ended the pass goes first."""
        if isinstance(error, KeyboardInterrupt):
            error.add_note(f"interrupted in {self._position()}; no step of the optimiser was left unfinished.")
        elif error is not None and is_out_of_memory(error):
            error.add_note(what_was_held(self))
        elif error is not None and is_worker_killed(error, getattr(self.dl, "num_workers", 0)):
            error.add_note(WORKER_KILLED)
        try:
            self.fire.cleanup_fit()
        except Exception as second:
            if error is None:
                raise
            error.add_note(f"and while cleaning up after it: {second!r}")

    def _count_inputs(self) -> int | None:
        """How many parts of a batch are inputs, as the data say; they may have to look at a batch to know."""
        random_states = get_random_states()
        try:
            return getattr(self.dls, "n_inp", None)
        finally:
            set_random_states(**random_states)

    def _bind(self) -> None:
        """Note for each event who listens: when a pass begins, and again when callbacks come or go during it."""
        if not self._kind:
            return
        asked = [cb for cb in self._cbs if self._kind in cb.passes]
        if self._kind == "nested":  # who asked for this pass is in the middle of something
            asked = [cb for cb in asked if cb not in self._busy]
        # whoever may scale loss_grad in place must leave the reported loss alone
        self._loss_may_change = any(cb.listens_to("after_loss") or cb.listens_to("before_backward") for cb in asked)
        self._valid_events = EventTable(asked, False, self._position, self._busy, self._joining)
        if self._kind not in ("evaluation", "nested"):  # these do not train
            self._train_events = EventTable(asked, True, self._position, self._busy, self._joining)
        self.fire = self._train_events if self.training else self._valid_events

    def _position(self) -> str:
        if not self._kind:
            return "outside any training"
        return f"epoch {self.epoch}, batch {self.iter} of {'training' if self.training else 'validation'}"

    def _receive(self, batch: Any) -> None:
        """Take a batch in: onto the device, types off, inputs apart from targets."""
        device = self._device
        parts = batch if isinstance(batch, tuple | list) else parts_of(batch)
        arrived = tuple(
            [part if type(part) is Tensor and part.device == device else _bring(part, device) for part in parts]
        )
        n = self._n_inp or max(len(arrived) - 1, 1)
        self.xb, self.yb = arrived[:n], arrived[n:]

    def _zero_grad(self) -> None:
        if self.opt is not None:
            release_gradients(self.opt)

    # ---- questions about the pass ------------------------------------------------------------------------------------

    @property
    def x(self) -> Any:
        """The input, where there is one; the tuple otherwise."""
        return self.xb[0] if len(self.xb) == 1 else self.xb

    @property
    def y(self) -> Any:
        """The target, where there is one; the tuple otherwise, None without any."""
        return self.yb[0] if len(self.yb) == 1 else self.yb or None

    @property
    def is_last_batch(self) -> bool:
        """Whether this is the last batch of the epoch."""
        return self.iter + 1 == self.n_iter

    @property
    def knows_progress(self) -> bool:
        """Whether `pct_train` is right at every batch: the training loader has a length, or the fit one of its own."""
        return self._course.knows_progress(self._train_dl)

    @property
    def _train_dl(self) -> Any:
        return self.dls[0] if self._other_train_dl is None else self._other_train_dl

    @property
    def _valid_dl(self) -> Any:
        """The validation loader, None if there is none."""
        return self.dls[1] if len(self.dls) > 1 else None

    @property
    def device(self) -> torch.device:
        """Where batches go: the loaders' device, else where the model is."""
        given = getattr(self.dls, "device", None)
        if given is None:
            first = next(iter(self.model.parameters()), None)
            return default_device() if first is None else first.device
        device = torch.device(given)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        return device


def _bring(part: Any, device: torch.device) -> Any:
    """Put a part of a batch onto the device, and take off its types."""
    return plain(to_device(part, device, non_blocking=True))
