"""`Recorder`: the table of every epoch, the losses and hyper-parameters of every batch, and their pictures."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch

from laminar.callbacks.base import Callback
from laminar.callbacks.schedule import ParamScheduler
from laminar.core.errors import ConfigError, TrainingError
from laminar.core.lazy import lazy_module
from laminar.metrics.base import AvgLoss, Metric
from laminar.metrics.estimates import Estimate
from laminar.metrics.making import mk_metric
from laminar.metrics.metric_set import MetricSet
from laminar.metrics.smoothing import MovingAverage

__all__ = ["Recorder", "format_time"]

plt = lazy_module("matplotlib.pyplot")

_PENDING = 512  # losses kept on the device before they are fetched together


def format_time(seconds: float) -> str:
    """Write a duration as minutes and seconds, with hours where there are any.

    >>> format_time(75.2), format_time(3661)
    ('01:15', '1:01:01')
    """
    hours, rest = divmod(int(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes:02d}:{seconds:02d}"


class Recorder(Callback):
    """Keeps what happened in the last fit, and hands a row for each epoch to ``learn.logger``.

    Losses stay on the device and are fetched in large groups, or when somebody looks.

    Attributes:
        metric_names: titles of the table's columns, from ``epoch`` to ``time``.
        values: for each epoch the row without epoch and time.
        iters: for each epoch the number of training batches until its end.
        hps: for each scheduled hyper-parameter its value at each batch: a number, or one for each parameter group.
        log: the last row.
        sweep: learning rates and losses of the last `lr_find`.

    Args:
        add_time: add the column with the epoch's duration.
        train_metrics: compute the metrics on training batches too.
        valid_metrics: compute the metrics on the validation set.
        beta: smoothing of the training loss, 0 to 1.
    """

    order = 50
    passes = ("fit",)
    only_watches = True

    def __init__(
        self, add_time: bool = True, train_metrics: bool = False, valid_metrics: bool = True, beta: float = 0.98
    ) -> None:
        self.add_time, self.train_metrics, self.valid_metrics, self.beta = add_time, train_metrics, valid_metrics, beta
        self.metric_names: list[str] = []
        self.sweep: tuple[list[float], list[float]] | None = None
        self._train_set = self._valid_set = MetricSet([])
        self._started = 0.0
        self._forget()

    def _forget(self) -> None:
        self.values: list[list[Any]] = []
        self.log: list[Any] = []
        self._shown: list[list[Any]] = []
        self.iters: list[int] = []
        self.hps: dict[str, list[Any]] = {}
        self._pending: list[Any] = []
        self._raw: list[float] = []
        self._smooth: list[float] = []
        self._average = MovingAverage(self.beta)
        self._lrs: list[Any] = []
        self._groups: list[dict[str, Any]] = []

    # ---- recording ---------------------------------------------------------------------------------------------------

    def before_fit(self) -> None:
        """Begin a new record."""
        self._forget()
        metrics = self.learn.metrics
        self._train_set = MetricSet([mk_metric(m) for m in metrics] if self.train_metrics else [])
        self._valid_set = MetricSet([AvgLoss(), *([mk_metric(m) for m in metrics] if self.valid_metrics else [])])
        both = self.train_metrics and self.valid_metrics
        train = [f"train_{name}" for name in self._train_set.names]
        valid = [f"valid_{name}" if both or name == "loss" else name for name in self._valid_set.names]
        self.metric_names = ["epoch", "train_loss", *train, *valid, *(["time"] if self.add_time else [])]
        groups = self.opt.param_groups
        first_of_layer_group = {group.get("layer_group", number): group for number, group in enumerate(groups)}
        self._groups = list(first_of_layer_group.values())

    def before_epoch(self) -> None:
        """Start the clock; before the first epoch, hand the titles to the logger."""
        if not self.values:
            self.learn.logger(list(self.metric_names))
        self._started = time.perf_counter()
        self._train_set.reset()
        self._valid_set.reset()

    def after_batch(self) -> None:
        """Note loss and learning rates of a training batch; take a validation batch into the metrics."""
        learn = self.learn
        if not learn.training:
            self._valid_set.accumulate(learn)
            return
        if learn.loss is not None:
            self._pending.append(learn.loss)
            groups = self._groups
            self._lrs.append(groups[0]["lr"] if len(groups) == 1 else tuple([group["lr"] for group in groups]))
            if len(self._pending) >= _PENDING:
                self._fetch()
        if self._train_set.metrics:
            self._train_set.accumulate(learn)

    def after_train(self) -> None:
        """Note where the epoch's training ended.

        Raises:
            TrainingError: the loss is no number any more, and neither are weights: no further step will help.
        """
        self.iters.append(len(self._lrs))
        self._fetch()
        if self._raw and not math.isfinite(self._raw[-1]):
            self._refuse_spoilt_weights()

    def _refuse_spoilt_weights(self) -> None:
        spoilt = [name for name, weight in self.learn.model.named_parameters() if not torch.isfinite(weight).all()]
        if not spoilt:
            return
        first = next(number for number, loss in enumerate(self._raw) if not math.isfinite(loss))
        begun = self.iters[-2] if len(self.iters) > 1 else 0
        before = f", it was {self._raw[first - 1]:.4g} before" if first else ""
        raise TrainingError(
            f"the training loss is {self._raw[first]} since batch {max(0, first - begun)} of epoch {self.learn.epoch}"
            f"{before}, and so are weights ({spoilt[0]}{', ...' * (len(spoilt) > 1)}). learn.undo() brings back those"
            " from before this fit. TerminateOnNaNCallback() says which layer and which items begin it; usual causes"
            " are a learning rate that is too high, inputs that are not normalised, and a loss that takes the logarithm"
            " or the root of 0."
        )

    def after_epoch(self) -> None:
        """Complete the row of the epoch."""
        row = [self.smooth_loss, *self._train_set.values(), *self._valid_set.values()]
        self.values.append(row)
        self.log = [self.learn.epoch, *row]
        if self.add_time:
            self.log.append(format_time(time.perf_counter() - self._started))
        self._shown.append(self.log)
        self.learn.logger(list(self.log))

    def show_again(self) -> None:
        """Hand the table so far to the logger: it goes on in another process."""
        if self._shown:
            self.learn.logger(list(self.metric_names))
        for row in self._shown:
            self.learn.logger(list(row))

    def cleanup_fit(self) -> None:
        """Fetch what is left, and collect the schedules."""
        self._fetch()
        self.hps = {"lr": list(self._lrs)}
        for callback in self.learn.cbs:
            if isinstance(callback, ParamScheduler):
                self.hps.update(callback.hps)
        self._groups = []

    def _fetch(self) -> None:
        """Bring pending losses to the CPU, in one go, and go on with the moving average."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        raw = torch.stack([loss.mean() if loss.ndim else loss for loss in pending]).float().tolist()
        for loss in raw:
            self._raw.append(loss)
            self._smooth.append(self._average.add(loss))

    def metric_of(self, title: str) -> Metric | None:
        """The metric behind a column of the table; None for the training loss, the epoch and the time."""
        metrics = [*self._train_set.metrics, *self._valid_set.metrics]
        place = self.metric_names.index(title) - 2
        return metrics[place] if 0 <= place < len(metrics) else None

    # ---- reading -----------------------------------------------------------------------------------------------------

    @property
    def smooth_loss(self) -> float | None:
        """The training loss now, smoothed."""
        self._fetch()
        return self._smooth[-1] if self._smooth else None

    @property
    def losses(self) -> list[float]:
        """The smoothed training loss after each batch."""
        self._fetch()
        return self._smooth

    @property
    def batch_losses(self) -> list[float]:
        """The training loss of each batch, as it was."""
        self._fetch()
        return self._raw

    @property
    def lrs(self) -> list[float]:
        """The learning rate of the last parameter group at each batch; ``hps['lr']`` has those of all groups."""
        return [float(lr[-1] if isinstance(lr, tuple) else lr) for lr in self._lrs]

    @property
    def final_record(self) -> list[Any]:
        """The last epoch's row without epoch and time."""
        return list(self.values[-1]) if self.values else []

    def state_dict(self) -> dict[str, Any]:
        """The record so far; in a fit, the metrics in the middle of an epoch too."""
        self._fetch()
        state = {name: getattr(self, name) for name in ("metric_names", "iters", "_raw", "_smooth")}
        rows = {name: [_written(row) for row in getattr(self, name)] for name in ("values", "_shown")}
        state |= {**rows, "log": _written(self.log), "_average": self._average.total}
        state["_lrs"] = np.array(self._lrs, dtype=float).T.tolist()  # with several groups, a list for each
        if self._groups:
            state["in_progress"] = {"seconds": time.perf_counter() - self._started}
            state["in_progress"] |= {"train": self._train_set.state_dict(), "valid": self._valid_set.state_dict()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with a saved record."""
        for name in ("metric_names", "iters", "_raw", "_smooth"):
            setattr(self, name, state[name])
        self.values, self._shown = ([_read(row) for row in state[name]] for name in ("values", "_shown"))
        self.log = _read(state["log"])
        lrs = state["_lrs"]
        self._lrs = list(zip(*lrs, strict=True)) if lrs and isinstance(lrs[0], list) else list(lrs)
        self._average = MovingAverage(self.beta, state["_average"], len(self._raw))
        self._pending = []
        if "in_progress" in state:
            self._started = time.perf_counter() - state["in_progress"]["seconds"]
            self._train_set.load_state_dict(state["in_progress"]["train"])
            self._valid_set.load_state_dict(state["in_progress"]["valid"])

    # ---- pictures ----------------------------------------------------------------------------------------------------

    def plot_loss(
        self, skip_start: int = 5, with_valid: bool = True, log: bool = False, show_epochs: bool = False, ax: Any = None
    ) -> Any:
        """Draw the training loss (smoothed) and the validation loss over batches.

        Args:
            skip_start: leave out the first batches, whose loss is far above the others; at most half of all.
            with_valid: draw the validation loss too.
            log: logarithmic axis for the loss.
            show_epochs: mark where epochs end.
            ax: matplotlib axes to draw on.

        Returns:
            The axes.
        """
        ax = ax if ax is not None else plt.subplots()[1]
        losses = self.losses
        start = min(skip_start, len(losses) // 2)
        marker = "o" if len(losses) == 1 else None  # a line through one point cannot be seen
        ax.plot(range(start, len(losses)), losses[start:], marker=marker, label="train")
        if show_epochs:
            for iteration in self.iters:
                ax.axvline(iteration, color="0.8", linewidth=1)
        if with_valid and "valid_loss" in self.metric_names:
            column = self.metric_names.index("valid_loss") - 1
            points = [
                (iteration, row[column])
                for iteration, row in zip(self.iters, self.values, strict=False)
                if row[column] is not None and iteration >= start
            ]
            if points:
                ax.plot(*zip(*points, strict=True), marker="o", label="valid")
        if log:
            ax.set_yscale("log")
        ax.set(xlabel="batch", ylabel="loss")
        ax.legend()
        return ax

    def plot_sched(self, keys: list[str] | None = None, figsize: tuple[float, float] | None = None) -> Any:
        """Draw hyper-parameters over batches, one line for each parameter group.

        Args:
            keys: names, all that were scheduled by default.
            figsize: width and height in inches.

        Returns:
            The figure.

        Raises:
            ConfigError: a name that was not recorded.
        """
        names = list(self.hps) if keys is None else list(keys)
        for name in names:
            if name not in self.hps:
                raise ConfigError(f"{name!r} was not recorded; these were: {', '.join(self.hps) or 'none'}.")
        columns = max(min(len(names), 2), 1)
        rows = -(-max(len(names), 1) // columns)
        fig, axes = plt.subplots(rows, columns, figsize=figsize or (6 * columns, 4 * rows), squeeze=False)
        for ax, name in zip(axes.flat, names, strict=False):
            ax.plot(self.hps[name])
            ax.set(xlabel="batch", ylabel=name)
        for ax in axes.flat[len(names) :]:
            ax.set_axis_off()
        return fig

    def plot_lr_find(
        self,
        skip_end: int = 5,
        return_fig: bool = True,
        suggestions: list[tuple[float, float]] | None = None,
        nms: list[str] | None = None,
    ) -> Any:
        """Draw the last `lr_find`: loss over learning rate.

        Args:
            skip_end: leave out the last points, where the loss has exploded.
            return_fig: return the figure.
            suggestions: points (learning rate, loss) to mark.
            nms: their names.

        Raises:
            ConfigError: there was no `lr_find` yet.
        """
        if self.sweep is None:
            raise ConfigError("there is nothing to draw: call learn.lr_find() first.")
        lrs, losses = self.sweep
        end = len(lrs) - skip_end if len(lrs) > skip_end + 1 else len(lrs)
        fig, ax = plt.subplots()
        ax.plot(lrs[:end], losses[:end])
        ax.set(xlabel="learning rate", ylabel="loss", xscale="log")
        for number, (lr, loss) in enumerate(suggestions or []):
            ax.plot(lr, loss, "o", color=f"C{number + 1}", label=nms[number] if nms else f"{lr:.2e}")
        if suggestions:
            ax.legend(loc="best")
        return fig if return_fig else None


def _written(row: list[Any]) -> list[Any]:
    """A row as data: an estimate with its interval."""
    return [(float(v), v.low, v.high, v.n, v.level) if isinstance(v, Estimate) else v for v in row]


def _read(row: list[Any]) -> list[Any]:
    return [Estimate(*value) if isinstance(value, tuple) else value for value in row]
