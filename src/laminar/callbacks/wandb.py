"""A run in Weights & Biases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from laminar.callbacks.run_logging import RunLogger
from laminar.core.errors import ConfigError, require
from laminar.nn.decoding import loss_name

__all__ = ["WandbCallback"]


class WandbCallback(RunLogger):
    """Sends losses, hyper-parameters, metrics, predictions and the model to the run that ``wandb.init`` began, online
    or offline. Needs ``pip install laminar[track]``.

    Args:
        log: what ``wandb.watch`` sends of the model: ``"gradients"``, ``"parameters"``, ``"all"``, or None.
        log_preds: send a picture of predictions when the fit is over, where the loaders know how to draw them.
        log_preds_every_epoch: send it after each epoch.
        log_model: send the weights when the fit is over.
        model_name: what they are called; ``run-<id>-model`` by default.
        n_preds: how many predictions.
    """

    def __init__(
        self,
        log: str | None = None,
        log_preds: bool = True,
        log_preds_every_epoch: bool = False,
        log_model: bool = False,
        model_name: str | None = None,
        n_preds: int = 36,
    ) -> None:
        super().__init__(log_preds, n_preds)
        self.log, self.log_preds_every_epoch = log, log_preds_every_epoch
        self.log_model, self.model_name = log_model, model_name
        self._wandb: Any = None

    @property
    def run_in_wandb(self) -> Any:
        """The run.

        Raises:
            ConfigError: nobody has begun one.
        """
        self._wandb = self._wandb or require("wandb", "track", "WandbCallback")
        if self._wandb.run is None:
            raise ConfigError("WandbCallback sends to a run that has begun: call wandb.init(project=...) first.")
        return self._wandb.run

    def before_fit(self) -> None:
        """Find the run, and send what the training is made of."""
        run = self.run_in_wandb
        super().before_fit()
        self.first_step = max(self.first_step, run.step)
        run.config.update(self.described(), allow_val_change=True)
        if self.log is not None:
            run.watch(self.model, log=self.log)

    def described(self) -> dict[str, Any]:
        """The settings of the fit, by name."""
        groups = self.opt.param_groups
        return {
            "model": type(self.model).__name__,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "trained_parameters": sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            "optimiser": type(self.opt).__name__,
            "loss": loss_name(self.learn.loss_func),
            "callbacks": [callback.name for callback in self.learn.cbs],
            "n_epoch": self.n_epoch,
            "batches": self.n_iter,
            "batch_size": getattr(self.dls[0], "bs", None),
            "parameter_groups": len(groups),
            "device": str(self.learn.device),
        }

    def write(self, values: dict[str, float], step: int) -> None:
        """Send values by name."""
        self.run_in_wandb.log(values, step=step)

    def write_figure(self, name: str, figure: Any, step: int) -> None:
        """Send a matplotlib figure."""
        run = self.run_in_wandb
        run.log({name: self._wandb.Image(figure)}, step=step)

    def after_epoch(self) -> None:
        """Send the epoch's row, and predictions if asked."""
        super().after_epoch()
        if self.log_preds_every_epoch:
            self.send_predictions()

    def after_fit(self) -> None:
        """Send predictions and weights."""
        if not self.log_preds_every_epoch:
            self.send_predictions()
        super().after_fit()
        if self.log_model:
            run = self.run_in_wandb
            name = self.model_name or f"run-{run.id}-model"
            artifact = self._wandb.Artifact(name, type="model")
            artifact.add_file(str(Path(self.learn.save(name, with_opt=False))))
            run.log_artifact(artifact)

    def cleanup_fit(self) -> None:
        """Leave the model alone again; the run goes on until ``wandb.finish()``."""
        super().cleanup_fit()
        if self.log is not None and self._wandb is not None and self._wandb.run is not None:
            self._wandb.run.unwatch(self.model)
