"""Every call that trains is a transaction: what it changed can be undone, and however it ends the learner is usable."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch

from laminar.callbacks.recorder import Recorder
from laminar.core.errors import ConfigError, check_keywords
from laminar.learner.loop import TrainingLoop
from laminar.learner.snapshot import Snapshot

__all__ = ["Run", "Transactional", "transaction", "written_call"]

P = ParamSpec("P")
L = TypeVar("L", bound="Transactional")
R = TypeVar("R")


@dataclass
class Run:
    """One call that trained.

    Attributes:
        number: which one, from 1.
        call: as it was written.
        after: number of the run whose weights it went on with; 0 for those the learner began with.
        outcome: ``"running"``, ``"finished"``, or the exception that ended it.
        rows: the rows of its table, as the recorder has them (of the last fit, where a call makes several).
        undone: whether `undo` has taken it back.
    """

    number: int
    call: str
    after: int
    outcome: str = "running"
    rows: list[list[Any]] = field(default_factory=list)
    undone: bool = False

    def __str__(self) -> str:
        last = ", ".join("-" if value is None else f"{value:.4g}" for value in self.rows[-1]) if self.rows else ""
        begun = f"after {self.after}" if self.after else "from the beginning"
        return f"{self.number}: {self.call} {begun}, {self.outcome}{', undone' * self.undone}{f': {last}' * bool(last)}"


class Transactional(TrainingLoop):
    """What a learner keeps of its runs.

    Attributes:
        runs: all calls that trained, in order; those undone too.
        undoable: whether the state before the last one is kept (a copy of weights and optimiser, in main memory).
    """

    undoable: bool = True
    _call: tuple[str, dict[str, str]] = ("", {})  # the method that trains, with its arguments written out
    _n_fits = 0  # fits that it has begun

    @property
    def fit_number(self) -> tuple[int, int]:
        """Which fit this is: the number of the call that trains, and that of the fit in it, both from 1.

        Calls that were interrupted or undone are not counted: made again, they have the same number.
        """
        over = sum(run.outcome == "finished" and not run.undone for run in self.runs)
        return over + 1, self._n_fits

    def _begin_keeping_runs(self, undoable: bool) -> None:
        self.runs: list[Run] = []
        self.undoable = undoable
        self._current_run = 0
        self._before: Snapshot | None = None
        self._in_transaction = False

    def undo(self) -> Run:
        """Go back to the state before the last call that trained, also if that was interrupted or failed.

        Weights, buffers, what is frozen, the optimiser, callbacks that have a state, the place of the loaders and the
        random states are as they were: the same call again gives the same result.

        Returns:
            The run that was undone.

        Raises:
            ConfigError: there is nothing to undo.
        """
        if self._before is None:
            why = "the learner has not trained since" if self.undoable else "the learner was made with undoable=False"
            raise ConfigError(f"there is nothing to undo: {why}. Only the state before the last call is kept.")
        self._before.restore()
        self._before = None
        run = self.runs[-1]
        run.undone, self._current_run = True, run.after
        return run

    @contextmanager
    def _transaction(self, call: str, method: str = "", arguments: dict[str, str] | None = None) -> Iterator[None]:
        """Keep the state before, and note how it ended; within another transaction nothing is done."""
        if self._in_transaction:
            yield
            return
        self._before = None  # before the next copy is made: never two of them in memory
        if self.undoable:
            self._before = Snapshot(self, torch.device("cpu"))
        run = Run(len(self.runs) + 1, call, self._current_run)
        self.runs.append(run)
        self._current_run, self._in_transaction = run.number, True
        self._call, self._n_fits = (method, arguments or {}), 0
        try:
            with self._interrupts.handled():
                yield
            run.outcome = "finished"
        except BaseException as error:
            run.outcome = f"ended by {type(error).__name__}"
            raise
        finally:
            self._in_transaction = False
            recorder = self.get_cb(Recorder)
            run.rows = [list(row) for row in recorder.values] if recorder is not None else []


def transaction(method: Callable[Concatenate[L, P], R]) -> Callable[Concatenate[L, P], R]:
    """Make a method that trains a transaction of its learner."""
    signature = inspect.signature(method)
    parameters = signature.parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        options = typing.get_type_hints(method)["options"]
        names += typing.get_args(options)[0].__annotations__

    @functools.wraps(method)
    def transacted(self: L, /, *args: P.args, **kwargs: P.kwargs) -> R:
        check_keywords(kwargs, names, f"Learner.{method.__name__}")
        arguments = _written_arguments(signature, self, args, kwargs)
        with self._transaction(written_call(method.__name__, args, kwargs), method.__name__, arguments):
            return method(self, *args, **kwargs)

    return transacted


def _written_arguments(
    signature: inspect.Signature, learn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, str]:
    """The arguments of a call, written out, the defaults too; but for those that do not say how is trained."""
    bound = signature.bind(learn, *args, **kwargs)
    bound.apply_defaults()
    given = {**bound.arguments, **bound.arguments.get("options", {})}
    left_out = ("self", "options", "cbs", "resume", "start_epoch", "reset_opt")
    return {name: str(value) for name, value in given.items() if name not in left_out}


def written_call(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """A call as it is written in a program."""
    parts = [_short(value) for value in args] + [f"{key}={_short(value)}" for key, value in kwargs.items()]
    return f"{name}({', '.join(parts)})"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{type(value).__name__}(...)"
