"""A record in TensorBoard and in Weights & Biases."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from laminar.callbacks.telemetry.record import Record
from laminar.core.errors import ConfigError, require
from laminar.core.lazy import lazy_module

__all__ = ["to_tensorboard", "to_wandb"]

torch_tensorboard = lazy_module("torch.utils.tensorboard")


def to_tensorboard(record: Record, log_dir: str | Path) -> Path:
    """Write every statistic as a curve of its own, called ``activations/std/layer``, over batches.

    Histograms are left out. Needs ``pip install laminar[track]``.

    Args:
        record: what was measured.
        log_dir: folder of the run.
    """
    require("tensorboard", "track", "to_tensorboard")
    with torch_tensorboard.SummaryWriter(str(log_dir)) as writer:
        for batch, values in _by_batch(record):
            for name, value in values.items():
                writer.add_scalar(name, value, batch)
    return Path(log_dir)


def to_wandb(record: Record) -> None:
    """Send every statistic to the run that ``wandb.init`` began, over an axis of their own, ``telemetry/batch``.

    Histograms are left out. Needs ``pip install laminar[track]``.

    Args:
        record: what was measured.

    Raises:
        ConfigError: no run has begun.
    """
    wandb: Any = require("wandb", "track", "to_wandb")
    if wandb.run is None:
        raise ConfigError("to_wandb sends to a run that has begun: call wandb.init(project=...) first.")
    for kind in {key[1] for key in record.measured()}:
        wandb.run.define_metric(f"{kind}/*", step_metric="telemetry/batch")
    for batch, values in _by_batch(record):
        wandb.run.log({"telemetry/batch": batch, **values})


def _by_batch(record: Record) -> Iterator[tuple[int, dict[str, float]]]:
    """For each sampled batch its values by name."""
    values: dict[str, float] = {}
    at = -1
    for batch, layer, of, stat, part, value in record.rows():
        if batch != at and values:
            yield at, values
            values = {}
        at = batch
        if stat != "histogram" and math.isfinite(value):
            values[f"{of}/{stat}{f' {part}' if part else ''}/{layer}"] = value
    if values:
        yield at, values
