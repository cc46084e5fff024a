"""What loggers of runs share: losses and hyper-parameters of every batch, the table of every epoch, predictions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from laminar.callbacks.base import Callback
from laminar.callbacks.recorder import Recorder
from laminar.core.errors import ConfigError
from laminar.core.lazy import lazy_module
from laminar.optim.groups import HyperSetter, hyper_names

__all__ = ["RunLogger"]

plt = lazy_module("matplotlib.pyplot")

_BETWEEN_WRITES = 2.0  # seconds


class RunLogger(Callback):
    """Base of callbacks that send a run somewhere: subclasses say where (`write`, `write_figure`).

    Losses are fetched from the device every few seconds, not at every batch. Steps count training batches, and go on
    from one fit to the next.

    Args:
        log_preds: draw predictions too, where the loaders know how to.
        n_preds: how many.
    """

    order = 70  # after the recorder
    passes = ("fit",)
    only_watches = True

    def __init__(self, log_preds: bool = True, n_preds: int = 9) -> None:
        self.log_preds, self.n_preds = log_preds, n_preds
        self.first_step = 0
        self._written = 0
        self._hypers: list[dict[str, float]] = []
        self._setters: list[HyperSetter] = []
        self._next_write = 0.0
        self._shown: _SameBatch | None = None

    def write(self, values: dict[str, float], step: int) -> None:
        """Send values by name."""
        raise NotImplementedError(f"{type(self).__name__} must define write(values, step).")

    def write_figure(self, name: str, figure: Any, step: int) -> None:
        """Send a matplotlib figure."""
        raise NotImplementedError(f"{type(self).__name__} must define write_figure(name, figure, step).")

    @property
    def _step(self) -> int:
        """The training batches so far, of earlier fits too; during a fit."""
        return self.first_step + len(self._recorder.batch_losses)

    @property
    def _recorder(self) -> Recorder:
        recorder = self.learn.get_cb(Recorder)
        if recorder is None:
            raise ConfigError(
                f"{type(self).__name__} sends what the Recorder keeps, and this learner has none; add Recorder()."
            )
        return recorder

    def before_fit(self) -> None:
        """Begin."""
        self._setters = [HyperSetter(self.opt, name) for name in hyper_names(self.opt)]
        self._hypers, self._written, self._shown = [], len(self._recorder.batch_losses), None

    def after_batch(self) -> None:
        """Note the hyper-parameters of a training batch; every few seconds, send what there is."""
        if not self.training or self.learn.loss is None:
            return
        self._hypers.append(_by_group(self._setters))
        now = time.perf_counter()
        if now >= self._next_write:
            self._next_write = now + _BETWEEN_WRITES
            self._send_batches()

    def _send_batches(self) -> None:
        raw, smooth = self._recorder.batch_losses, self._recorder.losses
        for place, hypers in zip(range(self._written, len(raw)), self._hypers, strict=False):
            losses = {"train_loss": smooth[place], "raw_loss": raw[place]}
            self.write({**losses, **hypers}, self.first_step + place)
        self._written, self._hypers = len(raw), []

    def after_epoch(self) -> None:
        """Send the epoch's row."""
        self._send_batches()
        recorder = self._recorder
        row = dict(zip(recorder.metric_names[1:], recorder.log[1:], strict=False))
        values = {name: float(value) for name, value in row.items() if isinstance(value, int | float)}
        values.pop("train_loss", None)  # sent with the batches
        self.write({"epoch": self.epoch + 1, **values}, self._step)

    def send_predictions(self) -> None:
        """Draw some items of the validation set, each time the same, with targets and predictions; send the picture."""
        valid = self.dls[1] if len(self.dls) > 1 else None
        can_show = hasattr(valid, "show_results") and getattr(valid, "given_types", ()) is not None
        if not self.log_preds or not can_show:  # batches from elsewhere, of which nobody said what they mean
            return
        if self._shown is None:
            self._shown = _SameBatch(valid, self.n_preds)
        self.learn.show_results(dl=self._shown, max_n=self.n_preds, shuffle=False)
        figure = plt.gcf()
        self.write_figure("predictions", figure, self._step)
        plt.close(figure)

    def after_fit(self) -> None:
        """Remember where the next fit goes on."""
        self.first_step = self._step

    def cleanup_fit(self) -> None:
        """Let go of the optimiser and of the batch that was shown."""
        self._setters, self._hypers, self._shown = [], [], None

    def state_dict(self) -> dict[str, Any]:
        """Where steps begin, and what is not sent yet."""
        return {"first_step": self.first_step, "written": self._written, "hypers": list(self._hypers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.first_step, self._written = state["first_step"], state["written"]
        self._hypers = list(state["hypers"])


def _by_group(setters: list[HyperSetter]) -> dict[str, float]:
    """Hyper-parameters now: ``lr``, or ``lr_0``, ``lr_1``, ... for several layer groups."""
    found: dict[str, float] = {}
    for setter in setters:
        values = setter.get()
        if len(values) == 1:
            found[setter.name] = values[0]
        else:
            found.update({f"{setter.name}_{group}": value for group, value in enumerate(values)})
    return found


class _SameBatch:
    """A loader of one batch, chosen once from another loader, which draws it."""

    def __init__(self, loader: Any, n: int) -> None:
        self.loader = loader.eval_loader() if hasattr(loader, "eval_loader") else loader
        self.target_types = getattr(self.loader, "target_types", ())
        some = getattr(self.loader, "random_batch", None)
        self.batch = self.loader.one_batch() if some is None else some(n)

    def __iter__(self) -> Iterator[Any]:
        return iter([self.batch])

    def one_batch(self) -> Any:
        return self.batch

    def show_results(self, batch: Any, outs: Any, **options: Any) -> Any:
        return self.loader.show_results(batch, outs, **options)
