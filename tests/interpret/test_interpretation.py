from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from laminar.core.errors import ConfigError
from laminar.data.loaders import DataLoaders
from laminar.data.normalize import Normalize
from laminar.interpret import ClassificationInterpretation, Interpretation
from laminar.learner.learner import Learner
from laminar.nn.losses import CrossEntropyLossFlat, MSELossFlat
from laminar.vision.augment import aug_transforms
from laminar.vision.crop import RandomResizedCrop
from laminar.vision.data import ImageDataLoaders


@pytest.fixture
def learn(tmp_path: Path) -> Learner:
    """A network that reads the class off the brightest channel, on pictures some of which are labelled wrongly."""
    for split in ("train", "valid"):
        for number, name in enumerate(("blue", "green", "red")):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for index in range(4):
                pixels = np.full((20, 20, 3), 10 * index, dtype=np.uint8)
                shown = 0 if (split, name, index) == ("valid", "green", 3) else 2 - number
                pixels[..., shown] = 200
                Image.fromarray(pixels).save(folder / f"{index}.png")
    dls = ImageDataLoaders.from_folder(
        tmp_path, item_tfms=RandomResizedCrop(16), batch_tfms=aug_transforms(), bs=5, device="cpu"
    )
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3, bias=False))
    model[2].weight.data = torch.eye(3).flip(0) * 5
    return Learner(dls, model, default_cbs=False)


def test_confusion_is_counted_by_true_and_predicted_class(learn: Learner) -> None:
    interp = ClassificationInterpretation.from_learner(learn)
    assert interp.vocab == ["blue", "green", "red"]
    assert interp.confusion_matrix().tolist() == [[4, 0, 0], [0, 3, 1], [0, 0, 4]]
    assert interp.most_confused() == [("green", "red", 1)]
    assert interp.most_confused(min_val=2) == []


def test_top_losses_are_in_order_and_name_their_items(learn: Learner) -> None:
    interp = ClassificationInterpretation.from_learner(learn)
    losses, idxs, items = interp.top_losses(3, items=True)
    assert (losses.diff() <= 0).all()
    assert items[0].parts[-2:] == ("green", "3.png")
    assert items == [learn.dls.valid_ds.items[int(index)] for index in idxs]
    assert len(interp.top_losses().losses) == 12
    assert interp.top_losses(1, largest=False).losses[0] == interp.losses.min()


def test_items_are_read_again_when_asked_for(learn: Learner) -> None:
    interp = ClassificationInterpretation.from_learner(learn)
    kept = [value for value in vars(interp).values() if isinstance(value, torch.Tensor)]
    assert all(value.numel() <= 12 for value in kept)  # a number for each item, no picture
    worst = interp[interp.top_losses(2).idxs]
    assert worst.inputs[0].shape == (2, 3, 16, 16)
    assert worst.decoded.tolist()[0] == 2
    assert worst.targets[0].tolist()[0] == 1
    recomputed = CrossEntropyLossFlat(reduction="none")(worst.preds.log(), worst.targets[0].as_subclass(torch.Tensor))
    torch.testing.assert_close(recomputed, worst.losses, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [Interpretation, ClassificationInterpretation])
