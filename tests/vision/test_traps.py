"""What went wrong with transforms and showing elsewhere, and must not here."""

import ast
import inspect
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import laminar.vision.all as star
from laminar import basics
from laminar.core.pipeline import Pipeline
from laminar.core.types import TensorBBox, TensorImage, TensorMask, TensorPoint, plain
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock, RegressionBlock
from laminar.data.splitters import IndexSplitter
from laminar.vision import (
    CropPad,
    Dihedral,
    DihedralItem,
    Flip,
    FlipItem,
    RandomCrop,
    RandomErasing,
    RandomResizedCrop,
    RandomResizedCropGPU,
    Resize,
    Rotate,
    Warp,
    Zoom,
    own_steps,
)
from laminar.vision.blocks import ImageBlock
from laminar.vision.images import PILImage, image_to_typed
from laminar.vision.models import xresnet_variants
from laminar.vision.outside import points_inside

BATCH = [Flip(1.0), Dihedral(1.0), Rotate(40, p=1.0), Zoom(0.7, 1.4, p=1.0), Warp(0.4, p=1.0), RandomResizedCropGPU(20)]
ITEM = [
    Resize(20), Resize(20, "pad"), Resize((15, 31), "squish"), RandomResizedCrop(20), RandomCrop(20), CropPad(50),
    FlipItem(1.0), DihedralItem(),
]  # fmt: skip


@pytest.mark.parametrize("step", [*BATCH, *ITEM], ids=repr)
def test_a_mask_gains_no_class_under_any_transform(step) -> None:
    ids = torch.tensor([0, 10, 250], dtype=torch.uint8)
    classes = ids[torch.randint(3, (2, 30, 40), generator=torch.Generator().manual_seed(1))]
    for mask in (TensorMask(classes), TensorMask(classes[0])) if step in BATCH else (TensorMask(classes[0]),):
        picture = TensorImage(torch.rand(*mask.shape[:-2], 3, *mask.shape[-2:]))
        moved = step((picture, mask), split_idx=0)[1]
        assert set(moved.unique().tolist()) <= {0, 10, 250}
        assert moved.dtype is torch.uint8


@pytest.mark.parametrize("step", ITEM, ids=repr)
def test_boxes_agree_with_the_box_around_the_pixels_they_mark(step) -> None:
    for seed in range(5):
        random.seed(seed)
        mask = torch.zeros(60, 80, dtype=torch.uint8)
        mask[20:36, 30:54] = 1
        sample = (
            TensorImage(mask.repeat(3, 1, 1) * 255), TensorMask(mask),
            TensorBBox([[30.0, 20.0, 54.0, 36.0]], canvas_size=(60, 80)),
        )  # fmt: skip
        _, seen, boxes = step(sample, split_idx=0)
        height, width = seen.shape
        x1, y1, x2, y2 = plain(boxes)[0].tolist()
        assert x1 < x2
        assert y1 < y2
        if step.__class__ is Resize and str(step.method) == "pad":
            continue  # reflection shows the square twice
        marked = plain(seen).nonzero()
        if len(marked):
            cut = [max(0, x1), max(0, y1), min(width, x2), min(height, y2)]
            low, high = marked.min(0).values.tolist(), (marked.max(0).values + 1).tolist()
            assert [low[1], low[0], high[1], high[0]] == pytest.approx(cut, abs=1.0)


def test_flipping_twice_is_nothing_in_pixel_coordinates() -> None:
    points = TensorPoint([[3.0, 4.0], [0.0, 0.0]], canvas_size=(20, 30))
    sample = (TensorImage(torch.rand(3, 20, 30)), points)
    for step in (FlipItem(1.0), Flip(1.0)):
        once = step(sample, split_idx=0)
        torch.testing.assert_close(plain(once[1]), torch.tensor([[27.0, 4], [30, 0]]), atol=1e-5, rtol=0)
        torch.testing.assert_close(plain(step(once, split_idx=0)[1]), plain(points), atol=1e-5, rtol=0)
        assert points_inside(once[1]).all()


