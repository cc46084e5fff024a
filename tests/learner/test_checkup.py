"""`learn.check()`: 25 planted mistakes are named, 10 healthy set-ups raise no alarm, and nothing is left changed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader as TorchLoader
from torch.utils.data import TensorDataset

from laminar.callbacks import MixUp
from laminar.core import Transform
from laminar.data import DataLoader, DataLoaders, Datasets
from laminar.learner import Learner, synth_learner
from laminar.metrics import accuracy
from laminar.nn import BCEWithLogitsLossFlat, CrossEntropyLossFlat, MSELossFlat, SigmoidRange
from laminar.vision.all import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    ImageDataLoaders,
    Resize,
    aug_transforms,
    get_image_files,
    parent_label,
    vision_learner,
    xresnet_small,
)


def table(n: int = 96, n_in: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of numbers in three classes, which a linear layer can tell."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randperm(n, generator=generator) % 3
    return torch.randn(n, n_in, generator=generator) + 2 * nn.functional.one_hot(classes, n_in), classes


def loaders(train: Any = None, valid: Any = None, bs: int = 16, **options: Any) -> DataLoaders:
    train = train if train is not None else table()
    valid = valid if valid is not None else table(32, seed=1)
    options = {"shuffle": True, **options}
    return DataLoaders(
        TorchLoader(TensorDataset(*train), batch_size=bs, **options), TorchLoader(TensorDataset(*valid), batch_size=bs)
    )


def net(*last: nn.Module, n_out: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, n_out), *last)


def learner(dls: Any = None, model: nn.Module | None = None, loss: Any = None, **options: Any) -> Learner:
    dls = loaders() if dls is None else dls
    model = net() if model is None else model
    return Learner(dls, model, CrossEntropyLossFlat() if loss is None else loss, check=False, **options)


def pictures(folder: Path, n: int = 8, kinds: tuple[str, ...] = ("dark", "light"), noise: bool = True) -> Path:
    """A folder of small pictures, dark and light ones."""
    rng = np.random.default_rng(0)
    for split, count in (("train", n), ("valid", n // 2)):
        for kind in kinds:
            (folder / split / kind).mkdir(parents=True)
            for number in range(count):
                level = rng.integers(0, 90, (24, 24, 3)) + (150 if kind == "light" else 0)
                Image.fromarray(level.astype(np.uint8)).save(folder / split / kind / f"{kind}{number}.png")
    return folder


def picture_loaders(folder: Path, **options: Any) -> Any:
    return ImageDataLoaders.from_folder(folder, valid="valid", bs=4, **options)


# ---- the mistakes ----------------------------------------------------------------------------------------------------


class Mixing(nn.Module):
    """A reshape that runs items together."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.t().reshape(len(x), 4))


class AlwaysDrops(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(nn.functional.dropout(x, 0.5))


class PlainList(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        return self.head(x)


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.forgotten = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x)


class RootOfZero(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).abs().sqrt() + x[:, :3]


class Blind(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x * 0)


def with_nan() -> Learner:
    inputs, targets = table()
    inputs[5, 2] = float("nan")
    return learner(loaders((inputs, targets), shuffle=False))


def class_only_in_validation() -> Learner:
    inputs, targets = table(32, seed=1)
    targets[3] = 3
    return learner(loaders(valid=(inputs, targets)), net(n_out=4))


def one_class_only() -> Learner:
    inputs, targets = table()
    return learner(loaders((inputs, targets * 0), (inputs[:16] + 1, targets[:16] * 0)))


def leak() -> Learner:
    inputs, targets = table()
    return learner(loaders((inputs, targets), (inputs[:16], targets[:16])))


def sorted_and_unshuffled() -> Learner:
    inputs, targets = table()
    by_class = targets.argsort()
    return learner(loaders((inputs[by_class], targets[by_class]), shuffle=False))


def validation_drops() -> Learner:
    dls = loaders()
    valid = TorchLoader(TensorDataset(*table(40, seed=1)), batch_size=16, drop_last=True)
    return learner(DataLoaders(dls.train, valid))


def validation_is_random() -> Learner:
    class Jitter(Transform):
        def encodes(self, x: Tensor) -> Tensor:
            return x + random.random()

    inputs, targets = table(32)
    tfms = [[inputs.__getitem__, Jitter()], [targets.__getitem__]]
    return learner(Datasets(range(32), tfms, splits=[range(24), range(24, 32)]).dataloaders(bs=8))


def no_validation() -> Learner:
    return learner([loaders().train])


def bytes_to_the_model() -> Learner:
    data = torch.randint(0, 255, (64, 3, 8, 8), dtype=torch.uint8), torch.arange(64) % 3
    train, valid = [part[:48] for part in data], [part[48:] for part in data]
    return learner(loaders(train, valid), nn.Sequential(nn.Flatten(), nn.Linear(192, 3)))


def not_normalised() -> Learner:
    inputs, targets = table()
    valid = table(32, seed=1)
    return learner(loaders((inputs * 300, targets), (valid[0] * 300, valid[1])))


def out_of_y_range() -> Learner:
    inputs, targets = table()
    targets = targets[:, None].float() * 10
    data = (inputs[:64], targets[:64]), (inputs[64:], targets[64:])
    return learner(loaders(*data), net(SigmoidRange(0, 5), n_out=1), MSELossFlat())


def first_loss_far_from_chance() -> Learner:
    model = net()
    with torch.no_grad():
        model[2].weight *= 300
    return learner(model=model)


def everything_frozen() -> Learner:
    learn = learner()
    for parameter in learn.model.parameters():
        parameter.requires_grad_(False)
    return learn


def left_out_by_the_splitter() -> Learner:
    return learner(splitter=lambda model: [list(model[2].parameters())])


def empty_group() -> Learner:
    return learner(splitter=lambda model: [[], list(model.parameters())])


def last_batch_of_one() -> Learner:
    data = table(33)
    return learner(loaders(data), nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)))


