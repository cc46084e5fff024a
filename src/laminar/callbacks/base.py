"""`Callback`, the one way to change the training: a class with one method for each event."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar, Generic, NoReturn, Protocol, TypeVar, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from laminar.callbacks.events import EVENTS
from laminar.core.errors import check_keywords, suggest

__all__ = ["Callback", "FromLearner", "LearnerState", "before_batch_cb"]

T = TypeVar("T")
C = TypeVar("C", bound="Callback")


class LearnerState(Protocol):
    """What callbacks may read, and write, of the learner they belong to: ``self.learn``."""

    # the parts
    dls: Any
    model: nn.Module
    loss_func: Callable[..., Any]
    opt: Optimizer | None
    metrics: list[Any]
    path: Path
    logger: Callable[[list[Any]], None]
    # the pass that runs
    dl: Any
    training: bool
    epoch: int
    n_epoch: int
    iter: int
    n_iter: int
    train_iter: int
    pct_train: float
    fire: Any
    """Asks all callbacks: ``fire.after_loss()``; for what goes through the model again."""
    # the batch in hand
    xb: tuple[Any, ...]
    yb: tuple[Any, ...]
    pred: Any
    loss: Any
    loss_grad: Any
    should_step: bool
    # precision
    autocast: Callable[[], AbstractContextManager[Any]]
    scaler: torch.amp.GradScaler

    @property
    def cbs(self) -> list[Callback]:
        """The callbacks, in the order in which they are asked."""

    @property
    def device(self) -> torch.device:
        """Where batches go."""

    @property
    def is_last_batch(self) -> bool:
        """Whether this is the last batch of the epoch."""

    @property
    def knows_progress(self) -> bool:
        """Whether `pct_train` is right at every batch."""

    def get_cb(self, kind: type[C]) -> C | None:
        """The callback of class `kind`, if there is one."""

    @property
    def fit_number(self) -> tuple[int, int]:
        """Which fit this is: the number of the call that trains, and that of the fit in it."""

    def training_state(self, part: str) -> Any:
        """All that the fit that runs is made of, as data."""

    def training_description(self) -> dict[str, Any]:
        """What it is made of, in a few words."""

    def freeze_to(self, n: int) -> Any:
        """Freeze the first `n` parameter groups, and let the others train."""

    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        with_input: bool = False,
        with_decoded: bool = False,
        *,
        cbs: Any = None,
    ) -> tuple[Any, ...]:
        """Predict a whole set."""

    def validate(self, ds_idx: int = 1, dl: Any = None, cbs: Any = None) -> list[float | None]:
        """Compute the loss and all metrics."""

    def show_results(self, ds_idx: int = 1, dl: Any = None, max_n: int = 9, shuffle: bool = True) -> Any:
        """Draw some items with their targets and predictions."""

    def models_folder(self) -> Path:
        """The folder for weights, made if it is not there."""

    def save(self, file: str | Path, with_opt: bool = True) -> Path:
        """Write the weights to a file."""

    def load(
        self,
        file: str | Path,
        device: torch.device | str | int | None = None,
        with_opt: bool = True,
        strict: bool = True,
    ) -> Any:
        """Read the weights from a file."""


class FromLearner(Generic[T]):
    """A field of the learner that callbacks read as their own and write through ``self.learn``."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, callback: None, owner: type) -> FromLearner[T]: ...
    @overload
    def __get__(self, callback: Callback, owner: type) -> T: ...
    def __get__(self, callback: Callback | None, owner: type) -> FromLearner[T] | T:
        if callback is None:
            return self
        return getattr(callback.learn, self.name)  # type: ignore[no-any-return]  # declared by the field's annotation

    def __set__(self, callback: Callback, value: object) -> NoReturn:
        raise AttributeError(
            f"{type(callback).__name__}.{self.name} reads the learner's {self.name}; to change that, write"
            f" `self.learn.{self.name} = ...`. For something of the callback's own, take another name."
        )


