"""The contract between data, model, loss and metrics, looked at before the first epoch on a few items.

Nothing is left behind: the model is asked in evaluation mode without gradients, and random states, modes and the
loaders' epochs stay as they are. What callbacks make of a batch is not known here; where a callback of the user's
changes batches, predictions or parts of the learner, only the loaders and the data are looked at.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.data as torch_data
from torch import Tensor, nn

from laminar.callbacks.model_output import ModelOutput
from laminar.callbacks.rnn import ModelResetter, RNNCallback
from laminar.core.device import apply, tensors_in
from laminar.core.errors import ConfigError, DataError, describe
from laminar.core.seed import get_random_states, set_random_states
from laminar.learner.course import length_of
from laminar.learner.loop import TrainingLoop
from laminar.learner.trying_metrics import try_metrics
from laminar.nn.calling import call_model
from laminar.nn.decoding import activation_of, loss_name
from laminar.nn.losses import BaseLoss
from laminar.optim.groups import bn_types

__all__ = [
    "batch_norm_inputs",
    "check_contract",
    "check_last_batch",
    "check_loss",
    "check_outputs",
    "check_trainable",
    "may_change",
    "read_output",
]

_FEW = 4
_CHANGING_EVENTS = ("before_fit", "before_epoch", "before_train", "before_batch", "after_pred")


def check_contract(learn: TrainingLoop, metrics: Sequence[Any]) -> None:
    """Look at a few training items on their way through model, loss and metrics.

    Args:
        learn: the learner.
        metrics: its metrics.

    Raises:
        ConfigError: two parts do not fit each other; the message names both and the remedy.
        DataError: the inputs hold values that are no numbers.
    """
    if not length_of(learn.dls[0]) and _knows_length(learn.dls[0]):
        return  # a learner that only predicts
    random_states = get_random_states()
    try:
        batch = few_items(learn.dls[0])
        if batch is not None:
            _check_some(learn, batch, metrics)
    finally:
        set_random_states(**random_states)


def check_trainable(learn: TrainingLoop) -> None:
    """Refuse to train on no batches, or a model that has parameters, all of them frozen.

    Raises:
        ConfigError: it is so.
    """
    _check_lengths(learn.dls)
    learns = [parameter.requires_grad for parameter in learn.model.parameters()]
    if learns and not any(learns):
        raise ConfigError("every parameter of the model is frozen: there is nothing to train. learn.unfreeze() helps.")


def _check_lengths(dls: Any) -> None:
    for number in range(min(len(dls), 2)):
        loader, split = dls[number], ("training", "validation")[number]
        if hasattr(loader, "__len__") and length_of(loader) == 0 and _knows_length(loader):
            n, bs = _items_and_bs(loader)
            why = f" {n} items, bs={bs}, drop_last={getattr(loader, 'drop_last', False)}." if n is not None else ""
            remedy = "Use a batch size of at most the number of items, or drop_last=False."
            if n == 0 or (n is None and bs is None):
                remedy = "It has no items: give the learner others, learn.dls = ..."
            raise ConfigError(f"the {split} loader gives no batch:{why} {remedy}")


def _knows_length(loader: Any) -> bool:
    try:
        return len(loader) >= 0
    except TypeError:
        return False


def _items_and_bs(loader: Any) -> tuple[int | None, int | None]:
    """How many items a loader has, and how many make a batch, as far as it says so."""
    loader = getattr(loader, "batches", loader)
    dataset, bs = getattr(loader, "dataset", None), getattr(loader, "bs", getattr(loader, "batch_size", None))
    n = getattr(loader, "n_items", None) if _knows_length(loader) else None
    if n is None and isinstance(dataset, Sized) and not isinstance(dataset, torch_data.IterableDataset):
        n = len(dataset)
    return n, bs


def few_items(loader: Any) -> Any:
    """A small training batch that costs the loader nothing, no larger than its own; None where that cannot be had."""
    inner = getattr(loader, "batches", loader)
    if type(inner) is torch_data.DataLoader:
        dataset: Any = inner.dataset
        if isinstance(dataset, torch_data.IterableDataset) or inner.batch_size is None:
            return None
        return inner.collate_fn([dataset[i] for i in range(min(_FEW, inner.batch_size, len(dataset)))])
    if isinstance(inner, list | tuple):
        return _first(inner[0]) if inner else None
    if inner is loader and hasattr(loader, "peek"):
        n, bs = _items_and_bs(loader)
        return loader.peek(range(min(_FEW, n or 1, bs or 1)))
    return None


def _first(batch: Any) -> Any:
    """The first few items of a batch."""
    return apply(lambda part: part[:_FEW] if isinstance(part, Tensor) and part.ndim else part, batch)


def _check_some(learn: TrainingLoop, batch: Any, metrics: Sequence[Any]) -> None:
    """Look at a few items; or, if the model refuses them, may keep a state for each row, at a whole batch."""
    try:
        _check_batch(learn, batch, metrics)
    except RuntimeError:
        loader = learn.dls[0]
        n, bs = _items_and_bs(loader)
        if learn.get_cb(ModelResetter) is None or not hasattr(loader, "peek") or min(n or 1, bs or 1) <= _FEW:
            raise
        _check_batch(learn, loader.peek(range(min(n or 1, bs or 1))), metrics)


def _check_batch(learn: TrainingLoop, batch: Any, metrics: Sequence[Any]) -> None:
    with learn._pass("check", joining=[]):
        learn._receive(batch)
        for number, tensor in enumerate(tensors_in(learn.xb)):
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                bad = int((~torch.isfinite(tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None])).any(1).sum())
                raise DataError(
                    f"input {number} of the training data holds NaN or infinite values, in {bad} of the first"
                    f" {len(tensor)} items: {describe(tensor)}. Clean them or fill them in before training."
                )
        if not any(may_change(callback) for callback in learn.cbs):
            learn.model.eval()
            with torch.no_grad(), batch_norm_inputs(learn.model) as single_values, _saying_what_went_where(learn):
                learn.pred = read_output(learn, call_model(learn.model, learn.xb))
            if single_values:
                check_last_batch(learn)
            if learn.yb:
                check_outputs(learn)
                check_loss(learn)
                try_metrics(learn, metrics)


def read_output(learn: TrainingLoop, output: Any) -> Any:
    """The predictions in what a model returned, where a callback of ours takes them out; a recurrent one forgets."""
    for kind in (ModelOutput, RNNCallback):
        reader = learn.get_cb(kind)
        output = output if reader is None else reader.read(output)
    forget = getattr(learn.model, "reset", None)
    if learn.get_cb(ModelResetter) is not None and callable(forget):
        forget()
    return output


@contextmanager
def _saying_what_went_where(learn: TrainingLoop) -> Iterator[None]:
    """Tell how the parts of a batch were divided, if the model does not take that many."""
    try:
        yield
    except Exception as error:
        given = ", ".join(describe(part) for part in learn.xb)
        error.add_note(
            f"The model ({type(learn.model).__name__}) was tried on the first training items: {given}. "
            "Learner(..., check=False) does not try it."
        )
        convolution = next((module for module in learn.model.modules() if isinstance(module, nn.Conv2d)), None)
        channels = learn.xb[0].shape[1] if isinstance(learn.xb[0], Tensor) and learn.xb[0].ndim == 4 else None
        if convolution is not None and channels not in (None, convolution.in_channels):
            error.add_note(
                f"The pictures have {channels} channel(s), the model's first convolution takes "
                f"{convolution.in_channels}: open them as the model wants them (PILImage has 3, PILImageBW has 1), or "
                "build it for them (n_in=...)."
            )
        inputs, targets = len(learn.xb), len(learn.yb)
        if isinstance(error, TypeError) and inputs + targets > 2:
            error.add_note(
                f"The batch has {inputs + targets} parts: {inputs} went into the model, {targets} to the loss. "
                "If they are divided otherwise, say how many are inputs: dls.n_inp = 1."
            )
        raise


def may_change(callback: Any) -> bool:
    """Whether a callback from elsewhere may change what model and loss see."""
    ours = type(callback).__module__.startswith("laminar.") and not vars(callback).keys() & set(_CHANGING_EVENTS)
    return not ours and any(callback.listens_to(event) for event in _CHANGING_EVENTS)


@contextmanager
def batch_norm_inputs(model: nn.Module) -> Iterator[list[str]]:
    """Collect the names of batch norms that see one value of each channel for each item."""
    found: list[str] = []

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs and isinstance(inputs[0], Tensor) and inputs[0][:1].numel() == inputs[0].shape[1]:
                found.append(name)

        return hook

    handles = [m.register_forward_pre_hook(note(name)) for name, m in model.named_modules() if isinstance(m, bn_types)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def check_last_batch(learn: TrainingLoop) -> None:
    """Refuse a last training batch of one item, where batch norm sees one value of each channel for each item."""
    loader = learn.dls[0]
    n, bs = _items_and_bs(loader)
    drop_last = getattr(getattr(loader, "batches", loader), "drop_last", False)
    if n and bs and not drop_last and n % bs == 1 and learn.train_bn:
        raise ConfigError(
            f"the last training batch has one item ({n} items, bs={bs}), and batch norm cannot train on one. Use"
            " another batch size, or drop_last=True."
        )


def check_outputs(learn: TrainingLoop) -> None:
    """Compare the number of outputs with the classes, where the loss takes class indices."""
    target, loss = learn.yb[0], learn.loss_func
    classes = isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss) or getattr(loss, "y_int", False)
    if not classes or not isinstance(learn.pred, Tensor) or not isinstance(target, Tensor) or learn.pred.ndim < 2:
        return
    if target.is_floating_point() or learn.pred.shape == target.shape:
        return  # probabilities as targets
    axis = getattr(loss, "axis", 1)
    outputs = learn.pred.shape[axis]
    vocab = getattr(learn.dls, "vocab", None)
    names = list(vocab) if vocab is not None else []
    several = bool(names) and isinstance(names[-1], list | tuple)
    if names and not several and len(names) != outputs:
        shown = ", ".join(str(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
        raise ConfigError(
            f"the model gives {outputs} outputs, but the data have {len(names)} classes ({shown}). Make the model's"
            f" last layer that wide: n_out={len(names)}."
        )
    ignored = getattr(loss, "ignore_index", -100)
    wrong = target[(target != ignored) & ((target >= outputs) | (target < 0))]
    if wrong.numel():
        raise ConfigError(
            f"a target is class {int(wrong[0])}, but the model gives {outputs} outputs (classes 0 to {outputs - 1})."
            " Give the model more outputs, or number the classes from 0."
        )


def check_loss(learn: TrainingLoop) -> None:
    """Compute the loss; it must be one finite number and compare like with like."""
    name = loss_name(learn.loss_func)
    given = f"predictions {describe(learn.pred)}, targets {describe(learn.y)}"
    _check_sides(learn)
    with warnings.catch_warnings():
        # torch warns where it compares each with all
        warnings.simplefilter("error", UserWarning)  # noqa: TID251  # inside catch_warnings
        try:
            with torch.no_grad():
                learn.loss = learn.loss_func(learn.pred, *learn.yb)
        except (ConfigError, RuntimeError, ValueError, TypeError, IndexError, AttributeError, UserWarning) as error:
            raise ConfigError(
                f"the loss {name} does not fit: {given}. It says: {str(error).splitlines()[0]}. {_remedy(learn)}"
            ) from error
    if not isinstance(learn.loss, Tensor) or learn.loss.numel() != 1:
        raise ConfigError(
            f"the loss {name} must give one number (a tensor) for a batch; it gives {describe(learn.loss)} for {given}."
            " Use reduction='mean'."
        )


def _check_sides(learn: TrainingLoop) -> None:
    """Compare height and width of outputs and targets that are pictures: a loss that flattens both would not mind."""
    loss, pred, target = learn.loss_func, learn.pred, learn.yb[0]
    if not (isinstance(loss, BaseLoss) and loss.flatten and isinstance(pred, Tensor) and isinstance(target, Tensor)):
        return
    sides = list(pred.shape)
    of_classes = loss.y_int and not target.is_floating_point() and -pred.ndim <= loss.axis < pred.ndim
    if of_classes:
        del sides[loss.axis]
    if min(len(sides), target.ndim) >= (3 if of_classes else 4) and sides[-2:] != list(target.shape[-2:]):
        (height, width), (rows, columns) = sides[-2:], target.shape[-2:]
        raise ConfigError(
            f"predictions {describe(pred)} are of pictures of {height}x{width} pixels (height x width), targets "
            f"{describe(target)} of {rows}x{columns}: {loss_name(loss)} would compare other places. Is neither turned? "
            f"Bring pictures and targets to one size: item_tfms=Resize(({height}, {width}))."
        )


def _remedy(learn: TrainingLoop) -> str:
    """What most likely helps where loss and targets do not fit."""
    target = learn.yb[0]
    if not isinstance(target, Tensor) or not isinstance(learn.pred, Tensor):
        return "Pass a loss_func that takes what the model returns."
    if target.dtype == torch.bool and learn.pred.ndim == target.ndim + 1:
        return "Targets are yes and no: make them numbers of classes, int(...), where they are read."
    if not target.is_floating_point() and activation_of(learn.loss_func)(learn.pred[:0]) is not None:
        if target.ndim == learn.pred.ndim and target.shape == learn.pred.shape:
            return "For several classes an item, use BCEWithLogitsLossFlat()."
        return "For class indices, use CrossEntropyLossFlat() and as many outputs as classes."
    return "For numbers, use MSELossFlat() and as many outputs as targets."
