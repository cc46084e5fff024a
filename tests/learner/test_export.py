import io
import json
import pickle
import zipfile

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError, DataError, VerificationError, WeightsError
from laminar.core.transform import ItemTransform, Transform
from laminar.core.types import TensorCategory
from laminar.data import Categorize, DataLoader, DataLoaders, Datasets
from laminar.learner import Learner, load_learner
from laminar.nn import (
    BCELossFlat,
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    DiceLoss,
    FocalLoss,
    FocalLossFlat,
    activation_of,
    decodes_of,
)

ITEMS = [(float(i), "even" if i % 2 == 0 else "odd") for i in range(20)]


class Number(Transform):
    "The item's number, scaled."

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale

    def encodes(self, x: tuple):
        return torch.tensor([x[0] * self.scale])

    def encodes(self, x: float):
        return torch.tensor([x * self.scale])


def build_model(width=4):
    return nn.Sequential(nn.Linear(1, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 2))


def learner(tmp_path, **options):
    sets = Datasets(
        ITEMS, [[Number(0.1)], [ItemTransform(lambda item: item[1]), Categorize()]], splits=[range(16), range(16, 20)]
    )
    learn = Learner(sets.dataloaders(bs=4, path=tmp_path, device="cpu"), build_model(), **options)
    learn.model_recipe = (build_model, {"width": 4})
    return learn


@pytest.fixture
def exported(tmp_path):
    learn = learner(tmp_path)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    return learn, learn.export("numbers.laminar")


TRUST = [Number, build_model]


def rewrite(file, **members):
    """The archive with some members replaced."""
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content.update(members)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def manifest_of(file):
    with zipfile.ZipFile(file) as archive:
        return json.loads(archive.read("manifest.json"))


def test_a_loaded_learner_predicts_the_same_to_the_bit(exported):
    learn, file = exported
    loaded = load_learner(file, trust=TRUST)
    for number in (0.0, 7.0):
        before, after = learn.predict(number), loaded.predict(number)
        assert before[0] == after[0]
        assert torch.equal(before[2], after[2])
    assert loaded.dls.vocab == ["even", "odd"]


def test_labelling_is_not_exported(exported):
    _, file = exported
    text = json.dumps(manifest_of(file))
    assert "lambda" not in text
    assert "Categorize" in text


def test_a_loaded_learner_predicts_many_items_and_can_be_exported_again(exported, tmp_path):
    _, file = exported
    loaded = load_learner(file, trust=TRUST)
    probabilities, targets = loaded.get_preds(dl=loaded.dls.test_dl([1.0, 2.0, 3.0]))
    assert probabilities.shape == (3, 2)
    assert targets is None
    again = load_learner(loaded.export("again.laminar"), trust=TRUST)
    assert torch.equal(again.predict(3.0)[2], loaded.predict(3.0)[2])


def test_only_what_is_trusted_is_built(exported):
    _, file = exported
    with pytest.raises(
        ConfigError, match=r"asks for .*build_model, which is not part of laminar.*trust=\[build_model\]"
    ):
        load_learner(file, trust=[Number])


def test_loading_reads_no_pickle(exported, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a pickle was read")

    for reader in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, reader, refuse)
    load_learner(exported[1], trust=TRUST)


def test_plain_losses_of_torch_are_read_alike_after_loading(tmp_path):
    learn = learner(tmp_path, loss_func=nn.CrossEntropyLoss())
    loaded = load_learner(learn.export(), trust=TRUST)
    assert isinstance(loaded.loss_func, CrossEntropyLossFlat)
    assert torch.equal(loaded.predict(3.0)[2], learn.predict(3.0)[2])
    learn.loss_func = nn.BCEWithLogitsLoss()
    assert isinstance(load_learner(learn.export(), trust=TRUST).loss_func, BCEWithLogitsLossFlat)


def test_a_loss_whose_reading_is_unknown_is_refused(tmp_path):
    learn = learner(tmp_path, loss_func=lambda pred, target: pred.sum())
    with pytest.raises(ConfigError, match="not known how outputs trained with <lambda> are read"):
        learn.export()


def test_losses_keep_their_arguments(tmp_path):
    weight = torch.tensor([1.0, 3.0])
    learn = learner(tmp_path, loss_func=CrossEntropyLossFlat(weight=weight, label_smoothing=0.25))
    loss = load_learner(learn.export(), trust=TRUST).loss_func
    assert torch.equal(loss.weight, weight)
    assert loss.label_smoothing == 0.25


@pytest.mark.parametrize(
    "loss",
    [FocalLoss(1.5), FocalLossFlat(), DiceLoss(smooth=1.0), BCELossFlat(thresh=0.3), nn.NLLLoss(), nn.HuberLoss()],
)
def test_every_loss_is_read_alike_after_loading(tmp_path, loss):
    learn = learner(tmp_path)
    learn.loss_func = loss
    loaded = load_learner(learn.export(), trust=TRUST).loss_func
    outputs = torch.randn(4, 2).log_softmax(1)
    turned = activation_of(loss)(outputs)
    assert torch.equal(loaded.activation(outputs), turned)
    assert torch.equal(loaded.decodes(turned), decodes_of(loss)(turned))
    assert getattr(loaded, "gamma", None) == getattr(loss, "gamma", None)


