"""Batches that are dicts, and models that return their own loss: Hugging Face's way, with the real library."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.utils.data import DataLoader as TorchLoader

from laminar.callbacks import Callback, CutMix, LabelSmoothing, MixUp, ModelOutput
from laminar.core import ConfigError
from laminar.data import DataLoaders
from laminar.learner import Learner
from laminar.metrics import accuracy
from laminar.nn import CrossEntropyLossFlat


def rows(n: int, target: str = "labels") -> list[dict[str, Tensor]]:
    """Sequences of tokens; the class is whether token 7 comes first."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(8, 32, (n, 6), generator=generator)
    classes = torch.arange(n) % 2
    tokens[:, 0] = torch.where(classes == 1, 7, 8)
    mask = torch.ones(n, 6, dtype=torch.long)
    return [{"input_ids": t, "attention_mask": m, target: c} for t, m, c in zip(tokens, mask, classes, strict=True)]


def loaders(target: str = "labels") -> DataLoaders:
    data = rows(64, target)
    return DataLoaders(TorchLoader(data[:48], batch_size=8, shuffle=True), TorchLoader(data[48:], batch_size=8))


@pytest.fixture
def bert() -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=2
    )
    return transformers.BertForSequenceClassification(config)


def quiet(learn: Learner) -> Learner:
    learn.remove_cb(learn.progress)
    learn.logger = lambda row: None
    return learn


def test_a_hugging_face_model_trains_with_its_own_loss(bert) -> None:
    learn = quiet(Learner(loaders(), bert, metrics=accuracy))
    assert learn.get_cb(ModelOutput) is not None
    learn.fit(6, 1e-2)
    loss, right = learn.validate()
    assert right > 0.9
    preds, targets = learn.get_preds()
    assert preds.shape == (16, 2)
    assert torch.equal(targets, torch.arange(16) % 2)
    assert loss == pytest.approx(float(nn.functional.cross_entropy(preds, targets)), rel=1e-4)


def test_finding_a_rate_and_a_summary_work_on_such_batches(bert) -> None:
    learn = quiet(Learner(loaders(), bert))
    weights = [p.detach().clone() for p in bert.parameters()]
    assert learn.lr_find(show_plot=False, num_it=20).valley > 0
    assert all(map(torch.equal, weights, bert.parameters()))
    assert "Linear" in str(learn.summary())


def test_a_loss_of_the_users_takes_the_place_of_the_models(bert) -> None:
    learn = quiet(Learner(loaders(), bert, CrossEntropyLossFlat(), cbs=ModelOutput(loss=None), metrics=accuracy))
    learn.fit(1)
    probabilities, _ = learn.get_preds()
    assert torch.allclose(probabilities.sum(1), torch.ones(16), atol=1e-5)


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(32, 4), nn.Linear(4, 2)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.head(self.embedding(input_ids)[:, 0])


class Whole(ByName):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return super().forward(batch["input_ids"])


@pytest.mark.parametrize("kind", [ByName, Whole])
@pytest.mark.parametrize("target", ["labels", "label", "targets"])
def test_plain_models_take_what_they_name_or_the_whole_dict(kind: Any, target: str) -> None:
    learn = quiet(Learner(loaders(target), kind(), CrossEntropyLossFlat(), metrics=accuracy))
    learn.fit(4, 5e-2)
    assert learn.validate()[1] > 0.9


def test_a_batch_without_targets_for_such_a_model_is_explained(bert) -> None:
    bare = [{key: part for key, part in row.items() if key != "labels"} for row in rows(16)]
    learn = quiet(Learner(DataLoaders(TorchLoader(bare, batch_size=8), TorchLoader(bare, batch_size=8)), bert))
    assert learn.get_preds()[1] is None
    with pytest.raises(ConfigError, match="no loss to learn from"):
        learn.fit(1)


def test_an_output_without_names_is_explained() -> None:
    learn = quiet(Learner(loaders(), ByName(), CrossEntropyLossFlat(), cbs=ModelOutput(), check=False))
    with pytest.raises(ConfigError, match="reads outputs by name, and the model returned"):
        learn.fit(1)
    with pytest.raises(ConfigError, match="has no 'nothing'; it has"):
        quiet(Learner(loaders(), Named(), CrossEntropyLossFlat(), cbs=ModelOutput("nothing"), check=False)).fit(1)


class Named(ByName):
    def forward(self, input_ids: Tensor) -> dict[str, Tensor]:
        first = super().forward(input_ids)
        return {"first": first, "second": first * 2}


def test_several_outputs_are_taken_by_name() -> None:
    def both(preds: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        return sum(nn.functional.cross_entropy(part, target) for part in preds)

    learn = quiet(Learner(loaders(), Named(), both, cbs=ModelOutput(("first", "second"))))
    learn.fit(1)
    first, second = learn.get_preds()[0]
    assert torch.allclose(first * 2, second)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, image: Tensor, number: Tensor) -> Tensor:
        return self.head(image.mean((2, 3))) + number[:, None]


@pytest.mark.parametrize("technique", [MixUp, CutMix])
def test_inputs_in_a_dict_are_mixed(technique: Any) -> None:
    images, numbers = torch.arange(8.0).reshape(8, 1, 1, 1).expand(8, 3, 6, 6).contiguous(), torch.arange(8)
    batches = [{"image": images, "number": numbers, "labels": numbers % 2}] * 4
    seen: list[dict[str, Tensor]] = []

    def look(cb: Callback) -> None:
        if cb.training:
            seen.append(cb.x)

    watch = Callback(after_pred=look)
    quiet(Learner(DataLoaders(batches, batches), TwoInputs(), CrossEntropyLossFlat(), cbs=[technique(), watch])).fit(1)
    assert any(not torch.equal(batch["image"], images) for batch in seen)
    assert all(torch.equal(batch["number"], numbers) for batch in seen)
    assert torch.equal(images[:, 0, 0, 0], torch.arange(8.0))


@pytest.mark.parametrize("technique", [MixUp, LabelSmoothing])
def test_a_loss_that_the_model_makes_is_not_asked_about_other_targets(technique: Any) -> None:
    class OfFloats(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(6, 2)

        def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
            logits = self.head(input_ids)
            return {"logits": logits, "loss": nn.functional.cross_entropy(logits, labels)}

    batches = [{"input_ids": torch.randn(8, 6), "labels": torch.arange(8) % 2}] * 4
    learn = quiet(Learner(DataLoaders(batches, batches), OfFloats(), cbs=technique))
    with pytest.raises(ConfigError, match=rf"{technique.__name__} asks the loss about other targets"):
        learn.fit(1)