def metric_of_numbers() -> Learner:
    def distance(preds: Tensor, targets: Tensor) -> Tensor:
        return (preds - targets).abs().mean()

    return learner(metrics=distance)


MISTAKES: dict[str, Callable[[], Learner]] = {
    "inputs are no numbers": with_nan,
    "classes only in validation": class_only_in_validation,
    "one class only": one_class_only,
    "validation items in training": leak,
    "training is not shuffled": sorted_and_unshuffled,
    "validation leaves items out": validation_drops,
    "validation is random": validation_is_random,
    "no validation set": no_validation,
    "inputs are bytes": bytes_to_the_model,
    "inputs are not normalised": not_normalised,
    "outputs and classes differ": lambda: learner(model=net(n_out=2)),
    "loss does not fit": lambda: learner(loss=nn.BCEWithLogitsLoss()),
    "metric fails": metric_of_numbers,
    "activation is applied twice": lambda: learner(model=net(nn.Softmax(1))),
    "outputs are cut off at 0": lambda: learner(model=net(nn.ReLU())),
    "outputs do not depend on the inputs": lambda: learner(model=Blind()),
    "items of a batch are mixed up": lambda: learner(model=Mixing()),
    "predictions are random": lambda: learner(model=AlwaysDrops()),
    "layers are not registered": lambda: learner(model=PlainList()),
    "targets are out of the model's range": out_of_y_range,
    "first loss is far from chance": first_loss_far_from_chance,
    "parameters without gradient": lambda: learner(model=Unused()),
    "gradients are no numbers": lambda: learner(model=RootOfZero()),
    "everything is frozen": everything_frozen,
    "parameters in no group": left_out_by_the_splitter,
    "empty parameter group": empty_group,
    "last batch of one item": last_batch_of_one,
    "the optimiser moves nothing": lambda: learner(lr=0.0),
    "learning rate is too high": lambda: learner(lr=1e4),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_planted_mistake_is_named_and_nothing_else(kind: str) -> None:
    report = MISTAKES[kind]().check()
    assert kind in report.kinds, str(report)
    allowed = {
        "inputs are not normalised": {"first loss is far from chance"},
        "outputs do not depend on the inputs": {"items of a batch are mixed up"},
    }
    assert set(report.kinds) - {kind} <= allowed.get(kind, set()), str(report)
    assert report.remarks[0].message in str(report)


def test_there_are_enough_mistakes() -> None:
    assert len(MISTAKES) >= 25


def test_unreadable_and_blank_pictures_are_named_by_file(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    dls = picture_loaders(folder, item_tfms=Resize(16))
    Image.new("RGB", (24, 24)).save(folder / "train" / "dark" / "dark3.png")
    report = Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), check=False).check()
    assert report.kinds == ["blank inputs"]
    assert "dark3.png" in report.remarks[0].message
    (folder / "train" / "dark" / "dark3.png").write_bytes(b"no picture")
    report = Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), check=False).check()
    assert report.kinds == ["items cannot be made"]
    assert "dark3.png" in str(report)


def test_a_copy_of_a_training_file_in_validation_is_named(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    copy = folder / "valid" / "dark" / "again.png"
    copy.write_bytes((folder / "train" / "dark" / "dark0.png").read_bytes())
    report = vision_learner(picture_loaders(folder, item_tfms=Resize(16)), xresnet_small).check()
    assert report.kinds == ["validation items in training"]
    assert "again.png" in report.remarks[0].message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    assert learner(path=tmp_path / "closed").check().kinds == ["the folder for weights cannot be written"]


# ---- healthy set-ups -------------------------------------------------------------------------------------------------


def recipe_of_pictures(folder: Path) -> Any:
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=parent_label,
        item_tfms=Resize(16),
        batch_tfms=aug_transforms(),
    )
    return block.dataloaders(folder, bs=4)


def residual() -> nn.Module:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
            nn.init.zeros_(self.norm.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(x + self.norm(self.first(x)))

    return Block()


def zero_head() -> nn.Module:
    model = net()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    return model


def words() -> Learner:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.reader, self.last = (
                nn.Embedding(9, 4),
                nn.LSTM(4, 8, batch_first=True),
                nn.Linear(8, 9),
            )

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.reader(self.embedding(x))[0])

    def text(n: int) -> tuple[Tensor, Tensor]:
        numbers = torch.randint(9, (n, 7), generator=torch.Generator().manual_seed(n))
        return numbers[:, :-1], numbers[:, 1:]

    return learner(loaders(text(96), text(32)), Reader(), metrics=accuracy)


