"""A training that is interrupted and resumed by another learner ends as one that never was: equal to the bit."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from laminar.callbacks import (
    EMA,
    SAM,
    SWA,
    Callback,
    Checkpoint,
    EarlyStoppingCallback,
    GradientAccumulation,
    GradientNoiseScale,
    GradualUnfreezing,
    ManifoldMixUp,
    MixedPrecision,
    MixUp,
    ReduceLROnPlateau,
    SaveModelCallback,
    ShortEpochCallback,
    SmallLossSelection,
    StopOnDivergence,
    TorchScheduler,
)
from laminar.data import DataLoader, DataLoaders
from laminar.learner import Batches, Learner
from laminar.metrics import F1Score, accuracy, with_interval
from laminar.nn import CrossEntropyLossFlat
from laminar.optim import SGD, ranger

N_TRAIN, BS = 10, 16  # batches of an epoch


class Kill(Callback):
    """Writes a checkpoint at a batch, counted over training and validation, and ends the process, so to speak."""

    order, passes, only_watches = 2000, ("fit",), True

    def __init__(self, at: int) -> None:
        self.left = at

    def after_batch(self) -> None:
        self.left -= 1
        if not self.left:
            self.learn.checkpoint.write("train" if self.training else "valid")
            raise KeyboardInterrupt


def points() -> tuple[TensorDataset, TensorDataset]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N_TRAIN * BS + 3 * BS, 4, generator=generator)
    y = (x[:, 0] + x.prod(1) > 0).long()
    cut = N_TRAIN * BS
    return TensorDataset(x[:cut], y[:cut]), TensorDataset(x[cut:], y[cut:])


def loaders(workers: int = 0, bs: int = BS) -> DataLoaders:
    train, valid = points()
    return DataLoaders(
        DataLoader(train, bs, shuffle=True, num_workers=workers),
        DataLoader(valid, bs, num_workers=workers),
        device="cpu",
    )


def net(width: int = 8) -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU()), nn.Dropout(0.3), nn.Linear(width, 2)
    )


def halves(model: nn.Sequential) -> list[list[nn.Parameter]]:
    return [list(model[0].parameters()), list(model[2].parameters())]


@pytest.fixture
def learner(tmp_path: Path):
    """A learner as another process would make it: nothing is shared but the folder."""

    def make(cbs=(), *, dls=None, model=None, folder="run", every="epoch", **options) -> Learner:
        torch.manual_seed(3)
        model = net() if model is None else model
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        cbs = [Checkpoint("checkpoints", every), *cbs]
        options = {"metrics": accuracy, "loss_func": CrossEntropyLossFlat(), "check": False, **options}
        learn = Learner(loaders() if dls is None else dls(), model, path=path, cbs=cbs, **options)
        learn.logger = lambda row: None
        torch.rand(1)  # the seed is that of the run, the state is not that of its beginning
        return learn

    return make


def outcome(learn: Learner) -> dict:
    """Weights, optimiser, record and random state at the end."""
    recorder = learn.recorder
    return {
        "weights": {name: tensor.tolist() for name, tensor in learn.model.state_dict().items()},
        "opt": [
            {k: v.tolist() if isinstance(v, Tensor) else v for k, v in state.items()}
            for state in learn.opt.state_dict()["state"].values()
        ],
        "table": (recorder.metric_names, recorder.values, recorder.iters),
        "batches": (recorder.batch_losses, recorder.losses, recorder.lrs),
        "schedules": {name: [torch.as_tensor(v).tolist() for v in values] for name, values in recorder.hps.items()},
        "random": torch.get_rng_state().tolist(),
        "frozen": [p.requires_grad for p in learn.model.parameters()],
    }


def train(learn: Learner, **options) -> None:
    learn.fit_one_cycle(3, 1e-2, **options)


def interrupted(learner, at: int, fit=train, cbs=list, **options) -> Learner:
    """A fit that is interrupted at a batch, and resumed by another learner."""
    shutil.rmtree(learner(folder="cut").path)
    with pytest.raises(KeyboardInterrupt):
        fit(learner([*cbs(), Kill(at)], folder="cut", **options))
    learn = learner(cbs(), folder="cut", **options)
    torch.rand(7)  # whatever the process drew before
    fit(learn, resume=True)
    return learn


def assert_same(learn: Learner, expected: dict) -> None:
    found = outcome(learn)
    for part in expected:
        assert found[part] == expected[part], part


# ---- recipes of training ---------------------------------------------------------------------------------------------


def plain(learn, **options):
    learn.fit(3, 1e-2, **options)


def flat(learn, **options):
    learn.fit_flat_cos(3, 1e-2, **options)


def cycles(learn, **options):
    learn.fit_sgdr(2, 1, 1e-2, cycle_mult=2, **options)


def tune(learn, **options):
    learn.fine_tune(2, 1e-2, freeze_epochs=1, **options)


def by_batches(learn, **options):
    learn.fit_one_cycle(Batches(33, every=13), 1e-2, **options)


def two_calls(learn, **options):
    learn.fit_one_cycle(1, 1e-2, **options)
    learn.fit(2, 1e-3, **options)


@pytest.mark.parametrize("fit", [train, plain, flat, cycles, tune, by_batches, two_calls])
def test_every_recipe_goes_on_where_it_was(learner, fit, capsys) -> None:
    whole = learner(splitter=halves)
    fit(whole)
    expected = outcome(whole)
    for at in (10, 12, 13, 30):  # the last batch of training, validation, its last batch, a later epoch
        assert_same(interrupted(learner, at, fit, splitter=halves), expected)


CALLBACKS = {
    "accumulation in the middle of a window": lambda: [GradientAccumulation(3 * BS)],
    "mixup": lambda: [MixUp()],
    "manifold mixup": lambda: [ManifoldMixUp()],
    "bfloat16": lambda: [MixedPrecision("bf16")],
    "ema": lambda: [EMA(0.9)],
    "swa": lambda: [SWA(0.3, lr=5e-3)],
    "noise scale": lambda: [GradientNoiseScale(4)],
    "sharpness": lambda: [SAM()],
    "small losses": lambda: [SmallLossSelection()],
    "short epochs": lambda: [ShortEpochCallback(0.8)],
    "plateau": lambda: [ReduceLROnPlateau(min_delta=1.0)],
    "early stopping": lambda: [EarlyStoppingCallback(min_delta=1.0, patience=2)],
    "best weights": lambda: [SaveModelCallback()],
    "divergence": lambda: [StopOnDivergence()],
    "unfreezing": lambda: [GradualUnfreezing({0: -1, 1: 0})],
    "torch's scheduler": lambda: [TorchScheduler(partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.9), "batch")],
    "several": lambda: [GradientAccumulation(3 * BS), MixUp(), EMA(0.9), MixedPrecision("bf16"), SaveModelCallback()],
}


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_go_on_where_they_were(learner, name: str, capsys) -> None:
    cbs = CALLBACKS[name]
    fit = plain if name in ("plateau", "torch's scheduler") else train
    whole = learner(cbs(), splitter=halves)
    fit(whole)
    kept = {cb.name: json.dumps(cb.state_dict(), default=str) for cb in whole.cbs if cb.name in ("ema", "noise_scale")}
    expected = outcome(whole)
    for at in (8, 25):
        found = interrupted(learner, at, fit, cbs, splitter=halves)
        assert_same(found, expected)
        states = {cb.name: json.dumps(cb.state_dict(), default=str) for cb in found.cbs}
        assert kept == {key: states[key] for key in kept}


@pytest.mark.parametrize("opt_func", [partial(SGD, mom=0.9), ranger, torch.optim.RMSprop, torch.optim.Adagrad])
def test_optimisers_go_on_where_they_were(learner, opt_func, capsys) -> None:
    whole = learner(opt_func=opt_func)
    train(whole)
    assert_same(interrupted(learner, 7, opt_func=opt_func), outcome(whole))


def test_metrics_go_on_in_the_middle_of_a_validation(learner, capsys) -> None:
    from laminar.callbacks import Recorder

    torchmetrics = pytest.importorskip("torchmetrics.classification")
    metrics = [accuracy, F1Score(), with_interval(accuracy), torchmetrics.MulticlassAccuracy(2)]
    options = {"metrics": metrics, "default_cbs": False}

    def cbs() -> list:
        return [Recorder(train_metrics=True)]

    whole = learner(cbs(), **options)
    train(whole)
    for at in (5, 12):
        found = interrupted(learner, at, cbs=cbs, **options)
        assert_same(found, outcome(whole))
        assert str(found.recorder.values[0][-2]) == str(whole.recorder.values[0][-2])  # with its interval


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0), (1, 2)])
def test_the_number_of_workers_may_change(learner, before: int, after: int, capsys) -> None:
    whole = learner()
    train(whole)
    with pytest.raises(KeyboardInterrupt):
        train(learner([Kill(16)], folder="cut", dls=partial(loaders, before)))
    rest = learner(folder="cut", dls=partial(loaders, after))
    train(rest, resume=True)
    assert_same(rest, outcome(whole))