def test_a_model_without_a_recipe_says_how_to_give_one(tmp_path):
    learn = learner(tmp_path)
    learn.model_recipe = None
    with pytest.raises(ConfigError, match=r"learn.model_recipe = \(build_model"):
        learn.export()


class Scaled(nn.Sequential):
    def forward(self, x):
        return super().forward(x) * getattr(self, "scale", 1.0)


def build_scaled(width=4):
    return Scaled(*build_model(width))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: model.append(nn.Softplus()), r"4: Softplus\(.*\) / nothing"),
        (lambda model: model.__setitem__(2, nn.Tanh()), r"2: Tanh\(\) / ReLU\(\)"),
        (lambda model: model.__setitem__(3, nn.Linear(4, 3)), r"3: Linear\(.*out_features=3.*out_features=2"),
        (lambda model: setattr(model[1], "eps", 1.0), r"1: BatchNorm1d\(4, eps=1\.0"),
        (lambda model: setattr(model, "scale", 3.0), "gives other outputs"),
    ],
)
def test_a_model_that_was_changed_is_not_exported_as_it_was(tmp_path, change, said):
    learn = learner(tmp_path)
    learn.model_recipe, learn.model = (build_scaled, {"width": 4}), build_scaled()
    learn.export()
    change(learn.model)
    training = [part.training for part in learn.model.modules()]
    with pytest.raises(ConfigError, match=f"build_scaled of learn.model_recipe.*{said}.*trust="):
        learn.export()
    assert [part.training for part in learn.model.modules()] == training


def test_a_model_that_a_recipe_does_not_build_is_not_exported(tmp_path):
    learn = learner(tmp_path)
    learn.model_recipe = (build_model, {"breadth": 4})
    with pytest.raises(ConfigError, match=r"build_model raises TypeError: .*breadth"):
        learn.export()


def test_what_only_matters_in_training_and_files_that_are_gone_hinder_no_export(tmp_path, monkeypatch):
    learn = learner(tmp_path)
    learn.model[1].momentum = 0.5

    def gone(self, index):
        raise FileNotFoundError(f"number {index}")

    monkeypatch.setattr(Datasets, "__getitem__", gone)
    with pytest.raises(FileNotFoundError):
        learn.dls.one_batch()
    assert load_learner(learn.export(), trust=TRUST).model[1].momentum == 0.1


class Points(torch.utils.data.Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, number):
        return torch.tensor([number / 12.0]), torch.tensor(number % 2)


def from_torch():
    loaders = [torch.utils.data.DataLoader(Points(), batch_size=4, shuffle=shuffle) for shuffle in (True, False)]
    return DataLoaders(*loaders, device="cpu")


def from_own_loader():
    return DataLoaders(DataLoader(Points(), bs=4, shuffle=True), DataLoader(Points(), bs=4), device="cpu")


def from_list():
    batches = [(torch.rand(4, 1), torch.tensor([0, 1, 0, 1])) for _ in range(2)]
    types = (torch.Tensor, TensorCategory)
    return DataLoaders(batches, batches, types=types, vocab=["no", "yes"], device="cpu")


def from_stream():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return (Points()[number] for number in range(12))

    return DataLoaders(*[torch.utils.data.DataLoader(Stream(), batch_size=4) for _ in range(2)], device="cpu")


def small_model(width):
    return torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))


@pytest.mark.parametrize("make", [from_torch, from_own_loader, from_list, from_stream])
def test_a_learner_over_batches_from_elsewhere_is_exported_and_predicts_batches(tmp_path, make):
    learn = Learner(make(), small_model(3), torch.nn.CrossEntropyLoss(), path=tmp_path)
    learn.model_recipe = (small_model, {"width": 3})
    state = torch.get_rng_state()
    loaded = load_learner(learn.export("x.laminar"), trust=[small_model])
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.rand(7, 1)
    expected = learn.get_preds(dl=[x])[0]
    assert torch.equal(expected.sum(1), torch.ones(7)) or torch.allclose(expected.sum(1), torch.ones(7))
    assert torch.equal(loaded.get_preds(dl=[x])[0], expected)
    assert torch.equal(loaded.get_preds(dl=loaded.dls.test_dl([(x, torch.zeros(7, dtype=torch.long))]))[0], expected)
    assert loaded.dls.vocab == learn.dls.vocab


def test_what_was_predicted_of_a_batch_from_elsewhere_is_predicted_again_when_it_is_loaded(tmp_path):
    learn = Learner(from_torch(), small_model(3), torch.nn.CrossEntropyLoss(), path=tmp_path)
    learn.model_recipe = (small_model, {"width": 3})
    file = learn.export("x.laminar")

    with pytest.raises(VerificationError, match="predictions of its 1 golden items differ"):
        load_learner(file, trust=[changed_model(small_model)])


