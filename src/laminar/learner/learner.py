"""`Learner`: data, model, loss, optimiser and callbacks together, and what one does with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Never, Self, TypedDict

import torch
from torch import nn
from torch.optim import Optimizer

from laminar.callbacks.lr_finder import valley
from laminar.callbacks.model_output import ModelOutput
from laminar.callbacks.progress import ProgressCallback, RowPrinter
from laminar.callbacks.recorder import Recorder
from laminar.callbacks.table import event_rows
from laminar.core.errors import ConfigError, check_keywords, describe, explains_keywords, suggest
from laminar.learner import inference, lr_find, saving
from laminar.learner.callback_list import Callbacks
from laminar.learner.checkup import CheckUp, check_up
from laminar.learner.export import ModelRecipe, export_learner
from laminar.learner.formats import FORMATS, export_format
from laminar.learner.golden import N_GOLDEN
from laminar.learner.losses_for import known_loss, loss_for
from laminar.learner.plan import Planner
from laminar.learner.predicting import Predicting
from laminar.learner.rates import Moms
from laminar.learner.summary import ModelSummary, summarize
from laminar.nn.calling import makes_own_loss
from laminar.nn.decoding import loss_name
from laminar.nn.losses import LossFunction
from laminar.optim.groups import Splitter, spread, trainable_params
from laminar.optim.optimizers import Adam

__all__ = ["Learner", "LearnerOptions"]


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
    undoable: bool


class Learner(Predicting):
    """Data, model, loss, optimiser, callbacks and metrics, and everything one does with them.

    ``learn.recorder``, ``learn.mixed_precision``, ... find a callback by its name.

    Args:
        dls: loaders for training and validation (`DataLoaders`, or a pair of iterables of batches).
        model: the network.
        loss_func: ``loss_func(predictions, *targets)``; by default what fits the data's targets, else the model's own
            loss, if it takes ``labels`` (see `ModelOutput`).
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
        check: now, and before a fit with other parts, try a few items on model, loss and metrics (`check` does more).
        undoable: keep a copy of weights and optimiser in main memory before each call that trains, for `undo`.

    Raises:
        ConfigError: no loss was given and none follows from the data.
        TypeError: an unknown argument, with the nearest known one.
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
        undoable: bool = True,
        **unknown: Never,
    ) -> None:
        check_keywords(unknown, ["dls", "model", *LearnerOptions.__annotations__], type(self).__name__)
        _refuse_classes(model=model, loss_func=loss_func)
        if not callable(opt_func):
            raise ConfigError(
                f"opt_func is {describe(opt_func)}; it takes what makes an optimiser of parameter groups and lr: a"
                " class (torch.optim.SGD), a partial(SGD, mom=0.9), or a function."
            )
        outputs = ModelOutput() if loss_func is None and makes_own_loss(model) and known_loss(dls) is None else None
        if loss_func is None:
            loss_func = loss_for(dls) if outputs is None else outputs.loss_of_model
        super().__init__(dls, model, loss_func, train_bn)
        self.opt_func, self.lr, self.splitter, self.moms = opt_func, lr, splitter, moms
        self.metrics = metrics
        self.path = Path(path if path is not None else getattr(dls, "path", None) or ".")
        self.model_dir, self.wd, self.wd_bn_bias, self.check_before_fit = model_dir, wd, wd_bn_bias, check
        self.logger = RowPrinter()
        self.model_recipe: ModelRecipe | None = None  # how to build the model anew, for `export`
        self._groups: tuple[tuple[int, ...], list[list[nn.Parameter]]] | None = None
        self._checked: tuple[list[Any], tuple[int, ...]] | None = None
        self._begin_keeping_runs(undoable)
        self.add_cbs([Recorder, ProgressCallback] if default_cbs else None)
        self.add_cbs(outputs)
        self.add_cbs(cbs)
        if check:
            self._check_once()

    def __getattr__(self, name: str) -> Any:
        """Look `name` up among the callbacks; only asked where there is no such attribute."""
        callbacks = self.__dict__.get("_cbs", [])
        for callback in callbacks:
            if callback.name == name:
                return callback
        names = ", ".join(callback.name for callback in callbacks)
        raise AttributeError(f"Learner has no attribute or callback {name!r}; callbacks: {names or 'none'}.")

    def __repr__(self) -> str:
        size = sum(parameter.numel() for parameter in self.model.parameters())
        metrics = ", ".join(metric.name for metric in self.metrics) or "none"
        return (
            f"{type(self).__name__}: {type(self.model).__name__} of {size:,} parameters, loss"
            f" {loss_name(self.loss_func)}, optimiser {loss_name(self.opt_func)}, metrics: {metrics};"
            f" callbacks: {', '.join(callback.name for callback in self.cbs) or 'none'}"
        )

    # ---- looking for a learning rate ---------------------------------------------------------------------------------

    @explains_keywords("Learner")
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
            suggest_funcs: one or several rules: `valley`, `slide`, `minimum`, `steep` (or their names), or a
                function ``f(lrs, losses, num_it)`` that returns a rate.

        Returns:
            A named tuple with the rate of each rule: ``learn.lr_find().valley``.

        Raises:
            ConfigError: a rule that is none; the loss exploded before a curve could be seen.
        """
        functions = lr_find.rules(suggest_funcs)
        if self.check_before_fit:
            self._check_once()
        n_groups = len(self.param_groups())
        first, last = spread(start_lr, n_groups, "start_lr"), spread(end_lr, n_groups, "end_lr")
        lrs, losses = lr_find.sweep(self, self.create_opt, first, last, num_it, stop_div)
        found = lr_find.suggestions(lrs, losses, num_it, functions)
        recorder = lr_find.keep_sweep(self, lrs, losses)
        if show_plot:
            recorder.plot_lr_find(suggestions=[point for _, _, point in found], nms=[name for name, _, _ in found])
        return lr_find.as_namedtuple(found)

    # ---- looking at what was learned ---------------------------------------------------------------------------------

    def check(self, n_items: int = 64) -> CheckUp:
        """Look for mistakes in data, model, loss, optimiser, metrics and files before training; all is as before then.

        Items from all over each split are made, classes of the splits compared, files that stand in both found; the
        model is asked in evaluation mode (whether outputs fit the classes, depend on the inputs, and on nothing but the
        item), trained for one step on a copy (which parameters get no gradient, are in no group, do not move), metrics
        computed, an export written.

        Args:
            n_items: how many items of each split.

        Returns:
            What is most likely wrong, each with the remedy: print it.
        """
        return check_up(self, n_items)

    @property
    def plan(self) -> Planner:
        """What a call that trains would do, before it is made: ``print(learn.plan.fit_one_cycle(5, 1e-3))``.

        Parameter groups, what is frozen, hyper-parameters along the way (``.plot()`` draws them), batches, estimated
        time and memory; measured on a few batches, after which all is as before.
        """
        return Planner(self)

    def describe(self) -> None:
        """Print which callbacks are asked at which event, in order."""
        for event, names in event_rows(self.cbs):
            print(f"{event:<22} {', '.join(names) or '-'}")

    show_training_loop = describe

    def summary(self) -> ModelSummary:
        """A table of the model's layers: output shapes, parameters, what is frozen; work and memory below it."""
        result = summarize(self.model.to(self.device), inference.some_inputs(self))
        result.about = [
            f"Optimiser: {loss_name(self.opt_func)}; parameter groups: {len(self.param_groups())}",
            f"Loss: {loss_name(self.loss_func)}",
            f"Callbacks: {', '.join(callback.name for callback in self.cbs) or 'none'}",
        ]
        return result

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

    def models_folder(self) -> Path:
        """The folder ``path/model_dir``, made if it is not there.

        Raises:
            ConfigError: files cannot be written there.
        """
        return saving.writable_folder(saving.model_folder(self.path, self.model_dir))

    @explains_keywords("Learner")
    def save(self, file: str | Path, with_opt: bool = True) -> Path:
        """Write weights, and the optimiser's state, to ``path/model_dir/file.safetensors``.

        Args:
            file: name of the file.
            with_opt: write the optimiser's state too.

        Returns:
            Where it is.
        """
        return saving.save_model(saving.model_folder(self.path, self.model_dir) / file, self.model, self.opt, with_opt)

    @explains_keywords("Learner")
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

    @explains_keywords("Learner")
    def export(
        self,
        fname: str | Path | None = None,
        *,
        format: Literal["laminar", "onnx", "pt2", "safetensors"] = "laminar",
        golden: int = N_GOLDEN,
        program: bool = False,
    ) -> Path:
        """Write all that `predict` needs (weights, architecture, transforms, classes) to ``path/fname``, as data.

        Args:
            fname: name of the file; None for ``export`` with the ending of its format.
            format: ``laminar`` for `load_learner`. The others are for other programs and hold the model alone, from
                batches as it gets them to what `get_preds` returns: ``onnx`` (run with onnxruntime; an extra), ``pt2``
                (a program of torch.export) and ``safetensors`` (weights). Each is read back and run before it stays.
            golden: how many raw items of the validation set to put in, with what is predicted of them; `load_learner`
                predicts them again and refuses a file that predicts otherwise. 0 where data must not leave the house.
            program: write the model as a program of torch.export, not as a function that builds it: for a model without
                `model_recipe`. It predicts but cannot be trained, and whoever loads it must trust it:
                ``load_learner(file, trust=[program_model])``.

        Returns:
            Where it is; `load_learner` reads it.

        Raises:
            ConfigError: something cannot be written as data, or the model was changed since the learner was made.
        """
        file = self.path / (f"export.{format}" if fname is None else fname)
        if format == "laminar":
            export_learner(self, file, golden, program)
        else:
            if format not in FORMATS:
                raise ConfigError(
                    f"format={format!r}: there are laminar, {', '.join(FORMATS)}.{suggest(format, FORMATS)}"
                )
            export_format(self, file, format)
        return file


def _refuse_classes(**parts: Any) -> None:
    for name, part in parts.items():
        if isinstance(part, type):
            raise ConfigError(f"{name} is the class {part.__name__}; give an instance: {part.__name__}(...).")
