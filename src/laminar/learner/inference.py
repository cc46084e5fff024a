"""Predictions of a trained model: whole sets in the order of the data set, single items, pictures of results."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from torch import Tensor

from laminar.callbacks.predictions import EvaluateCallback, GatherPredsCallback
from laminar.callbacks.progress import ProgressCallback
from laminar.callbacks.save_preds import SavePredsCallback
from laminar.core.batch_files import SavedBatches
from laminar.core.device import to_cpu, to_device
from laminar.core.errors import ConfigError
from laminar.core.seed import get_random_states, set_random_states
from laminar.core.transform import Transform
from laminar.core.types import cast, plain
from laminar.data.foreign import in_order_of_items
from laminar.learner.callback_list import Callbacks, as_list
from laminar.learner.loop import TrainingLoop
from laminar.learner.model_input import loader_for_model, parts_of
from laminar.learner.outputs import for_each_output, predictions
from laminar.metrics.base import AvgLoss
from laminar.metrics.making import mk_metric
from laminar.metrics.metric_set import MetricSet
from laminar.nn.calling import evaluating
from laminar.nn.decoding import activation_of, decodes_of

__all__ = ["evaluation_loader", "get_preds", "predict", "show_results", "some_inputs", "validate"]


def evaluation_loader(dls: Any, ds_idx: int = 1, dl: Any = None, model_tfms: Sequence[Transform] = ()) -> Any:
    """A loader over all items, in the order of the data set, without augmentation.

    Args:
        dls: the learner's loaders.
        ds_idx: 0 for the training set, 1 for the validation set.
        dl: another loader, or any iterable of batches, in place of these.
        model_tfms: batch transforms that belong to the model, added where the loader lacks them.

    Raises:
        ConfigError: there is no such set.
    """
    if dl is None:
        n = len(dls)
        if not -n <= ds_idx < n:
            raise ConfigError(f"ds_idx={ds_idx}: there are {n} loaders. Pass a loader: dl=dls.test_dl(items).")
        dl = dls[ds_idx]
    if hasattr(dl, "eval_loader"):
        return loader_for_model(dl.eval_loader(), model_tfms)
    return in_order_of_items(dl)


def some_inputs(learn: TrainingLoop) -> tuple[Any, ...]:
    """The inputs of a training batch, on the learner's device, without their types; random states are as before."""
    states = get_random_states()
    try:
        loader = learn.dls[0]
        batch = loader.one_batch() if hasattr(loader, "one_batch") else next(iter(loader))
    finally:
        set_random_states(**states)
    parts = parts_of(batch)
    n = getattr(learn.dls, "n_inp", None) or max(len(parts) - 1, 1)
    return tuple(plain(to_device(part, learn.device)) for part in parts[:n])


def validate(learn: TrainingLoop, metrics: list[Any], dl: Any, cbs: Callbacks) -> list[float | None]:
    """Compute loss and metrics over `dl`."""
    evaluate = EvaluateCallback(MetricSet([AvgLoss(), *(mk_metric(m) for m in metrics)]))
    learn._evaluate(dl, [*as_list(cbs), evaluate])
    if not evaluate.n_batches:
        raise ConfigError("there was nothing to validate: the loader gave no batch.")
    return evaluate.values


def get_preds(
    learn: TrainingLoop,
    dl: Any,
    with_input: bool = False,
    with_decoded: bool = False,
    with_loss: bool = False,
    act: Callable[[Any], Any] | None = None,
    cbs: Callbacks = None,
    with_items: bool = False,
    saving: SavePredsCallback | None = None,
) -> tuple[Any, ...]:
    """Predict everything in `dl`; see `Learner.get_preds`. What `saving` writes is not kept in memory."""
    saving = saving or SavePredsCallback()
    saved_preds, saved_targets = saving.save_preds is not None, saving.save_targs is not None
    read = saving.act = act or for_each_output(activation_of(learn.loss_func))
    gather = GatherPredsCallback(with_input, with_loss, with_items, not saved_preds, not saved_targets, read)
    learn._evaluate(dl, [*as_list(cbs), gather, *([saving] if saved_preds or saved_targets else [])])
    if gather.preds is None and saving.preds is None:
        raise ConfigError("there was nothing to predict: the loader gave no batch.")
    preds = saving.preds if saving.preds is not None else gather.preds
    result = [gather.inputs] if with_input else []
    result += [preds, saving.targets if saved_targets else gather.targets]
    if with_decoded:
        decode = for_each_output(decodes_of(learn.loss_func))
        result.append(preds.map(decode) if isinstance(preds, SavedBatches) else decode(preds))
    if with_loss:
        result.append(gather.losses)
    if with_items:
        result.append(gather.items)
    return tuple(result)


