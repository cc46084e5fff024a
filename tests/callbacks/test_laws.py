"""What every callback keeps: nothing happens without epochs, and everything is put back, also after an exception."""

import contextlib
import copy
import gc
import warnings
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from torch import nn

from laminar.callbacks import (
    EMA,
    SAM,
    SWA,
    ActivationCheckpointing,
    ActivationStats,
    AdaptiveGradientClip,
    Callback,
    ChannelsLast,
    CollectDataCallback,
    CompileModel,
    CSVLogger,
    EarlyStoppingCallback,
    FetchPredsCallback,
    GatherPredsCallback,
    GradientAccumulation,
    GradientClip,
    GradientNoiseScale,
    GradientValueClip,
    GradualUnfreezing,
    HookCallback,
    LabelSmoothing,
    LayerTelemetry,
    LRFinder,
    ManifoldMixUp,
    MCDropoutCallback,
    MixedPrecision,
    MixUp,
    ParamScheduler,
    ProfilerCallback,
    ProgressCallback,
    Recorder,
    ReduceLROnPlateau,
    SaveModelCallback,
    SavePredsCallback,
    SchedLin,
    ShortEpochCallback,
    ShowGraphCallback,
    SmallLossSelection,
    StopOnDivergence,
    TensorBoardCallback,
    TerminateOnNaNCallback,
    ThroughputMonitor,
    TimeLimit,
    TorchScheduler,
    TrackerCallback,
)

CALLBACKS = {
    "accumulation": lambda: GradientAccumulation(40),
    "channels_last": ChannelsLast,
    "clip": lambda: GradientClip(0.1),
    "clip_value": lambda: GradientValueClip(0.01),
    "clip_adaptive": AdaptiveGradientClip,
    "noise_scale": lambda: GradientNoiseScale(2),
    "label_smoothing": LabelSmoothing,
    "layer_telemetry": lambda: LayerTelemetry(every=1),
    "activation_stats": ActivationStats,
    "hook": lambda: HookCallback(hook=lambda m, i, o: None),
    "manifold_mixup": ManifoldMixUp,
    "collect": CollectDataCallback,
    "fetch": FetchPredsCallback,
    "unfreezing": GradualUnfreezing,
    "short_epoch": lambda: ShortEpochCallback(0.5),
    "divergence": lambda: StopOnDivergence(warm_up=1),
    "time_limit": lambda: TimeLimit(hours=1),
    "checkpointing": lambda: ActivationCheckpointing(lambda m: [m[1]]),
    "compile": lambda: CompileModel(backend="eager"),
    "profiler": lambda: ProfilerCallback(1, 1, 2),
    "throughput": lambda: ThroughputMonitor(show=False),
    "mc_dropout": MCDropoutCallback,
    "show_graph": ShowGraphCallback,
    "tensorboard": lambda: TensorBoardCallback(trace_model=False),
    "small_loss": SmallLossSelection,
    "csv": CSVLogger,
    "ema": EMA,
    "early_stopping": EarlyStoppingCallback,
    "gather": GatherPredsCallback,
    "sam": SAM,
    "save_preds": lambda: SavePredsCallback("predictions", "targets"),
    "swa": lambda: SWA(0.0, lr=0.01),
    "lr_finder": lambda: LRFinder(num_it=6),
    "mixup": MixUp,
    "mixed_precision": lambda: MixedPrecision("bf16"),
    "scheduler": lambda: ParamScheduler({"lr": SchedLin(1e-3, 1e-2), "mom": SchedLin(0.9, 0.8)}),
    "torch_scheduler": lambda: TorchScheduler(partial(torch.optim.lr_scheduler.StepLR, step_size=1), "batch"),
    "plateau": lambda: ReduceLROnPlateau(min_delta=100.0),
    "save_model": SaveModelCallback,
    "nan": TerminateOnNaNCallback,
    "tracker": TrackerCallback,
}


