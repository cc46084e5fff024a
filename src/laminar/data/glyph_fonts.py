"""The fonts that come with matplotlib: which of them can draw a character, and the character's shape in each."""

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from laminar.core.errors import DataError

__all__ = ["fonts_with", "glyph_shape"]

_UNICODE_FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-BoldOblique",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSansMono-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-BoldItalic",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralBolIta",
    "STIXGeneralItalic",
)
# Computer Modern's files use TeX's own encoding: only ASCII letters and digits are where Unicode has them.
_TEX_FONTS = ("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10")


def _font_path(font: str) -> Path:
    import matplotlib  # here, so that `import laminar` stays light; pyplot is never imported

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"


@cache
def _code_points(font: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(_font_path(font))).get_charmap())


@cache
def fonts_with(character: str) -> tuple[str, ...]:
    """The fonts that have a shape of their own for `character`, in a fixed order.

    Raises:
        DataError: no font has it (it would be drawn as an empty box).
    """
    fonts = tuple(font for font in _UNICODE_FONTS if ord(character) in _code_points(font))
    if character.isascii() and character.isalnum():
        fonts += _TEX_FONTS
    if not fonts:
        raise DataError(f"none of matplotlib's fonts can draw {character!r} (U+{ord(character):04X})")
    return fonts


@lru_cache(maxsize=512)
def glyph_shape(character: str, font: str, side: int) -> NDArray[np.uint8]:
    """How a font draws a character: its ink, cut to its bounds, the longer side `side` pixels long.

    Args:
        character: one character that `font` has (see `fonts_with`).
        font: name of a font file of matplotlib, without ending.
        side: pixels.

    Returns:
        Ink, 0 to 255, ``[height, width]``; do not write into it, it is shared.
    """
    left, top, right, bottom = _truetype(font, 128).getbbox(character)
    # Basic layout: the other engine (Raqm) is not in every build of Pillow, and pictures must not depend on it.
    face = _truetype(font, max(1, round(128 * side / max(right - left, bottom - top, 1))))
    left, top, right, bottom = face.getbbox(character)
    picture = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(picture).text((2 - left, 2 - top), character, fill=255, font=face)
    ink = picture.getbbox()
    if ink is None:
        raise DataError(f"{font} draws {character!r} (U+{ord(character):04X}) without any ink")
    picture = picture.crop(ink)
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    shape = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    shape.flags.writeable = False
    return shape


@lru_cache(maxsize=64)
def _truetype(font: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_font_path(font)), size, layout_engine=ImageFont.Layout.BASIC)
