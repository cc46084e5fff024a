import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from laminar.core.errors import WeightsError
from laminar.learner import load_model, save_model
from laminar.optim import SGD, Lamb, Muon, ranger


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    "opt_func", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop, Lamb, Muon, ranger, None]
)
def test_weights_and_optimiser_come_back_and_training_goes_on_the_same(make_learner, opt_func) -> None:
    options = {"opt_func": opt_func} if opt_func else {}
    learn = make_learner(**options)
    learn.fit_one_cycle(1, 0.05)
    file = learn.save("stage-1")
    assert file == learn.path / "models" / "stage-1.safetensors"
    other = make_learner(**options).load("stage-1")
    assert equal(learn.model, other.model)
    for one in (learn, other):
        one.fit(1, 0.05)
    assert equal(learn.model, other.model)


def test_state_is_matched_by_name_not_by_position(make_learner, toys) -> None:
    learn = make_learner(splitter=toys.halves)
    learn.fit(1)
    learn.save("a")
    other = make_learner(splitter=lambda m: toys.halves(m)[::-1]).load("a")
    for (_, p), (_, q) in zip(learn.model.named_parameters(), other.model.named_parameters(), strict=True):
        assert torch.equal(learn.opt.state[p]["exp_avg"], other.opt.state[q]["exp_avg"])


def test_groups_stay_the_same_objects_for_schedulers(make_learner) -> None:
    learn = make_learner()
    learn.fit(1)
    learn.save("a")
    groups = list(learn.opt.param_groups)
    learn.load("a")
    assert all(a is b for a, b in zip(groups, learn.opt.param_groups, strict=True))
    assert learn.opt.param_groups[0]["betas"] == (0.9, 0.99)


def test_state_of_other_parameters_or_another_optimiser_is_refused(make_learner, toys) -> None:
    learn = make_learner(splitter=lambda m: [list(m[3].parameters())])
    learn.fit(1)
    learn.save("a")
    with pytest.raises(
        WeightsError, match=r"other parameters: 0.bias, 0.weight, 1.bias, 1.weight are on one side only"
    ):
        make_learner().load("a")
    with pytest.raises(WeightsError, match="holds the state of AdamW, the learner's optimiser is SGD"):
        make_learner(opt_func=SGD).load("a")
    assert equal(make_learner(opt_func=SGD).load("a", with_opt=False).model, learn.model)


def test_a_model_that_does_not_fit_is_told_by_layer_and_left_alone(make_learner, toys) -> None:
    make_learner().save("two")
    three = make_learner(toys.net(3))
    before = three.model[0].weight.detach().clone()
    with pytest.raises(
        WeightsError,
        match=r"of another shape or kind of number: 3.weight is \(2, 8\) in the file, \(3, 8\) in the model",
    ):
        three.load("two")
    assert torch.equal(before, three.model[0].weight)
    three.load("two", strict=False)
    with pytest.raises(WeightsError, match=r"missing in the file: 4.weight, 4.bias"):
        make_learner(nn.Sequential(*toys.net(), nn.Linear(2, 2))).load("two")


def test_a_missing_file_lists_those_that_are_there(make_learner) -> None:
    learn = make_learner()
    learn.save("best")
    with pytest.raises(WeightsError, match=r"there are no weights .*bst.*there are: best.safetensors"):
        learn.load("bst")


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s, "opt": {}}, lambda s: {"state_dict": s}])
def test_pth_files_are_read_as_weights_only(make_learner, toys, tmp_path, wrap) -> None:
    model = toys.net()
    (tmp_path / "models").mkdir()
    torch.save(wrap(model.state_dict()), tmp_path / "models" / "old.pth")
    assert equal(make_learner().load("old").model, model)


def test_a_pth_file_with_more_than_weights_is_not_executed(make_learner, toys, tmp_path) -> None:
    class Evil:
        def __reduce__(self):
            return print, ("executed",)

    (tmp_path / "models").mkdir()
    torch.save({"w": Evil()}, tmp_path / "models" / "evil.pth")
    with pytest.raises(WeightsError, match="more than weights, or is damaged, and was not read"):
        make_learner().load("evil")
    (tmp_path / "models" / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="damaged or no safetensors file"):
        make_learner().load("broken", with_opt=False)


def test_tied_weights_and_memory_layouts_can_be_saved(tmp_path) -> None:
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight

    first, second = Tied(), Tied()
    file = save_model(tmp_path / "tied", first)
    load_model(file, second)
    assert equal(first, second)
    assert [p.name for p in tmp_path.iterdir()] == ["tied.safetensors"]


def test_a_failed_save_leaves_the_old_file(make_learner, monkeypatch) -> None:
    learn = make_learner()
    file = learn.save("a")
    before = file.read_bytes()

    def full(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("laminar.learner.saving.save_file", full)
    with pytest.raises(OSError, match="disk full"):
        learn.save("a")
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("name", ["garbage.safetensors", "garbage.pth"])
def test_garbage_is_told_by_name(make_learner, name) -> None:
    learn = make_learner()
    file = learn.path / "models" / name
    file.parent.mkdir(exist_ok=True)
    for content in (b"", b"not weights", b"\xff" * 100, b"PK\x03\x04 torn"):
        file.write_bytes(content)
        with pytest.raises(WeightsError, match=name):
            learn.load(name)


@pytest.mark.parametrize(
    "about",
    [
        "nonsense",
        "[1]",
        {"format": 1, "opt": 5},
        {"format": 1, "opt": {"class": "AdamW", "groups": [5], "numbers": {}}},
        {"format": 1, "opt": {"class": "AdamW", "groups": [{"hypers": {}}], "numbers": {}}},
    ],
)
def test_a_malformed_description_is_told_and_nothing_changes(make_learner, about) -> None:
    learn = make_learner()
    learn.fit(1)
    file = learn.save("a")
    before = [p.clone() for p in learn.model.parameters()]
    text = about if isinstance(about, str) else json.dumps(about)
    save_file(load_file(file), file, metadata={"laminar": text})
    with pytest.raises(WeightsError, match=r"a\.safetensors"):
        learn.load("a")
    assert all(torch.equal(p, q) for p, q in zip(before, learn.model.parameters(), strict=True))


def test_hyper_parameters_that_are_no_numbers_are_refused(make_learner) -> None:
    learn = make_learner()
    learn.fit(1)
    file = learn.save("a")
    with safe_open(file, "pt") as opened:
        about = json.loads(opened.metadata()["laminar"])
    about["opt"]["groups"][0]["hypers"]["lr"] = "fast"
    save_file(load_file(file), file, metadata={"laminar": json.dumps(about)})
    with pytest.raises(WeightsError, match=r"lr of the optimiser is 'fast', not a number"):
        learn.load("a")


def test_weights_of_another_kind_of_number_are_refused(make_learner) -> None:
    learn = make_learner()
    file = learn.save("a", with_opt=False)
    save_file({name: t.long() for name, t in load_file(file).items()}, file, metadata={"laminar": '{"format": 1}'})
    with pytest.raises(WeightsError, match=r"0.weight is int64 in the file, float32 in the model"):
        learn.load("a")