def pairs() -> Learner:
    class Twins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(4, 8), nn.Linear(16, 3)

        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return self.head(torch.cat([self.body(one).relu(), self.body(other).relu()], 1))

    (one, targets), (other, _) = table(), table(seed=2)
    dls = loaders(
        (one, other, targets), tuple(part[:32] + 0.1 if part.ndim > 1 else part[:32] for part in (one, other, targets))
    )
    dls.n_inp = 2
    return learner(dls, Twins())


def several_labels() -> Learner:
    inputs, classes = table()
    data = inputs, nn.functional.one_hot(classes, 3).float()
    return learner(loaders(data, (data[0][:32] + 0.1, data[1][:32])), loss=BCEWithLogitsLossFlat())


def regression() -> Learner:
    train, valid = table()[0], table(32, seed=1)[0]
    data = [(inputs, inputs.sum(1, keepdim=True)) for inputs in (train, valid)]
    return learner(loaders(*data), net(SigmoidRange(-40, 40), n_out=1), MSELossFlat())


def dropped_points() -> Learner:
    data = []
    for inputs in (table()[0], table(32, seed=1)[0]):
        targets = inputs.clone()
        targets[::5] = float("nan")
        data.append(DataLoader(list(zip(inputs, targets, strict=True)), bs=16, shuffle=not data))
    return learner(DataLoaders(*data), net(n_out=4), MSELossFlat(ignore_nan=True))


HEALTHY: dict[str, Callable[[Path], Learner]] = {
    "classes": lambda path: learner(metrics=accuracy),
    "of torch's loss": lambda path: learner(loss=nn.CrossEntropyLoss()),
    "a frozen body": lambda path: learner(
        splitter=lambda m: [list(m[0].parameters()), list(m[2].parameters())]
    ).freeze(),
    "a residual block that begins as nothing": lambda path: learner(model=residual()),
    "several labels": lambda path: several_labels(),
    "regression within a range": lambda path: regression(),
    "points of which some were dropped": lambda path: dropped_points(),
    "mixup": lambda path: learner(cbs=MixUp()),
    "two numbers": lambda path: synth_learner(),
    "pictures, pretrained": lambda path: vision_learner(
        picture_loaders(pictures(path), item_tfms=Resize(16)), xresnet_small, metrics=accuracy
    ),
    "pictures from scratch, augmented": lambda path: vision_learner(
        recipe_of_pictures(pictures(path)), xresnet_small, pretrained=False
    ),
    "dropout and a layer norm": lambda path: learner(
        model=nn.Sequential(nn.Linear(4, 16), nn.LayerNorm(16), nn.Dropout(0.3), nn.GELU(), nn.Linear(16, 3))
    ),
    "columns that the model normalises": lambda path: learner(
        loaders((table()[0] * 900 + 5000, table()[1]), (table(32, seed=1)[0] * 900 + 5000, table(32, seed=1)[1])),
        nn.Sequential(nn.BatchNorm1d(4), net()),
    ),
    "a last layer that begins with zeros": lambda path: learner(model=zero_head()),
    "a recurrent network over words": lambda path: words(),
    "pairs": lambda path: pairs(),
    "our loader": lambda path: learner(
        DataLoaders(
            DataLoader(list(zip(*table(), strict=True)), bs=16, shuffle=True),
            DataLoader(list(zip(*table(32, seed=1), strict=True)), bs=16),
        )
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_set_up_raises_no_alarm(name: str, tmp_path: Path) -> None:
    report = HEALTHY[name](tmp_path).check()
    assert report.ok, str(report)
    assert "Nothing wrong was found." in str(report)
    assert len(HEALTHY) >= 10


def test_everything_is_left_as_it_was(tmp_path: Path) -> None:
    learn = vision_learner(picture_loaders(pictures(tmp_path), item_tfms=Resize(16)), xresnet_small, metrics=accuracy)
    weights = {name: tensor.clone() for name, tensor in learn.model.state_dict().items()}
    modes = [module.training for module in learn.model.modules()]
    frozen = [parameter.requires_grad for parameter in learn.model.parameters()]
    state, place = torch.get_rng_state(), learn.dls.train.state_dict()
    learn.check()
    assert [name for name, now in learn.model.state_dict().items() if not torch.equal(now, weights[name])] == []
    assert [module.training for module in learn.model.modules()] == modes
    assert [parameter.requires_grad for parameter in learn.model.parameters()] == frozen
    assert all(parameter.grad is None for parameter in learn.model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert learn.dls.train.epoch == place["epoch"]
    assert learn.opt is None


def test_a_report_is_a_table_in_a_notebook() -> None:
    report = learner(lr=0.0).check()
    assert "<td><b>the optimiser moves nothing</b></td>" in report._repr_html_()
