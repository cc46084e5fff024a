"""Running a check-up: everything in order, and everything put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from laminar.core.errors import ConfigError
from laminar.learner.check import may_change
from laminar.learner.checkup.data import DATA_CHECKS
from laminar.learner.checkup.evidence import Evidence, gather
from laminar.learner.checkup.model import MODEL_CHECKS
from laminar.learner.checkup.report import CheckUp, Remark
from laminar.learner.checkup.training import one_step, parameter_groups
from laminar.learner.export import export_learner
from laminar.learner.lr_find import as_found

__all__ = ["check_up"]


def check_up(learn: Any, n_items: int) -> CheckUp:
    """Look at a learner's data, model, loss, optimiser, metrics and files; see `Learner.check`.

    Args:
        learn: the learner.
        n_items: how many items of each split.
    """
    remarks: list[Remark] = []
    facts: list[str] = []
    with as_found(learn), _gradients_kept(learn.model), learn._pass("check", joining=[]):
        evidence = gather(learn, n_items)
        for split in evidence.splits:
            seen = sum(len(next(iter(yb or xb), ())) for xb, yb in split.batches)
            of_all = f" of {split.n_items}" if split.n_items is not None else ""
            facts.append(f"{split.name}: {seen} items{of_all}, in batches of {split.bs or 'unknown size'}")
        for check in DATA_CHECKS:
            remarks += _told(check, evidence)
        changing = [callback.name for callback in learn.cbs if may_change(callback)]
        if changing:
            facts.append(f"not the model: callbacks change what it sees ({', '.join(changing)})")
        elif evidence.batch is not None:
            facts.append("the model in evaluation and in training, loss, metrics, one step of the optimiser on a copy")
            remarks += _told(lambda e: parameter_groups(e, learn.param_groups), evidence)
            for check in (*MODEL_CHECKS, lambda e: one_step(e, learn.create_opt)):
                if any(remark.kind in _FATAL for remark in remarks):
                    break  # what follows would only be what follows from it
                remarks += _told(check, evidence)
    remarks += _files(learn, facts)
    return CheckUp(remarks, facts)


@contextmanager
def _gradients_kept(model: nn.Module) -> Iterator[None]:
    before = [(parameter, parameter.grad) for parameter in model.parameters()]
    try:
        for parameter, _ in before:
            parameter.grad = None
        yield
    finally:
        for parameter, gradient in before:
            parameter.grad = gradient


_FATAL = (
    "outputs and classes differ",
    "loss does not fit",
    "items cannot be made",
    "the model fails",
    "inputs are no numbers",
    "outputs are no numbers",
    "splitter fails",
    "inputs are bytes",
)


def _told(check: Callable[[Evidence], Iterator[Remark]], evidence: Evidence) -> list[Remark]:
    """What a check has to say; one that fails says that the model does."""
    found: list[Remark] = []
    try:
        found.extend(check(evidence))
    except Exception as error:  # noqa: BLE001  # a model or data of the user's may raise anything
        text = str(error).splitlines()[0] if str(error) else ""
        remark = Remark("the model fails", f"{type(error).__name__}: {text}")
        if not any(remark == other for other in found):
            found.append(remark)
    return found


def _files(learn: Any, facts: list[str]) -> Iterator[Remark]:
    """Whether weights and an export can be written."""
    try:
        learn.models_folder()
    except ConfigError as error:
        yield Remark("the folder for weights cannot be written", str(error).rstrip("."))
    if not hasattr(learn.dls, "test_dl"):
        return
    with TemporaryDirectory() as folder:
        try:
            export_learner(learn, Path(folder) / "check.laminar")
        except ConfigError as error:
            if learn.model_recipe is None:
                facts.append(f"no export: {str(error).splitlines()[0]}")
            else:
                yield Remark("the learner cannot be exported", str(error).rstrip("."))
        else:
            facts.append("an export")
