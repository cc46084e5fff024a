"""A training that is interrupted and resumed by another learner ends as one that never was: equal to the bit."""

import copy
import json
import os
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.utils.data as torch_data
from torch import Tensor, nn
from torch.utils.data import IterableDataset, TensorDataset

from laminar.callbacks import (
    EMA,
    SAM,
    SWA,
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStoppingCallback,
    GradientAccumulation,
    GradientNoiseScale,
    GradualUnfreezing,
    ManifoldMixUp,
    MixedPrecision,
    MixUp,
    Recorder,
    ReduceLROnPlateau,
    SaveModelCallback,
    ShortEpochCallback,
    SmallLossSelection,
    StopOnDivergence,
    TorchScheduler,
)
from laminar.callbacks.checkpoint_folder import CheckpointFolder
from laminar.core.errors import ConfigError, DataError
from laminar.data import DataLoader, DataLoaders
from laminar.learner import Batches, Learner, Minutes, Resume
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
    for at in (10, 12, 30):  # the last batch of training, validation, a later epoch
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


IN_VALIDATION_TOO = {"ema", "swa", "several"}


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_go_on_where_they_were(learner, name: str, capsys) -> None:
    cbs = CALLBACKS[name]
    fit = plain if name in ("plateau", "torch's scheduler") else train
    whole = learner(cbs(), splitter=halves)
    fit(whole)
    kept = {cb.name: json.dumps(cb.state_dict(), default=str) for cb in whole.cbs if cb.name in ("ema", "noise_scale")}
    expected = outcome(whole)
    for at in (8, 25) if name in IN_VALIDATION_TOO else (18,):
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


@pytest.mark.parametrize(("before", "after"), [(0, 2), (1, 0)])
def test_the_number_of_workers_may_change(learner, before: int, after: int, capsys) -> None:
    whole = learner()
    train(whole)
    with pytest.raises(KeyboardInterrupt):
        train(learner([Kill(16)], folder="cut", dls=partial(loaders, before)))
    rest = learner(folder="cut", dls=partial(loaders, after))
    train(rest, resume=True)
    assert_same(rest, outcome(whole))


# ---- data that are not our loaders' ----------------------------------------------------------------------------------


