"""Mistakes that a model shows on a batch, without training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.device import tensors_in
from laminar.core.errors import ConfigError
from laminar.learner.check import batch_norm_inputs, check_last_batch, check_loss, check_outputs, read_output
from laminar.learner.checkup.evidence import Evidence
from laminar.learner.checkup.report import Remark
from laminar.learner.loop import TrainingLoop
from laminar.learner.trying_metrics import try_metrics
from laminar.nn.calling import call_model
from laminar.nn.decoding import loss_name

__all__ = ["MODEL_CHECKS", "all_alike", "output_of", "predict_on"]

_SHOWN = 4


def output_of(learn: TrainingLoop, xb: tuple[Any, ...]) -> Any:
    """The model's predictions for inputs, taken out of what it returns where that is done."""
    return read_output(learn, call_model(learn.model, xb))


def predict_on(evidence: Evidence, xb: tuple[Any, ...]) -> Any:
    """The model's outputs in evaluation mode, without gradients."""
    learn = evidence.learn
    learn.model.eval()
    with torch.no_grad(), learn.autocast():
        return output_of(learn, xb)


def unregistered(evidence: Evidence) -> Iterator[Remark]:
    """Layers and parameters that the model has, but torch does not know of."""
    for name, module in evidence.learn.model.named_modules():
        for attribute, value in vars(module).items():
            where = f"{name or type(module).__name__}.{attribute}"
            if attribute.startswith("_"):
                continue
            if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                yield Remark("parameter is not registered", f"{where} is a plain tensor", "Make it an nn.Parameter")
            parts = (
                list(value.values()) if isinstance(value, dict) else value if isinstance(value, list | tuple) else []
            )
            known = set(map(id, evidence.learn.model.modules()))
            lost = [part for part in parts if isinstance(part, nn.Module) and id(part) not in known]
            if any(list(part.parameters()) for part in lost):
                yield Remark(
                    "layers are not registered",
                    f"{where} holds {len(lost)} layers in a plain {type(value).__name__}",
                    "Use nn.ModuleList or nn.ModuleDict: these layers never train",
                )


def outputs(evidence: Evidence) -> Iterator[Remark]:
    """Outputs that do not fit, are no numbers, or say the same of everything."""
    if evidence.batch is None:
        return
    learn = evidence.learn
    learn.xb, learn.yb = evidence.batch
    with batch_norm_inputs(learn.model) as single:
        learn.pred = predict_on(evidence, learn.xb)
    if single:
        yield from _told(check_last_batch, evidence, "last batch of one item")
        if evidence.train.bs == 1:
            yield Remark("batches of one item", "batch norm cannot train on one item", "Use a larger bs")
    tensors = list(tensors_in(learn.pred))
    if any(not torch.isfinite(tensor).all() for tensor in tensors if tensor.is_floating_point()):
        yield Remark("outputs are no numbers", "the model gives NaN or infinity for a training batch")
        return
    if learn.yb:
        fits = list(_told(check_outputs, evidence, "outputs and classes differ"))
        fits = fits or list(_told(check_loss, evidence, "loss does not fit"))
        yield from fits
        if not fits:
            yield from _told(lambda learn: try_metrics(learn, learn.metrics), evidence, "metric fails")
            yield from shape_of_outputs(evidence)


def all_alike(pred: Any, xb: tuple[Any, ...]) -> bool:
    """Whether outputs are the same for all items of a batch, though the items differ."""
    tensors = list(tensors_in(pred))
    if len(tensors) != 1 or not tensors[0].ndim or len(tensors[0]) < 4 or not _differ(xb):
        return False
    flat = tensors[0].reshape(len(tensors[0]), -1).float()
    return bool(torch.allclose(flat, flat[:1].expand_as(flat), atol=1e-7, rtol=1e-5))


def _told(check: Any, evidence: Evidence, kind: str) -> Iterator[Remark]:
    """What a check that raises has to say."""
    try:
        check(evidence.learn)
    except ConfigError as error:
        yield Remark(kind, str(error).rstrip("."))


def _differ(xb: tuple[Any, ...]) -> bool:
    """Whether the inputs of a batch differ from each other."""
    return any(t.ndim and len(t) > 1 and not torch.equal(t[0], t[1]) for t in tensors_in(xb))