def _typed(decoded: Any, batch_types: tuple[type, ...]) -> tuple[Any, ...]:
    """Decoded predictions with the types of the targets, as a tuple."""
    parts = tuple(decoded) if isinstance(decoded, tuple | list) else (decoded,)
    kinds = (*batch_types, *[object] * len(parts))
    return tuple(
        cast(part, kind) if isinstance(part, Tensor) and isinstance(kind, type) and issubclass(kind, Tensor) else part
        for part, kind in zip(parts, kinds, strict=False)
    )


def predict(
    learn: TrainingLoop, item: Any, with_input: bool = False, rm_type_tfms: int | None = None
) -> tuple[Any, ...]:
    """Predict one raw item; see `Learner.predict`."""
    if not hasattr(learn.dls, "test_dl"):
        raise ConfigError(f"{type(learn.dls).__name__} cannot turn an item into a batch: it has no test_dl.")
    chosen = {} if rm_type_tfms is None else {"rm_type_tfms": rm_type_tfms}
    try:
        batch = next(iter(learn.dls.test_dl([item], num_workers=0, **chosen)))
    except Exception as error:
        if isinstance(item, list) and item and all(isinstance(part, os.PathLike) for part in item):
            error.add_note("predict takes one item; for several: learn.get_preds(dl=learn.dls.test_dl(items)).")
        raise
    parts = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
    n = getattr(learn.dls, "n_inp", 1)
    preds, decoded = _predict_batch(learn, parts, n)
    outs = _typed(decoded, tuple(getattr(learn.dls, "target_types", ())))
    sample = learn.dls.decode_batch((*parts[:n], *outs), max_n=1)[0]
    inputs, targets = sample[:n], sample[n:]
    first = [part[0] for part in outs]
    result = (
        targets[0] if len(targets) == 1 else targets,
        first[0] if len(first) == 1 else tuple(first),
        preds[0] if isinstance(preds, Tensor) else tuple(part[0] for part in preds),
    )
    return ((inputs[0] if len(inputs) == 1 else inputs), *result) if with_input else result


def _predict_batch(learn: TrainingLoop, parts: tuple[Any, ...], n_inp: int) -> tuple[Any, Any]:
    """Predictions and decisions: by a pass where callbacks take part in it, else straight from the model."""
    taking_part = [cb for cb in learn.cbs if "evaluation" in cb.passes and not isinstance(cb, ProgressCallback)]
    here = all(parameter.device == learn.device for parameter in learn.model.parameters())
    if learn._kind or taking_part or not here:
        with learn.removed_cbs(ProgressCallback):
            preds, _, decoded = get_preds(learn, [parts], with_decoded=True)
        return preds, decoded
    inputs = to_device(parts[:n_inp], learn.device)
    trains = any(module.training for module in learn.model.modules())
    with evaluating(learn.model) if trains else nullcontext():  # several threads may be here: no mode is set in vain
        preds = to_cpu(predictions(learn.model, learn.loss_func, inputs, n_inp))
    return preds, for_each_output(decodes_of(learn.loss_func))(preds)


def show_results(learn: TrainingLoop, dl: Any, max_n: int, shuffle: bool, options: dict[str, Any]) -> Any:
    """Draw some items with targets and predictions; see `Learner.show_results`."""
    if not hasattr(dl, "show_results"):
        raise ConfigError(
            f"{type(dl).__name__} cannot show results: it does not know what its parts mean. Use laminar's DataLoaders."
        )
    batch = dl.random_batch(max_n) if shuffle and hasattr(dl, "random_batch") else dl.one_batch()
    parts = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
    decoded = get_preds(learn, [parts], with_decoded=True)[2]
    # A loader of items without labels has no targets; the learner's own say what predictions are.
    kinds = getattr(dl, "target_types", ()) or getattr(learn.dls, "target_types", ())
    outs = _typed(decoded, tuple(kinds))
    return dl.show_results(batch, outs[0] if len(outs) == 1 else outs, max_n=max_n, **options)