class Drawing(torch_data.Dataset):
    """A data set of a user's, for torch's own loader."""

    def __init__(self, data: TensorDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return self.data[number]


def torchs() -> DataLoaders:
    train, valid = map(Drawing, points())
    return DataLoaders(
        torch_data.DataLoader(train, BS, shuffle=True), torch_data.DataLoader(valid, BS), device="cpu", n_inp=1
    )


def torchs_with_generators() -> DataLoaders:
    train, valid = map(Drawing, points())
    sampler = torch_data.RandomSampler(train, generator=torch.Generator().manual_seed(8))
    loader = torch_data.DataLoader(train, BS, sampler=sampler, generator=torch.Generator().manual_seed(9))
    return DataLoaders(loader, torch_data.DataLoader(valid, BS), device="cpu", n_inp=1)


def listed() -> DataLoaders:
    return DataLoaders(*[list(torch_data.DataLoader(part, BS)) for part in points()], device="cpu")


def bare() -> list:
    return [list(torch_data.DataLoader(part, BS)) for part in points()]


class Telling(IterableDataset):
    """A stream that can tell where it is and be put there; counts what it reads."""

    def __init__(self, data: TensorDataset) -> None:
        self.data, self.place, self.read, self.begin = data, 0, 0, 0

    def __iter__(self):
        begin, self.begin = self.begin, 0
        for number in range(begin, len(self.data)):
            self.place, self.read = number + 1, self.read + 1
            yield self.data[number]

    def state_dict(self) -> dict:
        return {"place": self.place}

    def load_state_dict(self, state: dict) -> None:
        self.begin = state["place"]


class Mute(IterableDataset):
    """A stream that can do neither."""

    def __init__(self, data: TensorDataset) -> None:
        self.data = data

    def __iter__(self):
        return iter(self.data)


def streamed(kind: type) -> DataLoaders:
    return DataLoaders(*[DataLoader(kind(part), BS) for part in points()], device="cpu")


@pytest.mark.parametrize(
    ("make", "fit"),
    [
        (torchs, train),
        (torchs_with_generators, train),
        (listed, train),
        (listed, by_batches),
        (bare, train),
        (bare, by_batches),
    ],
    ids=[
        "torch",
        "torch with generators",
        "list",
        "list by batches",
        "no loaders of ours",
        "no loaders of ours by batches",
    ],
)
def test_batches_from_elsewhere_go_on_where_they_were(learner, make, fit, capsys, recwarn) -> None:
    whole = learner(dls=make)
    fit(whole)
    for at in (7, 12, 15):
        assert_same(interrupted(learner, at, fit, dls=make), outcome(whole))
    read_again = [str(warning.message) for warning in recwarn if "read again" in str(warning.message)]
    assert bool(read_again) is (make in (torchs, torchs_with_generators)), "what cannot begin in its middle says so"


def sampled() -> DataLoaders:
    train, valid = points()
    sampler = torch_data.RandomSampler(train, generator=torch.Generator().manual_seed(8))
    return DataLoaders(DataLoader(train, BS, sampler=sampler), DataLoader(valid, BS), device="cpu")


def test_a_sampler_with_a_generator_of_its_own_goes_on_where_it_was(learner, capsys) -> None:
    whole = learner(dls=sampled)
    train(whole)
    assert_same(interrupted(learner, 15, dls=sampled), outcome(whole))


def test_a_stream_that_knows_its_place_goes_on_at_once(learner, capsys) -> None:
    make = partial(streamed, Telling)
    whole = learner(dls=make)
    plain(whole)
    found = interrupted(learner, 7, plain, dls=make)
    assert_same(found, outcome(whole))
    rest = 3 * N_TRAIN * BS - 7 * BS
    assert rest <= found.dls.train.dataset.read <= rest + 2, "but for a look at the types, nothing was read again"


def test_a_stream_that_does_not_is_read_again(learner, capsys) -> None:
    make = partial(streamed, Mute)
    whole = learner(dls=make)
    plain(whole)
    with pytest.warns(UserWarning, match=r"Mute cannot be told where to begin: 7 batches are read again"):
        found = interrupted(learner, 7, plain, dls=make)
    assert_same(found, outcome(whole))


def test_a_fit_over_a_time_goes_on_with_the_time_that_is_left(learner, capsys) -> None:
    def fit(learn, **options) -> None:
        learn.fit(Minutes(1.5 / 60), 1e-3, **options)

    found = interrupted(learner, 9, fit)
    assert found.recorder.iters[0] > 9
    state = json.loads((found.checkpoint.last_path / "state.json").read_text())
    assert state["position"]["part"] == "finished"


# ---- the table, and what is shown ------------------------------------------------------------------------------------


def test_the_table_and_the_csv_file_go_on(learner, capsys) -> None:
    whole = learner([CSVLogger()])
    train(whole)
    rows: list = []
    with pytest.raises(KeyboardInterrupt):
        train(learner([CSVLogger(), Kill(33)], folder="cut", every=4))
    rest = learner([CSVLogger()], folder="cut")
    rest.logger = rows.append
    train(rest, resume=True)
    assert [row[0] for row in rows] == ["epoch", 0, 1, 2]

    def without_time(path: Path) -> list:
        return [line.rsplit(",", 1)[0] for line in (path / "history.csv").read_text().splitlines()]

    assert without_time(rest.path) == without_time(whole.path)


def test_a_finished_fit_is_not_done_again(learner, capsys) -> None:
    whole = learner()
    train(whole)
    again = learner()
    train(again, resume=True)
    assert_same(again, {key: value for key, value in outcome(whole).items() if key != "schedules"})
    assert again.recorder.hps["mom"] == whole.recorder.hps["mom"]
    again.fit(1, 1e-3, resume=True)  # the next call of the program
    assert len(again.recorder.values) == 1


def test_without_a_checkpoint_resuming_begins_at_the_beginning(learner) -> None:
    whole = learner(folder="one")
    train(whole)
    other = learner(folder="two")
    train(other, resume=True)
    assert_same(other, outcome(whole))


def test_a_training_that_was_interrupted_is_not_overwritten_in_silence(learner) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(learner([Kill(5)]))
    with pytest.warns(UserWarning, match="holds a training that was interrupted.*To go on with it: resume=True"):
        train(learner())


# ---- what is kept ----------------------------------------------------------------------------------------------------


def kept(learn: Learner) -> list[tuple]:
    return [(s.about["part"], s.about["epoch"], s.about["done"]) for s in CheckpointFolder(learn.checkpoint.path).all()]


def test_the_newest_the_best_and_the_ends_of_earlier_fits_are_kept(learner) -> None:
    learn = learner()
    learn.checkpoint.keep = 2
    learn.fit(4, slice(1.0))  # too high: a later epoch is not the best one
    values = [row[1] for row in learn.recorder.values]
    best = values.index(min(values))
    epochs = {("epoch", best + 1, 0), ("epoch", 4, 0), ("finished", 3, 0)}
    assert set(kept(learn)) == epochs
    weights = learn.checkpoint.best_path / "model"
    learn.load(weights)
    assert learn.validate()[0] == pytest.approx(min(values))
    learn.fit(1)
    assert ("finished", 3, 0) in kept(learn), "how the first fit has ended"


def test_checkpoints_come_after_so_many_batches_or_minutes(learner) -> None:
    learn = learner(every=Batches(4))
    learn.checkpoint.keep = 100
    learn.fit(1)
    assert [place for place in kept(learn) if place[0] == "train"] == [("train", 0, 8), ("train", 0, 4)]
    learn = learner(every=Minutes(1e-9), folder="other")
    learn.checkpoint.keep = 100
    learn.fit(1)
    assert len(kept(learn)) == N_TRAIN + 3 + 2
    with pytest.raises(ConfigError, match="'epoch', a number of batches, or Minutes"):
        Checkpoint(every="batch")


# ---- another training ------------------------------------------------------------------------------------------------


def refused(learn: Learner, match: str, fit=train, **options) -> None:
    with pytest.raises(ConfigError, match=match):
        fit(learn, resume=True, **options)


def test_another_training_is_refused_by_name(learner) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(learner([Kill(14)]))
    refused(learner(model=net(9)), r"model: other: 0.0.weight \(8, 4\) float32, now \(9, 4\) float32")
    refused(learner(dls=partial(loaders, bs=32)), r"batch size: \[16, 16\] then, \[32, 32\] now")
    refused(learner(opt_func=SGD), "optimizer: class was AdamW, and is SGD")
    refused(learner([MixUp()]), r"callbacks: \['ParamScheduler'\] then, \['MixUp', 'ParamScheduler'\] now")
    refused(learner(metrics=None), r"metrics: \['accuracy'\] then, \[\] now")
    refused(learner(), r"schedule: call was fit_one_cycle, and is fit", plain)
    shifted = [TensorDataset(part.tensors[0] + 1, part.tensors[1]) for part in points()]
    other = partial(
        DataLoaders, *(DataLoader(part, BS, shuffle=i == 0) for i, part in enumerate(shifted)), device="cpu"
    )
    refused(learner(dls=other), r"data, training: content was [0-9a-f]+, and is")
    with pytest.raises(ConfigError, match=r"lr was .*, and is"):
        learner().fit_one_cycle(3, 2e-2, resume=True)
    with pytest.raises(ConfigError, match="'bs' is none of data, batch size"):
        Resume(accept=["bs"])


def test_a_refused_learner_is_as_before(learner) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(learner([Kill(14)]))
    learn = learner(dls=partial(loaders, bs=32))
    before = copy.deepcopy(learn.model.state_dict())
    refused(learn, "batch size")
    assert all(torch.equal(before[name], tensor) for name, tensor in learn.model.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("batch size", {"dls": partial(loaders, bs=32)}),
        ("optimizer", {"opt_func": SGD}),
        ("callbacks", {"cbs": [MixUp()]}),
        ("metrics", {"metrics": None}),
    ],
)
@pytest.mark.parametrize("at", [5, 12])
def test_a_difference_may_be_accepted(learner, kind: str, options: dict, at: int, capsys) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(learner([Kill(at)]))
    learn = learner(**options)
    accept = [kind, "schedule"] if kind in ("batch size", "optimizer") else [kind]
    train(learn, resume=Resume(accept=accept))
    assert len(learn.recorder.values) == 3
    if (kind, at) == ("batch size", 5):
        assert "epoch 0, batch 5 of training" in capsys.readouterr().out.replace("batch 2", "batch 5")
        assert learn.recorder.iters[0] == 5 + 3, "the 5 done, and of 5 larger ones those that are not done in full"


