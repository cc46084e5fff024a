"""`Learner`: data, model, loss, optimiser and callbacks together, and what one does with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

import torch
from torch import nn
from torch.optim import Optimizer

from laminar.callbacks.channels_last import ChannelsLast
from laminar.callbacks.lr_finder import valley
from laminar.callbacks.mixed_precision import AMPMode, MixedPrecision, ScalerOptions
from laminar.callbacks.progress import ProgressCallback, RowPrinter
from laminar.callbacks.recorder import Recorder
from laminar.callbacks.schedule import ParamScheduler, combined_cos
from laminar.callbacks.table import event_rows
from laminar.core.errors import ConfigError, check_keywords
from laminar.learner import inference, lr_find, saving
from laminar.learner.callback_list import Callbacks, as_list
from laminar.learner.check import check_contract
from laminar.learner.freezing import freeze_groups
from laminar.learner.loop import TrainingLoop
from laminar.learner.losses_for import loss_for
from laminar.metrics.base import mk_metrics
from laminar.nn.losses import LossFunction
from laminar.optim.groups import (
    Splitter,
    decay_groups,
    get_hyper,
    hyper_names,
    layer_groups,
    n_layer_groups,
    set_hyper,
    spread,
    trainable_params,
)
from laminar.optim.optimizers import Adam

__all__ = ["FineTuneOptions", "LearnerOptions", "Learner"]

Rate = float | Sequence[float] | slice | None
Moms = tuple[float, float, float]


class LearnerOptions(TypedDict, total=False):
    """The keyword arguments of `Learner` that application functions pass on."""

    loss_func: LossFunction | None
    opt_func: Callable[..., Optimizer]
    lr: float | slice
    splitter: Splitter
    cbs: Callbacks
    metrics: Any
    path: str | Path | None
    model_dir: str | Path
    wd: float | None
    wd_bn_bias: bool
    train_bn: bool
    moms: Moms
    default_cbs: bool
    check: bool


class FineTuneOptions(TypedDict, total=False):
    """The keyword arguments of `Learner.fine_tune` that go to both of its fits."""

    div_final: float
    wd: float | None
    moms: Moms | None
    cbs: Callbacks
    reset_opt: bool


class Learner(TrainingLoop):
    """Data, model, loss, optimiser, callbacks and metrics, and everything one does with them.

    ``learn.recorder``, ``learn.mixed_precision``, ... find a callback by its name.

    Args:
        dls: loaders for training and validation (`DataLoaders`, or a pair of iterables of batches).
        model: the network.
        loss_func: ``loss_func(predictions, *targets)``; by default what fits the data's targets.
        opt_func: a torch optimiser's class, or a function ``opt_func(param_groups, lr=...)``.
        lr: learning rate where a call gives none.
        splitter: makes parameter groups of the model: a list of lists of parameters, from first layers to last.
        cbs: callbacks, instances or classes.
        metrics: functions of predictions and targets, `Metric` classes or instances.
        path: folder for what the learner writes, by default the loaders' own.
        model_dir: folder for weights, below `path`.
        wd: weight decay, by default the optimiser's.
        wd_bn_bias: let weight decay act on norm layers and biases too.
        train_bn: let norm layers in frozen groups train; if False they are frozen, statistics included.
        moms: momentum at start, middle and end of `fit_one_cycle`.
        default_cbs: begin with `Recorder` and `ProgressCallback`.
        check: before the first fit, try a few items on model, loss and metrics (see `laminar.learner.check`).

    Raises:
        ConfigError: no loss was given and none follows from the data.
    """

    def __init__(
        self,
        dls: Any,
        model: nn.Module,
        loss_func: LossFunction | None = None,
        opt_func: Callable[..., Optimizer] = Adam,
        lr: float | slice = 1e-3,
        splitter: Splitter = trainable_params,
        cbs: Callbacks = None,
        metrics: Any = None,
        path: str | Path | None = None,
        model_dir: str | Path = "models",
        wd: float | None = None,
        wd_bn_bias: bool = False,
        train_bn: bool = True,
        moms: Moms = (0.95, 0.85, 0.95),
        default_cbs: bool = True,
        check: bool = True,
    ) -> None:
        super().__init__(dls, model, loss_for(dls) if loss_func is None else loss_func, train_bn)
        self.opt_func, self.lr, self.splitter, self.moms = opt_func, lr, splitter, moms
        self.metrics = mk_metrics(metrics)
        self.path = Path(path if path is not None else getattr(dls, "path", None) or ".")
        self.model_dir, self.wd, self.wd_bn_bias, self.check = model_dir, wd, wd_bn_bias, check
        self.logger = RowPrinter()
        self._groups: tuple[nn.Module, list[list[nn.Parameter]]] | None = None
        self._checked: list[Any] = []
        self.add_cbs([Recorder, ProgressCallback] if default_cbs else None)
        self.add_cbs(cbs)

    def __getattr__(self, name: str) -> Any:
        """Look `name` up among the callbacks; only asked where there is no such attribute."""
        callbacks = self.__dict__.get("_cbs", [])
        for callback in callbacks:
            if callback.name == name:
                return callback
        names = ", ".join(callback.name for callback in callbacks)
        raise AttributeError(f"Learner has no attribute and no callback {name!r}; its callbacks are: {names or 'none'}")

    # ---- optimiser and parameter groups ------------------------------------------------------------------------------

    def param_groups(self) -> list[list[nn.Parameter]]:
        """The model's parameters as the splitter groups them."""
        if self._groups is None or self._groups[0] is not self.model:
            self._groups = (self.model, layer_groups(self.model, self.splitter))
        return self._groups[1]

    def create_opt(self) -> Optimizer:
        """Make a new optimiser for the model."""
        self.model.to(self.device)
        groups = decay_groups(self.model, self.param_groups(), self.wd_bn_bias)
        first = spread(self.lr, len(self.param_groups()))[-1]
        self.opt = opt = self.opt_func(groups, lr=first)
        for group in opt.param_groups:
            for entry in ("weight_decay", "decoupled_decay"):
                if entry in group and not group.get("decays", True):
                    group[entry] = 0.0
        set_hyper(opt, "lr", self.lr)
        return opt

    def _ready_opt(self, anew: bool = False) -> Optimizer:
        return self.create_opt() if anew or self.opt is None else self.opt

    def freeze_to(self, n: int) -> Self:
        """Freeze the first `n` parameter groups (all but the last ``-n``, if negative), and let the others train.

        Norm layers in frozen groups go on training unless the learner has ``train_bn=False``.

        Raises:
            ConfigError: it would freeze nothing, or there are fewer groups.
        """
        freeze_groups(self.model, self.param_groups(), n, self.train_bn)
        if self.opt is not None:
            self.opt.state.clear()
        return self

    def freeze(self) -> Self:
        """Freeze all parameter groups but the last.

        Raises:
            ConfigError: there is only one group.
        """
        return self.freeze_to(-1)

    def unfreeze(self) -> Self:
        """Let all parameter groups train."""
        return self.freeze_to(0)

    # ---- training ----------------------------------------------------------------------------------------------------

    def fit(
        self,
        n_epoch: int,
        lr: Rate = None,
        wd: float | None = None,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Train with constant hyper-parameters.

        Args:
            n_epoch: number of epochs, `start_epoch` included.
            lr: learning rate; ``slice(a, b)`` spreads it over the groups, ``slice(b)`` gives b/10 to all but the last.
            wd: weight decay.
            cbs: callbacks for this fit only.
            reset_opt: make a new optimiser.
            start_epoch: epochs that count as done.

        Raises:
            ConfigError: parts that do not fit each other (see `laminar.learner.check`).
        """
        if not 0 <= start_epoch <= n_epoch:
            raise ConfigError(f"start_epoch={start_epoch} must be from 0 to n_epoch={n_epoch}.")
        if self.check and n_epoch > start_epoch:
            self._check_once()
        opt = self._ready_opt(reset_opt)
        with self.added_cbs(cbs), _hypers_as_found(opt):
            set_hyper(opt, "lr", self.lr if lr is None else lr)
            decay = self.wd if wd is None else wd
            if decay is not None:
                set_hyper(opt, "wd", decay)
            self._fit(n_epoch, start_epoch)

    def fit_one_cycle(
        self,
        n_epoch: int,
        lr_max: Rate = None,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        wd: float | None = None,
        moms: Moms | None = None,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Train with the learning rate going up and down once, momentum the other way round (Smith,
        "Super-convergence", 2018).

        Args:
            n_epoch: number of epochs.
            lr_max: highest learning rate; a slice or list for different ones in the groups.
            div: the first learning rate is ``lr_max / div``.
            div_final: the last one is ``lr_max / div_final``.
            pct_start: share of the training in which the rate rises.
            wd: weight decay.
            moms: momentum at start, middle and end; the learner's own by default.
            cbs: callbacks for this fit only.
            reset_opt: make a new optimiser.
            start_epoch: epochs that count as done.
        """
        high = self._rates(lr_max, reset_opt)
        scheds: dict[str, Any] = {"lr": combined_cos(pct_start, *_divided(high, div, 1, div_final))}
        if "mom" in hyper_names(self._ready_opt()) and any(get_hyper(self._ready_opt(), "mom")):
            scheds["mom"] = combined_cos(pct_start, *(moms or self.moms))
        self.fit(n_epoch, wd=wd, cbs=[ParamScheduler(scheds), *as_list(cbs)], start_epoch=start_epoch)

    def fit_flat_cos(
        self,
        n_epoch: int,
        lr: Rate = None,
        div_final: float = 1e5,
        pct_start: float = 0.75,
        wd: float | None = None,
        cbs: Callbacks = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Train with a constant learning rate that falls to almost nothing at the end.

        Args:
            n_epoch: number of epochs.
            lr: learning rate; a slice or list for different ones in the groups.
            div_final: the last one is ``lr / div_final``.
            pct_start: share of the training in which the rate is constant.
            wd: weight decay.
            cbs: callbacks for this fit only.
            reset_opt: make a new optimiser.
            start_epoch: epochs that count as done.
        """
        rates = self._rates(lr, reset_opt)
        scheds = {"lr": combined_cos(pct_start, *_divided(rates, 1, 1, div_final))}
        self.fit(n_epoch, wd=wd, cbs=[ParamScheduler(scheds), *as_list(cbs)], start_epoch=start_epoch)

    def fine_tune(
        self,
        epochs: int,
        base_lr: float = 2e-3,
        freeze_epochs: int = 1,
        lr_mult: float = 100,
        pct_start: float = 0.3,
        div: float = 5.0,
        **options: Unpack[FineTuneOptions],
    ) -> None:
        """Train the last parameter group alone first, then everything with smaller rates for earlier groups.

        Args:
            epochs: epochs for the whole model.
            base_lr: learning rate for the last group while the others are frozen; half of it afterwards.
            freeze_epochs: epochs for the last group alone.
            lr_mult: how many times smaller the rate of the first group is.
            pct_start: share of the second part in which the rate rises.
            div: the first rate of the second part is ``base_lr / div``.
            options: for both calls of `fit_one_cycle`: div_final, wd, moms, cbs, reset_opt.

        Raises:
            ConfigError: the model has one parameter group, so that there is nothing to freeze.
        """
        check_keywords(options, FineTuneOptions, "Learner.fine_tune")
        self.freeze()
        self.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=0.99, **options)
        self.unfreeze()
        low, high = base_lr / 2 / lr_mult, base_lr / 2
        self.fit_one_cycle(epochs, slice(low, high), div=div, pct_start=pct_start, **options)

    def _rates(self, lr: Rate, reset_opt: bool) -> list[float]:
        return spread(self.lr if lr is None else lr, n_layer_groups(self._ready_opt(reset_opt)))

    def _check_once(self) -> None:
        """Check the contract, unless this very combination has been checked."""
        parts = [self.model, self.loss_func, self.dls, *self.metrics]
        if len(parts) != len(self._checked) or any(a is not b for a, b in zip(parts, self._checked, strict=True)):
            check_contract(self, self.metrics)
            self._checked = parts

    def lr_find(
        self,
        start_lr: float | Sequence[float] = 1e-7,
        end_lr: float | Sequence[float] = 10,
        num_it: int = 100,
        stop_div: bool = True,
        show_plot: bool = True,
        suggest_funcs: Any = valley,
    ) -> Any:
        """Try rising learning rates and suggest one; afterwards everything is as before, also after an interruption.

        Args:
            start_lr: first rate, or one for each group.
            end_lr: last rate, or one for each group.
            num_it: number of batches.
            stop_div: stop when the loss explodes.
            show_plot: draw the curve with the suggestions into a matplotlib figure.
            suggest_funcs: one or several rules: `valley`, `slide`, `minimum`, `steep` (or `SuggestionMethod`), or a
                function ``f(lrs, losses, num_it)`` that returns a rate.

        Returns:
            A named tuple with the rate of each rule: ``learn.lr_find().valley``.

        Raises:
            ConfigError: the loss exploded before a curve could be seen.
        """
        if self.check:
            self._check_once()
        lrs, losses = lr_find.sweep(self, self.create_opt, start_lr, end_lr, num_it, stop_div)
        functions = list(suggest_funcs) if isinstance(suggest_funcs, list | tuple) else [suggest_funcs]
        found = lr_find.suggestions(lrs, losses, num_it, [f for f in functions if f is not None])
        recorder = lr_find.keep_sweep(self, lrs, losses)
        if show_plot:
            recorder.plot_lr_find(suggestions=[point for _, _, point in found], nms=[name for name, _, _ in found])
        return lr_find.as_namedtuple(found)

    # ---- looking at what was learned ---------------------------------------------------------------------------------

    def validate(self, ds_idx: int = 1, dl: Any = None, cbs: Callbacks = None) -> list[float | None]:
        """Compute the loss and all metrics: ``[loss, *metrics]``.

        Args:
            ds_idx: 0 for the training set (without augmentation), 1 for the validation set.
            dl: another loader instead.
            cbs: callbacks for this pass only.
        """
        loader = inference.evaluation_loader(self.dls, ds_idx, dl)
        return inference.validate(self, self.metrics, loader, cbs)

    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        with_input: bool = False,
        with_decoded: bool = False,
        with_loss: bool = False,
        act: Callable[[Any], Any] | None = None,
        cbs: Callbacks = None,
    ) -> tuple[Any, ...]:
        """Predict a whole set, in the order of the data set and without augmentation.

        Args:
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader instead, for example ``dls.test_dl(items)``.
            with_input: return the inputs, first.
            with_decoded: return the decisions too: classes, where predictions are probabilities.
            with_loss: return the loss of each item, last.
            act: what makes predictions of raw outputs, instead of the loss's own activation.
            cbs: callbacks for this pass only.

        Returns:
            (inputs,) predictions, targets (None without labels), (decisions,) (losses), all on the CPU.
        """
        loader = inference.evaluation_loader(self.dls, ds_idx, dl)
        return inference.get_preds(self, loader, with_input, with_decoded, with_loss, act, cbs)

    def predict(self, item: Any, with_input: bool = False) -> tuple[Any, ...]:
        """Predict one raw item (a path, a picture, ...): the decoded prediction, the decision, the probabilities.

        Args:
            item: what the data were made of.
            with_input: return the item too, as it went into the model and back, first.
        """
        with self.no_bar():
            return inference.predict(self, item, with_input)

    def show_results(
        self, ds_idx: int = 1, dl: Any = None, max_n: int = 9, shuffle: bool = True, **options: Any
    ) -> Any:
        """Draw some items with their targets and predictions.

        Args:
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader instead.
            max_n: how many items.
            shuffle: draw them at random.
            options: for the function that draws: ``nrows``, ``ncols``, ``figsize``, ``ctxs``.
        """
        loader = inference.evaluation_loader(self.dls, ds_idx, dl)
        with self.no_bar():
            return inference.show_results(self, loader, max_n, shuffle, options)

    def describe(self) -> None:
        """Print which callbacks are asked at which event, in order."""
        for event, names in event_rows(self.cbs):
            print(f"{event:<22} {', '.join(names) or '-'}")

    @property
    def smooth_loss(self) -> float | None:
        """The training loss now, smoothed; None without a recorder."""
        recorder = self.get_cb(Recorder)
        return recorder.smooth_loss if recorder is not None else None

    @property
    def final_record(self) -> list[Any]:
        """Losses and metrics of the last epoch, from the recorder."""
        recorder = self.get_cb(Recorder)
        return recorder.final_record if recorder is not None else []

    # ---- files -------------------------------------------------------------------------------------------------------

    def save(self, file: str | Path, with_opt: bool = True) -> Path:
        """Write weights, and the optimiser's state, to ``path/model_dir/file.safetensors``.

        Args:
            file: name of the file.
            with_opt: write the optimiser's state too.

        Returns:
            Where it is.
        """
        return saving.save_model(saving.model_folder(self.path, self.model_dir) / file, self.model, self.opt, with_opt)

    def load(
        self,
        file: str | Path,
        device: torch.device | str | int | None = None,
        with_opt: bool = True,
        strict: bool = True,
    ) -> Self:
        """Read weights, and the optimiser's state, that `save` wrote; or the weights of a ``.pth`` file.

        Args:
            file: name of the file, with or without ending.
            device: move the model there; where it is, by default.
            with_opt: read the optimiser's state too, if the file has one.
            strict: names and shapes must fit; otherwise those that do are read.

        Raises:
            WeightsError: no such file, or it does not fit; the message names the layers.
        """
        path = saving.find_file(saving.model_folder(self.path, self.model_dir), file)
        if device is not None:
            self.model.to(torch.device(device) if not isinstance(device, int) else torch.device("cuda", device))
        wanted = with_opt and saving.has_opt(path)
        saving.load_model(path, self.model, self._ready_opt() if wanted else None, with_opt, strict)
        return self

    # ---- switches ----------------------------------------------------------------------------------------------------

    def to_fp16(self, **scaler_options: Unpack[ScalerOptions]) -> Self:
        """Train in float16 where that is safe (on an accelerator)."""
        self.remove_cb(MixedPrecision)
        return self.add_cb(MixedPrecision(AMPMode.FP16, **scaler_options))

    def to_bf16(self) -> Self:
        """Train in bfloat16 where that is safe, on CPUs too."""
        self.remove_cb(MixedPrecision)
        return self.add_cb(MixedPrecision(AMPMode.BF16))

    def to_fp32(self) -> Self:
        """Train in float32 again."""
        return self.remove_cb(MixedPrecision)

    def to_channelslast(self, use_amp: bool = True, amp_mode: str | AMPMode = AMPMode.FP16) -> Self:
        """Keep model and pictures in channels-last memory format; on an accelerator with mixed precision, too.

        Args:
            use_amp: on an accelerator, train in mixed precision unless that is on already.
            amp_mode: ``'fp16'`` or ``'bf16'``.
        """
        if use_amp and self.device.type != "cpu" and self.get_cb(MixedPrecision) is None:
            self.add_cb(MixedPrecision(amp_mode))
        return self if self.get_cb(ChannelsLast) is not None else self.add_cb(ChannelsLast())

    def to_contiguous(self, to_fp32: bool = False) -> Self:
        """Go back to the usual memory format, and with `to_fp32` to float32."""
        self.remove_cb(ChannelsLast)
        return self.to_fp32() if to_fp32 else self

    @contextmanager
    def no_bar(self) -> Iterator[Self]:
        """Show no progress bar for the time of a ``with`` block."""
        with self.removed_cbs(ProgressCallback):
            yield self

    @contextmanager
    def no_logging(self) -> Iterator[Self]:
        """Print no table for the time of a ``with`` block."""
        before, self.logger = self.logger, _log_nothing
        try:
            yield self
        finally:
            self.logger = before


def _log_nothing(row: list[Any]) -> None:
    """A logger that logs nothing."""


def _divided(rates: list[float], *divisors: float) -> list[Any]:
    """The rates over each divisor: a number where there is one group, a list where there are several."""
    return [rates[0] / d if len(rates) == 1 else [rate / d for rate in rates] for d in divisors]


@contextmanager
def _hypers_as_found(opt: Optimizer) -> Iterator[None]:
    """Put the hyper-parameters of `opt` back at the end."""
    before = [{key: value for key, value in group.items() if key != "params"} for group in opt.param_groups]
    try:
        yield
    finally:
        for group, hypers in zip(opt.param_groups, before, strict=True):
            group.update(hypers)