def test_losses_belong_to_the_items_that_could_be_made(learn: Learner, kind: type[Interpretation]) -> None:
    for name in ("blue/1.png", "green/0.png"):
        (learn.dls.path / "valid" / name).write_bytes(b"")
    dls = ImageDataLoaders.from_folder(
        learn.dls.path, item_tfms=RandomResizedCrop(16), bs=2, device="cpu", seed=1, check=False,
        on_bad_item="skip", bad_item_budget=2,
    )  # fmt: skip
    interp = kind.from_learner(Learner(dls, learn.model, default_cbs=False))
    assert interp.idxs.tolist() == [0, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    loss, number, [item] = interp.top_losses(1, items=True)
    assert item.parts[-2:] == ("green", "3.png")
    assert interp[number].losses == loss
    assert interp[number].decoded == 2
    assert len(interp.plot_top_losses(1)) == 1
    with pytest.raises(IndexError, match="item 1 is none of the 10 predicted: it was skipped"):
        interp[1]


def test_losses_belong_to_the_items_that_a_sampler_chose(learn: Learner) -> None:
    loader = learn.dls.valid.new(sampler=[7, 0])
    assert Interpretation.from_learner(learn, dl=loader).idxs.tolist() == [0, 7]
    batches = [tuple(batch) for batch in learn.dls.valid]
    assert Interpretation.from_learner(learn, dl=batches).idxs.tolist() == list(range(12))


def test_looking_at_training_data_uses_no_augmentation(learn: Learner) -> None:
    first, second = (ClassificationInterpretation.from_learner(learn, ds_idx=0) for _ in range(2))
    assert torch.equal(first.losses, second.losses)
    assert len(first) == 12
    assert torch.equal(first[[3]].inputs[0], second[[3]].inputs[0])


@pytest.mark.parametrize("normalize", [False, True])
def test_confusion_matrix_is_drawn(learn: Learner, normalize: bool) -> None:
    ax = ClassificationInterpretation.from_learner(learn).plot_confusion_matrix(normalize=normalize)
    texts = [text.get_text() for text in ax.texts]
    assert texts[:3] == (["1.00", "0.00", "0.00"] if normalize else ["4", "0", "0"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["blue", "green", "red"]
    assert plt.get_fignums()


def test_top_losses_are_drawn_with_prediction_class_loss_and_probability(learn: Learner) -> None:
    interp = ClassificationInterpretation.from_learner(learn)
    axes = interp.plot_top_losses(4)
    assert len(axes) == 4
    loss = interp.top_losses(1).losses[0]
    assert axes[0].get_title().startswith(f"red/green / {loss:.2f} / ")
    second = interp.plot_top_losses(range(1, 3))
    assert [ax.get_title() for ax in second] == [ax.get_title() for ax in axes[1:3]]
    assert len(interp.show_results([0, 5])) == 2


def test_top_losses_are_drawn_at_the_places_in_the_order_that_are_asked_for(learn: Learner) -> None:
    interp = ClassificationInterpretation.from_learner(learn)
    titles = [ax.get_title() for ax in interp.plot_top_losses(4)]
    assert [ax.get_title() for ax in interp.plot_top_losses([3, 0])] == [titles[3], titles[0]]
    assert [ax.get_title() for ax in interp.plot_top_losses(torch.tensor([1]))] == titles[1:2]
    assert len(interp.plot_top_losses(range(9, 18))) == 3
    with pytest.raises(ConfigError, match=r"no place 12 in the order of 12 losses \(they count from 0\)"):
        interp.plot_top_losses([0, 12])
    with pytest.raises(ConfigError, match=r"k=0.* nothing to draw"):
        interp.plot_top_losses(0)


def test_report_holds_precision_recall_and_support(learn: Learner, capsys: pytest.CaptureFixture[str]) -> None:
    interp = ClassificationInterpretation.from_learner(learn)
    blue, green, red = interp.class_reports()
    assert blue == ("blue", 1.0, 1.0, 1.0, 4)
    assert (green.precision, green.recall, green.support) == (1.0, 0.75, 4)
    assert red.precision == pytest.approx(0.8)
    interp.print_classification_report()
    table = capsys.readouterr().out.split("\n")
    assert table[0].split() == ["precision", "recall", "f1-score", "support"]
    assert table[3].split() == ["green", "1.00", "0.75", "0.86", "4"]
    assert [line.split()[0] for line in table[6:9]] == ["accuracy", "macro", "weighted"]


def test_a_class_that_never_occurs_counts_as_zero(learn: Learner) -> None:
    interp = ClassificationInterpretation.from_learner(learn)
    interp.vocab = [*interp.vocab, "violet"]
    assert interp.class_reports()[3] == ("violet", 0.0, 0.0, 0.0, 0)
    assert np.isfinite(interp.plot_confusion_matrix(normalize=True).images[0].get_array()).all()


def regression() -> Learner:
    x, y = torch.arange(12.0).view(12, 1), torch.arange(12.0).view(12, 1)
    y[7] = 20.0
    batches = [(x[:5], y[:5]), (x[5:], y[5:])]
    return Learner(DataLoaders(batches, batches, device="cpu"), nn.Identity(), MSELossFlat(), default_cbs=False)


def test_losses_of_any_task_and_of_batches_from_elsewhere() -> None:
    interp = Interpretation.from_learner(regression())
    losses, idxs = interp.top_losses(1)
    assert (losses.item(), idxs.item()) == (169.0, 7)
    found = interp[[7, 2]]
    assert found.inputs[0].flatten().tolist() == [7.0, 2.0]
    assert found.targets[0].flatten().tolist() == [20.0, 2.0]
    with pytest.raises(IndexError, match="item 99 is none of the 12 predicted"):
        interp[[99]]


def test_quantities_are_no_classes() -> None:
    with pytest.raises(ConfigError, match=r"no classes.*Use Interpretation"):
        ClassificationInterpretation.from_learner(regression())


def test_a_loader_without_targets_is_refused(learn: Learner) -> None:
    unlabelled: Any = learn.dls.test_dl(learn.dls.valid_ds.items)
    with pytest.raises(ConfigError, match="with_labels=True"):
        Interpretation.from_learner(learn, dl=unlabelled)
    labelled = learn.dls.test_dl(learn.dls.valid_ds.items, with_labels=True)
    assert len(Interpretation.from_learner(learn, dl=labelled)) == 12


def test_none_is_none_and_not_all(learn: Learner) -> None:
    assert len(Interpretation.from_learner(learn).top_losses(0).losses) == 0


@pytest.mark.parametrize("kind", [Interpretation, ClassificationInterpretation])
def test_loaders_passed_in_get_the_normalisation_of_the_model(learn: Learner, kind: type[Interpretation]) -> None:
    raw = learn.dls.valid
    own = Learner(learn.dls, learn.model, default_cbs=False, loss_func=learn.loss_func)
    own.model_tfms = [Normalize.from_stats([0.2, 0.1, 0.3], [0.3, 0.2, 0.1])]
    own.dls = learn.dls
    inside, outside = kind.from_learner(own), kind.from_learner(own, dl=raw)
    assert torch.equal(inside.losses, outside.losses)
    assert torch.equal(inside[2].preds, outside[2].preds)
    assert not torch.equal(inside.losses, kind.from_learner(learn).losses)


def test_long_names_of_classes_stand_on_lines_of_their_own(learn: Learner) -> None:
    learn.dls.vocab[:] = [f"a long name of the colour {name}" for name in ("blue", "green", "red")]
    title = Interpretation.from_learner(learn).plot_top_losses(1)[0].get_title().split("\n")
    assert title[:2] == ["a long name of the colour red/", "a long name of the colour green"]