class Callback:
    """One technique: override the methods of the events it needs.

    For a few lines, pass functions instead; each is called with the callback: ``Callback(after_epoch=lambda cb:
    print(cb.epoch))``.

    Whatever a callback changes for the time of a fit, it puts back in `cleanup_fit`, which always runs.

    Args:
        events: a function for each event to listen to.

    Raises:
        TypeError: an unknown event.
    """

    order: ClassVar[int] = 0
    """Callbacks are asked in ascending order; `Recorder` has 50, the progress bar 60."""
    run: bool = True
    """Set to False, the callback is asked nothing; put back after the fit."""
    run_train: bool = True
    """Whether it is asked at the events inside a batch while training."""
    run_valid: bool = True
    """Whether it is asked at the events inside a batch while validating."""
    passes: ClassVar[Container[str]] = ("fit", "lr_find", "evaluation", "nested")
    """Where it takes part: in fits, in `lr_find`, in an evaluation (`validate`, `get_preds`, `predict`) of its own, or
    in one nested in a fit (where the callback that asked for it is left out). A callback that keeps records of the
    training has ``("fit",)``."""
    only_watches: ClassVar[bool] = False
    """Whether the training is the same without it: an interrupted one may then be resumed with or without it."""
    allow_several: ClassVar[bool] = False
    """Whether a learner may have two callbacks of this class."""

    learn: LearnerState
    """The learner; set when the callback is added to it."""

    xb = FromLearner[tuple[Any, ...]]("The inputs of the batch, as a tuple of plain tensors.")
    yb = FromLearner[tuple[Any, ...]]("The targets of the batch, as a tuple of plain tensors.")
    x = FromLearner[Any]("The input, where there is one; the tuple otherwise.")
    y = FromLearner[Any]("The target, where there is one; the tuple otherwise.")
    pred = FromLearner[Any]("What the model returned.")
    loss = FromLearner[Tensor]("The loss of the batch, detached: what is reported.")
    loss_grad = FromLearner[Tensor]("The loss that is differentiated.")
    opt = FromLearner[Optimizer]("The optimiser.")
    dl = FromLearner[Any]("The loader that is being read.")
    dls = FromLearner[Any]("The loaders for training and validation.")
    model = FromLearner[nn.Module]("The model.")
    training = FromLearner[bool]("Whether this is training, not validation.")
    should_step = FromLearner[bool]("Whether the optimiser steps after this batch.")
    iter = FromLearner[int]("The batch's place in the epoch, from 0.")
    n_iter = FromLearner[int]("The number of batches in the epoch; 0 while it is not known.")
    is_last_batch = FromLearner[bool]("Whether this is the last batch of the epoch.")
    epoch = FromLearner[int]("The epoch, from 0.")
    n_epoch = FromLearner[int]("The number of epochs in the fit.")
    train_iter = FromLearner[int]("Training batches since the fit began.")
    pct_train = FromLearner[float]("How much of the training is done, 0 to 1.")

    def __init__(self, **events: Callable[[Any], None]) -> None:
        check_keywords(events, EVENTS, type(self).__name__)
        for event, function in events.items():
            setattr(self, event, partial(function, self))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            if name in _LEARNER_FIELDS:
                raise TypeError(
                    f"{cls.__name__}.{name} hides the learner's {name}, which callbacks read as `self.{name}`;"
                    " take another name."
                )
            if isinstance(value, FunctionType) and name not in EVENTS and _looks_like_event(name):
                raise TypeError(
                    f"{cls.__name__}.{name} is no event and would never be called.{suggest(name, EVENTS)}"
                    f" The events are: {', '.join(EVENTS)}. For a method of your own, take another name."
                )

    def __getattr__(self, name: str) -> NoReturn:
        """Explain a name that is not there; nothing is looked up elsewhere."""
        remedy = ""
        if not name.startswith("__") and hasattr(self.__dict__.get("learn"), name):
            remedy = f" The learner's is `self.learn.{name}`."
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.{remedy}", name=name, obj=self)

    @property
    def name(self) -> str:
        """The class name in snake case, without "Callback": how ``learn.<name>`` finds it."""
        name = re.sub(r"Callback$", "", type(self).__name__) or "Callback"
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()

    def listens_to(self, event: str) -> bool:
        """Whether this callback does something at `event`."""
        return getattr(type(self), event) is not getattr(Callback, event) or event in vars(self)

    def __repr__(self) -> str:
        return type(self).__name__

    def state_dict(self) -> dict[str, Any]:
        """What must be saved for the callback to go on after an interruption: numbers, strings, lists, tensors."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""

    # ---- the events, in the order in which they come -----------------------------------------------------------------

    def after_create(self) -> None:
        """The callback has been added to a learner."""

    def before_fit(self) -> None:
        """A fit begins: optimiser and model are ready, on their device."""

    def before_epoch(self) -> None:
        """An epoch begins."""

    def before_train(self) -> None:
        """The training part of an epoch begins; the model is in training mode."""

    def before_batch(self) -> None:
        """A batch has arrived: `xb` and `yb` may be changed through ``self.learn``."""

    def after_pred(self) -> None:
        """The model has answered: `pred`."""

    def after_loss(self) -> None:
        """The loss is computed: `loss` is reported, `loss_grad` is what will be differentiated."""

    def before_backward(self) -> None:
        """Training only: before the gradients are computed."""

    def after_cancel_backward(self) -> None:
        """A `CancelBackwardException` was raised."""

    def after_backward(self) -> None:
        """The gradients are there (scaled, with float16); ``self.learn.should_step`` decides about the step."""

    def before_step(self) -> None:
        """Before the optimiser's step; gradients are not scaled any more and may be changed."""

    def after_cancel_step(self) -> None:
        """A `CancelStepException` was raised."""

    def after_step(self) -> None:
        """After the optimiser's step; the gradients are still there."""

    def after_cancel_batch(self) -> None:
        """A `CancelBatchException` was raised."""

    def after_batch(self) -> None:
        """The batch is done."""

    def after_cancel_train(self) -> None:
        """A `CancelTrainException` was raised."""

    def after_train(self) -> None:
        """The training part of an epoch is done."""

    def before_validate(self) -> None:
        """The validation part of an epoch begins; the model is in evaluation mode."""

    def after_cancel_validate(self) -> None:
        """A `CancelValidException` was raised."""

    def after_validate(self) -> None:
        """The validation part of an epoch is done."""

    def after_cancel_epoch(self) -> None:
        """A `CancelEpochException` was raised."""

    def after_epoch(self) -> None:
        """The epoch is done."""

    def after_cancel_fit(self) -> None:
        """A `CancelFitException` was raised."""

    def after_fit(self) -> None:
        """The fit is done, and no exception ended it."""

    def cleanup_fit(self) -> None:
        """Put back what was changed for the fit. Always runs last, after an exception or Ctrl-C too."""


_LEARNER_FIELDS = {name for name, value in vars(Callback).items() if isinstance(value, FromLearner)} | {"learn"}


def _looks_like_event(name: str) -> bool:
    """Whether a method is surely meant to be an event: by its first word, or but for a letter or two."""
    if name.startswith("_"):
        return False
    return name.startswith(("before_", "after_", "on_")) or bool(difflib.get_close_matches(name, EVENTS, 1, cutoff=0.9))


def before_batch_cb(f: Callable[[Any, tuple[Any, ...], tuple[Any, ...]], tuple[Any, Any]]) -> Callback:
    """Make a callback that edits each batch; usable as a decorator.

    Args:
        f: called with the callback, inputs and targets; returns the new inputs and targets (tensors or tuples).
    """

    def edit(callback: Callback) -> None:
        xb, yb = f(callback, callback.xb, callback.yb)
        callback.learn.xb = xb if isinstance(xb, tuple) else (xb,)
        callback.learn.yb = yb if isinstance(yb, tuple) else (yb,)

    return Callback(before_batch=edit)