def changed_model(build):
    """A function of the same name that builds a model of the same weights, which answers otherwise."""

    def other(width):
        return torch.nn.Sequential(*build(width)[:1], torch.nn.Tanh(), *build(width)[2:])

    other.__module__, other.__qualname__ = build.__module__, build.__qualname__
    return other


class Row(Transform):
    "Numbers, as many as there are."

    def encodes(self, x: tuple):
        return torch.tensor(x[0])


class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 2)

    def forward(self, x):
        return self.linear(x.mean(1, keepdim=True))


def test_items_that_fit_in_no_batch_together_are_predicted_again_one_by_one(tmp_path):
    rows = [([float(i)] * (i % 3 + 1), str(i % 2)) for i in range(12)]
    sets = Datasets(
        rows,
        [[Row()], [ItemTransform(lambda row: row[1]), Categorize()]],
        splits=[range(8), range(8, 12)],
    )
    learn = Learner(sets.dataloaders(bs=1, path=tmp_path, device="cpu", check=False), Mean())
    learn.model_recipe = (Mean, {})
    file = learn.export()
    with zipfile.ZipFile(file) as archive:
        golden = json.loads(archive.read("manifest.json"))["golden"]
    assert golden["singly"]
    assert len(golden["items"]) == 4
    assert torch.equal(
        load_learner(file, trust=[Mean, Row]).get_preds(dl=[torch.ones(2, 3)])[0],
        learn.get_preds(dl=[torch.ones(2, 3)])[0],
    )


def test_kernels_stay_in_the_memory_layout_whose_sums_were_rounded_so(tmp_path):
    def from_pixels():
        batches = [(torch.rand(2, 3, 8, 8), torch.tensor([0, 1]))]
        return DataLoaders(batches, batches, device="cpu")

    for layout in (torch.channels_last, torch.contiguous_format):
        learn = Learner(from_pixels(), convolutions().to(memory_format=layout), nn.CrossEntropyLoss(), path=tmp_path)
        learn.model_recipe = (convolutions, {})
        loaded = load_learner(learn.export(), trust=[convolutions])
        assert loaded.model[0].weight.is_contiguous(memory_format=layout)
        pixels = torch.rand(4, 3, 32, 32)
        assert torch.equal(loaded.get_preds(dl=[pixels])[0], learn.get_preds(dl=[pixels])[0])


def convolutions():
    return nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_a_failed_export_leaves_the_old_file_and_the_learner_as_they_were(exported):
    learn, file = exported
    before = file.read_bytes()
    learn.model_recipe = None
    with pytest.raises(ConfigError):
        learn.export(file.name)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.glob("*.tmp")] == []
    assert len(learn.dls.train_ds) == 16


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.laminar: there is no such file"):
        load_learner(tmp_path / "nothing.laminar")
    other = tmp_path / "export.pkl"
    other.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(DataError, match=r"export\.pkl: not an export of laminar .*can run any code"):
        load_learner(other)
    torch.save({"a": torch.zeros(1)}, other)
    with pytest.raises(DataError, match=r"export\.pkl: written by torch\.save .*'export/data\.pkl'.*can run any code"):
        load_learner(other)
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("notes.txt", b"")
    with pytest.raises(DataError, match=r"holds 'notes\.txt'"):
        load_learner(other)


def test_damage_and_disagreement_are_told(exported):
    _, file = exported
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not an export of laminar"):
        load_learner(file, trust=TRUST)
    file.write_bytes(whole)
    rewrite(file, **{"model.safetensors": b"nonsense"})
    with pytest.raises(DataError, match="the export is damaged"):
        load_learner(file, trust=TRUST)
    file.write_bytes(whole)
    rewrite(file, **{"manifest.json": "[1]"})
    with pytest.raises(DataError, match="not that of a laminar learner"):
        load_learner(file, trust=TRUST)
    file.write_bytes(whole)
    newer = manifest_of(file) | {"format_version": 99}
    rewrite(file, **{"manifest.json": json.dumps(newer)})
    with pytest.raises(DataError, match=r"format version 99 .* Update laminar"):
        load_learner(file, trust=TRUST)


def test_weights_of_another_model_are_refused(exported):
    _, file = exported
    manifest = manifest_of(file)
    manifest["model"]["arguments"]["width"] = 5
    rewrite(file, **{"manifest.json": json.dumps(manifest)})
    with pytest.raises(
        WeightsError, match=r"numbers\.laminar does not fit Sequential: .*0\.weight is \(4, 1\) in the file, \(5, 1\)"
    ):
        load_learner(file, trust=TRUST)


def test_compressed_members_are_refused_unread(exported):
    _, file = exported
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data + b" " * 10**6 if name == "manifest.json" else data)
    file.write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="is compressed, which no export"):
        load_learner(file, trust=TRUST)


def test_the_name_in_programs_for_fastai_finds_the_export(tmp_path):
    learner(tmp_path).export()
    assert list(load_learner(tmp_path / "export.pkl", trust=TRUST).dls.vocab) == ["even", "odd"]
    with pytest.raises(DataError, match=r"other\.pkl: there is no such file"):
        load_learner(tmp_path / "other.pkl")
