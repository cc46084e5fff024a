"""`LayerTelemetry`: statistics of layers while they train, at the cost of a few sampled batches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from laminar.callbacks.base import Callback
from laminar.callbacks.telemetry import exporting
from laminar.callbacks.telemetry.layers import (
    LayerChoice,
    chosen_layers,
    named_outputs,
    own_weights,
    unit_dim_of_output,
    unit_dim_of_weight,
    unit_dims_before,
)
from laminar.callbacks.telemetry.live import LivePicture
from laminar.callbacks.telemetry.measures import KINDS, Measure, StatisticsChoice, measures_of
from laminar.callbacks.telemetry.pictures import Pictures
from laminar.callbacks.telemetry.record import Record
from laminar.callbacks.telemetry.report import write_report
from laminar.callbacks.telemetry.rules import RULES, Finding, Rule
from laminar.callbacks.telemetry.sampling import Arriving, Sample
from laminar.core.errors import ConfigError
from laminar.nn.hooks import Hooks

__all__ = ["LayerTelemetry"]

_OF_INPUTS = measures_of(["weights"], ["mean", "std"])["weights"]
_OF_THE_LOSS = measures_of(["weights"], ["mean"])["weights"]


class LayerTelemetry(Pictures, Callback):
    """Measures layers in every so many training batches: outputs, weights, gradients and what steps add to weights.

    Everything is computed on the device and brought over in one transfer a sample; batches in between cost nothing.
    The record goes on from one fit to the next, and is saved with checkpoints. After `max_samples` samples, every
    second one is forgotten and from then on half as many are taken, so that memory is bounded however long a fit is.

    Inputs of the model and the loss are recorded beside the layers. What is wrong is said in words, once (`findings`).
    Hooks are on the layers only while a sampled batch goes through the model; a compiled model runs uncompiled then.

    Args:
        layers: which, see `LayerChoice`: a class, a pattern of names, a function, `InGroup`, a list of these. By
            default layers with weights of two dimensions and more, and activation functions.
        of: what of them: ``"activations"`` (outputs), ``"weights"`` (before the step), ``"gradients"`` (before they are
            clipped), ``"updates"`` (what the step adds).
        stats: names of statistics and functions of your own, or these by kind: ``{"weights": ["norm", mine]}``. By
            default `DEFAULT_STATISTICS`.
        every: batches from one sample to the next.
        rules: what to warn of; ``()`` for nothing.
        max_samples: how many samples are kept, at least 2.
        live: in a notebook, draw this statistic while the fit runs (`plot`).

    Raises:
        ConfigError: unknown words, no layers, or numbers out of range.
    """

    order = 7  # gradients of the loss, before they are clipped
    run_valid = False
    passes = ("fit",)
    allow_several = True  # one for each question

    def __init__(
        self,
        layers: LayerChoice = None,
        of: Sequence[str] = KINDS,
        stats: StatisticsChoice = None,
        every: int = 10,
        *,
        rules: Sequence[Rule] = RULES,
        max_samples: int = 500,
        live: str | None = None,
    ) -> None:
        if every < 1 or max_samples < 2:
            raise ConfigError(f"LayerTelemetry(every={every}, max_samples={max_samples}): at least 1, and at least 2.")
        self.layers, self.every, self.max_samples = layers, every, max_samples
        self.of = (of,) if isinstance(of, str) else tuple(of)
        self.measures = measures_of(self.of, stats)
        self.rules, self.live = tuple(rules), live
        self._live: LivePicture | None = None
        self._needs_previous = any("previous" in m.needs for measures in self.measures.values() for m in measures)
        self._at_work: dict[str, nn.Module] = {}
        self._names: dict[nn.Module, str] = {}
        self._unit_dims_before: dict[nn.Module, int] = {}
        self.weights: dict[str, tuple[nn.Module, nn.Parameter]] = {}
        self.values_per_unit: dict[str, int] = {}
        self._forget_batch()
        self.clear()

    def clear(self) -> None:
        """Forget what was measured and found."""
        parts = {(of, m.name): m.parts for of, measures in self.measures.items() for m in measures if m.parts}
        self.record = Record(parts)
        self.findings: list[Finding] = []
        self._distance = self.every
        self._first_batch = 0

    @property
    def _batch(self) -> int:
        """The number of the batch in hand, counted on from earlier fits."""
        return self._first_batch + self.learn.train_iter

    @property
    def loss_is_scaled(self) -> bool:
        """Whether a scaler looks for the largest scale at which float16 gradients are finite."""
        return bool(self.learn.scaler.is_enabled())

    # ---- a fit -------------------------------------------------------------------------------------------------------

    def before_fit(self) -> None:
        """Find the layers."""
        opt = self.opt
        groups: dict[int, list[nn.Parameter]] = {}
        for number, group in enumerate(opt.param_groups):
            groups.setdefault(group.get("layer_group", number), []).extend(group["params"])
        self._at_work = chosen_layers(self.model, self.layers, [groups[number] for number in sorted(groups)])
        self._names = {module: name for name, module in self._at_work.items()}
        self.weights = own_weights(self._at_work)
        self._unit_dims_before = unit_dims_before(self.model)
        self._live = None if self.live is None else LivePicture(partial(self._draw_live, self.live))
        self._forget_batch()

    def _draw_live(self, stat: str, ax: Any) -> None:
        if len(self.record):
            self.plot(stat, ax=ax)

    def _forget_batch(self) -> None:
        self._sample: Sample | None = None
        self._arriving: Arriving | None = None
        self._on_the_way = ExitStack()
        self._step_is_due = self._keep_is_due = False
        self._before: dict[str, Tensor] = {}
        self._previous: dict[tuple[str, str], Tensor] = {}
        self._unit_dim: int | None = None

    def before_batch(self) -> None:
        """On a batch to sample, put hooks on."""
        if self._batch % self._distance:
            if self._needs_previous and not (self._batch + 1) % self._distance:
                self._keep_is_due = True
            return
        self._receive()
        self._sample = Sample(self._batch)
        self._step_is_due, self._unit_dim = True, None
        if self.measures.get("activations"):
            self._on_the_way.enter_context(Hooks(self._at_work.values(), self._see))
            if "torch._dynamo" in sys.modules:  # something may be compiled, which would not see the hooks
                self._on_the_way.enter_context(torch.compiler.set_stance("force_eager"))

    def _see(self, layer: nn.Module, inputs: Any, output: Any) -> None:
        """Measure what a layer gives."""
        if self._sample is None or not self.learn.training:  # a prediction in the middle of the batch
            return
        for name, tensor in named_outputs(self._names[layer], output):
            before = self._unit_dims_before.get(layer) if self._unit_dim is None else self._unit_dim
            self._unit_dim = unit_dim_of_output(layer, tensor, before)
            self.values_per_unit[name] = tensor.numel() // max(tensor.shape[self._unit_dim] if tensor.ndim else 1, 1)
            self._sample.measure(name, "activations", tensor, self.measures["activations"], unit_dim=self._unit_dim)

    def after_pred(self) -> None:
        """Take hooks off; measure what went in."""
        self._on_the_way.close()
        if self._sample is not None:
            for number, (_, tensor) in enumerate(named_outputs("", self.xb)):
                self.values_per_unit[f"input {number}"] = len(tensor) if tensor.ndim else 1
                if tensor.ndim > 1:
                    self._sample.measure(f"input {number}", "inputs", tensor, _OF_INPUTS)

    def before_step(self) -> None:
        """Measure weights and gradients, and keep the weights until the step is done."""
        if not (self._step_is_due or self._keep_is_due):
            return
        rates = {id(p): float(group["lr"]) for group in self.opt.param_groups for p in group["params"]}
        for name, (layer, weight) in self.weights.items():
            known = {"lr": rates.get(id(weight), 0.0), "unit_dim": unit_dim_of_weight(layer), "weight": weight.detach()}
            self._measure(name, "weights", weight.detach(), known)
            if weight.grad is not None and not weight.grad.is_sparse:
                self._measure(name, "gradients", weight.grad, known)
            if "updates" in self.measures and weight.requires_grad:
                self._before[name] = weight.detach().clone()

    def after_step(self) -> None:
        """Measure what the step has added to the weights."""
        if not (self._step_is_due or self._keep_is_due):
            return
        rates = {id(p): float(group["lr"]) for group in self.opt.param_groups for p in group["params"]}
        for name, before in self._before.items():
            layer, weight = self.weights[name]
            known = {"lr": rates.get(id(weight), 0.0), "unit_dim": unit_dim_of_weight(layer), "weight": before}
            self._measure(name, "updates", weight.detach() - before, known)
        self._before = {}
        self._step_is_due = self._keep_is_due = False

    def _measure(self, name: str, of: str, tensor: Tensor, known: dict[str, Any]) -> None:
        """Take measures if this batch is sampled, and keep the tensor if the next one is and wants it."""
        measures: Sequence[Measure] = self.measures.get(of, ())
        wanted = any("previous" in measure.needs for measure in measures)
        if self._step_is_due:
            previous = self._previous.pop((name, of), None)
            if previous is None:
                measures = [measure for measure in measures if "previous" not in measure.needs]
            self._sample = self._sample or Sample(self._batch)  # a step that comes later than the batch
            self._sample.measure(name, of, tensor, measures, previous=previous, **known)
        if wanted and (self._keep_is_due or self._distance == 1):
            self._previous[name, of] = tensor.clone()

    def after_cancel_batch(self) -> None:
        """Take hooks off if the batch was given up while it went through the model."""
        self._on_the_way.close()

    def after_batch(self) -> None:
        """Send off what was measured."""
        sample, self._sample = self._sample, None
        if sample is None:
            return
        if isinstance(self.learn.loss, Tensor):
            sample.measure("loss", "loss", self.learn.loss, _OF_THE_LOSS)
        self._arriving = sample.send()
        if self._arriving is not None and self.learn.device.type != "cuda":
            self._receive()

    def _receive(self) -> None:
        """Take in the last sample, which has arrived by now, and let rules look at it."""
        arrived, self._arriving = self._arriving, None
        if arrived is None:
            return
        self.record.add(arrived.batch, arrived.layout, arrived.values())
        for rule in self.rules:
            self._tell(list(rule(self)))
        if len(self.record) >= self.max_samples:
            self.record.thin()
            self._distance *= 2
        if self._live is not None:
            self._live.update()

    def _tell(self, findings: list[Finding]) -> None:
        known = {(finding.rule, finding.layer) for finding in self.findings}
        new = [finding for finding in findings if (finding.rule, finding.layer) not in known]
        self.findings += new
        if new:
            more = f" (and in {len(new) - 1} more layers, see learn.layer_telemetry.findings)" if len(new) > 1 else ""
            print(f"LayerTelemetry: {new[0]}{more}")

    def after_train(self) -> None:
        """Take in the last sample of the epoch."""
        self._receive()

    def cleanup_fit(self) -> None:
        """Take hooks off, let go of layers and tensors, and remember where the next fit goes on."""
        self._on_the_way.close()
        self._receive()
        if self._live is not None:
            self._live.update(now=True)
            self._live.close()
        self._first_batch += self.learn.train_iter
        self._forget_batch()
        self._at_work, self._names, self._unit_dims_before, self.weights, self._live = {}, {}, {}, {}, None

    # ---- elsewhere ---------------------------------------------------------------------------------------------------

    def report(self, path: str | Path = "telemetry.html", title: str = "Layer telemetry", pngs: bool = False) -> Path:
        """Write a page of findings, pictures and last values: one HTML file that needs no other.

        Args:
            path: of the file; folders are made.
            title: of the page.
            pngs: write the pictures as PNG files too, into a folder beside the page with its name.

        Returns:
            The file's path.
        """
        return write_report(self, self.findings, path, title, pngs)

    def to_frame(self) -> Any:
        """Everything as a pandas data frame, a value in each row. Needs ``pip install laminar[tabular]``."""
        return self.record.to_frame()

    def to_csv(self, path: str | Path) -> Path:
        """Write everything to a file, a value in each row."""
        return self.record.to_csv(path)

    def to_tensorboard(self, log_dir: str | Path) -> Path:
        """Write a curve for each statistic of each layer. Needs ``pip install laminar[track]``."""
        return exporting.to_tensorboard(self.record, log_dir)

    def to_wandb(self) -> None:
        """Send a curve for each statistic of each layer to the run that ``wandb.init`` began."""
        exporting.to_wandb(self.record)

    # ---- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What was measured and found, and where the next fit goes on."""
        findings = [[f.rule, f.layer, f.batch, f.text, f.causes] for f in self.findings]
        counts = {"distance": self._distance, "first_batch": self._first_batch}
        return {"record": self.record.state_dict(), "findings": findings, **counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with a saved record."""
        self.clear()
        self.record.load_state_dict(state["record"])
        self.findings = [Finding(*finding) for finding in state["findings"]]
        self._distance, self._first_batch = state["distance"], state["first_batch"]
