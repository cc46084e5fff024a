"""Points and boxes from annotations to batches, and back to pictures: always where the picture says."""

import json
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from laminar.core.errors import DataError
from laminar.core.types import TensorBBox, TensorBBoxLabel, TensorImage, TensorMultiCategory, TensorPoint, plain
from laminar.data.block import DataBlock
from laminar.data.loader import DataLoader
from laminar.data.loaders import DataLoaders
from laminar.data.normalize import Normalize
from laminar.data.splitters import IndexSplitter
from laminar.learner import load_learner
from laminar.vision import (
    CropPad,
    RandomCrop,
    RandomResizedCrop,
    RandomResizedCropGPU,
    RatioResize,
    Resize,
    aug_transforms,
)
from laminar.vision.annotations import get_annotations
from laminar.vision.blocks import BBoxBlock, BBoxLblBlock, ImageBlock, PointBlock
from laminar.vision.learner import vision_learner
from laminar.vision.models.xresnet import xresnet_small
from laminar.vision.outside import BoxesOutside, PointsOutside, bb_pad, clip_remove_empty, points_inside
from laminar.vision.positions import LabeledBBox, PointScaler
from laminar.vision.turning import DihedralItem, FlipItem

WIDTH, HEIGHT, N = 80, 60, 12


def spot(number: int) -> tuple[int, int]:
    """Middle of the bright square in picture `number`."""
    return 30 + 2 * (number % 10), 24 + (number * 3) % 12


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = []
    for number in range(N):
        pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        x, y = spot(number)
        pixels[y - 4 : y + 4, x - 4 : x + 4] = 255
        path = tmp_path / f"{number:02d}.png"
        Image.fromarray(pixels).save(path)
        paths.append(path)
    return paths


def point_of(path: Path) -> list[list[float]]:
    x, y = spot(int(Path(path).stem))
    return [[x, y]]


def boxes_of(path: Path) -> list[list[float]]:
    number = int(Path(path).stem)
    if number % 4 == 3:
        return []
    x, y = spot(number)
    boxes = [[x - 4, y - 4, x + 4, y + 4], [1, 2, 21, 12]]
    return boxes[: 1 + number % 2]


def names_of(path: Path) -> list[str]:
    return ["square", "corner"][: len(boxes_of(path))]


def centre(picture: torch.Tensor) -> tuple[float, float]:
    weights = plain(picture).float().sum(0)
    ys, xs = torch.meshgrid(*(torch.arange(n) + 0.5 for n in weights.shape), indexing="ij")
    return float((xs * weights).sum() / weights.sum()), float((ys * weights).sum() / weights.sum())


ITEM: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "resize": lambda: Resize(48),
    "pad": lambda: Resize((50, 64), "pad", "zeros"),
    "squish": lambda: Resize((40, 72), "squish"),
    "crop": lambda: RandomResizedCrop(48, min_scale=0.8),
    "cut": lambda: RandomCrop((56, 70)),
    "frame": lambda: CropPad(90),
    "flip": lambda: [FlipItem(1.0), Resize(64)],
    "ratio": lambda: RatioResize(70),
    "dihedral": lambda: [DihedralItem(), Resize(64, "pad", "zeros")],
}
BATCH: dict[str, Callable[[], list[object]]] = {
    "nothing": list,
    "recipe": lambda: [*aug_transforms(max_lighting=0.0, pad_mode="zeros", flip_vert=True, p_affine=1.0)],
    "size": lambda: [
        *aug_transforms(size=(44, 60), max_lighting=0.0, pad_mode="zeros"), Normalize.from_stats([0.5], [0.5]),
    ],
    "crop": lambda: [RandomResizedCropGPU(40, min_scale=0.8, pad_mode="zeros")],
}  # fmt: skip