def test_one_checkpoint_may_be_chosen(learner, capsys) -> None:
    whole = learner()
    whole.checkpoint.keep = 9
    train(whole)
    rest = learner(folder="other")
    train(rest, resume=whole.checkpoint.path / "checkpoint-00000001")
    assert_same(rest, outcome(whole))


def test_resuming_needs_to_know_where(learner) -> None:
    learn = learner()
    learn.remove_cb(Checkpoint)
    with pytest.raises(ConfigError, match="the learner has none"):
        learn.fit(1, resume=True)
    with pytest.raises(DataError, match="no such folder"):
        learn.fit(1, resume="nowhere")
    with pytest.raises(ConfigError, match="both say where to begin"):
        learn.fit(2, start_epoch=1, resume=True)


# ---- being asked to stop ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="sends signals as POSIX has them")
@pytest.mark.parametrize(("name", "at"), [("SIGTERM", 5), ("SIGUSR1", 12), ("SIGINT", 15)])
def test_a_signal_makes_it_stop_after_the_batch(learner, name: str, at: int, capsys, monkeypatch) -> None:
    class Send(Callback):
        only_watches = True

        def after_pred(self) -> None:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), getattr(signal, name))

    whole = learner(folder="whole")
    train(whole)
    send = Send()
    send.left = at
    before = signal.getsignal(getattr(signal, name))
    with pytest.raises(SystemExit) as stopped:
        train(learner([send]))
    assert stopped.value.code == 75
    assert signal.getsignal(getattr(signal, name)) == before
    assert f"{name}: checkpoint-" in capsys.readouterr().out
    rest = learner()
    train(rest, resume=True)
    assert_same(rest, outcome(whole))


def test_ctrl_c_at_a_prompt_is_left_as_it_is(learner, monkeypatch) -> None:
    monkeypatch.setattr("sys.ps1", ">>> ", raising=False)
    seen = []
    before = signal.getsignal(signal.SIGTERM)
    learner().fit(1, cbs=Callback(before_epoch=lambda cb: seen.append(signal.getsignal(signal.SIGTERM))))
    assert seen != [before]
    with pytest.raises(ConfigError, match=r"'SIGTREM' is none of these.*SIGTERM"):
        Checkpoint(signals=["SIGTREM"])
