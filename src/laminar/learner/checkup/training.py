"""Mistakes that one step of training shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from laminar.core.device import tensors_in
from laminar.core.errors import ConfigError
from laminar.learner.checkup.evidence import Evidence
from laminar.learner.checkup.model import all_alike, output_of, predict_on
from laminar.learner.checkup.report import Remark

__all__ = ["one_step", "parameter_groups"]

_SHOWN = 4


def parameter_groups(evidence: Evidence, groups: Any) -> Iterator[Remark]:
    """Parameters in no group, in several, groups without any, and nothing to train.

    Args:
        evidence: what was looked at.
        groups: makes the groups of parameters.
    """
    model = evidence.learn.model
    if list(model.parameters()) and not any(p.requires_grad for p in model.parameters()):
        yield Remark("everything is frozen", "no parameter of the model trains", "learn.unfreeze()")
        return
    try:
        made = groups()
    except Exception as error:  # noqa: BLE001  # told in the report
        yield Remark("splitter fails", f"{type(error).__name__}: {error}")
        return
    if len(made) > 1 and (empty := [number for number, group in enumerate(made) if not group]):
        yield Remark(
            "empty parameter group",
            f"group {empty[0]} of {len(made)} holds no parameters, so freezing or a rate for it does nothing",
            "Look at the splitter",
        )
    inside = [id(parameter) for group in made for parameter in group]
    left_out = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in set(inside)]
    if left_out:
        yield Remark(
            "parameters in no group",
            f"{_listed(left_out)} will never train",
            "Let the splitter return them, or freeze them",
        )


def one_step(evidence: Evidence, create_opt: Any) -> Iterator[Remark]:
    """Train a single step, and see what moves.

    Args:
        evidence: what was looked at.
        create_opt: makes an optimiser.
    """
    learn = evidence.learn
    if evidence.batch is None or not evidence.batch[1] or not any(p.requires_grad for p in learn.model.parameters()):
        return
    learn.xb, learn.yb = evidence.batch
    learn.model.train()
    try:
        opt = create_opt()
        with torch.enable_grad(), learn.autocast():
            learn.pred = output_of(learn, learn.xb)
            loss = learn.loss_func(learn.pred, *learn.yb)
        loss.backward()
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001  # told in the report
        first_line = str(error).splitlines()[0] if str(error) else ""
        yield Remark("a training step fails", f"{type(error).__name__}: {first_line}")
        return
    trained = [(name, p) for name, p in learn.model.named_parameters() if p.requires_grad]
    unused = [name for name, p in trained if p.grad is None]
    if unused:
        yield Remark(
            "parameters without gradient",
            f"{_listed(unused)} have no part in the loss",
            "Use them in forward, or take them out; a detach() or no_grad() on the way does it too",
        )
    wrong = [name for name, p in trained if p.grad is not None and not torch.isfinite(p.grad).all()]
    if wrong:
        yield Remark("gradients are no numbers", f"those of {_listed(wrong)}", "Look for a root or a logarithm of 0")
        return
    yield from _after_step(evidence, opt, float(loss.detach()))


def _after_step(evidence: Evidence, opt: Any, before: float) -> Iterator[Remark]:
    learn = evidence.learn
    weights = [(p, p.detach().clone()) for p in learn.model.parameters() if p.requires_grad]
    opt.step()
    has_gradient = any(p.grad is not None and p.grad.any() for p, _ in weights)
    if has_gradient and all(torch.equal(p, saved) for p, saved in weights):
        rates = sorted({group["lr"] for group in opt.param_groups})
        yield Remark(
            "the optimiser moves nothing",
            f"a step with learning rates {rates} leaves all weights as they are",
            "Give a learning rate above 0",
        )
        return
    with torch.no_grad():
        pred = predict_on(evidence, learn.xb)
        after = float(learn.loss_func(pred, *learn.yb))
    if all_alike(pred, learn.xb):  # a last layer of zeros says so before the step only
        yield Remark(
            "outputs do not depend on the inputs",
            f"all {len(next(tensors_in(pred)))} items of a batch give the same output",
            "Look for a layer that is dead, or whose weights are all the same",
        )
    if not after < 20 * abs(before) + 20:  # also if it is no number
        rate = max(group["lr"] for group in opt.param_groups)
        yield Remark(
            "learning rate is too high",
            f"one step at {rate:.3g} takes the loss of the batch from {before:.3g} to {after:.3g}",
            "learn.lr_find() suggests one",
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
