"""The items a model is most wrong about are drawn for every task, each in its own way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from laminar.core.show import plot_top_losses, show_image, show_title
from laminar.core.titled import TitledTuple
from laminar.core.transform import Transform
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock, MultiCategoryBlock, RegressionBlock
from laminar.data.lists import TfmdLists
from laminar.data.transforms import IntToFloatTensor, ToTensor
from laminar.interpret import Interpretation
from laminar.learner.learner import Learner
from laminar.nn.losses import CrossEntropyLossFlat
from laminar.vision.blocks import BBoxBlock, BBoxLblBlock, ImageBlock, MaskBlock, PointBlock
from laminar.vision.images import PILImage, PILMask

SIDE = 16
N = 6
SPLITS = list(range(N)), list(range(N, 2 * N))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Grey pictures: the number of each is its brightness divided by 40."""
    for number in range(N):
        Image.fromarray(np.full((SIDE, SIDE, 3), 40 * number, dtype=np.uint8)).save(tmp_path / f"{number}.png")
    return sorted(tmp_path.iterdir())


def number(path: Path) -> int:
    return int(path.stem)


class Reads(nn.Module):
    """Gives outputs that depend on the picture's number alone."""

    def __init__(self, outputs: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.outputs, self.nothing = outputs, nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Any:
        return self.outputs((x.mean((1, 2, 3)) * 255 / 40).round() + self.nothing)


def learner(files: list[Path], blocks: Any, get_y: Any, outputs: Callable[[Tensor], Any], **options: Any) -> Learner:
    block = DataBlock(blocks=blocks, get_y=get_y, n_inp=1, splitter=lambda items: SPLITS)
    dls = block.dataloaders([*files, *files], bs=4, device="cpu", path=files[0].parent)
    return Learner(dls, Reads(outputs), default_cbs=False, check=False, **options)


def but_three(right: Tensor, wrong: Tensor, numbers: Tensor) -> Tensor:
    """What is right for all pictures but number 3."""
    spread = (numbers == 3).reshape(-1, *[1] * right[0].ndim)
    return torch.where(spread, wrong.expand_as(right), right)


def titles(axes: list[Any]) -> list[str]:
    return [ax.get_title() for ax in axes]


def of_one_class(files: list[Path]) -> Learner:
    def outputs(numbers: Tensor) -> Tensor:
        even = torch.stack([1 - numbers % 2, numbers % 2], 1) * 9
        return but_three(even, torch.tensor([9.0, 0.0]), numbers)

    return learner(files, (ImageBlock, CategoryBlock), lambda path: ["even", "odd"][number(path) % 2], outputs)


def of_several_labels(files: list[Path]) -> Learner:
    def labels(path: Path) -> list[str]:
        return [name for name, there in (("odd", number(path) % 2), ("large", number(path) > 2)) if there]

    def outputs(numbers: Tensor) -> Tensor:
        right = torch.stack([(numbers > 2).float(), numbers % 2], 1) * 18 - 9
        return but_three(right, torch.tensor([-9.0, -9.0]), numbers)

    return learner(files, (ImageBlock, MultiCategoryBlock), labels, outputs)


def of_a_quantity(files: list[Path]) -> Learner:
    def outputs(numbers: Tensor) -> Tensor:
        return but_three(numbers[:, None], torch.tensor([20.0]), numbers)

    return learner(files, (ImageBlock, RegressionBlock), lambda path: float(number(path)), outputs)


def of_a_mask(files: list[Path]) -> Learner:
    def mask(path: Path) -> PILMask:
        pixels = np.zeros((SIDE, SIDE), dtype=np.uint8)
        pixels[number(path) :] = 1
        return PILMask.create(pixels)

    def outputs(numbers: Tensor) -> Tensor:
        ones = (torch.arange(SIDE) >= numbers[:, None]).float()[:, None, :, None].expand(-1, 1, -1, SIDE)
        right = torch.cat([1 - ones, ones], 1) * 9
        return but_three(right, right.new_tensor([9.0, 0.0])[:, None, None], numbers)

    return learner(files, (ImageBlock, MaskBlock(["above", "below"])), mask, outputs)


def of_points(files: list[Path]) -> Learner:
    def outputs(numbers: Tensor) -> Tensor:
        right = torch.stack([numbers / 8 - 1, torch.zeros_like(numbers)], 1)
        return but_three(right, torch.tensor([0.75, 0.75]), numbers)

    return learner(files, (ImageBlock, PointBlock), lambda path: [[float(number(path)), 8.0]], outputs)


class BoxLoss:
    """Boxes by their distance, classes by cross entropy."""

    reduction = "mean"

    def __call__(self, preds: tuple[Tensor, Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
        distance = (preds[0] - boxes).abs().mean((1, 2))
        entropy = nn.functional.cross_entropy(preds[1].flatten(0, 1), labels.flatten(), reduction="none")
        losses = distance + entropy.view(len(distance), -1).mean(1)
        return losses if self.reduction == "none" else losses.mean()

    def activation(self, preds: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return preds[0], preds[1].softmax(-1)

    def decodes(self, preds: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return preds[0], preds[1].argmax(-1)


def of_boxes(files: list[Path]) -> Learner:
    def outputs(numbers: Tensor) -> tuple[Tensor, Tensor]:
        boxes = torch.tensor([[[-1.0, -1.0, 0.0, 0.0]]]).repeat(len(numbers), 1, 1)
        boxes = but_three(boxes, torch.tensor([[0.0, 0.0, 1.0, 1.0]]), numbers)
        return boxes, torch.tensor([[[0.0, 9.0]]]).repeat(len(numbers), 1, 1)

    targets = [lambda path: [[0.0, 0.0, 8.0, 8.0]], lambda path: ["corner"]]
    return learner(files, (ImageBlock, BBoxBlock, BBoxLblBlock), targets, outputs, loss_func=BoxLoss())


TASKS: dict[str, tuple[Callable[[list[Path]], Learner], int]] = {  # and how many axes for an item
    "one class": (of_one_class, 1),
    "several labels": (of_several_labels, 1),
    "a quantity": (of_a_quantity, 1),
    "a mask": (of_a_mask, 2),
    "points": (of_points, 2),
    "boxes": (of_boxes, 2),
}


@pytest.mark.parametrize("task", TASKS)
def test_the_item_with_the_largest_loss_is_found_and_drawn(task: str, files: list[Path]) -> None:
    make, each = TASKS[task]
    interp = Interpretation.from_learner(make(files))
    losses, idxs = interp.top_losses(2)[:2]
    assert idxs[0] == 3
    axes = interp.plot_top_losses(2)
    assert len(axes) == 2 * each
    grey = axes[0].images[0].get_array()
    assert round(float(grey.max()) * (255 if grey.max() <= 1 else 1)) == 120
    assert f"{losses[0]:.2f}" in "".join(titles(axes[:each]))


def test_targets_and_predictions_stand_with_the_pictures(files: list[Path]) -> None:
    def first(make: Callable[[list[Path]], Learner]) -> list[Any]:
        return list(Interpretation.from_learner(make(files)).plot_top_losses(1))

    assert titles(first(of_one_class))[0].startswith("even/odd / ")
    assert titles(first(of_several_labels))[0].startswith("\nlarge;odd\n")
    assert titles(first(of_a_quantity))[0].startswith("3.0\n20.0\n")
    target, predicted = first(of_a_mask)
    assert [float(np.asarray(ax.images[1].get_array()).mean()) for ax in (target, predicted)] == [13 / 16, 0]
    target, predicted = first(of_points)
    assert [ax.collections[0].get_offsets().tolist() for ax in (target, predicted)] == [[[3, 8]], [[14, 14]]]
    target, predicted = first(of_boxes)
    assert [(ax.patches[0].get_x(), ax.texts[0].get_text()) for ax in (target, predicted)] == [
        (0, "corner"), (8, "corner"),
    ]  # fmt: skip


class Pair(TitledTuple):
    """Two pictures and whether they are alike: a user's own type."""

    def show(self, ctx: Any = None, **options: Any) -> Any:
        first, second, alike = self
        tensors = [part if isinstance(part, Tensor) else ToTensor()(part) for part in (first, second)]
        return show_image(torch.cat(tensors, dim=2), title=str(alike), ctx=ctx, **options)


class MakePair(Transform):
    """A picture with the next one of the folder."""

    def encodes(self, file: Path) -> Pair:
        other = file.with_name(f"{(number(file) + 1) % N}.png")
        return Pair((PILImage.create(file), PILImage.create(other), number(file) % 2))


class Compares(nn.Module):
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        numbers = (first.mean((1, 2, 3)) * 255 / 40).round()
        right = torch.stack([1 - numbers % 2, numbers % 2], 1) * 9
        return but_three(right, torch.tensor([9.0, 0.0]), numbers)


@plot_top_losses.register
def plot_worst_pairs(x: Pair, y: object, samples: Any, outs: Any, raws: Any, losses: Any, **options: Any) -> list[Any]:
    return [show_title(f"taken for {out[0]}", ctx=sample.show()) for sample, out in zip(samples, outs, strict=True)]


def test_pairs_of_a_users_type_are_drawn_by_the_users_function(files: list[Path]) -> None:
    dls = TfmdLists([*files, *files], MakePair(), splits=SPLITS).dataloaders(
        after_item=[ToTensor], after_batch=[IntToFloatTensor], bs=4, device="cpu"
    )

    def loss_of_a_user(out: Tensor, target: Tensor) -> Tensor:
        return CrossEntropyLossFlat()(out, target.long())

    learn = Learner(dls, Compares(), loss_func=loss_of_a_user, default_cbs=False, check=False)
    interp = Interpretation.from_learner(learn)
    assert interp.top_losses(1).idxs.tolist() == [3]
    assert interp.losses[3] == pytest.approx(9, abs=0.01)
    [ax] = interp.plot_top_losses(1)
    assert ax.get_title().endswith("\ntaken for tensor([9., 0.])")  # the loss does not say how to decide
    assert ax.images[0].get_array().shape == (SIDE, 2 * SIDE, 3)
