"""A run in TensorBoard."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from laminar.callbacks.run_logging import RunLogger
from laminar.core.device import to_detach
from laminar.core.errors import require
from laminar.core.lazy import lazy_module
from laminar.core.seed import get_random_states, set_random_states

__all__ = ["TensorBoardCallback"]

torch_tensorboard = lazy_module("torch.utils.tensorboard")


class TensorBoardCallback(RunLogger):
    """Writes losses, hyper-parameters, metrics, predictions and the model's graph for TensorBoard: ``tensorboard
    --logdir runs``. Needs ``pip install laminar[track]``.

    Args:
        log_dir: folder of the run; by default a new one below ``runs`` under the learner's path.
        trace_model: write the model's graph; a model that cannot be traced is a warning.
        log_preds: write a picture of predictions after each epoch, where the loaders know how to draw them.
        n_preds: how many.
        projector: write the features of the validation set at the end, for the embedding projector.
        layer: whose outputs the features are; by default what goes into the last layer with parameters.
    """

    def __init__(
        self,
        log_dir: str | Path | None = None,
        trace_model: bool = True,
        log_preds: bool = True,
        n_preds: int = 9,
        projector: bool = False,
        layer: nn.Module | None = None,
    ) -> None:
        super().__init__(log_preds, n_preds)
        self.log_dir = None if log_dir is None else Path(log_dir)
        self.trace_model, self.projector, self.layer = trace_model, projector, layer
        self._writer: Any = None
        self._untraced = trace_model

    def before_fit(self) -> None:
        """Open the run's folder."""
        super().before_fit()
        require("tensorboard", "track", "TensorBoardCallback")
        if self.log_dir is None:
            self.log_dir = Path(self.learn.path) / "runs" / time.strftime("%Y-%m-%d_%H-%M-%S")
        self._writer = torch_tensorboard.SummaryWriter(str(self.log_dir))

    def write(self, values: dict[str, float], step: int) -> None:
        """Write values by name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def write_figure(self, name: str, figure: Any, step: int) -> None:
        """Write a matplotlib figure."""
        self._writer.add_figure(name, figure, step, close=False)

    def before_batch(self) -> None:
        """Trace the model, on the first batch."""
        if self._untraced:
            self._untraced = False
            self._write_graph()

    def state_dict(self) -> dict[str, Any]:
        """Where the run is, and how far."""
        return {**super().state_dict(), "log_dir": None if self.log_dir is None else str(self.log_dir)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the run in its folder; what an interrupted process has written since is not shown."""
        super().load_state_dict(state)
        before, self.log_dir = self.log_dir, None if state["log_dir"] is None else Path(state["log_dir"])
        if self._writer is not None and self.log_dir is not None and self.log_dir != before:
            self._writer.close()
            purge_step = self.first_step + self._written
            self._writer = torch_tensorboard.SummaryWriter(str(self.log_dir), purge_step=purge_step)

    def _write_graph(self) -> None:
        modes, states = [(module, module.training) for module in self.model.modules()], get_random_states()
        try:
            with warnings.catch_warnings(action="ignore"), torch.no_grad():  # torch traces by means it has deprecated
                self._writer.add_graph(self.model.eval(), self.xb)
        except Exception as error:  # noqa: BLE001  # a picture of the model is not worth ending its training
            warnings.warn(f"TensorBoardCallback cannot trace the model: {error!r:.200}", UserWarning, stacklevel=2)
        finally:
            for module, training in modes:
                module.training = training
            set_random_states(**states)

    def after_epoch(self) -> None:
        """Write the epoch's row, and predictions."""
        super().after_epoch()
        self.send_predictions()
        self._writer.flush()

    def after_fit(self) -> None:
        """Write features for the projector."""
        super().after_fit()
        if self.projector:
            features, labels = self._features()
            self._writer.add_embedding(features, metadata=labels, global_step=self.first_step)

    def _features(self) -> tuple[Tensor, list[str] | None]:
        """Features of the validation set, ``[n, features]``, and what the items are."""
        kept: list[Tensor] = []
        if self.layer is not None:
            hook = self.layer.register_forward_hook(lambda module, inputs, output: kept.append(_flat(output)))
        else:
            last = [module for module in self.model.modules() if module._parameters][-1]
            hook = last.register_forward_pre_hook(lambda module, inputs: kept.append(_flat(inputs[0])))
        try:
            targets = self.learn.get_preds()[1]
        finally:
            hook.remove()
        if not isinstance(targets, Tensor) or targets.ndim != 1:
            return torch.cat(kept), None
        vocab = None if targets.is_floating_point() else getattr(self.dls, "vocab", None)
        return torch.cat(kept), [str(value if vocab is None else vocab[value]) for value in targets.tolist()]

    def cleanup_fit(self) -> None:
        """Close the files."""
        super().cleanup_fit()
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _flat(features: Tensor) -> Tensor:
    kept: Tensor = to_detach(features).flatten(1)
    return kept
