"""What users of other libraries have complained of about loaders, batches and foreign data: here it is otherwise."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.utils.data as torch_data
from torch import Tensor, nn
from torch.nn import functional as F

from laminar.core.errors import ConfigError, DataError
from laminar.core.transform import Transform
from laminar.core.types import TensorCategory
from laminar.data import Categorize, DataLoader, DataLoaders, Datasets
from laminar.learner import Learner
from laminar.nn.losses import CrossEntropyLossFlat

POINTS, SIDES = torch.randn(24, 4, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 2


class Noise(Transform):
    """Augmentation: of training items only."""

    split_idx = 0

    def encodes(self, x: Tensor) -> Tensor:
        return x + torch.rand(())


def quiet(learn: Learner, epochs: int = 1) -> Learner:
    with learn.no_bar(), learn.no_logging():
        learn.fit(epochs)
    return learn


def test_pain_04_predictions_on_the_training_split_are_the_same_each_time() -> None:
    sets = Datasets(range(24), [[POINTS.__getitem__, Noise()], [SIDES.__getitem__]], splits=[range(16), range(16, 24)])
    learn = Learner(sets.dataloaders(bs=5, device="cpu"), nn.Linear(4, 2), loss_func=CrossEntropyLossFlat())
    (first, targets), (second, _) = learn.get_preds(0), learn.get_preds(0)
    assert torch.equal(first, second)
    assert torch.equal(targets, SIDES[:16])
    assert not torch.equal(sets.train[0][0], POINTS[0])  # in training it is drawn for


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_pain_05_num_workers_reads_what_was_set(workers: int) -> None:
    dls = Datasets(range(8), splits=[range(4), range(4, 8)]).dataloaders(bs=2, num_workers=workers, device="cpu")
    assert [loader.num_workers for loader in dls] == [workers] * 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: DataLoader(range(3), shuffled=True),
        lambda: DataLoader(range(3)).new(shuffled=True),
        lambda: Datasets(range(4)).dataloaders(shuffled=True),
        lambda: DataLoaders.from_dsets(range(3), shuffled=True),
    ],
)
def test_pain_06_a_misspelt_argument_of_loaders_is_refused_with_the_right_one(call: Any) -> None:
    with pytest.raises(TypeError, match=r"shuffled.*Did you mean 'shuffle'"):
        call()


class Rows(torch_data.Dataset[dict[str, Tensor]]):
    """A dict for each item."""

    def __len__(self) -> int:
        return len(POINTS)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"point": POINTS[index], "side": SIDES[index]}


class OfPoint(nn.Module):
    """Takes a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        scores: Tensor = self.linear(batch["point"])
        return scores


def test_pain_07_batches_that_are_dicts_are_trained_on_and_predicted() -> None:
    loader = torch_data.DataLoader(Rows(), batch_size=6)
    dls = DataLoaders(loader, loader, targets="side", device="cpu")
    learn = quiet(Learner(dls, OfPoint(), loss_func=CrossEntropyLossFlat()))
    predictions, targets = learn.get_preds()
    assert predictions.shape == (24, 2)
    assert torch.equal(targets, SIDES)
    assert learn.lr_find(num_it=6, show_plot=False).valley > 0
    with pytest.raises(ConfigError, match=r"targets=\['sight'\].*'point', 'side'"):
        DataLoaders(loader, targets="sight", device="cpu").one_batch()


Pair = namedtuple("Pair", ["point", "side"])


@dataclass
class Sample:
    """A class of the user's."""

    point: Tensor
    side: Tensor


@pytest.mark.parametrize("kind", [Pair, Sample, lambda point, side: {"point": point, "side": side}])
def test_pain_07_named_tuples_dataclasses_and_dicts_stay_what_they_are_in_a_batch(kind: Any) -> None:
    loader = DataLoader([kind(*row) for row in zip(POINTS, SIDES, strict=True)], bs=24)
    batch = loader.one_batch()
    assert type(batch) is type(kind(POINTS[0], SIDES[0]))
    parts = batch if isinstance(batch, dict) else batch._asdict() if isinstance(batch, Pair) else vars(batch)
    assert torch.equal(parts["point"], POINTS)
    assert torch.equal(parts["side"], SIDES)


@pytest.mark.parametrize("call", ["get_preds", "tta", "validate", "lr_find"])
def test_pain_06_a_misspelt_argument_of_the_learner_is_refused(call: str) -> None:
    sets = Datasets(range(24), [[POINTS.__getitem__], [SIDES.__getitem__]], splits=[range(16), range(16, 24)])
    learn = Learner(sets.dataloaders(bs=8, device="cpu"), nn.Linear(4, 2), loss_func=CrossEntropyLossFlat())
    with pytest.raises(TypeError, match="'shuffled'"):
        getattr(learn, call)(shuffled=False)


