"""`learn.plan`: what a call will do, before it is made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec

from torch import nn

from laminar.callbacks.recorder import format_time
from laminar.callbacks.schedule import ParamScheduler
from laminar.callbacks.torch_scheduler import TorchScheduler
from laminar.core.lazy import lazy_module
from laminar.learner.course import Course, length_of
from laminar.learner.fitting import Fitting
from laminar.learner.rehearsal import Measured, measure, rehearsing
from laminar.learner.transaction import written_call
from laminar.optim.groups import get_hyper, hyper_names

__all__ = ["Plan", "PlannedFit", "PlannedGroup", "Planner"]

plt = lazy_module("matplotlib.pyplot")

P = ParamSpec("P")
_POINTS = 1000  # of a curve


@dataclass(frozen=True)
class PlannedGroup:
    """One parameter group in a planned fit.

    Attributes:
        name: the modules it goes from and to.
        n_params: numbers in it.
        n_trained: those of them that train.
        hypers: for each hyper-parameter its values along the fit, at the points `PlannedFit.points`; one value if it
            stays.
    """

    name: str
    n_params: int
    n_trained: int
    hypers: dict[str, list[float]]


@dataclass(frozen=True)
class PlannedFit:
    """One run of the loop in a planned call.

    Attributes:
        n_epoch: epochs in it; between two validations, where batches or a time are counted.
        n_batches: training batches in all; None if they cannot be counted beforehand.
        epoch_batches: those of an epoch (of the last one fewer, perhaps).
        n_valid: batches of a validation.
        minutes: its length, where it has a time.
        points: shares of the fit, 0 to 1, to which the values of hyper-parameters belong.
        groups: the parameter groups.
        frozen: names of the parameters that do not train.
        measured: what a batch takes.
        remarks: what the plan cannot know.
    """

    n_epoch: int
    n_batches: int | None
    epoch_batches: int
    n_valid: int
    minutes: float | None
    points: list[float]
    groups: list[PlannedGroup]
    frozen: list[str]
    measured: Measured
    remarks: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """How long it will take, as far as can be told from a few batches."""
        validations = self.n_epoch * self.n_valid * self.measured.valid_seconds
        if self.minutes is not None:
            return 60 * self.minutes + validations / max(self.n_epoch, 1)  # but the last, they are within the time
        return None if self.n_batches is None else self.n_batches * self.measured.batch_seconds + validations

    def lines(self) -> list[str]:
        """The plan in words."""
        after = f"; validation on {self.n_valid} batches after each" if self.n_valid else "; no validation"
        epochs = f"{self.n_epoch} epoch{'s' * (self.n_epoch != 1)}"
        if self.minutes is not None:
            length = f"{self.minutes:g} minutes: {epochs}{after}"
        elif self.n_batches is None:
            length = f"{epochs} of a loader that does not say how many batches it has{after}"
        else:
            upto = "up to " * (self.n_batches < self.n_epoch * self.epoch_batches)
            length = f"{self.n_batches:,} batches: {epochs} of {upto}{self.epoch_batches:,}{after}"
        width = max([20, *(len(group.name) + 2 for group in self.groups)])
        rows = [f"  {'group':<{width}}{'parameters':>13}{'trained':>13}{'lr: start':>12}{'peak':>11}{'end':>11}"]
        for group in self.groups:
            lrs = group.hypers["lr"]
            trained = f"{group.n_trained:,}" if group.n_trained else "frozen"
            rates = f"{lrs[0]:>12.3g}{max(lrs):>11.3g}{lrs[-1]:>11.3g}"
            rows.append(f"  {group.name:<{width}}{group.n_params:>13,}{trained:>13}{rates}")
        return [length, *rows, *self._others(), *self._needs(), *self.remarks]

    def _others(self) -> list[str]:
        last = self.groups[-1].hypers if self.groups else {}
        moving = [(name, values) for name, values in last.items() if name != "lr" and len(set(values)) > 1]
        staying = [f"{name} {values[0]:g}" for name, values in last.items() if name != "lr" and len(set(values)) == 1]
        lines = [
            f"  {name}: {values[0]:.3g} at the start, {values[-1]:.3g} at the end, {min(values):.3g} to"
            f" {max(values):.3g}"
            for name, values in moving
        ]
        return [*lines, f"  {', '.join(staying)}"] if staying else lines

    def _needs(self) -> list[str]:
        needs, seconds = self.measured, self.seconds
        parts = ("weights", "gradients", "optimizer", "activations")
        memory = ", ".join(f"{_size(getattr(needs, part))} {part}" for part in parts)
        took = "unknown" if seconds is None else f"{seconds:.2g} s" if seconds < 10 else format_time(seconds)
        batches = f"{1000 * needs.batch_seconds:.3g} ms a batch"
        if self.n_valid:
            batches += f", {1000 * needs.valid_seconds:.3g} ms in validation"
        return [
            f"  time: about {took} ({batches})",
            f"  memory: about {_size(needs.memory)} ({memory})",
        ]


@dataclass(frozen=True)
class Plan:
    """What a call will do; printed, it is a table.

    Attributes:
        call: the call.
        fits: the runs of the loop it is made of.
    """

    call: str
    fits: list[PlannedFit]

    @property
    def seconds(self) -> float | None:
        """How long it will take; None if that cannot be told."""
        each = [fit.seconds for fit in self.fits]
        return None if None in each else sum(seconds for seconds in each if seconds is not None)

    @property
    def memory(self) -> int:
        """Bytes it will need."""
        return max((fit.measured.memory for fit in self.fits), default=0)

    def __str__(self) -> str:
        lines = [self.call]
        for number, fit in enumerate(self.fits, 1):
            first, *others = fit.lines()
            lines += [f"{number}. {first}" if len(self.fits) > 1 else first, *others]
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, name: str = "lr", ax: Any = None) -> Any:
        """Draw a hyper-parameter of each parameter group along the call.

        Args:
            name: which one.
            ax: matplotlib axes to draw on.

        Returns:
            The axes.
        """
        ax = ax if ax is not None else plt.subplots(figsize=(5, 3), layout="constrained")[1]
        counted = all(fit.n_batches for fit in self.fits)
        begun = 0.0
        for fit in self.fits:
            length = float(fit.n_batches or 1) if counted else (fit.minutes or 1.0)
            for number, group in enumerate(fit.groups):
                values = group.hypers[name]
                places = [begun + point * length for point in fit.points]
                values = values if len(values) == len(places) else [values[0]] * len(places)
                label = group.name if fit is self.fits[0] else None
                ax.plot(places, values, color=f"C{number}", label=label, marker="." if len(places) == 1 else None)
            begun += length
        ax.set(xlabel="batch" if counted else "minutes", ylabel=name)
        if len(self.fits) and len(self.fits[0].groups) > 1:
            ax.legend()
        return ax


def _size(count: int) -> str:
    unit = next((unit for unit in (3, 2, 1) if count >= 1024**unit), 0)
    return f"{count / 1024**unit:.3g} {('B', 'KB', 'MB', 'GB')[unit]}"


def planned(method: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Planner, P], Plan]:
    """Make of a method that trains one that says what it would do, with the same arguments."""

    @functools.wraps(method)
    def plan(self: Planner, /, *args: P.args, **kwargs: P.kwargs) -> Plan:
        learn, fits = self._learn, []

        def note(course: Course, start_epoch: int) -> None:
            if start_epoch < course.n_epoch:
                fits.append(_planned_fit(learn, course, start_epoch))

        with rehearsing(learn), learn.no_bar():
            before, learn._rehearse = learn._rehearse, note
            try:
                method(learn, *args, **kwargs)
            finally:
                learn._rehearse = before
        return Plan(written_call(method.__name__, args, kwargs), fits)

    return plan


class Planner:
    """What calls would do: ``learn.plan.fit_one_cycle(5, 1e-3)`` for ``learn.fit_one_cycle(5, 1e-3)``.

    A few batches are trained on, on a copy; the learner is as before.
    """

    def __init__(self, learn: Any) -> None:
        self._learn = learn

    fit = planned(Fitting.fit)
    fit_one_cycle = planned(Fitting.fit_one_cycle)
    fit_flat_cos = planned(Fitting.fit_flat_cos)
    fit_sgdr = planned(Fitting.fit_sgdr)
    fine_tune = planned(Fitting.fine_tune)


def _planned_fit(learn: Any, course: Course, start_epoch: int) -> PlannedFit:
    """The plan of one run of the loop, from a learner that is about to begin it."""
    train, valid = learn.dls[0], learn._valid_dl
    n_all = course.n_before(train, course.n_epoch - 1) + course.n_iter(train, course.n_epoch - 1)
    n_done = course.n_before(train, start_epoch)
    points = _points(n_done, n_all) if n_all else [number / 100 for number in range(101)]
    hypers, remarks = _hypers_along(learn, points, n_all - n_done, course.n_epoch - start_epoch)
    names = {id(parameter): name for name, parameter in learn.model.named_parameters()}
    return PlannedFit(
        n_epoch=course.n_epoch - start_epoch,
        n_batches=n_all - n_done if n_all else None,
        epoch_batches=course.n_iter(train, start_epoch),
        n_valid=length_of(valid) if valid is not None else 0,
        minutes=course.minutes_from(start_epoch),
        points=points,
        groups=[_group(names, group, hyper) for group, hyper in zip(learn.param_groups(), hypers, strict=True)],
        frozen=[name for name, parameter in learn.model.named_parameters() if not parameter.requires_grad],
        measured=measure(learn),
        remarks=remarks,
    )


def _points(n_done: int, n_all: int) -> list[float]:
    """The progress at the beginning of each batch to come, or of a thousand of them, first and last included."""
    count = n_all - n_done
    step = max((count - 1) / (_POINTS - 1), 1.0)
    places = {min(n_done + round(number * step), n_all - 1) for number in range(min(count, _POINTS))}
    return [place / n_all for place in sorted(places)]


def _group(names: dict[int, str], parameters: Sequence[nn.Parameter], hypers: dict[str, list[float]]) -> PlannedGroup:
    modules = [names.get(id(parameter), "?").rpartition(".")[0] or "model" for parameter in parameters]
    between = dict.fromkeys((modules[0], modules[-1])) if modules else {"nothing": None}
    return PlannedGroup(
        name=" ... ".join(between),
        n_params=sum(parameter.numel() for parameter in parameters),
        n_trained=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        hypers=hypers,
    )


def _hypers_along(
    learn: Any, points: list[float], n_batches: int, n_epoch: int
) -> tuple[list[dict[str, list[float]]], list[str]]:
    """The values of all hyper-parameters of each parameter group at points of the fit; what nobody knows of them."""
    opt, remarks = learn.opt, []
    now = {name: get_hyper(opt, name) for name in hyper_names(opt)}
    along: dict[str, list[list[float]]] = {name: [[value] for value in values] for name, values in now.items()}
    for callback in learn.cbs:
        if isinstance(callback, ParamScheduler):
            for name, values in callback.values_at(opt, points).items():
                along[name] = [list(group) for group in zip(*values, strict=True)]
        elif isinstance(callback, TorchScheduler):
            rates = callback.rates(opt, n_batches, n_epoch)
            if rates is None:
                why = callback.monitor or "the number of batches"
                remarks.append(f"  the learning rate depends on {why}, which nobody knows beforehand")
            else:
                picked = [rates[min(int(point * len(rates) + 1e-9), len(rates) - 1)] for point in points]
                along["lr"] = [list(group) for group in zip(*picked, strict=True)]
    groups = range(len(learn.param_groups()))
    return [{name: values[number] for name, values in along.items()} for number in groups], remarks
