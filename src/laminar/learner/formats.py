"""Models for other programs: ONNX, a program of torch.export, or weights alone, each read back and run before it stays.

What they compute is what `get_preds` returns for a batch as the model gets it: augmentation off, normalised.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import laminar
from laminar.core.device import tensors_in
from laminar.core.errors import VerificationError, require
from laminar.data.collation import first_items
from laminar.data.normalize import Normalize
from laminar.learner.outputs import for_each_output
from laminar.learner.program import as_program, example_inputs
from laminar.nn.calling import call_model
from laminar.nn.decoding import activation_of

__all__ = ["FORMATS", "export_format"]

_TOLERANCE = 1e-3  # of the largest prediction; other kernels round otherwise


class Predictor(nn.Module):
    """A model with its loss's activation: from inputs to what `get_preds` returns."""

    def __init__(self, model: nn.Module, activation: Callable[[Any], Any]) -> None:
        super().__init__()
        self.model, self.activation = model, for_each_output(activation)

    def forward(self, *inputs: Any) -> Any:
        """Predict a batch."""
        return self.activation(call_model(self.model, inputs))


def export_format(learn: Any, file: Path, kind: str) -> None:
    """Write a learner's model in one of `FORMATS`, and see that what was written predicts the same.

    Args:
        learn: a learner with data: a batch of it is what the model is traced with.
        file: where; replaced as a whole, or not at all.
        kind: one of `FORMATS`.

    Raises:
        ConfigError: the model cannot be written so, or there is no batch.
        VerificationError: what was written predicts something else.
        MissingExtraError: the format needs a package that is not installed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.stem}.unfinished{file.suffix}")
    try:
        FORMATS[kind](learn, unfinished, json.dumps(_about(learn)))
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _about(learn: Any) -> dict[str, Any]:
    """What another program must know to use the model: classes, and what was done to batches before it."""
    vocab = getattr(learn.dls, "vocab", None)
    valid = learn.dls[min(1, len(learn.dls) - 1)]
    steps = [step for step in getattr(valid, "after_batch", ()) if step.split_idx != 0]
    normalize = next((step for step in steps if isinstance(step, Normalize)), None)
    return {
        "laminar": laminar.__version__,
        "vocab": None if vocab is None else json.loads(json.dumps(list(vocab), default=list)),
        "batch_tfms": [repr(step) for step in steps],
        "mean": None if normalize is None or normalize.mean is None else normalize.mean.flatten().tolist(),
        "std": None if normalize is None or normalize.std is None else normalize.std.flatten().tolist(),
    }


def _traced(learn: Any) -> tuple[Predictor, tuple[Any, ...]]:
    """The predictor, of a copy on the CPU, and inputs of two items."""
    inputs = example_inputs(learn)
    return Predictor(copy.deepcopy(learn.model).cpu().eval(), activation_of(learn.loss_func)), inputs


def _write_program(learn: Any, file: Path, about: str) -> None:
    predictor, inputs = _traced(learn)
    torch.export.save(
        as_program(predictor, inputs, type(predictor.model).__name__), file, extra_files={"laminar.json": about}
    )
    read = torch.export.load(file).module()
    _compare(file, predictor, inputs, lambda given: list(tensors_in(read(*given))))


def _write_onnx(learn: Any, file: Path, about: str) -> None:
    onnx = require("onnx", "onnx", "learn.export(format='onnx')")
    runtime = require("onnxruntime", "onnx", "learn.export(format='onnx')")
    require("onnxscript", "onnx", "learn.export(format='onnx')")
    predictor, inputs = _traced(learn)
    written = torch.onnx.export(
        as_program(predictor, inputs, type(predictor.model).__name__), dynamo=True, verbose=False
    )
    assert written is not None
    model = written.model_proto
    model.metadata_props.append(onnx.StringStringEntryProto(key="laminar", value=about))
    onnx.save(model, file)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(given: tuple[Any, ...]) -> list[Tensor]:
        arrays = [tensor.numpy() for tensor in tensors_in(given)]
        return [torch.from_numpy(out) for out in session.run(None, dict(zip(names, arrays, strict=True)))]

    _compare(file, predictor, inputs, run)


def _compare(
    file: Path, predictor: Predictor, inputs: tuple[Any, ...], run: Callable[[tuple[Any, ...]], list[Tensor]]
) -> None:
    """See that what was written predicts what the model predicts, for one item and for several."""
    for n in (1, 2):
        given = first_items(inputs, n)
        with torch.no_grad():
            expected, got = list(tensors_in(predictor(*given))), run(given)
        largest = max(float(tensor.abs().max()) for tensor in expected)
        if len(got) != len(expected) or not all(
            a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=_TOLERANCE * largest, equal_nan=True)
            for a, b in zip(got, expected, strict=True)
        ):
            raise VerificationError(f"{file}: what was written predicts something else than the model, for {n} item(s)")


def _write_weights(learn: Any, file: Path, about: str) -> None:
    state = {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in learn.model.state_dict().items()
    }
    save_file(state, file, metadata={"laminar_model": about})
    read = load_file(file)
    if any(not torch.equal(read[name], tensor) and not tensor.isnan().any() for name, tensor in state.items()):
        raise VerificationError(f"{file}: weights that were read back are not those that were written")


FORMATS: dict[str, Callable[[Any, Path, str], None]] = {
    "onnx": _write_onnx,
    "pt2": _write_program,
    "safetensors": _write_weights,
}
"""Formats beside laminar's own, and what writes each."""