def block(targets: object, item_tfms: object, batch_tfms: object, get_y: object) -> DataBlock:
    several = targets if isinstance(targets, tuple) else (targets,)
    return DataBlock(
        (ImageBlock, *several), n_inp=1, get_y=get_y, splitter=IndexSplitter(range(8, N)),
        item_tfms=item_tfms, batch_tfms=batch_tfms,
    )  # fmt: skip


@pytest.mark.parametrize("batch", BATCH)
@pytest.mark.parametrize("item", ITEM)
def test_a_point_is_where_it_is_seen_after_all_transforms(item: str, batch: str, files: list[Path]) -> None:
    made = block(PointBlock, ITEM[item](), BATCH[batch](), point_of)
    dls = made.dataloaders(files, bs=4, device="cpu", shuffle=False)
    for loader in dls.loaders:
        pictures, points = loader.one_batch()
        assert type(points) is TensorPoint
        assert points.shape == (4, 1, 2)
        assert points.scaled
        assert plain(points).abs().max() <= 1.5
        for picture, point in loader.decode_batch((pictures, points)):
            height, width = picture.shape[-2:]
            assert tuple(point.canvas_size) == (height, width)
            x, y = plain(point)[0].tolist()
            if 6 < x < width - 6 and 6 < y < height - 6:
                assert centre(picture) == pytest.approx((x, y), abs=0.6)


@pytest.mark.parametrize("batch", BATCH)
@pytest.mark.parametrize("item", ITEM)
def test_a_box_is_around_what_is_seen_after_all_transforms(item: str, batch: str, files: list[Path]) -> None:
    made = block((BBoxBlock, BBoxLblBlock), ITEM[item](), BATCH[batch](), [boxes_of, names_of])
    dls = made.dataloaders(files, bs=8, val_bs=4, device="cpu", shuffle=False)
    pictures, boxes, labels = dls.one_batch()
    assert (type(boxes), type(labels)) == (TensorBBox, TensorBBoxLabel)
    assert boxes.shape == (*labels.shape, 4)
    assert boxes.scaled
    samples = dls.decode_batch((pictures, boxes, labels), max_n=None)
    assert len(samples) == 8
    for number, (picture, found, names) in enumerate(samples):
        height, width = picture.shape[-2:]
        assert len(found) == len(names) <= len(boxes_of(files[number]))
        corners = plain(found)
        assert (corners[:, :2] < corners[:, 2:]).all()
        assert (corners >= -1e-3).all()
        assert (corners <= torch.tensor([width, height, width, height]) + 1e-3).all()
        seen = (plain(picture).amax(0) > 0.6).nonzero()
        if "square" in names and len(seen):
            x1, y1, x2, y2 = corners[names.index("square")].tolist()
            inside = (seen[:, 1] + 1 >= x1) & (seen[:, 1] <= x2) & (seen[:, 0] + 1 >= y1) & (seen[:, 0] <= y2)
            assert inside.all()


def test_pain_10_boxes_are_collated_also_where_a_picture_or_a_whole_batch_has_none(files: list[Path]) -> None:
    made = block((BBoxBlock, BBoxLblBlock), Resize(32), None, [boxes_of, names_of])
    dls = made.dataloaders(files, bs=4, device="cpu", shuffle=False)
    pictures, boxes, labels = dls.one_batch()
    assert dls.vocab == ["#na#", "corner", "square"]
    assert [len(names_of(file)) for file in files[:4]] == [1, 2, 1, 0]
    assert labels.tolist() == [[2, 0], [2, 1], [2, 0], [0, 0]]
    assert [list(sample[2]) for sample in dls.decode_batch((pictures, boxes, labels))] == [
        ["square"], ["square", "corner"], ["square"], [],
    ]  # fmt: skip
    empty = block((BBoxBlock, BBoxLblBlock(["square"])), Resize(32), None, [lambda path: [], lambda path: []])
    batch = empty.dataloaders(files, bs=4, device="cpu").one_batch()
    assert batch[1].shape == (4, 0, 4)


