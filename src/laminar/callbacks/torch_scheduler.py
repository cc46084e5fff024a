"""Torch's own schedulers, stepped by the loop."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from laminar.callbacks.accumulate import GradientAccumulation
from laminar.callbacks.base import Callback
from laminar.callbacks.schedule import ParamScheduler
from laminar.callbacks.tracker import ReduceLROnPlateau as EpochPlateau
from laminar.callbacks.tracker import monitored_column, monitored_value
from laminar.core.errors import ConfigError, describe, suggest
from laminar.optim.groups import get_hyper

__all__ = ["TorchScheduler"]

Factory = Callable[[Optimizer], LRScheduler]
_UNITS = ("batch", "epoch")


class TorchScheduler(Callback):
    """Lets one of torch's schedulers set the learning rate: ``TorchScheduler(partial(StepLR, step_size=2))``.

    Each fit makes its own from the optimiser, whose learning rates are those the fit was given. When the fit is over
    hyper-parameters are as before.

    Args:
        factory: makes the scheduler of the optimiser: a scheduler's class, a ``partial`` of one, or a function.
        step: what it counts. ``"batch"``: steps of the optimiser, so that under `GradientAccumulation` a window of
            batches counts as the one large batch it stands for (``total_steps`` is then the number of windows), and a
            step that was left out does not count (but one that a fused optimiser skips by itself, in float16, whose
            gradients were infinite, does: nobody reads that from the device). ``"epoch"``: epochs, after validation.
        monitor: column of the table whose value the scheduler gets (`torch.optim.lr_scheduler.ReduceLROnPlateau`).

    Raises:
        ConfigError: a scheduler that is made already; another unit; a `monitor`, which has one value an epoch, by
            batches.
    """

    order = 60  # when the recorder has noted what this batch was trained with, and the row of the epoch
    run_valid = False
    passes = ("fit",)

    def __init__(self, factory: Factory, step: Literal["batch", "epoch"] = "epoch", monitor: str | None = None) -> None:
        if not callable(factory):
            raise ConfigError(
                f"TorchScheduler takes what makes a scheduler of the optimiser, got {describe(factory)}: its class, or"
                " partial(StepLR, step_size=2). Each fit makes a new one."
            )
        if step not in _UNITS:
            raise ConfigError(f"TorchScheduler(step={step!r}): it is 'batch' or 'epoch'.{suggest(str(step), _UNITS)}")
        if monitor is not None and step == "batch":
            raise ConfigError(
                f"TorchScheduler(step='batch', monitor={monitor!r}): the table has one value an epoch: step='epoch'."
            )
        self.factory, self.step, self.monitor = factory, step, monitor
        self.scheduler: LRScheduler | None = None
        self._column = 0
        self._stepped = False
        self._entries: list[set[str]] = []
        self._hook: Any = None
        self._own_step: Any = None
        self._loaded: dict[str, Any] = {}

    def before_fit(self) -> None:
        """Make the scheduler; go on with one whose state was loaded.

        Raises:
            ConfigError: another scheduler sets the learning rate, there is no such column, the scheduler is made for
                fewer batches, or earlier epochs count as done, whose steps are not known.

        Warns:
            UserWarning: the scheduler is made for more steps than the fit has epochs, and steps once in each.
        """
        if any("lr" in cb.scheds for cb in self.learn.cbs if isinstance(cb, ParamScheduler)):
            raise ConfigError(
                "TorchScheduler and a schedule of the learning rate exclude each other: use fit, not fit_one_cycle."
            )
        if self.learn.get_cb(EpochPlateau) is not None:
            raise ConfigError("TorchScheduler and ReduceLROnPlateau both set the learning rate; remove one of them.")
        if self.epoch and not self._loaded:
            raise ConfigError(
                f"start_epoch={self.epoch}: TorchScheduler does not know how far its scheduler had come. Load what its"
                " state_dict() was then: callback.load_state_dict(state)."
            )
        self._entries = [set(group) for group in self.opt.param_groups]
        self._hook, self._own_step = self.opt.register_step_post_hook(self._note_step), vars(self.opt).get("step")
        self._stepped = False
        self.scheduler = self.factory(self.opt)
        self._check()
        if self._loaded:
            self._go_on()

    def _note_step(self, *_: Any) -> None:
        self._stepped = True

    def _check(self) -> None:
        scheduler = self.scheduler
        if not hasattr(scheduler, "step") or not hasattr(scheduler, "state_dict"):
            raise ConfigError(
                f"TorchScheduler: the factory must return a scheduler of torch's, not {describe(scheduler)}."
            )
        self._check_length(getattr(scheduler, "total_steps", None))
        if self.monitor is None:
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ConfigError(
                    "ReduceLROnPlateau needs a value to watch: TorchScheduler(..., monitor='valid_loss')."
                )
            return
        self._column, smaller = monitored_column(self.learn, self.monitor, "TorchScheduler")
        mode = getattr(scheduler, "mode", None)
        if smaller is not None and mode in ("min", "max") and (mode == "min") is not smaller:
            better = "smaller" if smaller else "larger"
            raise ConfigError(
                f"TorchScheduler(monitor={self.monitor!r}): {better} is better, but the scheduler has mode={mode!r}."
            )

    def _check_length(self, planned: int | None) -> None:
        """Compare the steps that a scheduler was made for with those it will be given."""
        if planned is None:
            return
        name, n_epoch = type(self.scheduler).__name__, self.n_epoch
        if self.step == "epoch" and planned > n_epoch:
            warnings.warn(
                f"{name} is made for {planned} steps, and step='epoch' gives it {n_epoch}: it will not come far. For a"
                " step after each batch, TorchScheduler(..., step='batch').",
                stacklevel=2,
            )
        accumulates = self.learn.get_cb(GradientAccumulation) is not None
        at_least = (n_epoch - 1) * self.n_iter + 1  # the last part of a fit of `Batches` may be shorter
        if self.step == "batch" and planned < at_least and not accumulates:
            raise ConfigError(
                f"{name} is made for {planned} steps, and this fit has at least {at_least} batches: it needs a larger"
                " total_steps."
            )

    def after_batch(self) -> None:
        """Step the scheduler, if it counts batches and the optimiser has stepped."""
        if self.step == "batch" and self._stepped and self.scheduler is not None:
            self.scheduler.step()
        self._stepped = False

    def after_epoch(self) -> None:
        """Step the scheduler, if it counts epochs."""
        if self.step == "epoch" and self.scheduler is not None:
            if self.monitor is None:
                self.scheduler.step()
            else:
                value = monitored_value(self.learn, self.monitor, self._column, "TorchScheduler")
                self.scheduler.step(value)  # type: ignore[arg-type]  # those that watch a value take it in this place

    def cleanup_fit(self) -> None:
        """Take off the optimiser what the scheduler has put there."""
        if self._hook is not None:
            self._hook.remove()
            for group, entries in zip(self.opt.param_groups, self._entries, strict=False):
                for key in set(group) - entries:  # "initial_lr", which the next scheduler would begin with
                    del group[key]
            vars(self.opt).pop("step", None)  # schedulers of torch wrap it, on the instance
            if self._own_step is not None:
                self.opt.step = self._own_step  # type: ignore[method-assign]  # as it was
        self.scheduler = self._hook = None
        self._loaded = {}

    def rates(self, opt: Optimizer, n_batches: int, n_epoch: int) -> list[list[float]] | None:
        """The learning rates it would set if every batch were a step, one for each parameter group: at each batch or
        epoch, as it counts. None, if they depend on a value to come.

        Args:
            opt: the optimiser, with the learning rates the fit begins with.
            n_batches: training batches of the fit.
            n_epoch: its epochs.
        """
        if self.monitor is not None:
            return None
        rates: list[list[float]] = []
        other = copy.copy(opt)  # which the scheduler may wrap and change
        other.param_groups = [dict(group) for group in opt.param_groups]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # noqa: TID251  # inside catch_warnings; the optimiser does not step here
            scheduler = self.factory(other)
            for _ in range(n_batches if self.step == "batch" else n_epoch):
                rates.append(get_hyper(other, "lr"))
                scheduler.step()
        return rates or None

    def state_dict(self) -> dict[str, Any]:
        """In a fit: how far the scheduler has come, and what it has set; before one, what was loaded."""
        if self.scheduler is None:
            return self._loaded
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.opt.param_groups]
        return {"scheduler": copy.deepcopy(self.scheduler.state_dict()), "groups": copy.deepcopy(groups)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there, at once or in the next fit."""
        self._loaded = state
        if self.scheduler is not None:
            self._go_on()

    def _go_on(self) -> None:
        state, self._loaded = self._loaded, {}
        if self.scheduler is None or not state:
            return
        self.scheduler.load_state_dict(copy.deepcopy(state["scheduler"]))
        for group, saved in zip(self.opt.param_groups, state["groups"], strict=True):
            group.update(saved)
