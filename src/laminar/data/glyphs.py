"""Embedded data: pictures of glyphs in matplotlib's own fonts, with classes, masks, boxes and key points.

A picture is a pure function of (seed, character, number): the same whatever else is made with it, before it or after.
`glyph_dataset` makes a named set in the user's cache folder, in seconds and offline; `make_glyphs` and
`make_glyph_scenes` make sets of your own.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator, Philox, SeedSequence
from PIL import Image

from laminar.core.errors import ConfigError, DataError, suggest
from laminar.data.cache import cache_folder, made_once
from laminar.data.glyph_characters import DEMO_CHARACTERS, PRETRAINING_CHARACTERS, character_of, class_name
from laminar.data.glyph_drawing import POINT_NAMES, Glyph, GlyphItem, draw_glyphs

__all__ = [
    "GENERATOR_VERSION",
    "GLYPH_SETS",
    "GlyphScenes",
    "GlyphSet",
    "glyph_dataset",
    "glyph_item",
    "glyph_scene",
    "make_glyph_scenes",
    "make_glyphs",
]

GENERATOR_VERSION = 1
"""Counts up whenever the same address would give another picture: sets in the cache are then made anew."""

JPEG_QUALITY = 92


@dataclass(frozen=True)
class GlyphSet:
    """A set of pictures with one glyph each, in a folder for each class.

    Args:
        characters: the classes.
        per_class: training pictures of each class.
        valid_per_class: validation pictures of each class.
        size: the pictures' side in pixels.
        seed: another seed gives other pictures.
        masks: write a mask for each picture as well.
    """

    characters: str
    per_class: int
    valid_per_class: int
    size: int = 64
    seed: int = 0
    masks: bool = False


@dataclass(frozen=True)
class GlyphScenes:
    """A set of pictures with several glyphs each: for masks, boxes, key points and several labels.

    Args:
        characters: the classes.
        train: number of training pictures.
        valid: number of validation pictures.
        size: the pictures' side in pixels.
        seed: another seed gives other pictures.
    """

    characters: str
    train: int
    valid: int
    size: int = 96
    seed: int = 0


GLYPH_SETS: Mapping[str, GlyphSet | GlyphScenes] = {
    "glyphs": GlyphSet("".join(DEMO_CHARACTERS.values()), per_class=20, valid_per_class=20),
    "glyphs_tiny": GlyphSet("&⚓♥★", per_class=8, valid_per_class=4, size=32),
    "glyphs_pretrain": GlyphSet(PRETRAINING_CHARACTERS, per_class=50, valid_per_class=4),
    "glyph_scenes": GlyphScenes("&⚓♥?★☂☎♫", train=240, valid=60),
    "glyph_scenes_tiny": GlyphScenes("&⚓♥★", train=12, valid=4, size=48),
}
"""The named sets. ``glyphs`` and ``glyphs_pretrain`` have no class in common."""


def glyph_item(character: str, number: int = 0, *, size: int = 64, seed: int = 0) -> GlyphItem:
    """Draw picture `number` of a character.

    Args:
        character: a character, or the name of its class (``"anchor"``).
        number: which of its pictures, from 0.
        size: the picture's side in pixels.
        seed: another seed gives other pictures.

    Raises:
        DataError: no such class, or no font can draw the character.

    >>> item = glyph_item("anchor", 3)
    >>> item.image.shape, item.mask.shape, item.glyphs[0].character
    ((64, 64, 3), (64, 64), '⚓')
    """
    character = character_of(character)
    return draw_glyphs([character], size, _random_at(seed, "item", ord(character), number))


def glyph_scene(characters: str, number: int = 0, *, size: int = 96, seed: int = 0) -> GlyphItem:
    """Draw scene `number`: one to five glyphs out of `characters`, which do not overlap."""
    random = _random_at(seed, "scene", *map(ord, characters), number)
    chosen = random.choice(len(characters), random.integers(1, 6))
    return draw_glyphs([characters[index] for index in chosen], size, random, extent=(0.2, 0.42))


def _random_at(seed: int, kind: str, *address: int) -> Generator:
    """A generator that depends on the address alone."""
    return Generator(Philox(SeedSequence([seed, *kind.encode(), *address])))


def glyph_dataset(name: str) -> Path:
    """The folder of a named set (`GLYPH_SETS`) in the user's cache; made now if it is not there.

    Raises:
        DataError: no set has that name.
    """
    if name not in GLYPH_SETS:
        raise DataError(
            f"no glyph set is called {name!r}.{suggest(name, GLYPH_SETS)} There are: {', '.join(GLYPH_SETS)}."
        )
    wanted = GLYPH_SETS[name]
    recipe = {"generator": GENERATOR_VERSION, **asdict(wanted)}
    return made_once(cache_folder() / "data" / name, recipe, lambda folder: _make(folder, wanted))


def _make(folder: Path, wanted: GlyphSet | GlyphScenes) -> None:
    if isinstance(wanted, GlyphSet):
        make_glyphs(folder, wanted.characters, **{k: v for k, v in asdict(wanted).items() if k != "characters"})
    else:
        make_glyph_scenes(folder, wanted.characters, **{k: v for k, v in asdict(wanted).items() if k != "characters"})


def make_glyphs(
    folder: str | Path,
    classes: Sequence[str] | str,
    *,
    per_class: int = 20,
    valid_per_class: int = 20,
    size: int = 64,
    seed: int = 0,
    masks: bool = False,
) -> Path:
    """Write pictures with one glyph each: ``train/<class>/00000.jpg`` and so on, the same for ``valid``.

    Beside them ``labels.csv`` (file, label, is_valid, box and key points in pixels) and, if asked, ``masks/`` with a
    PNG for each picture (0 background, then the classes in the order of ``codes.txt``).

    Args:
        folder: where to; created if need be.
        classes: characters, or names of classes.
        per_class: training pictures of each class.
        valid_per_class: validation pictures of each class; their numbers follow those of the training pictures.
        size: the pictures' side in pixels.
        seed: another seed gives other pictures.
        masks: write masks as well.

    Returns:
        `folder`.

    Raises:
        ConfigError: more classes than a mask can hold.
        DataError: a class that no font can draw.
    """
    folder, characters = Path(folder), _characters(classes)
    folder.mkdir(parents=True, exist_ok=True)
    codes = _write_codes(folder, characters) if masks else []
    rows: list[dict[str, object]] = []
    for character in characters:
        for number in range(per_class + valid_per_class):
            split = "train" if number < per_class else "valid"
            file = Path(split, class_name(character), f"{number:05d}.jpg")
            item = glyph_item(character, number, size=size, seed=seed)
            _write_picture(folder / file, item)
            if masks:
                _write_mask(folder / "masks" / file.with_suffix(".png"), item, codes)
            rows.append(_row(file, item.glyphs[0], is_valid=split == "valid"))
    _write_table(folder / "labels.csv", rows)
    return folder


def make_glyph_scenes(
    folder: str | Path,
    classes: Sequence[str] | str,
    *,
    train: int = 240,
    valid: int = 60,
    size: int = 96,
    seed: int = 0,
) -> Path:
    """Write pictures with several glyphs each: ``images/00000.jpg`` and ``masks/00000.png`` and so on.

    Beside them ``codes.txt`` (what the mask's values mean: background, then the classes), ``labels.csv`` (file, labels
    separated by spaces, is_valid), and ``train.json`` and ``valid.json`` with boxes and key points in COCO's format.

    Args:
        folder: where to; created if need be.
        classes: characters, or names of classes.
        train: number of training pictures.
        valid: number of validation pictures; their numbers follow those of the training pictures.
        size: the pictures' side in pixels.
        seed: another seed gives other pictures.

    Returns:
        `folder`.

    Raises:
        ConfigError: more classes than a mask can hold.
        DataError: a class that no font can draw.
    """
    folder, characters = Path(folder), _characters(classes)
    folder.mkdir(parents=True, exist_ok=True)
    codes = _write_codes(folder, characters)
    items = [glyph_scene("".join(characters), number, size=size, seed=seed) for number in range(train + valid)]
    rows: list[dict[str, object]] = []
    for number, item in enumerate(items):
        file = Path("images", f"{number:05d}.jpg")
        _write_picture(folder / file, item)
        _write_mask(folder / "masks" / f"{number:05d}.png", item, codes)
        labels = sorted({class_name(glyph.character) for glyph in item.glyphs})
        rows.append({"file": file.as_posix(), "labels": " ".join(labels), "is_valid": number >= train})
    _write_table(folder / "labels.csv", rows)
    _write_annotations(folder / "train.json", items, range(train), codes)
    _write_annotations(folder / "valid.json", items, range(train, train + valid), codes)
    return folder


def _characters(classes: Sequence[str] | str) -> list[str]:
    return [character_of(name) for name in classes]


def _write_codes(folder: Path, characters: Sequence[str]) -> list[str]:
    """Write what the values of masks mean, and return the names in their order."""
    if len(characters) > 255:
        raise ConfigError(
            f"{len(characters)} classes, but a mask holds at most 255 beside the background; ask for fewer"
        )
    codes = ["background", *map(class_name, characters)]
    (folder / "codes.txt").write_text("\n".join(codes) + "\n", encoding="utf-8")
    return codes


def _write_picture(file: Path, item: GlyphItem) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(item.image).save(file, quality=JPEG_QUALITY)


def _write_mask(file: Path, item: GlyphItem, codes: Sequence[str]) -> None:
    """Write a mask with the class at each pixel (the item's own mask has the number of the glyph)."""
    values = np.array([0, *(codes.index(class_name(glyph.character)) for glyph in item.glyphs)], np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values[item.mask]).save(file)


def _row(file: Path, glyph: Glyph, *, is_valid: bool) -> dict[str, object]:
    row: dict[str, object] = {"file": file.as_posix(), "label": class_name(glyph.character), "is_valid": is_valid}
    row |= dict(zip(("left", "top", "right", "bottom"), glyph.box, strict=True))
    for name, (x, y) in zip(POINT_NAMES, glyph.points, strict=True):
        row |= {f"{name}_x": round(float(x), 2), f"{name}_y": round(float(y), 2)}
    return row


def _write_table(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        table = csv.DictWriter(opened, list(rows[0]) if rows else ["file"])
        table.writeheader()
        table.writerows(rows)


def _write_annotations(file: Path, items: Sequence[GlyphItem], numbers: range, codes: Sequence[str]) -> None:
    """Write boxes and key points of some of the items in COCO's format (Lin et al., 2014)."""
    annotations = [
        {
            "image_id": number,
            "category_id": codes.index(class_name(glyph.character)),
            "bbox": [glyph.box[0], glyph.box[1], glyph.box[2] - glyph.box[0], glyph.box[3] - glyph.box[1]],
            "area": int((items[number].mask == place).sum()),
            "keypoints": [value for x, y in glyph.points for value in (round(float(x), 2), round(float(y), 2), 2)],
            "num_keypoints": len(POINT_NAMES),
            "iscrowd": 0,
        }
        for number in numbers
        for place, glyph in enumerate(items[number].glyphs, start=1)
    ]
    images = [
        {"id": number, "file_name": f"{number:05d}.jpg", "height": height, "width": width}
        for number in numbers
        for height, width in [items[number].mask.shape]
    ]
    categories = [{"id": index, "name": name, "keypoints": POINT_NAMES} for index, name in enumerate(codes) if index]
    numbered = [{"id": index, **annotation} for index, annotation in enumerate(annotations, start=1)]
    file.write_text(json.dumps({"images": images, "annotations": numbered, "categories": categories}), encoding="utf-8")