def test_pain_64_each_picture_loses_a_rectangle_of_its_own() -> None:
    pictures = TensorImage(torch.zeros(8, 3, 32, 32))
    erased = plain(RandomErasing(1.0, sl=0.1)(pictures, split_idx=0)).abs().sum(1) > 0
    assert len({tuple(holes.flatten().tolist()) for holes in erased}) == 8


def test_pain_65_a_file_and_a_tensor_are_scaled_alike(smooth_picture) -> None:
    picture = PILImage.create(smooth_picture(200, 150))
    for step in (Resize((40, 50), "squish"), RandomResizedCrop(48)):
        from_file = plain(image_to_typed(step(picture, split_idx=1))).int()
        from_tensor = plain(step(image_to_typed(picture), split_idx=1)).int()
        assert (from_file - from_tensor).abs().max() <= 2


def test_pain_24_numbers_as_targets_are_shown_with_results() -> None:
    pictures = [Image.fromarray(np.full((12, 12, 3), 20 * n, dtype=np.uint8)) for n in range(8)]
    block = DataBlock(
        (ImageBlock, RegressionBlock),
        get_x=lambda n: pictures[n],
        get_y=lambda n: n / 2,
        splitter=IndexSplitter([6, 7]),
    )
    loader = block.dataloaders(range(8), bs=2, device="cpu").valid
    axes = loader.show_results(loader.one_batch(), torch.tensor([2.5, 3.25]))
    assert [ax.get_title() for ax in axes] == ["3.0\n2.5", "3.5\n3.25"]


def test_pain_30_every_name_of_the_star_import_is_written_down_and_leads_to_its_source() -> None:
    assert len(star.__all__) == len(set(star.__all__))
    for name in star.__all__:
        thing = getattr(star, name)
        if inspect.isclass(thing) and thing.__module__.startswith("laminar"):
            assert inspect.getsourcefile(thing)
            assert thing.__doc__, name


def test_a_transform_used_by_two_loaders_at_once_keeps_nothing() -> None:
    step = RandomResizedCrop(8)
    before = dict(vars(step))
    training, validation = Pipeline([step], split_idx=0), Pipeline([step], split_idx=1)
    picture = TensorImage(torch.rand(3, 20, 20))
    still = plain(validation(picture))
    for _ in range(3):
        training(picture)
        assert torch.equal(plain(validation(picture)), still)
    assert vars(step) == before


def test_pain_31_the_star_import_can_be_read_without_running_it() -> None:
    """Every name is written in an import, and in a list, of the module itself or of one that it hands on whole."""
    bound, listed, handed_on = set[str](), set[str](), set[str]()
    wholes = (basics, own_steps, xresnet_variants)
    for module in (star, *wholes):
        tree = ast.parse(Path(module.__file__).read_text())
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        handed_on |= {node.module for node in imports if node.names[0].name == "*"}
        bound |= {alias.asname or alias.name for node in imports for alias in node.names}
        bound |= {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assigned = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
        bound |= assigned.keys()
        listed |= set(ast.literal_eval(assigned["__all__"]))
    assert handed_on == {module.__name__ for module in wholes}
    assert set(star.__all__) == listed <= bound
    assert (Path(star.__file__).parents[1] / "py.typed").exists()


def test_two_pictures_that_are_one_input_are_drawn_side_by_side() -> None:
    pictures = [Image.fromarray(np.full((12, 12, 3), 20 * n, dtype=np.uint8)) for n in range(8)]
    block = DataBlock(
        (ImageBlock, ImageBlock, CategoryBlock), n_inp=2, splitter=IndexSplitter([6, 7]),
        getters=[lambda n: pictures[n], lambda n: pictures[n - 1], lambda n: "ab"[n % 2]],
    )  # fmt: skip
    loader = block.dataloaders(range(8), bs=2, device="cpu").valid
    batch = loader.one_batch()
    axes = loader.show_batch(batch)
    assert [(len(ax.images), ax.get_title()) for ax in axes] == [(1, "a"), (1, ""), (1, "b"), (1, "")]
    results = loader.show_results(batch, torch.tensor([1, 1]))
    assert [ax.get_title() for ax in results] == ["a\nb", "", "b\nb", ""]