def test_labels_follow_their_boxes_through_workers(files: list[Path]) -> None:
    made = block((BBoxBlock, BBoxLblBlock), RandomResizedCrop(48), aug_transforms(), [boxes_of, names_of])
    dls = made.dataloaders(files, bs=4, device="cpu", shuffle=False, seed=1)
    alone = list(dls.train)
    worked = list(made.dataloaders(files, bs=4, device="cpu", shuffle=False, seed=1, num_workers=2).train)
    for one, other in zip(alone, worked, strict=True):
        assert [type(part) for part in one] == [type(part) for part in other]
        assert all(torch.equal(plain(a), plain(b)) for a, b in zip(one, other, strict=True))
        assert other[1].scaled


def leaving() -> tuple[TensorImage, TensorPoint, TensorBBox, TensorBBoxLabel]:
    boxes = [[-10.0, 0, 10, 10], [2, 2, 8, 8], [-9, 0, 1, 10], [50, 50, 60, 60]]
    return (
        TensorImage(torch.zeros(3, 20, 30)),
        TensorPoint([[5.0, 5], [-3, 8], [31, 25]], canvas_size=(20, 30)),
        TensorBBox(boxes, canvas_size=(20, 30)),
        TensorBBoxLabel([1, 2, 3, 4]),
    )


@pytest.mark.parametrize(
    ("rule", "boxes", "labels"),
    [
        (BoxesOutside("keep"), [[-10, 0, 10, 10], [2, 2, 8, 8], [-9, 0, 1, 10], [50, 50, 60, 60]], [1, 2, 3, 4]),
        (BoxesOutside("clip"), [[0, 0, 10, 10], [2, 2, 8, 8], [0, 0, 1, 10]], [1, 2, 3]),
        (BoxesOutside("clip", min_visible=0.2), [[0, 0, 10, 10], [2, 2, 8, 8]], [1, 2]),
        (BoxesOutside("drop"), [[2, 2, 8, 8]], [2]),
    ],
)
def test_boxes_that_leave_are_kept_clipped_or_dropped_with_their_labels(
    rule: BoxesOutside, boxes: list[list[int]], labels: list[int]
) -> None:
    sample = leaving()
    out = rule(sample)
    assert plain(out[2]).tolist() == boxes
    assert out[3].tolist() == labels
    assert (type(out[2]), type(out[3]), out[2].canvas_size) == (TensorBBox, TensorBBoxLabel, (20, 30))
    assert plain(sample[2]).tolist() == plain(leaving()[2]).tolist()
    batch = tuple(part.wrap(plain(part)[None], part) for part in sample)
    whole = rule(batch)
    kept = [row for row in plain(whole[2])[0].tolist() if row != [0, 0, 0, 0]]
    assert kept == boxes
    assert [number for number in whole[3][0].tolist() if number] == labels
    assert whole[2].shape == (1, 4, 4)


def test_pain_61_points_that_leave_are_kept_clipped_or_dropped_and_counted() -> None:
    sample = leaving()
    assert points_inside(sample[1]).tolist() == [True, False, False]
    assert plain(PointsOutside("keep")(sample)[1]).tolist() == plain(sample[1]).tolist()
    assert plain(PointsOutside("clip")(sample)[1]).tolist() == [[5, 5], [0, 8], [30, 20]]
    dropped = PointsOutside("drop")(sample)[1]
    assert dropped.isnan().all(-1).tolist() == [False, True, True]
    assert points_inside(dropped).tolist() == [True, False, False]
    scaled = PointScaler()(sample)
    assert points_inside(scaled[1]).tolist() == [True, False, False]