@pytest.fixture(scope="module", autouse=True)
def little_garbage() -> Iterator[None]:
    """An interrupted fit collects garbage; let it not look at everything that was imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def conv_net() -> nn.Sequential:
    body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(nn.Unflatten(1, (1, 2, 2)), body, nn.Flatten(), nn.Linear(16, 2))


def groups(model: nn.Sequential) -> list[list[nn.Parameter]]:
    return [list(model[:2].parameters()), list(model[2:].parameters())]


def picture(learn) -> dict:
    """Everything a callback might leave changed."""
    return {
        "cbs": list(learn.cbs),
        "run": [cb.run for cb in learn.cbs],
        "modes": [m.training for m in learn.model.modules()],
        "requires_grad": [p.requires_grad for p in learn.model.parameters()],
        "layout": [p.stride() for p in learn.model.parameters()],
        "forwards": ["forward" in vars(m) for m in learn.model.modules()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in learn.model.modules()],
        "hypers": [{k: v for k, v in g.items() if k != "params"} for g in learn.opt.param_groups],
        "grads": [p.grad for p in learn.model.parameters()],
        "loss_func": learn.loss_func,
        "logger": learn.logger,
        "autocast": learn.autocast,
        "scaler": learn.scaler,
        "batch": (learn.xb, learn.yb, learn.pred, learn.loss, learn.loss_grad, learn.dl),
        "place": (learn.epoch, learn.iter, learn.n_iter, learn.train_iter, learn.pct_train, learn.training),
    }


@pytest.fixture
def ready(make_learner):
    def make(name: str, **options):
        torch.manual_seed(0)
        learn = make_learner(conv_net(), splitter=groups, cbs=CALLBACKS[name](), **options)
        learn.create_opt()
        learn.freeze()
        learn.model[1].eval()
        return learn

    return make


@pytest.mark.parametrize("name", CALLBACKS)
def test_nothing_happens_without_epochs(ready, name: str) -> None:
    learn = ready(name)
    before, weights = picture(learn), copy.deepcopy(learn.model.state_dict())
    learn.fit(0)
    assert picture(learn) == before
    assert all(torch.equal(a, b) for a, b in zip(weights.values(), learn.model.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", CALLBACKS)
def test_all_is_put_back_after_a_fit(ready, name: str) -> None:
    learn = ready(name)
    before = picture(learn)
    learn.fit(2)
    assert picture(learn) == before


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize(
    "event", ["before_fit", "after_pred", "after_backward", "after_step", "before_validate", "after_fit"]
)
def test_all_is_put_back_after_an_interruption(ready, name: str, event: str) -> None:
    learn = ready(name)

    def interrupt(cb: Callback) -> None:
        raise KeyboardInterrupt

    before = picture(learn)
    with contextlib.suppress(KeyboardInterrupt):  # a callback may have ended the fit before
        learn.fit(2, cbs=Callback(**{event: interrupt}))
    assert picture(learn) == before
    if name != "lr_finder":
        learn.fit(1)


@pytest.mark.parametrize("name", CALLBACKS)
def test_evaluations_change_nothing(ready, name: str) -> None:
    learn = ready(name)
    before = picture(learn)
    learn.validate()
    learn.get_preds()
    assert picture(learn) == before


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_prediction_in_the_middle_does_not_change_the_training(ready, name: str, capsys) -> None:
    def weights(in_the_middle: bool) -> dict:
        learn = ready(name)

        def predict(cb: Callback) -> None:
            if in_the_middle:
                learn.get_preds()
                learn.validate(0)

        learn.fit(
            2, cbs=[Callback(**dict.fromkeys(["after_pred", "after_step", "after_batch", "after_validate"], predict))]
        )
        return {**learn.model.state_dict(), "losses": torch.tensor(learn.recorder.batch_losses)}

    with warnings.catch_warnings():
        alone, disturbed = weights(False), weights(True)
    assert all(torch.equal(alone[key], disturbed[key]) for key in alone)


@pytest.mark.parametrize("name", CALLBACKS)
def test_state_survives_a_checkpoint(ready, name: str) -> None:
    learn = ready(name)
    learn.fit(1)
    callback = next(cb for cb in learn.cbs if not isinstance(cb, Recorder | ProgressCallback))
    state = callback.state_dict()
    other = CALLBACKS[name]()
    other.load_state_dict(copy.deepcopy(state))
    assert other.state_dict() == state
