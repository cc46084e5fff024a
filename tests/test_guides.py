"""The programs in the guides run as they stand, page by page from top to bottom."""

import re
from pathlib import Path

import pytest

from laminar.vision import augment, crop, erasing, turning

DOCS = Path(__file__).parent.parent / "docs"
NO_STEPS = {"CutTransform", "Augment", "DeterministicDraw", "PadMode", "ResizeMethod"}  # what steps are made of
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


PAGES = [
    *[
        "data.md",
        "sources.md",
        "types.md",
        "training.md",
        "telemetry.md",
        "vision.md",
        "augmentation.md",
        "interpretation.md",
        "reliability.md",
    ],
    *["export.md", "text.md", "huggingface.md", "huggingface_tasks.md"],
]


@pytest.mark.parametrize("page", PAGES)
def test_every_program_of_the_guide_runs(page: str) -> None:
    text = (DOCS / page).read_text()
    names: dict[str, object] = {"__name__": "guide"}
    for block in BLOCK.finditer(text):
        line = text[: block.start(1)].count("\n")
        exec(compile("\n" * line + block[1], str(DOCS / page), "exec"), names)


def test_every_picture_of_an_augmentation_is_on_its_page_and_has_been_drawn() -> None:
    text = (DOCS / "augmentation.md").read_text()
    shown = set(re.findall(r"\(images/augment/(\w+\.jpg)\)", text))
    assert shown == {file.name for file in (DOCS / "images" / "augment").iterdir()}
    steps = {name for module in (augment, crop, turning, erasing) for name in module.__all__ if name[0].isupper()}
    assert {name for name in steps - NO_STEPS if f"`{name}" not in text} == set()