def test_pain_08_whatever_can_be_done_with_a_plain_torch_loader_is_done(tmp_path: Path) -> None:
    samples = torch_data.TensorDataset(POINTS, SIDES)
    dls = DataLoaders(
        torch_data.DataLoader(samples, batch_size=8, shuffle=True), torch_data.DataLoader(samples, 5), device="cpu"
    )
    learn = quiet(Learner(dls, nn.Linear(4, 2), loss_func=CrossEntropyLossFlat(), path=tmp_path))
    assert learn.lr_find(num_it=6, show_plot=False).valley > 0
    predictions, targets = learn.get_preds()
    assert predictions.shape == (24, 2)
    assert torch.equal(targets, SIDES)
    assert learn.get_preds(0)[1].equal(SIDES)  # in the order of the data set, though it is shuffled
    assert F.nll_loss(predictions.log(), targets).item() == pytest.approx(learn.validate()[0], rel=1e-4)
    assert learn.get_preds(dl=dls.test_dl(torch_data.DataLoader(samples, 9)))[0].shape == (24, 2)
    assert "input 8 x 4" in str(learn.summary())
    with pytest.raises(ConfigError, match=r"types=\(TensorImage, TensorCategory\)"):
        learn.show_results()


class Stream(torch_data.IterableDataset[tuple[Tensor, Tensor]]):
    """Items one after another, their number unknown; shared out among workers."""

    def __iter__(self) -> Any:
        worker = torch_data.get_worker_info()
        own = slice(None) if worker is None else slice(worker.id, None, worker.num_workers)
        return zip(POINTS[own], SIDES[own], strict=True)


def test_pain_08_a_stream_is_trained_on_searched_and_predicted() -> None:
    dls = DataLoaders(torch_data.DataLoader(Stream(), 7), torch_data.DataLoader(Stream(), 7), device="cpu")
    learn = quiet(Learner(dls, nn.Linear(4, 2), loss_func=CrossEntropyLossFlat()), epochs=2)
    assert learn.lr_find(num_it=6, show_plot=False).valley > 0
    assert torch.equal(learn.get_preds()[1], SIDES)


def test_pain_08_what_is_no_loader_is_told_how_to_become_one() -> None:
    with pytest.raises(ConfigError, match=r"DataLoaders\.from_dsets"):
        DataLoaders(Rows(), device="cpu")
    with pytest.raises(ConfigError, match=r"a stream of items.*batch_size=64"):
        DataLoaders(Stream(), device="cpu")


def test_pain_15_results_are_the_same_with_and_without_workers() -> None:
    results = []
    for workers in (0, 2):
        torch.manual_seed(0)
        pipelines = [[POINTS.__getitem__, Noise()], [SIDES.__getitem__, Categorize(vocab=[0, 1])]]
        sets = Datasets(range(24), pipelines, splits=[range(16), range(16, 24)])
        dls = sets.dataloaders(bs=4, num_workers=workers, device="cpu", seed=1)
        results.append(quiet(Learner(dls, nn.Linear(4, 2)), 2).get_preds()[0])
    assert torch.equal(*results)


def test_trap_d19_weighted_and_partial_loaders_hand_on_arguments_and_draw_by_address() -> None:
    sets = Datasets(range(12), splits=[range(8), range(8, 12)])
    weighted = sets.weighted_dataloaders([1.0] * 8, bs=2, num_workers=1, seed=3, device="cpu")
    assert (weighted.train.num_workers, weighted.train.seed, weighted.valid.num_workers) == (1, 3, 1)
    before = torch.get_rng_state()
    assert weighted.train.order(3, 0) == weighted.train.order(3, 0)
    assert torch.equal(before, torch.get_rng_state())
    partial = sets.partial_dataloaders(3, bs=2, shuffle=False, device="cpu").train
    assert list(partial.order(0, 0)) == list(range(8))


@pytest.mark.parametrize("samples", [[{"a": 1}, {"b": 1}], [(1, None), (1, 2)], [{"a": [1]}, {"a": [1, 2]}]])
def test_trap_d23_collating_what_does_not_fit_names_both_items(samples: list[Any]) -> None:
    with pytest.raises(DataError, match=r"item 0 of list.*item 1 of list"):
        DataLoader(samples, bs=2).one_batch()


def test_trap_d25_types_make_foreign_batches_show_and_predict() -> None:
    samples = torch_data.TensorDataset(POINTS, SIDES)
    loader = torch_data.DataLoader(samples, 8)
    dls = DataLoaders(loader, loader, types=(Tensor, TensorCategory), vocab=["left", "right"], device="cpu")
    learn = quiet(Learner(dls, nn.Linear(4, dls.c)))
    assert [str(row[1]) for row in dls.decode_batch(dls.one_batch(), 2)] == ["left", "right"]
    assert learn.loss_func.__class__ is CrossEntropyLossFlat
