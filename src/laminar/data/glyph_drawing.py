"""Draws glyphs on varied backgrounds, and knows exactly where they are: mask, box and key points of each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from laminar.data.glyph_fonts import fonts_with, glyph_shape

__all__ = ["POINT_NAMES", "Glyph", "GlyphItem", "draw_glyphs"]

POINT_NAMES = ("centre", "top_left", "top_right", "bottom_right", "bottom_left")

CONTRAST = 0.27  # least difference in luminance between a glyph's own colour and the background's, of 1
BACKGROUND_SWING = 0.3  # how much the background's luminance varies, of 1
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601

Floats = NDArray[Any]  # float32 on the canvas, float64 in the geometry


@dataclass(frozen=True, eq=False)
class Glyph:
    """One glyph as it stands in a picture; coordinates are in pixels, (0, 0) is the picture's upper left corner.

    Args:
        character: what it is.
        font: the font it was drawn with.
        box: left, top, right, bottom: the tight bounds of its mask, right and bottom exclusive.
        points: ``[5, 2]``, x and y of centre and corners (`POINT_NAMES`) of the frame that the glyph filled before it
            was turned; so they tell where it is, how large and how far turned.
    """

    character: str
    font: str
    box: tuple[int, int, int, int]
    points: Floats


@dataclass(frozen=True, eq=False)
class GlyphItem:
    """A picture of glyphs and all that is known about it.

    Args:
        image: ``[size, size, 3]``, uint8.
        mask: ``[size, size]``, uint8: 0 is background, k the k-th glyph.
        glyphs: what stands where, in the mask's order.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    glyphs: tuple[Glyph, ...]


def draw_glyphs(
    characters: Sequence[str], size: int, random: Generator, *, extent: tuple[float, float] = (0.45, 0.85)
) -> GlyphItem:
    """Draw a picture with these characters, at places where they do not overlap.

    A character for which no free place is found is left out; the first always has one.

    Args:
        characters: which to draw.
        size: the picture's side in pixels.
        random: where everything that varies is drawn from.
        extent: smallest and largest length of a glyph's longer side, as a share of the picture's side.
    """
    canvas, light = _background(size, random)
    mask = np.zeros((size, size), np.uint8)
    glyphs: list[Glyph] = []
    for character in characters:
        placed = _place(character, size, random, extent, mask > 0)
        if placed is None:
            continue
        font, alpha, points = placed
        _paint(canvas, alpha, light, random)
        here = alpha >= 0.5 * alpha.max()  # thin strokes of a small glyph may cover no pixel whole
        mask[here] = len(glyphs) + 1
        glyphs.append(Glyph(character, font, _bounds(here), points))
    return GlyphItem(_develop(canvas, random), mask, tuple(glyphs))


def _background(size: int, random: Generator) -> tuple[Floats, float]:
    """A background ``[size, size, 3]``, 0 to 1, and its middle luminance, from which it departs by half a swing."""
    pattern = _pattern(size, random)
    if random.random() < 0.5:
        share = random.uniform(0.2, 0.6)
        pattern = (1 - share) * pattern + share * _pattern(size, random)
    light = random.uniform(0.05, 0.95)
    tint = random.uniform(-0.35, 0.35, (2, 3))
    tint -= (tint @ LUMINANCE)[:, None]  # colour only: the luminance is ours to choose
    swing = BACKGROUND_SWING * random.uniform(0.2, 1.0)
    ends = (light - swing / 2 + tint[0], light + swing / 2 + tint[1])
    return _between(*ends, pattern), light


def _between(first: Floats, second: Floats, pattern: Floats) -> Floats:
    """Colours ``[size, size, 3]`` from `first` where the pattern is 0 to `second` where it is 1."""
    colours: Floats = first.astype(np.float32) + pattern[..., None] * (second - first).astype(np.float32)
    return colours


def _pattern(size: int, random: Generator) -> Floats:
    """A texture ``[size, size]``, 0 to 1: slope, rings, cloud, stripes, checks, dots or grain."""
    y, x = _coordinates(size)
    angle = random.uniform(0, 2 * np.pi)
    cos, sin = math.cos(angle), math.sin(angle)
    along, across = cos * x + sin * y, cos * y - sin * x
    waves = random.uniform(2, 9)
    pattern: Floats
    match int(random.integers(8)):
        case 0:
            pattern = np.clip(along + 0.5, 0, 1)
        case 1:
            from_middle = np.hypot(x - random.uniform(-0.5, 0.5), y - random.uniform(-0.5, 0.5))
            pattern = from_middle / from_middle.max()
        case 2 | 3:
            pattern = _cloud(size, int(random.integers(3, 9)), random)
        case 4:
            pattern = 0.5 + 0.5 * np.sin(2 * np.pi * waves * along)
        case 5:
            pattern = (np.floor(waves * along) + np.floor(waves * across)) % 2
        case 6:
            pattern = np.clip(2 * np.sin(2 * np.pi * waves * along) * np.sin(2 * np.pi * waves * across), 0, 1)
        case _:
            pattern = random.random((size, size), np.float32)
    return pattern


