"""Runs in TensorBoard and Weights & Biases, read back from what they wrote; the picture of losses."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

from laminar.callbacks import ShowGraphCallback, TensorBoardCallback, WandbCallback
from laminar.core.errors import ConfigError
from laminar.data import DataLoaders
from laminar.learner import Learner


class Shown(list):
    """A loader that can show results."""

    target_types = ()

    def show_results(self, batch, outs, max_n=9, **options):
        self.drawn = [*getattr(self, "drawn", []), batch]
        plt.subplots()[1].set_title(f"{max_n} predictions")

    def random_batch(self, n):
        x, y = self[torch.randint(len(self), ()).item()]
        return x[:n], y[:n]


@pytest.fixture
def shown_learner(make_learner, toys, tmp_path):
    def make(**options) -> Learner:
        dls = toys.Loaders([toys.batches(64, 16), Shown(toys.batches(32, 16))], tmp_path)
        return make_learner(dls=dls, splitter=toys.halves, **options)

    return make


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_has_every_batch_every_epoch_and_predictions(shown_learner, tmp_path) -> None:
    learn = shown_learner()
    learn.fit_one_cycle(2, 0.1, cbs=TensorBoardCallback(tmp_path / "run", n_preds=4))
    events, recorder = read(tmp_path / "run"), learn.recorder
    raw = events.Scalars("raw_loss")
    assert [event.step for event in raw] == list(range(8))
    assert [event.value for event in raw] == pytest.approx(recorder.batch_losses)
    assert [event.value for event in events.Scalars("lr_1")] == pytest.approx(recorder.lrs)
    assert [event.value for event in events.Scalars("valid_loss")] == pytest.approx([row[1] for row in recorder.values])
    assert [event.step for event in events.Scalars("valid_loss")] == [4, 8]
    assert len(events.Images("predictions")) == 2
    first, second = learn.dls[1].drawn
    assert first is second  # the same items each time
    assert len(first[0]) == 4
    assert events.Tags()["graph"]
    assert not plt.get_fignums()


def test_what_cannot_be_drawn_is_left_out(toys, make_learner, tmp_path) -> None:
    plain = DataLoaders(toys.batches(64, 16), toys.batches(32, 16, seed=1))
    make_learner(dls=plain).fit(1, cbs=TensorBoardCallback(tmp_path / "run", trace_model=False))
    assert "predictions" not in read(tmp_path / "run").Tags()["images"]
    assert read(tmp_path / "run").Scalars("valid_loss")


def test_a_second_fit_goes_on_and_features_can_be_projected(make_learner, tmp_path) -> None:
    learn = make_learner(cbs=TensorBoardCallback(tmp_path / "run", projector=True, trace_model=False))
    learn.fit(1)
    learn.fit(1)
    assert [event.step for event in read(tmp_path / "run").Scalars("raw_loss")] == list(range(8))
    rows = next((tmp_path / "run").glob("*/default/tensors.tsv")).read_text().splitlines()
    assert len(rows) == 32
    assert len(rows[0].split("\t")) == 8  # what goes into the last layer
    assert all(not module._forward_pre_hooks for module in learn.model.modules())


def test_a_model_that_cannot_be_traced_is_a_warning(make_learner) -> None:
    class Stubborn(nn.Sequential):
        def forward(self, x):
            if torch.jit.is_tracing():
                raise RuntimeError("not me")
            return super().forward(x)

    learn = make_learner(Stubborn(nn.Linear(4, 2)), cbs=TensorBoardCallback())
    with pytest.warns(UserWarning, match="cannot trace the model.*not me"):
        learn.fit(1)
    assert list((learn.path / "runs").glob("*/events*"))


def test_tracing_changes_nothing(make_learner) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))

    def weights(cbs) -> list[torch.Tensor]:
        torch.manual_seed(0)
        for layer in (model[0], model[1], model[3]):
            layer.reset_parameters()
        make_learner(model, cbs=cbs).fit(1)
        return [value.clone() for value in model.state_dict().values()]

    assert all(torch.equal(a, b) for a, b in zip(weights(None), weights(TensorBoardCallback()), strict=True))


@pytest.fixture
def wandb(monkeypatch, tmp_path):
    for name, value in {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true", "WANDB_MODE": "offline"}.items():
        monkeypatch.setenv(name, value)
    module = pytest.importorskip("wandb")
    yield module
    module.finish()


def records(data: bytes) -> Iterator[bytes]:
    """What a log of wandb's holds: pieces (checksum, length, kind) in blocks of 32 kB, after a header of 7 bytes."""
    place, whole = 7, b""
    while place < len(data):
        if 32768 - place % 32768 < 7:  # the rest of a block, too short for a piece
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # all of a record, or its end
            yield whole
            whole = b""


def history(folder: Path) -> list[dict[str, Any]]:
    """The rows that an offline run wrote."""
    from wandb.proto import wandb_internal_pb2

    rows = []
    for data in records(next(folder.glob("wandb/offline-run-*/*.wandb")).read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            rows.append({".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items})
    return rows


def test_wandb_has_every_batch_every_epoch_predictions_and_the_model(shown_learner, wandb, tmp_path) -> None:
    run = wandb.init(project="test", dir=str(tmp_path), settings=wandb.Settings(console="off", init_timeout=300))
    learn = shown_learner()
    hooks = [len(module._forward_hooks) for module in learn.model.modules()]
    learn.fit(2, 0.1, cbs=WandbCallback(log="all", n_preds=4, log_model=True, model_name="first"))
    assert [len(module._forward_hooks) for module in learn.model.modules()] == hooks
    assert run.config["optimiser"] == "AdamW"
    assert run.config["parameter_groups"] == len(learn.opt.param_groups)
    wandb.finish()
    wandb.teardown()  # waits for the process that writes the file
    rows, recorder = history(tmp_path), learn.recorder
    assert [row["raw_loss"] for row in rows if "raw_loss" in row] == pytest.approx(recorder.batch_losses)
    assert [row["valid_loss"] for row in rows if "valid_loss" in row] == pytest.approx([r[1] for r in recorder.values])
    assert sum(any(key.startswith("predictions") for key in row) for row in rows) == 1
    assert (learn.models_folder() / "first.safetensors").exists()


def test_wandb_wants_a_run(make_learner, wandb) -> None:
    with pytest.raises(ConfigError, match=r"call wandb\.init\(project=\.\.\.\) first"):
        make_learner(cbs=WandbCallback()).fit(1)


def test_the_losses_are_drawn_into_a_file(make_learner) -> None:
    learn = make_learner(cbs=ShowGraphCallback())
    learn.fit(2, 0.1)
    height, width, _ = plt.imread(learn.show_graph.path).shape
    assert (width, height) == (600, 400)
    assert not plt.get_fignums()