def shape_of_outputs(evidence: Evidence) -> Iterator[Remark]:
    """An activation where the loss brings its own; a first loss far from chance; targets out of the model's range."""
    learn, pred = evidence.learn, evidence.learn.pred
    if not isinstance(pred, Tensor) or not pred.is_floating_point() or pred.ndim < 2:
        return
    name = loss_name(learn.loss_func)
    takes_logits = "CrossEntropy" in name or "cross_entropy" in name or "WithLogits" in name or "with_logits" in name
    values = pred.float()
    if takes_logits and values.numel() >= 8 and values.min() >= 0 and values.max() <= 1:
        sums_to_one = pred.shape[1] > 1 and torch.allclose(values.sum(1), torch.ones_like(values.sum(1)), atol=1e-3)
        what = "a softmax" if sums_to_one else "a sigmoid"
        if sums_to_one or "ogits" in name:
            yield Remark(
                "activation is applied twice",
                f"the model ends with {what}, and {name} applies its own",
                "Let the model return raw outputs; predict and get_preds apply the activation",
            )
            return
    zeros = float((values == 0).float().mean())
    if values.min() >= 0 and zeros > 0.2 and values.max() > 0:
        yield Remark(
            "outputs are cut off at 0",
            f"{zeros:.0%} of the outputs are exactly 0 and none is below",
            "Take the ReLU behind the last layer away",
        )
    yield from _first_loss(evidence, name)
    yield from _range_of_targets(evidence)


def _first_loss(evidence: Evidence, name: str) -> Iterator[Remark]:
    learn = evidence.learn
    target = learn.y
    if ("CrossEntropy" not in name and "cross_entropy" not in name) or not isinstance(target, Tensor):
        return
    n = learn.pred.shape[1]
    chance = float(torch.tensor(float(n)).log())
    right = float((learn.pred.argmax(1) == target).float().mean()) if target.shape == learn.pred.argmax(1).shape else 0
    far = 4 * chance + 6
    if n > 1 and float(learn.loss) > far and right < 0.5 and _loss_in_training(learn) > far:
        yield Remark(
            "first loss is far from chance",
            f"it is {float(learn.loss):.3g}, guessing among {n} classes gives {chance:.3g}",
            "Inputs or weights are too large: normalise the inputs, look at the initialisation",
        )


def _loss_in_training(learn: TrainingLoop) -> float:
    """The loss in training mode, in which batch norms that have seen nothing yet normalise too."""
    learn.model.train()
    with torch.no_grad(), learn.autocast():
        loss = float(learn.loss_func(output_of(learn, learn.xb), *learn.yb))
    learn.model.eval()
    return loss


def _range_of_targets(evidence: Evidence) -> Iterator[Remark]:
    targets = evidence.train.targets()
    for name, module in evidence.learn.model.named_modules():
        low, high = getattr(module, "low", None), getattr(module, "high", None)
        if type(module).__name__ == "SigmoidRange" and targets is not None and low is not None and high is not None:
            outside = (targets < low) | (targets > high)
            if outside.any():
                yield Remark(
                    "targets are out of the model's range",
                    f"{name} gives {low} to {high}, targets go from {float(targets.min()):.4g} to"
                    f" {float(targets.max()):.4g}",
                    "Widen y_range",
                )


def independence(evidence: Evidence) -> Iterator[Remark]:
    """Items whose output changes with their neighbours in the batch, or with nothing at all, in evaluation mode."""
    if evidence.batch is None:
        return
    xb = evidence.batch[0]
    first = predict_on(evidence, xb)
    again = predict_on(evidence, xb)
    one, two = next(tensors_in(first), None), next(tensors_in(again), None)
    if one is None or two is None or not one.ndim or not one.is_floating_point() or len(one) < 3:
        return
    if not torch.allclose(one, two, rtol=1e-3, atol=1e-5):
        yield Remark(
            "predictions are random",
            "the same batch gives other outputs the second time, in evaluation mode",
            "Dropout as a function needs training=self.training. A model that draws on purpose may go on",
        )
        return
    others = _with_other_first(xb)
    if others is None:
        return
    changed = next(tensors_in(predict_on(evidence, others)))
    if len(changed) == len(one) and not torch.allclose(one[1:], changed[1:], rtol=1e-2, atol=1e-4):
        rows = (one[1:] - changed[1:]).flatten(1).abs().amax(1) if one.ndim > 1 else (one[1:] - changed[1:]).abs()
        yield Remark(
            "items of a batch are mixed up",
            f"changing item 0 changes the output of item {int(rows.argmax()) + 1} (evaluation mode)",
            "Look for a reshape, or a mean or softmax over the batch dimension",
        )


def _with_other_first(xb: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The batch with another item in the first place."""

    def other(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: other(value) for key, value in part.items()}
        if not isinstance(part, Tensor) or not part.ndim:
            return part
        changed = part.clone()
        changed[0] = part[-1] if not torch.equal(part[0], part[-1]) else part[len(part) // 2]
        return changed

    return tuple(other(part) for part in xb) if _first_differs(xb) else None


def _first_differs(xb: tuple[Any, ...]) -> bool:
    return any(t.ndim and any(not torch.equal(t[0], t[i]) for i in (-1, len(t) // 2)) for t in tensors_in(xb))


MODEL_CHECKS = (unregistered, outputs, independence)