def test_scaling_is_undone_and_padding_stays_zero() -> None:
    image, points, boxes, labels = leaving()
    padded = boxes.wrap(torch.cat([plain(boxes), torch.zeros(1, 4)]), boxes)
    scaled = PointScaler()((image, points, padded, labels))
    assert plain(scaled[2])[-1].tolist() == [0, 0, 0, 0]
    assert plain(scaled[1])[0].tolist() == pytest.approx([5 / 15 - 1, 5 / 10 - 1])
    assert PointScaler()(scaled)[1] is scaled[1]
    back = PointScaler().decode(scaled)
    torch.testing.assert_close(plain(back[1]), plain(points))
    torch.testing.assert_close(plain(back[2]), plain(padded))
    assert (back[1].canvas_size, back[1].scaled) == ((20, 30), False)


def test_predictions_in_one_row_become_points_of_the_picture(files: list[Path]) -> None:
    dls = block(PointBlock, Resize(48), None, point_of).dataloaders(files, bs=4, device="cpu")
    assert dls.c == 2
    batch = dls.one_batch()
    outs = dls.train.decode_outputs(batch, torch.tensor([[0.0, 0.5]] * 4))
    assert [plain(out[0]).tolist() for out in outs] == [[[24.0, 36.0]]] * 4
    axes = dls.train.show_results(batch, torch.zeros(4, 2))
    assert len(axes) == 8
    assert axes[1].collections[0].get_offsets().tolist() == [[24.0, 24.0]]


def test_a_learner_of_points_predicts_pixels_and_is_exported(files: list[Path]) -> None:
    dls = block(PointBlock, Resize(32), None, point_of).dataloaders(files, bs=4, device="cpu")
    learn = vision_learner(dls, xresnet_small, pretrained=False)
    learn.fit(1)
    points, numbers, _ = learn.predict(files[0])
    assert type(points) is TensorPoint
    assert tuple(points.canvas_size) == (32, 32)
    torch.testing.assert_close((plain(numbers).view(1, 2) + 1) * 16, plain(points))
    learn.show_results(max_n=2)
    again = load_learner(learn.export("points.laminar"))
    torch.testing.assert_close(plain(again.predict(files[0])[0]), plain(points))


def test_points_that_were_dropped_do_not_spoil_training(files: list[Path]) -> None:
    block = DataBlock(
        blocks=(ImageBlock, PointBlock("drop")), get_y=lambda path: [*point_of(path), [1, 1]],
        splitter=IndexSplitter([0, 1]), item_tfms=RandomCrop(40),
    )  # fmt: skip
    dls = block.dataloaders(files, bs=5, device="cpu")
    assert dls.one_batch()[1].isnan().any()
    learn = vision_learner(dls, xresnet_small, pretrained=False)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    assert np.isfinite(learn.recorder.values[0]).all()


def test_points_may_come_with_y_first(files: list[Path]) -> None:
    turned = block(PointBlock(y_first=True), None, None, lambda path: [xy[::-1] for xy in point_of(path)])
    _, points = turned.dataloaders(files, bs=8, device="cpu").train.dataset[0]
    assert plain(points).tolist() == point_of(files[0])


@pytest.mark.parametrize(
    ("boxes", "names", "message"),
    [
        ([[5, 5, 2, 9]], ["a"], r"box 0 is \[5.0, 5.0, 2.0, 9.0\], but boxes are \(x1, y1, x2, y2\)"),
        ([[0, 0, 2, 2]], ["a", "b"], r"there are 1 boxes and 2 labels"),
        ([[0, 0, float("nan"), 2]], ["a"], r"box 0 is .*nan.*leave out boxes whose corners are unknown"),
        ([[0, 0, 2]], ["a"], r"boxes are \(x1, y1, x2, y2\), 4 numbers each; got 3 numbers"),
    ],
)
def test_wrong_boxes_are_named_with_their_file(
    boxes: list[list[float]], names: list[str], message: str, files: list[Path]
) -> None:
    made = block((BBoxBlock, BBoxLblBlock), None, None, [lambda path: boxes, lambda path: names])
    with pytest.raises(DataError, match=message) as caught:
        made.dataloaders(files, bs=4, device="cpu")
    assert any("00.png" in note for note in caught.value.__notes__)


