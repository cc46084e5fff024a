"""The embedded pictures: the same at every making, true about what they show, and never half made."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laminar.core.errors import ConfigError, DataError
from laminar.data import glyphs
from laminar.data.cache import cache_folder
from laminar.data.glyph_characters import DEMO_CHARACTERS, PRETRAINING_CHARACTERS, character_of, class_name
from laminar.data.glyph_drawing import Glyph, GlyphItem
from laminar.data.glyph_fonts import fonts_with, glyph_shape
from laminar.data.glyphs import glyph_dataset, glyph_item, glyph_scene, make_glyph_scenes, make_glyphs

ALL_CHARACTERS = "".join(DEMO_CHARACTERS.values()) + PRETRAINING_CHARACTERS
SAMPLES = [glyph_item(character, number, size=48) for character in "&♥√Zж" for number in range(8)]
SCENES = [glyph_scene("&⚓♥?★", number) for number in range(12)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMINAR_HOME", str(tmp_path / "home"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


# ---- characters and fonts --------------------------------------------------------------------------------------------


def test_classes_of_the_demo_and_of_pretraining_are_disjoint_and_hundreds() -> None:
    assert len(set(ALL_CHARACTERS)) == len(ALL_CHARACTERS)
    assert len(PRETRAINING_CHARACTERS) > 300
    assert 20 <= len(DEMO_CHARACTERS) <= 30


def test_class_names_are_safe_folder_names_and_lead_back_to_the_character() -> None:
    names = [class_name(character) for character in ALL_CHARACTERS]
    assert len({name.casefold() for name in names}) == len(names)  # also where the file system ignores case
    assert all(name.isascii() and name.replace("_", "").isalnum() for name in names)
    assert [character_of(name) for name in names] == list(ALL_CHARACTERS)


def test_every_class_is_drawn_by_a_font_that_has_it_never_as_the_box_for_missing() -> None:
    for character in ALL_CHARACTERS:
        for font in fonts_with(character)[:2]:
            shape = glyph_shape(character, font, 24)
            missing = glyph_shape("\U0001f9ff", font, 24)  # in none of these fonts
            assert shape.max() > 0
            assert shape.shape != missing.shape or (shape != missing).any(), (character, font)


def test_error_names_the_character_that_no_font_has() -> None:
    with pytest.raises(DataError, match=r"U\+1F9FF"):
        glyph_item("\U0001f9ff")


def test_error_suggests_the_class_that_was_meant() -> None:
    with pytest.raises(DataError, match=r"'anchr'. Did you mean 'anchor'"):
        glyph_item("anchr")


# ---- items -----------------------------------------------------------------------------------------------------------


def test_an_item_depends_on_its_address_alone() -> None:
    first = [glyph_item(character, number).image for character, number in [("&", 0), ("♥", 1), ("&", 2)]]
    np.random.seed(1)
    again = [glyph_item(character, number).image for character, number in [("&", 2), ("♥", 1), ("&", 0)]][::-1]
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


def test_another_number_or_seed_is_another_picture() -> None:
    picture = glyph_item("&", 0).image
    assert (picture != glyph_item("&", 1).image).any()
    assert (picture != glyph_item("&", 0, seed=1).image).any()


def test_making_an_item_leaves_the_users_random_state_alone() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    glyph_item("&", 5)
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]


@pytest.mark.parametrize("item", [*SAMPLES, *SCENES])
def test_mask_box_and_points_agree(item: GlyphItem) -> None:
    size = len(item.image)
    assert item.image.shape == (size, size, 3)
    assert sorted(np.unique(item.mask)) == list(range(len(item.glyphs) + 1))
    for place, glyph in enumerate(item.glyphs, start=1):
        rows, columns = np.nonzero(item.mask == place)
        assert glyph.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert (glyph.points >= 0).all()
        assert (glyph.points <= size).all()
        assert np.allclose(glyph.points[0], glyph.points[1:].mean(axis=0))
        assert frame_holds(glyph)


def frame_holds(glyph: Glyph) -> bool:
    """The box's middle lies in the frame, and the frame's bounds hold the box up to a pixel."""
    left, top = glyph.points.min(axis=0) - 1
    right, bottom = glyph.points.max(axis=0) + 1
    box = glyph.box
    return bool(left <= box[0] and top <= box[1] and box[2] <= right and box[3] <= bottom)


@pytest.mark.parametrize("item", SAMPLES[::3])
def test_a_glyph_stands_out_from_what_is_around_it(item: GlyphItem) -> None:
    grey = item.image @ np.array([0.299, 0.587, 0.114])
    assert abs(grey[item.mask > 0].mean() - grey[item.mask == 0].mean()) > 25


# ---- sets ------------------------------------------------------------------------------------------------------------


def test_pictures_of_a_class_do_not_depend_on_the_other_classes(tmp_path: Path) -> None:
    alone = files_of(make_glyphs(tmp_path / "a", ["heart"], per_class=2, valid_per_class=1, size=24))
    among = files_of(make_glyphs(tmp_path / "b", "&♥", per_class=2, valid_per_class=1, size=24))
    pictures = {name: content for name, content in alone.items() if name.endswith(".jpg")}
    assert len(pictures) == 3
    assert pictures.items() <= among.items()


def test_make_glyphs_writes_a_folder_for_each_class_and_a_table(tmp_path: Path) -> None:
    folder = make_glyphs(tmp_path / "set", "&♥", per_class=2, valid_per_class=1, size=32, masks=True)
    assert sorted(path.name for path in (folder / "valid").iterdir()) == ["ampersand", "heart"]
    with (folder / "labels.csv").open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["is_valid"] for row in rows] == ["False", "False", "True"] * 2
    codes = (folder / "codes.txt").read_text(encoding="utf-8").split()
    for row in rows:
        mask = np.asarray(Image.open((folder / "masks" / row["file"]).with_suffix(".png")))
        assert set(np.unique(mask)) == {0, codes.index(row["label"])}
        columns = np.flatnonzero(mask.any(axis=0))
        assert (int(row["left"]), int(row["right"])) == (columns[0], columns[-1] + 1)


def test_scenes_have_coco_annotations_that_agree_with_their_masks(tmp_path: Path) -> None:
    folder = make_glyph_scenes(tmp_path / "set", "&⚓♥★", train=4, valid=2, size=48)
    codes = (folder / "codes.txt").read_text(encoding="utf-8").split()
    told = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    assert [image["file_name"] for image in told["images"]] == [f"{number:05d}.jpg" for number in range(4)]
    assert [category["name"] for category in told["categories"]] == codes[1:]
    for annotation in told["annotations"]:
        mask = np.asarray(Image.open(folder / "masks" / f"{annotation['image_id']:05d}.png"))
        x, y, width, height = annotation["bbox"]
        assert (mask[y : y + height, x : x + width] == annotation["category_id"]).sum() == annotation["area"]


def test_too_many_classes_for_a_mask_is_an_error_with_the_number(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 255"):
        make_glyphs(tmp_path / "set", PRETRAINING_CHARACTERS, masks=True)


def test_glyph_dataset_makes_a_named_set_once(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = glyph_dataset("glyphs_tiny")
    assert folder == cache_folder() / "data" / "glyphs_tiny"
    assert len(list(folder.rglob("*.jpg"))) == 4 * 12
    monkeypatch.setattr(glyphs, "make_glyphs", None)  # would fail if called
    assert glyph_dataset("glyphs_tiny") == folder


def test_a_changed_generator_makes_a_set_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = glyph_dataset("glyph_scenes_tiny")
    stray = folder / "of the old version.txt"
    stray.touch()
    monkeypatch.setattr(glyphs, "GENERATOR_VERSION", glyphs.GENERATOR_VERSION + 1)
    assert glyph_dataset("glyph_scenes_tiny") == folder
    assert not stray.exists()


def test_an_unknown_set_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"'glyph'. Did you mean 'glyphs'.*There are: glyphs, "):
        glyph_dataset("glyph")


def test_embedded_data_does_not_import_pyplot() -> None:
    code = (
        "import sys; from laminar.data.glyphs import glyph_item\n"
        "glyph_item('&'); print('matplotlib.pyplot' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
