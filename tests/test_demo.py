"""The demo as a user runs it: on a folder of pictures, from the command line."""

import re
from pathlib import Path

import pytest

from laminar import demo
from laminar.data.glyphs import make_glyphs

PICTURES = [
    "1_batch.png",
    "2_learning_rate.png",
    "3_losses.png",
    "4_schedule.png",
    "5_results.png",
    "6_confusion_matrix.png",
    "7_top_losses.png",
]


def test_the_demo_prints_both_tables_and_figures_and_says_where_the_pictures_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_glyphs(tmp_path / "own", "&⚓♥", per_class=5, valid_per_class=3, size=16)
    out = tmp_path / "out"
    demo.main(["--data", str(folder), "--epochs", "1", "--size", "16", "--out", str(out)])
    shown = capsys.readouterr().out
    assert "15 pictures for training, 9 for validation, 3 classes" in shown
    assert shown.count("valid_loss") >= 2
    assert re.search(r"fine-tuned    accuracy 0\.\d{3}|fine-tuned    accuracy 1\.000", shown)
    assert re.search(r"from scratch  accuracy [01]\.\d{3}", shown)
    assert str(out.resolve()) in shown
    assert sorted(path.name for path in out.iterdir()) == PICTURES


@pytest.mark.parametrize("valid", ["valid", "validation", "val"])
def test_the_demo_takes_a_folder_with_either_name_for_validation(tmp_path: Path, valid: str) -> None:
    folder = make_glyphs(tmp_path / "own", "&♥", per_class=3, valid_per_class=2, size=16)
    (folder / "valid").rename(folder / valid)
    dls = demo.load(folder, 16, flip=True)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (6, 4)


def test_the_demo_splits_a_folder_that_has_only_classes(tmp_path: Path) -> None:
    folder = make_glyphs(tmp_path / "own", "&♥", per_class=10, valid_per_class=0, size=16) / "train"
    dls = demo.load(folder, 16, flip=True)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (16, 4)


def test_the_demo_ends_with_the_remedy_where_there_are_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=re.escape(str(tmp_path))):
        demo.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")])
