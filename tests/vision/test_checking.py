"""`dls.check()` over pictures, masks, points and boxes: everything that is wrong is named in one pass."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance
from torch.utils.data import IterableDataset

from laminar.core.errors import ConfigError, DataError
from laminar.data import (
    CategoryBlock,
    CheckReport,
    ColReader,
    DataBlock,
    DataLoader,
    DataLoaders,
    Datasets,
    IndexSplitter,
    RandomSplitter,
    RegressionBlock,
    get_image_files,
)
from laminar.vision import BBoxBlock, BBoxLblBlock, ImageBlock, MaskBlock, PointBlock
from laminar.vision.crop import Resize
from laminar.vision.images import PILImage

SIDE = 24


def picture(seed: int, side: int = SIDE) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def check(dls: DataLoaders, **options: Any) -> CheckReport:
    return dls.check(n_workers=2, show_progress=False, **options)


@pytest.fixture
def table() -> pd.DataFrame:
    """A thousand pictures with masks, labels and quantities, seven of them damaged, each in another way."""
    folder = Path("items")
    folder.mkdir()
    rows: list[dict[str, Any]] = []
    for number in range(1000):
        file, mask = folder / f"{number:04}.jpg", folder / f"{number:04}_mask.png"
        picture(number).save(file, quality=80)
        Image.new("L", (SIDE, SIDE), number % 3).save(mask)
        rows.append({"file": file, "mask": mask, "label": "cat" if number % 2 else "dog", "weight": number / 10})
    whole = rows[10]["file"].read_bytes()
    rows[10]["file"].write_bytes(whole[: len(whole) * 2 // 3])  # cut short
    rows[110]["file"].write_bytes(b"")  # empty
    picture(210).convert("CMYK").save(rows[210]["file"])  # another mode
    picture(310).save(rows[310]["file"], format="PNG")  # another kind of file
    rows[410]["label"] = None  # no label
    rows[510]["weight"] = float("nan")  # no number
    Image.new("L", (SIDE // 2, SIDE)).save(rows[610]["mask"])  # a mask of another shape
    return pd.DataFrame(rows)


def test_seven_kinds_of_damage_among_a_thousand_files_are_all_named_in_one_pass(table: pd.DataFrame) -> None:
    block = DataBlock(
        (ImageBlock, MaskBlock(["a", "b", "c"]), CategoryBlock(["cat", "dog"]), RegressionBlock(1)),
        getters=[ColReader(name) for name in ("file", "mask", "label", "weight")],
        n_inp=1,
        splitter=RandomSplitter(0.2, seed=3),
    )
    dls = block.dataloaders(table, bs=8, device="cpu", check=False)
    report = check(dls)
    found = {(finding.kind, int(Path(finding.name).stem)) for finding in report.findings}
    assert found == {
        ("unreadable", 10),
        ("unreadable", 110),
        ("rare mode", 210),
        ("wrong ending", 310),
        ("bad target", 410),
        ("bad target", 510),
        ("mask of other shape", 610),
    }
    assert {int(file.stem) for file in report.files("unreadable")} == {10, 110}
    missing = {int(Path(finding.name).stem): finding.message for finding in report.of("bad target")}
    assert "the label is missing" in missing[410]
    assert "the target is nan" in missing[510]
    bad = set(report.files())
    left = table[[file not in bad for file in table["file"]]]
    clean = block.dataloaders(left, bs=8, device="cpu")
    assert sum(len(loader.dataset) for loader in clean.loaders) == 993
    assert sum(len(part[0]) for part in clean.valid) == len(clean.valid_ds)
    text = str(report)
    assert "Items: training 800, validation 200" in text
    assert "CMYK" in text
    assert "24x24" in text


def test_pain_11_a_truncated_file_does_not_end_a_run_that_may_skip_it() -> None:
    for number in range(12):
        picture(number).save(f"{number}.jpg")
    content = Path("5.jpg").read_bytes()
    Path("5.jpg").write_bytes(content[: len(content) // 2])
    dls = DataBlock(
        (ImageBlock, RegressionBlock(1)), get_items=get_image_files, get_y=lambda file: float(file.stem),
        splitter=IndexSplitter([0, 1]),
    ).dataloaders(".", bs=4, device="cpu", check=False, on_bad_item="skip", drop_last=False)  # fmt: skip
    assert sum(len(y) for _, y in dls.train) == 9
    [bad] = dls.bad_items
    assert "5.jpg" in bad.name
    assert "truncated" in bad.error
    assert [file.name for file in check(dls).files("unreadable")] == ["5.jpg"]


def pictures_with_copies() -> DataLoaders:
    for number in range(10):
        picture(number, 64).save(f"{number}.png")
    Path("8.png").write_bytes(Path("0.png").read_bytes())  # in validation, as in training
    picture(1, 64).resize((40, 40)).save("9.png")  # in validation, scaled
    Path("3.png").write_bytes(Path("2.png").read_bytes())  # both in training
    return DataBlock(
        (ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=lambda file: "odd" if int(file.stem) % 2 else "even",
        splitter=IndexSplitter([8, 9]),
    ).dataloaders(".", bs=2, device="cpu", check=False)


def test_copies_are_found_those_in_another_split_above_all() -> None:
    report = check(pictures_with_copies())
    found = {(f.kind, Path(f.name).stem, f.other) for f in report.findings}
    assert found == {
        ("same bytes, other split", "8", (0, 0)),
        ("looks the same, other split", "9", (0, 1)),
        ("same bytes", "3", (0, 2)),
    }
    assert not any(f.kind.startswith("looks") for f in check(pictures_with_copies(), near_copies=False).findings)


def test_pictures_that_were_scaled_encoded_anew_or_made_lighter_look_the_same_and_no_others() -> None:
    changes: list[Callable[[Image.Image], Image.Image]] = [
        lambda original: original.resize((48, 40)),
        lambda original: original.convert("L"),
        lambda original: ImageEnhance.Brightness(original).enhance(0.8),
        lambda original: ImageEnhance.Contrast(original).enhance(0.7),
    ]
    for number in range(40):
        picture(number, 96).save(f"{number:02}.jpg")
    for number, change in enumerate(changes, 40):
        change(picture(number - 40, 96)).save(f"{number}.jpg", quality=30)
    for number in range(44, 47):
        Image.new("RGB", (96, 96), (number, 0, 0)).save(f"{number}.jpg")  # nothing to know them by
    dls = DataBlock(
        (ImageBlock, RegressionBlock(1)), get_items=get_image_files, get_y=lambda file: 1.0,
        splitter=IndexSplitter([40, 41]),
    ).dataloaders(".", bs=2, device="cpu", check=False)  # fmt: skip
    found = [(f.kind, f.name, f.other) for f in check(dls).findings if f.kind != "rare mode"]
    assert found == [
        ("looks the same", "42.jpg", (0, 2)),
        ("looks the same", "43.jpg", (0, 3)),
        ("looks the same, other split", "40.jpg", (0, 0)),
        ("looks the same, other split", "41.jpg", (0, 1)),
    ]


def test_a_report_is_a_table_and_pictures() -> None:
    report = check(pictures_with_copies())
    axes = report.show("looks the same, other split")
    assert [len(ax.images) for ax in axes] == [1, 1]
    assert "looks the same, other split\n9.png" in axes[0].get_title()
    frame = report.to_frame()
    assert list(frame.columns) == ["kind", "split", "index", "item", "what"]
    assert len(frame) == len(report.findings)
    assert "<table>" in report._repr_html_()
    assert report.labels == {"even": {0: 4, 1: 1}, "odd": {0: 4, 1: 1}}
    assert report.files("unreadable") == []
    with pytest.raises(ConfigError, match="Did you mean 'looks the same, other split'"):
        report.of("look the same, other split")


def test_an_unreadable_file_is_shown_as_such() -> None:
    picture(0).save("0.png")
    Path("1.png").write_bytes(b"nothing")
    dsets = Datasets([Path("0.png"), Path("1.png")], [[PILImage.create]], splits=[[0], [1]])
    report = check(dsets.dataloaders(bs=1, device="cpu", check=False))
    [ax] = report.show()
    assert [text.get_text() for text in ax.texts] == ["DataError"]


def test_masks_with_values_outside_their_codes_are_named() -> None:
    for number in range(4):
        picture(number).save(f"{number}.jpg")
        Image.new("L", (SIDE, SIDE), [0, 1, 7, 255][number]).save(f"{number}.png")
    block = DataBlock(
        (ImageBlock, MaskBlock(["sky", "sea"], ignore_index=255)),
        get_y=lambda file: file.with_suffix(".png"),
        splitter=IndexSplitter([3]),
    )
    report = check(block.dataloaders(sorted(Path().glob("*.jpg")), bs=1, device="cpu", check=False))
    assert [(f.kind, f.name, f.message) for f in report.findings] == [
        ("outside codes", "2.jpg", "it holds [7], codes has 2 classes (0 to 1)")
    ]


def test_points_and_boxes_outside_the_picture_are_named() -> None:
    files = [Path(f"{number}.png") for number in range(4)]
    for number, file in enumerate(files):
        picture(number).save(file)
    places = {"0.png": [[1, 2]], "1.png": [[25, 2]], "2.png": [[24, 24]], "3.png": [[-3, 4]]}
    points = DataBlock((ImageBlock, PointBlock), get_y=lambda file: places[file.name], splitter=IndexSplitter([3]))
    report = check(points.dataloaders(files, bs=1, device="cpu", check=False))
    assert [(f.kind, f.name) for f in report.findings] == [
        ("outside the picture", "1.png"),
        ("outside the picture", "3.png"),
    ]
    boxes = {"0.png": [[1, 2, 5, 6]], "1.png": [[1, 2, 30, 6]], "2.png": [], "3.png": [[5, 5, 9, 5]]}
    block = DataBlock(
        (ImageBlock, BBoxBlock, BBoxLblBlock(["thing"])),
        getters=[lambda file: file, lambda file: boxes[file.name], lambda file: ["thing"] * len(boxes[file.name])],
        n_inp=1,
        splitter=IndexSplitter([3]),
    )
    report = check(block.dataloaders(files, bs=1, device="cpu", check=False))
    assert [(f.kind, f.name) for f in report.findings] == [("outside the picture", "1.png"), ("empty box", "3.png")]


def test_labels_that_occur_once_are_named() -> None:
    files = [Path(f"{number}.png") for number in range(7)]
    for number, file in enumerate(files):
        picture(number).save(file)
    names = ["cat", "cat", "dog", "dog", "gog", "cat", "dog"]
    block = DataBlock(
        (ImageBlock, CategoryBlock), get_y=lambda file: names[int(file.stem)], splitter=IndexSplitter([5, 6])
    )
    report = check(block.dataloaders(files, bs=1, device="cpu"))
    assert [(f.kind, f.name, f.message) for f in report.findings] == [
        ("label occurs once", "4.png", "no other item has 'gog'")
    ]


class Endless(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return itertools.count()


@pytest.mark.parametrize("source", [[[1, 2], [3, 4]], Endless()])
def test_items_that_are_not_known_by_number_cannot_be_checked(source: Any) -> None:
    loader = DataLoader(source, bs=2) if isinstance(source, Endless) else source
    dls = DataLoaders(loader, loader, device="cpu")
    for look in (dls.check, dls.leaks):
        with pytest.raises(ConfigError, match="has no items by number"):
            look()


def test_a_check_shows_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    pictures_with_copies().check(n_workers=1)
    assert "10/10" in capsys.readouterr().out


def test_a_turned_mask_is_told_apart_from_a_scaled_one_before_training(tmp_path: Path) -> None:
    sizes = {"same": (24, 12), "half": (12, 6), "turned": (12, 24)}
    for name, size in sizes.items():
        picture(3).resize((24, 12)).save(tmp_path / f"{name}.jpg")
        Image.new("L", size).save(tmp_path / f"{name}.png")
    block = DataBlock(
        (ImageBlock, MaskBlock(["a", "b"])),
        getters=[lambda name: tmp_path / f"{name}.jpg", lambda name: tmp_path / f"{name}.png"],
        splitter=IndexSplitter([0]),
        item_tfms=Resize(8),
    )
    dls = block.dataloaders(list(sizes), bs=1, device="cpu", check=False)
    found = {(finding.kind, finding.message) for finding in check(dls).findings}
    assert ("mask of other size", "the mask is 12x6, the picture 24x12") in found
    assert ("mask of other shape", "the mask is 12x24, the picture 24x12") in found
    with pytest.raises(DataError, match=r"turned\.png is made for 12x24 .*turned\.jpg, has 24x12"):
        list(dls.train)