def test_points_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(DataError, match=r"points are \(x, y\), 2 numbers each; got 3 numbers: \[\[1, 2, 3\]\]"):
        TensorPoint.create([[1, 2, 3]])


@pytest.mark.parametrize("given", [None, [["a", 1, 2, 3]]])
def test_boxes_that_are_no_numbers_are_refused_with_what_to_give(given: object) -> None:
    with pytest.raises(DataError, match=r"boxes are .*4 numbers each, and an empty list where there are none; got"):
        TensorBBox.create(given)


def test_boxes_are_clipped_and_padded_by_hand_too() -> None:
    image, _, boxes, labels = leaving()
    cut, left = clip_remove_empty(boxes, labels)
    assert (left.tolist(), plain(cut)[0].tolist()) == ([1, 2, 3], [0, 0, 10, 10])
    one = TensorBBox([[0.0, 0, 1, 1]], canvas_size=(20, 30)), TensorBBoxLabel([5])
    padded = bb_pad([(image, boxes, labels), (image, *one)], pad_idx=9)
    assert padded[1][2].tolist() == [5, 9, 9]
    assert plain(padded[1][1])[1:].tolist() == [[0, 0, 0, 0]] * 2
    loader = DataLoader([(image, boxes, labels), (image, *one)], bs=2, before_batch=bb_pad)
    assert loader.one_batch()[2].shape == (2, 3)
    with pytest.raises(DataError, match=r"no labels behind the boxes"):
        bb_pad([(image, boxes)])


def test_annotations_give_corners_and_names(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}, {"id": 9, "file_name": "c.jpg"}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"image_id": 9, "category_id": 2, "bbox": [1, 2, 3, 4]},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 6]},
            {"image_id": 9, "category_id": 1, "bbox": [4, 4, 1, 1]},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    names, targets = get_annotations(tmp_path / "coco.json", prefix="pictures")
    assert [Path(name).as_posix() for name in names] == ["pictures/a.jpg", "pictures/c.jpg"]
    assert targets == [([[0, 0, 5, 6]], ["cat"]), ([[1, 2, 4, 6], [4, 4, 5, 5]], ["dog", "cat"])]
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"other.json.*no images, no annotations"):
        get_annotations(tmp_path / "other.json")


def test_boxes_are_drawn_with_their_names_where_they_are(files: list[Path]) -> None:
    dls: DataLoaders = block((BBoxBlock, BBoxLblBlock), Resize(64), None, [boxes_of, names_of]).dataloaders(
        files, bs=4, device="cpu", shuffle=False
    )
    batch = dls.one_batch()
    axes = dls.show_batch(batch, max_n=4)
    assert [len(ax.patches) for ax in axes] == [1, 2, 1, 0]
    assert [[text.get_text() for text in ax.texts] for ax in axes[:2]] == [["square"], ["square", "corner"]]
    assert axes[0].get_title() == ""
    drawn, expected = axes[0].patches[0], plain(dls.decode_batch(batch)[0][1])[0].tolist()
    assert [drawn.get_x(), drawn.get_y()] == pytest.approx(expected[:2])
    results = dls.train.show_results(batch, (batch[1], batch[2]), max_n=2)
    assert [len(ax.patches) for ax in results] == [1, 1, 2, 2]
    one = LabeledBBox(TensorBBox([[0.0, 0, 2, 2]]), ["cat"])
    assert one.show(ctx=plt.subplots()[1]).texts[0].get_text() == "cat"
    assert (one.lbl, one.bbox.shape) == (["cat"], (1, 4))


def test_one_label_a_box_is_not_taken_for_several_labels_of_a_picture() -> None:
    image = TensorImage(torch.zeros(3, 4, 4))
    encoded = TensorMultiCategory(torch.zeros(3))
    boxes = TensorBBox([[0.0, 0, 1, 1]], canvas_size=(4, 4))
    assert BoxesOutside()((image, boxes, encoded))[2] is encoded
