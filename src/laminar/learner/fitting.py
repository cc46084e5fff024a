"""Fitting: parameter groups, freezing, the optimiser, and the recipes of training that stand on the loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypedDict, Unpack

import torch
from torch import nn
from torch.optim import Optimizer

from laminar import __version__
from laminar.callbacks.checkpoint import Checkpoint
from laminar.callbacks.checkpoint_folder import TrainingState
from laminar.callbacks.schedule import ParamScheduler, combined_cos
from laminar.core.errors import ConfigError, describe
from laminar.core.lengths import FitLength
from laminar.learner.callback_list import Callbacks, as_list
from laminar.learner.check import check_contract, check_trainable
from laminar.learner.course import Course, course_of
from laminar.learner.freezing import freeze_groups
from laminar.learner.rates import Moms, check_momenta, restarts, rise_and_fall
from laminar.learner.resuming import ResumeFrom, where_to_start
from laminar.learner.same_training import described
from laminar.learner.state import gathered
from laminar.learner.transaction import Transactional, transaction
from laminar.metrics.making import mk_metrics
from laminar.optim.groups import (
    Splitter,
    decay_groups,
    get_hyper,
    hyper_names,
    layer_groups,
    n_layer_groups,
    set_hyper,
    spread,
)

__all__ = ["FineTuneOptions", "Fitting"]

Rate = float | Sequence[float] | slice | None


class FineTuneOptions(TypedDict, total=False):
    """The keyword arguments of `Learner.fine_tune` that go to both of its fits."""

    div_final: float
    wd: float | None
    moms: Moms | None
    cbs: Callbacks
    reset_opt: bool
    resume: ResumeFrom


class Fitting(Transactional):
    """What `Learner` does to train; made by `Learner` alone."""

    opt_func: Callable[..., Optimizer]
    lr: float | slice
    splitter: Splitter
    wd: float | None
    wd_bn_bias: bool
    moms: Moms
    check_before_fit: bool
    _rehearse: Callable[[Course, int], None] | None = None  # called in place of the loop, for a plan
    _groups: tuple[tuple[int, ...], list[list[nn.Parameter]]] | None
    _checked: tuple[list[Any], tuple[int, ...]] | None
    _description: dict[str, Any]

    @property
    def metrics(self) -> list[Any]:
        """The metrics, as `Metric`s; whatever `Learner` takes as metrics may be assigned."""
        return self._metrics

    @metrics.setter
    def metrics(self, metrics: Any) -> None:
        self._metrics: list[Any] = mk_metrics(metrics)

    # ---- optimiser and parameter groups ------------------------------------------------------------------------------

    def param_groups(self) -> list[list[nn.Parameter]]:
        """The model's parameters as the splitter groups them."""
        now = self._parameter_ids()
        if self._groups is None or self._groups[0] != now:
            self._groups = (now, layer_groups(self.model, self.splitter))
        return self._groups[1]

    def _parameter_ids(self) -> tuple[int, ...]:
        """Which parameters the model has: others, once the model or one of its layers was replaced."""
        return tuple(map(id, self.model.parameters()))

    def create_opt(self) -> Optimizer:
        """Make a new optimiser for the model."""
        self.model.to(self.device)
        groups = decay_groups(self.model, self.param_groups(), self.wd_bn_bias)
        first = spread(self.lr, len(self.param_groups()))[-1]
        self.opt = opt = self.opt_func(groups, lr=first)
        for group in opt.param_groups:
            for entry in ("weight_decay", "decoupled_decay"):
                if entry in group and not group.get("decays", True):
                    group[entry] = 0.0
        set_hyper(opt, "lr", self.lr)
        if self.wd is not None:
            set_hyper(opt, "wd", self.wd)
        return opt

    def _ready_opt(self, anew: bool = False) -> Optimizer:
        """The optimiser; a new one if asked, or if the model has parameters that the old one does not know."""
        if anew or self.opt is None:
            return self.create_opt()
        known = {id(parameter) for group in self.opt.param_groups for parameter in group["params"]}
        wanted = (id(parameter) for group in self.param_groups() for parameter in group)
        return self.opt if all(parameter in known for parameter in wanted) else self.create_opt()

    def freeze_to(self, n: int) -> Self:
        """Freeze the first `n` parameter groups (all but the last ``-n``, if negative), and let the others train.

        Norm layers in frozen groups go on training unless the learner has ``train_bn=False``.

        Raises:
            ConfigError: it would freeze nothing, or there are fewer groups.
        """
        freeze_groups(self.model, self.param_groups(), n, self.train_bn)
        if self.opt is not None:
            self.opt.state.clear()
        return self

    def freeze(self) -> Self:
        """Freeze all parameter groups but the last.

        Raises:
            ConfigError: there is only one group.
        """
        return self.freeze_to(-1)

    def unfreeze(self) -> Self:
        """Let all parameter groups train."""
        return self.freeze_to(0)

    # ---- the training as data ----------------------------------------------------------------------------------------

    def training_state(self, part: str) -> TrainingState:
        """All that the fit that runs is made of, as data; what `Checkpoint` writes.

        Args:
            part: what has just ended: a batch of ``"train"`` or ``"valid"``, an ``"epoch"``, or it has ``"finished"``.
        """
        state = gathered(self, part)
        state.data["versions"] = self.versions()
        return state

    def training_description(self) -> dict[str, Any]:
        """What the fit that runs is made of: model, data, schedule, ... in a few words each."""
        return self._description

    @staticmethod
    def versions() -> dict[str, str]:
        """Of what decides how numbers come out."""
        return {"laminar": __version__, "torch": str(torch.__version__)}

    # ---- training ----------------------------------------------------------------------------------------------------

    @transaction
    def fit(
        self,
        n_epoch: FitLength,
        lr: Rate = None,
        wd: float | None = None,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
        resume: ResumeFrom = False,
    ) -> None:
        """Train with constant hyper-parameters.

        Args:
            n_epoch: number of epochs, `start_epoch` included; or `Batches` or `Minutes` in place of it.
            lr: learning rate; ``slice(a, b)`` spreads it over the groups, ``slice(b)`` gives b/10 to all but the last.
            wd: weight decay.
            cbs: callbacks for this fit only.
            reset_opt: make a new optimiser.
            start_epoch: epochs that count as done.
            resume: go on where the same call was interrupted, as its `Checkpoint` has it: True, a folder of checkpoints
                or one of them, or a `Resume` that says what may be different.

        Raises:
            ConfigError: parts that do not fit each other (see `laminar.learner.check`).
        """
        course = course_of(n_epoch)
        if not isinstance(start_epoch, int):
            raise ConfigError(f"start_epoch is a whole number of epochs, got {describe(start_epoch)}.")
        if not 0 <= start_epoch <= course.n_epoch:
            raise ConfigError(f"start_epoch={start_epoch} must be from 0 to n_epoch={course.n_epoch}.")
        if self.check_before_fit and course.n_epoch > start_epoch:
            check_trainable(self)
            self._check_once()
        opt = self._ready_opt(reset_opt)
        with self.added_cbs(cbs), _hypers_as_found(opt):
            set_hyper(opt, "lr", self.lr if lr is None else lr)
            decay = self.wd if wd is None else wd
            if decay is not None:
                set_hyper(opt, "wd", decay)
            if self._rehearse is not None:
                self._rehearse(course, start_epoch)
                return
            self._n_fits += 1
            if resume or self.get_cb(Checkpoint) is not None:
                self._description = described(self, *self._call)
            start = where_to_start(self, resume, start_epoch)
            if start is not None:
                self._fit(course, start)

    @transaction
    def fit_one_cycle(
        self,
        n_epoch: FitLength,
        lr_max: Rate = None,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        wd: float | None = None,
        moms: Moms | None = None,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
        resume: ResumeFrom = False,
    ) -> None:
        """Train with the learning rate going up and down once, momentum the other way round (Smith,
        "Super-convergence", 2018).

        Args:
            n_epoch: number of epochs, or `Batches` or `Minutes`.
            lr_max: highest learning rate; a slice or list for different ones in the groups.
            div: the first learning rate is ``lr_max / div``.
            div_final: the last one is ``lr_max / div_final``.
            pct_start: share of the training in which the rate rises.
            wd: weight decay.
            moms: momentum at start, middle and end; the learner's own by default.
            cbs: callbacks for this fit only.
            reset_opt: make a new optimiser.
            start_epoch: epochs that count as done.
            resume: go on where the same call was interrupted, as its `Checkpoint` has it: True, a folder of checkpoints
                or one of them, or a `Resume` that says what may be different.
        """
        moms = self.moms if moms is None else moms
        check_momenta(moms)
        scheds: dict[str, Any] = {"lr": rise_and_fall(self._rates(lr_max, reset_opt), pct_start, div, div_final)}
        if "mom" in hyper_names(self._ready_opt()) and any(get_hyper(self._ready_opt(), "mom")):
            scheds["mom"] = combined_cos(pct_start, *moms)
        self.fit(n_epoch, wd=wd, cbs=[ParamScheduler(scheds), *as_list(cbs)], start_epoch=start_epoch, resume=resume)

    @transaction
    def fit_flat_cos(
        self,
        n_epoch: FitLength,
        lr: Rate = None,
        div_final: float = 1e5,
        pct_start: float = 0.75,
        wd: float | None = None,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
        resume: ResumeFrom = False,
    ) -> None:
        """Train with a constant learning rate that falls to almost nothing at the end.

        Args:
            n_epoch: number of epochs, or `Batches` or `Minutes`.
            lr: learning rate; a slice or list for different ones in the groups.
            div_final: the last one is ``lr / div_final``.
            pct_start: share of the training in which the rate is constant.
            wd: weight decay.
            cbs: callbacks for this fit only.
            reset_opt: make a new optimiser.
            start_epoch: epochs that count as done.
            resume: go on where the same call was interrupted, as its `Checkpoint` has it: True, a folder of checkpoints
                or one of them, or a `Resume` that says what may be different.
        """
        scheds = {"lr": rise_and_fall(self._rates(lr, reset_opt), pct_start, 1.0, div_final)}
        self.fit(n_epoch, wd=wd, cbs=[ParamScheduler(scheds), *as_list(cbs)], start_epoch=start_epoch, resume=resume)

    @transaction
    def fit_sgdr(
        self,
        n_cycles: int,
        cycle_len: int,
        lr_max: Rate = None,
        cycle_mult: int = 2,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        wd: float | None = None,
        start_epoch: int = 0,
        resume: ResumeFrom = False,
    ) -> None:
        """Train in cycles, each beginning again with the highest rate and falling along a cosine (Loshchilov and
        Hutter, "SGDR: Stochastic gradient descent with warm restarts", 2017).

        Args:
            n_cycles: how many.
            cycle_len: epochs of the first cycle.
            lr_max: highest learning rate; a slice or list for different ones in the groups.
            cycle_mult: how many times longer each cycle is than the one before.
            cbs: callbacks for this fit only.
            reset_opt: make a new optimiser.
            wd: weight decay.
            start_epoch: epochs that count as done.
            resume: go on where the same call was interrupted, as its `Checkpoint` has it: True, a folder of checkpoints
                or one of them, or a `Resume` that says what may be different.

        Raises:
            ConfigError: cycles are counted from 1, and do not get shorter.
        """
        for name, count in (("n_cycles", n_cycles), ("cycle_len", cycle_len), ("cycle_mult", cycle_mult)):
            if not isinstance(count, int) or count < 1:
                raise ConfigError(f"fit_sgdr({name}={count!r}): a whole number of 1 or more is needed.")
        lengths = [cycle_len * cycle_mult**number for number in range(n_cycles)]
        scheds = {"lr": restarts(self._rates(lr_max, reset_opt), lengths)}
        self.fit(
            sum(lengths), wd=wd, cbs=[ParamScheduler(scheds), *as_list(cbs)], start_epoch=start_epoch, resume=resume
        )

    @transaction
    def fine_tune(
        self,
        epochs: FitLength,
        base_lr: float = 2e-3,
        freeze_epochs: FitLength = 1,
        lr_mult: float = 100,
        pct_start: float = 0.3,
        div: float = 5.0,
        **options: Unpack[FineTuneOptions],
    ) -> None:
        """Train the last parameter group alone first, then everything with smaller rates for earlier groups.

        Args:
            epochs: epochs for the whole model, or `Batches` or `Minutes`.
            base_lr: learning rate for the last group while the others are frozen; half of it afterwards.
            freeze_epochs: epochs for the last group alone.
            lr_mult: how many times smaller the rate of the first group is.
            pct_start: share of the second part in which the rate rises.
            div: the first rate of the second part is ``base_lr / div``.
            options: for both calls of `fit_one_cycle`: div_final, wd, moms, cbs, reset_opt; resume, which goes on in
                the part that was interrupted.

        Warns:
            UserWarning: the model has one parameter group, so that nothing is frozen.
        """
        if len(self.param_groups()) > 1:
            self.freeze()
        else:
            warnings.warn(
                "fine_tune: the model has one parameter group, so nothing is frozen in the first part. For layers to "
                "be frozen, give Learner a splitter; to train all of it in one go, call fit_one_cycle.",
                stacklevel=2,
            )
        self.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=0.99, **options)
        self.unfreeze()
        low, high = base_lr / 2 / lr_mult, base_lr / 2
        self.fit_one_cycle(epochs, slice(low, high), div=div, pct_start=pct_start, **options)

    def _rates(self, lr: Rate, reset_opt: bool) -> list[float]:
        return spread(self.lr if lr is None else lr, n_layer_groups(self._ready_opt(reset_opt)))

    def _check_once(self) -> None:
        """Check the contract, unless this very combination has been checked."""
        parts = [self.model, self.loss_func, self.dls, *self.metrics]
        checked = (parts, self._parameter_ids())  # which holds the parts, so that no other gets the id of one of them
        known = self._checked
        if known is None or known[1] != checked[1] or list(map(id, known[0])) != list(map(id, parts)):
            check_contract(self, self.metrics)
            self._checked = checked


@contextmanager
def _hypers_as_found(opt: Optimizer) -> Iterator[None]:
    """Put the hyper-parameters of `opt` back at the end."""
    before = [{key: value for key, value in group.items() if key != "params"} for group in opt.param_groups]
    try:
        yield
    finally:
        for group, hypers in zip(opt.param_groups, before, strict=False):  # a callback may have added a group
            group.update(hypers)
