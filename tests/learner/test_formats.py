"""A model leaves for other programs, and what leaves computes what it did."""

import json
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from laminar.core.errors import ConfigError, MissingExtraError
from laminar.data import DataLoaders, Datasets
from laminar.data.transforms import Categorize
from laminar.learner import Learner, load_learner, program_model


def as_tensor(item: tuple) -> Tensor:
    return torch.tensor([item[0], item[0] ** 2])


def label(item: tuple) -> str:
    return item[1]


class Gate(nn.Module):
    "A model that no function builds, with layers that tell training from evaluation."

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) * torch.sigmoid(x.sum(1, keepdim=True))


@pytest.fixture
def learn(tmp_path: Path) -> Learner:
    items = [(float(n) / 20, "ab"[n % 2]) for n in range(20)]
    sets = Datasets(items, [[as_tensor], [label, Categorize()]], splits=[range(14), range(14, 20)])
    learn = Learner(sets.dataloaders(bs=4, path=tmp_path, device="cpu"), Gate())
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    return learn


def batch(learn: Learner) -> tuple[Tensor, Tensor]:
    inputs, preds, _ = learn.get_preds(with_input=True)
    return inputs, preds


def test_onnx_predicts_what_the_learner_does_for_any_number_of_items(learn: Learner) -> None:
    file = learn.export(format="onnx")
    assert file.name == "export.onnx"
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    inputs, preds = batch(learn)
    for n in (1, 3, len(inputs)):
        (got,) = session.run(None, {session.get_inputs()[0].name: inputs[:n].numpy()})
        torch.testing.assert_close(torch.from_numpy(got), preds[:n], rtol=0, atol=1e-5)
    about = json.loads(session.get_modelmeta().custom_metadata_map["laminar"])
    assert about["vocab"] == ["a", "b"]


def test_a_program_of_torch_predicts_what_the_learner_does(learn: Learner) -> None:
    file = learn.export("model.pt2", format="pt2")
    inputs, preds = batch(learn)
    extra = {"laminar.json": ""}
    program = torch.export.load(file, extra_files=extra)
    torch.testing.assert_close(program.module()(inputs), preds, rtol=0, atol=1e-6)
    assert json.loads(extra["laminar.json"])["vocab"] == ["a", "b"]


def test_weights_alone_have_the_names_of_the_model(learn: Learner) -> None:
    file = learn.export(format="safetensors")
    with safe_open(file, framework="pt") as opened:
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # no dict
        assert json.loads(opened.metadata()["laminar_model"])["vocab"] == ["a", "b"]
    model = Gate()
    model.load_state_dict(state)
    assert torch.equal(model.eval()(batch(learn)[0]).softmax(1), batch(learn)[1])


def test_exporting_changes_nothing_of_the_learner(learn: Learner) -> None:
    learn.model.train()
    before = {name: tensor.clone() for name, tensor in learn.model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    for kind in ("onnx", "pt2", "safetensors"):
        learn.export(format=kind)  # type: ignore[arg-type]  # one of them
    assert torch.equal(torch.rand(2), expected)
    assert learn.model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in learn.model.state_dict().items())


def test_an_unknown_format_is_named_with_those_there_are(learn: Learner) -> None:
    with pytest.raises(ConfigError, match=r"format='onxx'.*Did you mean 'onnx'"):
        learn.export(format="onxx")  # type: ignore[arg-type]  # that is the test


def test_a_missing_package_names_its_extra(learn: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"laminar\[onnx\]"):
        learn.export(format="onnx")
    assert not list(learn.path.glob("*.onnx"))


class Branches(nn.Module):
    "What no tracer can follow: the way depends on values."

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) if bool(x.sum() > 0) else -self.first(x)


def test_a_model_that_cannot_be_traced_is_told_and_no_file_is_left(learn: Learner) -> None:
    learn.model = Branches()
    with pytest.raises(ConfigError, match="cannot make a program of Branches"):
        learn.export(format="pt2")
    assert not list(learn.path.glob("*.pt2"))


def test_without_items_there_is_nothing_to_trace_with(learn: Learner) -> None:
    learn.dls = learn.dls.new_empty()
    with pytest.raises(ConfigError, match=r"there are no items: set learn\.dls"):
        learn.export(format="pt2")


# ---- a learner whose model is a program ------------------------------------------------------------------------------


def exported_program(learn: Learner) -> Path:
    return learn.export("program.laminar", program=True)


def test_a_model_that_no_function_builds_is_exported_as_a_program(learn: Learner) -> None:
    with pytest.raises(ConfigError, match=r"learn.export\(program=True\)"):
        learn.export()
    loaded = load_learner(exported_program(learn), trust=[program_model, as_tensor])
    inputs, preds = batch(learn)
    again, _ = loaded.get_preds(dl=DataLoaders([(inputs,)], [(inputs,)])[0])
    torch.testing.assert_close(again, preds, rtol=0, atol=1e-6)
    loaded.model.train()  # a program has one way to run
    torch.testing.assert_close(loaded.model(inputs).softmax(1), preds, rtol=0, atol=1e-6)


def test_a_program_is_run_only_if_it_is_trusted(learn: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    file = exported_program(learn)

    def refuse(*args: Any) -> None:
        raise AssertionError("the program was read")

    monkeypatch.setattr(torch.export, "load", refuse)
    with pytest.raises(ConfigError, match=r"trust=\[program_model\]"):
        load_learner(file, trust=[as_tensor])


def test_a_loaded_program_can_be_exported_again(learn: Learner) -> None:
    loaded = load_learner(exported_program(learn), trust=[program_model, as_tensor])
    again = load_learner(loaded.export("again.laminar"), trust=[program_model, as_tensor])
    item = (0.4, "a")
    assert torch.equal(again.predict(item)[2], loaded.predict(item)[2])
