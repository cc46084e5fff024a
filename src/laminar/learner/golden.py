"""Golden items: a few raw items in an export, with what was predicted of them when it was written.

Whoever loads the file predicts them again: other weights, another decoder or another resizing show at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.device import tensors_in, to_cpu
from laminar.core.errors import DataError, VerificationError
from laminar.core.rebuilding import from_recipe
from laminar.core.recipe import to_recipe
from laminar.data.inference import without_items
from laminar.data.raw_items import keep_item, raw_inputs, read_item
from laminar.learner.outputs import predictions
from laminar.nn.calling import evaluating

__all__ = ["N_GOLDEN", "check_golden", "golden_data"]

N_GOLDEN = 8
_LARGEST = 2 * 2**20  # bytes of what is predicted of an item for itself
_TOLERANCE = 1e-3  # of the largest expected value: other processors round otherwise, other weights do more


def golden_data(dls: Any, model: nn.Module, loss_func: Any, n: int, tensors: dict[str, Tensor]) -> Any:
    """Take raw items out of the validation set, and predict them.

    Items whose files are gone, that are no data or larger than 2 MB are not taken.

    Args:
        dls: the loaders.
        model: the model that is written.
        loss_func: says how its outputs are read.
        n: how many items at most.
        tensors: receives what is no JSON.

    Returns:
        Data for `check_golden`; None if no item could be taken.
    """
    kept = list(islice(_kept_items(dls, tensors), n))
    if not kept:
        return None
    try:
        return _with_predictions(kept, without_items(dls), model, loss_func, tensors)
    except OSError:  # what it reads of its files' neighbours is gone
        return None
    except Exception as error:
        error.add_note(
            "while predicting items of the validation set from their raw form, as the exported learner will; "
            "export(..., golden=0) leaves this check out"
        )
        raise


def _with_predictions(
    kept: list[tuple[Any, Any]], dls: Any, model: nn.Module, loss_func: Any, tensors: dict[str, Tensor]
) -> Any:
    """Data for `check_golden`; None if no item is left."""
    items, written = [item for item, _ in kept], [data for _, data in kept]
    try:
        return {"items": written, "preds": to_recipe(_predict(dls, model, loss_func, items), tensors)}
    except DataError:  # they are of several sizes, and nothing pads them: pieces of texts for a language model
        preds = [_predict(dls, model, loss_func, [item]) for item in items]
    small = [number for number, pred in enumerate(preds) if _size(pred) <= _LARGEST]
    if not small:
        return None
    chosen = [preds[number] for number in small]
    return {"items": [written[number] for number in small], "preds": to_recipe(chosen, tensors), "singly": True}


def _size(pred: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(pred))


def _kept_items(dls: Any, tensors: dict[str, Tensor]) -> Iterator[tuple[Any, Any]]:
    items = raw_inputs(dls)
    while True:
        try:
            item = next(items, None)
        except (OSError, DataError):  # the files of a training long ago may be gone
            return
        if item is None:
            return
        data = keep_item(item, tensors)
        if data is not None:
            yield item, data


def check_golden(
    golden: Any, dls: Any, model: nn.Module, loss_func: Any, tensors: Mapping[str, Tensor], where: str
) -> None:
    """Predict the golden items of a file again.

    Args:
        golden: what `golden_data` returned.
        dls: the loaders of the file.
        model: its model.
        loss_func: its loss.
        tensors: its tensors.
        where: the file's name for messages.

    Raises:
        VerificationError: predictions differ from those of the day when the file was written.
        DataError: these are no golden items.
    """
    if not isinstance(golden, dict) or not isinstance(golden.get("items"), list) or "preds" not in golden:
        raise DataError(f"{where}: golden items and their predictions are expected, not {golden!r:.80}")
    expected = from_recipe(golden["preds"], tensors, (), f"{where}.preds")
    with tempfile.TemporaryDirectory(prefix="laminar-golden-") as folder:
        try:
            items = [read_item(data, tensors, Path(folder)) for data in golden["items"]]
            if golden.get("singly") is True:
                preds = [_predict(dls, model, loss_func, [item]) for item in items]
            else:
                preds = _predict(dls, model, loss_func, items)
        except Exception as error:  # anything may go wrong with what no program wrote
            raise DataError(
                f"{where}: its golden items cannot be predicted: {type(error).__name__}: {error}. Something that the "
                "learner needs is missing here, or the file was changed; load_learner(..., verify=False) does not try."
            ) from error
    difference, largest = _difference(preds, expected)
    if not difference <= _TOLERANCE * largest:
        raise VerificationError(
            f"{where}: the predictions of its {len(items)} golden items differ by up to {difference:.3g} from those "
            f"of the day it was written (up to {largest:.3g}, of which {_TOLERANCE} may differ). The file was changed, "
            "or something that prepares items works otherwise here: compare the versions of laminar, torch, "
            "torchvision and Pillow. load_learner(..., verify=False) loads it nevertheless."
        )


def _predict(dls: Any, model: nn.Module, loss_func: Any, items: list[Any]) -> Any:
    loader = dls.test_dl(items, bs=len(items), num_workers=0)
    with evaluating(model):
        return to_cpu(predictions(model, loss_func, next(iter(loader)), dls.n_inp))


def _difference(preds: Any, expected: Any) -> tuple[float, float]:
    """The largest difference between two nested structures of tensors, and the largest value that is expected."""
    pairs = list(zip(tensors_in(preds), tensors_in(expected), strict=False))
    same_form = len(pairs) == len(list(tensors_in(preds))) and all(a.shape == b.shape for a, b in pairs)
    if not pairs or not same_form:
        return float("inf"), 1.0
    differences = [(a.double() - b.double()).abs()[~((a == b) | (a.isnan() & b.isnan()))] for a, b in pairs]
    return max(map(_largest, differences)), max(1.0, *(_largest(b.double()[b.isfinite()]) for _, b in pairs))


def _largest(values: Tensor) -> float:
    return float(torch.nan_to_num(values.abs(), nan=float("inf")).max()) if values.numel() else 0.0