@cache
def _coordinates(size: int) -> tuple[Floats, Floats]:
    """Rows ``[size, 1]`` and columns ``[1, size]`` from -0.5 to 0.5; float32, as the whole canvas: twice as fast."""
    steps = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    return steps[:, None], steps[None, :]


def _cloud(size: int, cells: int, random: Generator) -> Floats:
    coarse = Image.fromarray(random.random((cells, cells), np.float32))
    cloud: Floats = np.clip(np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)), 0, 1)
    return cloud


def _place(
    character: str, size: int, random: Generator, extent: tuple[float, float], taken: NDArray[np.bool_]
) -> tuple[str, Floats, Floats] | None:
    """Choose font, form and place of a glyph.

    Returns:
        Font, opacity ``[size, size]`` from 0 to 1 and points ``[5, 2]``; None where 20 tries found no free place.
    """
    fonts = fonts_with(character)
    font = fonts[random.integers(len(fonts))]
    shape = glyph_shape(character, font, 1 << (2 * size - 1).bit_length())
    form = _form(shape.shape, size * random.uniform(*extent), random)
    corners = form @ np.array([[0, -1, 1, 1, -1], [0, -1, -1, 1, 1]]) * 0.5
    reach = np.abs(corners).max(axis=1) + 1.0
    if (excess := 2 * reach.max() / size) > 1:  # turned, it would not fit: smaller
        form, corners, reach = form / excess, corners / excess, reach / excess
    for _ in range(20):
        middle = random.uniform(reach, np.maximum(size - reach, reach))
        points = (corners + middle[:, None]).T
        left, top = np.floor(points.min(axis=0) - 1).astype(int)
        right, bottom = np.ceil(points.max(axis=0) + 1).astype(int)
        if not taken[max(top, 0) : bottom, max(left, 0) : right].any():
            return font, _opacity(shape, form, middle, size), points
    return None


def _form(shape: tuple[int, ...], side: float, random: Generator) -> Floats:
    """The linear map ``[2, 2]`` from the glyph's frame (a unit square) to pixels: size, proportion, slant and turn."""
    height, width = shape
    stretch = random.uniform(0.85, 1.18)
    turn = np.deg2rad(random.uniform(-20, 20))
    slant = random.uniform(-0.2, 0.2)
    scale = side / max(height, width)
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shear = np.array([[1, slant], [0, 1]])
    form: Floats = rotate @ shear @ np.diag([width * scale * np.sqrt(stretch), height * scale / np.sqrt(stretch)])
    return form


def _opacity(shape: NDArray[np.uint8], form: Floats, middle: Floats, size: int) -> Floats:
    """Resample a glyph's ink to its place in the picture: ``[size, size]``, 0 to 1, drawn at twice the size."""
    height, width = shape.shape
    back = np.diag([width, height]) @ np.linalg.inv(form)  # from picture to ink, around the middles
    shift = np.array([width, height]) / 2 - back @ middle
    matrix = np.hstack([back / 2, shift[:, None]])
    margin = 1  # else the ink at the rim has nothing to fade into
    padded = np.pad(shape, margin)
    matrix[:, 2] += margin
    ink = Image.fromarray(padded).transform(
        (2 * size, 2 * size), Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BILINEAR
    )
    return np.asarray(ink.reduce(2), np.float32) / 255


def _paint(canvas: Floats, alpha: Floats, light: float, random: Generator) -> None:
    """Lay a glyph of a colour that stands out onto the canvas (changes `canvas`)."""
    size = len(canvas)
    gap = BACKGROUND_SWING / 2 + CONTRAST
    rooms = [(light + gap, 1.0), (0.0, light - gap)]
    low, high = max(rooms, key=lambda room: room[1] - room[0])
    if random.random() < 0.4 and min(room[1] - room[0] for room in rooms) > 0:
        low, high = min(rooms, key=lambda room: room[1] - room[0])
    ends = random.uniform(low, high, 2) if high > low else np.full(2, (low + high) / 2)
    tint = random.uniform(-0.4, 0.4, (2, 3))
    tint -= (tint @ LUMINANCE)[:, None]
    colours = ends[:, None] + tint
    if random.random() < 0.6:
        colour = colours[0].astype(np.float32)
    else:
        colour = _between(colours[0], colours[1], _pattern(size, random))
    if random.random() < 0.3:
        _cast_shadow(canvas, alpha, random)
    canvas += alpha[..., None] * (colour - canvas)


def _cast_shadow(canvas: Floats, alpha: Floats, random: Generator) -> None:
    """Darken the canvas beside the glyph (changes `canvas`)."""
    across, down = random.integers(-2, 3, 2)
    shadow = np.roll(alpha, (down, across), (0, 1))
    canvas *= 1 - float(random.uniform(0.15, 0.35)) * shadow[..., None]


def _bounds(here: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _develop(canvas: Floats, random: Generator) -> NDArray[np.uint8]:
    """Bytes from the canvas, as a camera that is not perfect sees it: a little out of focus, with noise."""
    picture = Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))
    if random.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.2, 0.9) * len(canvas) / 64))
    grain = random.standard_normal(canvas.shape, np.float32) * float(255 * random.uniform(0.0, 0.06))
    image: NDArray[np.uint8] = np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)
    return image
