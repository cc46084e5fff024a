"""Mistakes that the data show by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.utils.data as torch_data
from torch import Tensor, nn

from laminar.core.device import tensors_in
from laminar.core.errors import describe
from laminar.data.fetching import BatchRequest
from laminar.learner.checkup.evidence import Evidence, SplitEvidence
from laminar.learner.checkup.report import Remark
from laminar.nn.calling import call_model
from laminar.optim.groups import norm_types

__all__ = ["DATA_CHECKS"]

_SHOWN = 4


def empty_splits(evidence: Evidence) -> Iterator[Remark]:
    """Splits without batches, and items that cannot be made."""
    if len(evidence.splits) == 1:
        remedy = "Without one nobody sees over-fitting: split the data"
        yield Remark("no validation set", "there is one loader only", remedy)
    for split in evidence.splits:
        if split.error is not None:
            notes = " ".join(getattr(split.error, "__notes__", ())[:1])
            remedy = f"It was raised {notes}" if notes else ""
            yield Remark("items cannot be made", f"{split.name}: {type(split.error).__name__}: {split.error}", remedy)
        elif not split.batches or (split.drop_last and split.bs and 0 < (split.n_items or split.bs) < split.bs):
            detail = f"{split.n_items} items, bs={split.bs}, drop_last={split.drop_last}"
            yield Remark("no batches", f"the {split.name} loader gives none ({detail})", "Use a smaller bs")


def values(evidence: Evidence) -> Iterator[Remark]:
    """Inputs that are no numbers, all alike, or bytes."""
    for split in evidence.splits:
        for number, (xb, _) in enumerate(split.batches):
            for tensor in tensors_in(xb):
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    wrong = ~torch.isfinite(tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None]).all(1)
                    yield Remark(
                        "inputs are no numbers",
                        f"{split.name}: NaN or infinite values in {_named(split, number, wrong)}",
                        "Fill them in or leave these items out",
                    )
                    return
                if tensor.ndim >= 3 and tensor[0].numel() > 1:
                    flat = tensor.flatten(1)
                    blank = (flat == flat[:, :1]).all(1)
                    if blank.any():
                        yield Remark(
                            "blank inputs", f"{split.name}: all values are the same in {_named(split, number, blank)}"
                        )
                        return


def scale(evidence: Evidence) -> Iterator[Remark]:
    """Inputs whose scale will hurt: bytes, far from 0 and 1, or not what pretrained weights expect."""
    if evidence.batch is None:
        return
    for tensor in tensors_in(evidence.batch[0]):
        if tensor.ndim == 4 and tensor.dtype == torch.uint8:
            remedy = "Add IntToFloatTensor() to batch_tfms"
            yield Remark("inputs are bytes", f"the model gets {describe(tensor)}", remedy)
        if not tensor.is_floating_point() or tensor.ndim not in (2, 4) or not torch.isfinite(tensor).all():
            continue
        data = tensor.float()
        mean, std = float(data.mean()), float(data.std())
        low, high = float(data.min()), float(data.max())
        if (abs(mean) > 10 or std > 20 or (0 < std < 1e-3)) and not _goes_into_a_norm(evidence, tensor):
            yield Remark(
                "inputs are not normalised",
                f"they go from {low:.4g} to {high:.4g} (mean {mean:.4g}, standard deviation {std:.4g})",
                "Normalise them: Normalize.from_stats for pictures, mean 0 and deviation 1 for columns",
            )
        elif tensor.ndim == 4 and low >= 0 and high <= 1 and _is_pretrained(evidence):
            yield Remark(
                "inputs are not normalised",
                f"pictures go from {low:.2g} to {high:.2g}, and a frozen body (pretrained) most likely wants mean 0 and"
                " deviation 1",
                "Add Normalize.from_stats(*imagenet_stats) to batch_tfms, or let vision_learner do it (normalize=True)",
            )


def _goes_into_a_norm(evidence: Evidence, tensor: Tensor) -> bool:
    """Whether the model begins with a layer that normalises this input."""
    learn, found = evidence.learn, []

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        found.append(bool(inputs) and inputs[0] is tensor)

    handles = [m.register_forward_pre_hook(note) for m in learn.model.modules() if isinstance(m, norm_types)]
    try:
        learn.model.eval()
        with torch.no_grad(), learn.autocast():
            call_model(learn.model, evidence.batch[0] if evidence.batch else ())
    finally:
        for handle in handles:
            handle.remove()
    return any(found)


def _is_pretrained(evidence: Evidence) -> bool:
    return not all(parameter.requires_grad for parameter in evidence.learn.model.parameters())


def classes(evidence: Evidence) -> Iterator[Remark]:
    """Classes that training lacks, or that are all there is."""
    targets = [split.all_targets() for split in evidence.splits]
    found = [set(t.flatten().tolist()) if t is not None and _are_classes(t) else None for t in targets]
    if len(found) > 1 and found[0] is not None and found[1] is not None and found[1] - found[0]:
        unknown = sorted(found[1] - found[0])[:_SHOWN]
        yield Remark(
            "classes only in validation",
            f"training has no item of {', '.join(map(str, unknown))}",
            "Split so that each class is in training: StratifiedSplitter",
        )
    looked_at = evidence.train.targets()
    if looked_at is not None and _are_classes(looked_at) and len(looked_at) >= 16:
        everything = targets[0] if targets[0] is not None else looked_at
        if int(everything.min()) == int(everything.max()):
            yield Remark("one class only", f"all targets looked at are class {int(looked_at[0])}", "Look at the labels")


def _are_classes(target: Tensor) -> bool:
    return not target.is_floating_point() and target.dtype != torch.bool and target.ndim == 1


def leaks(evidence: Evidence) -> Iterator[Remark]:
    """The same content in training and validation."""
    dls = evidence.learn.dls
    remedy = "Take it out of one of them: what has been learned by heart tells nothing"
    if hasattr(dls, "leaks") and all(hasattr(split.inner, "peek") and split.n_items for split in evidence.splits):
        found = dls.leaks()
        if found:
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            yield Remark("validation items in training", f"{found[0]}{more}", remedy)
            return
    data = [getattr(split.inner, "dataset", None) for split in evidence.splits]
    if len(data) > 1 and all(isinstance(d, torch_data.TensorDataset) for d in data):
        rows = [{row.numpy().tobytes() for row in d.tensors[0].cpu()} for d in data]  # type: ignore[union-attr]
        both = len(rows[0] & rows[1])
        if both > 0.01 * len(rows[1]) and both > 1:
            yield Remark("validation items in training", f"{both} of {len(rows[1])} inputs are the same", remedy)


def order(evidence: Evidence) -> Iterator[Remark]:
    """Training in the order of the classes; validation that leaves items out."""
    inner, targets = evidence.train.inner, evidence.train.targets()
    in_order = isinstance(getattr(inner, "sampler", None), torch_data.SequentialSampler) or (
        hasattr(inner, "peek") and not inner.shuffle and inner.sampler is None
    )
    if in_order and targets is not None and _are_classes(targets) and len(targets) >= 16 and evidence.train.n_items:
        runs = int((targets[1:] != targets[:-1]).sum()) + 1
        if 1 < len(set(targets.tolist())) == runs:
            yield Remark(
                "training is not shuffled",
                f"items come class by class ({runs} runs of one class among {len(targets)} items looked at)",
                "shuffle=True for the training loader",
            )
    for split in evidence.splits[1:]:
        if split.drop_last and split.bs and split.n_items and split.n_items % split.bs:
            yield Remark(
                "validation leaves items out",
                f"drop_last=True drops {split.n_items % split.bs} of {split.n_items}",
                "drop_last=False for the validation loader",
            )


def random_validation(evidence: Evidence) -> Iterator[Remark]:
    """Validation items that are drawn anew each time."""
    for split in evidence.splits[1:]:
        if split.error is not None or not split.batches:
            continue
        inner = split.inner
        if hasattr(inner, "answer") and split.n_items:
            indices = list(range(min(4, split.n_items)))
            twice = [inner.answer(BatchRequest(7, epoch, 0, indices)).batch for epoch in (1, 2)]
        elif isinstance(getattr(inner, "sampler", None), torch_data.SequentialSampler):
            twice = [next(iter(inner)) for _ in range(2)]
        else:
            continue
        if not _alike(*twice):
            yield Remark(
                "validation is random",
                "the same items look different each time",
                "Augment training only: split_idx = 0 for transforms of your own",
            )


def _alike(one: Any, other: Any) -> bool:
    pairs = zip(tensors_in(one), tensors_in(other), strict=True)
    return all(_same(torch.as_tensor(a), torch.as_tensor(b)) for a, b in pairs)


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether values are the same; what is no number, as a point that was dropped, is the same as another such."""
    if one.is_floating_point():
        return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
    return torch.equal(one, other)


def _named(split: SplitEvidence, batch: int, wrong: Tensor) -> str:
    """Names of the items of a batch that are marked."""
    rows = wrong.nonzero().flatten().tolist()
    known = (
        split.names[batch]
        if batch < len(split.names)
        else [f"item {row} of batch {batch}" for row in range(len(wrong))]
    )
    names = [known[row] for row in rows if row < len(known)]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


DATA_CHECKS = (empty_splits, values, scale, classes, leaks, order, random_validation)
