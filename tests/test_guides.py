"""The programs in the guides run as they stand, page by page from top to bottom."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["data.md", "sources.md", "types.md", "training.md", "vision.md", "export.md"])
def test_every_program_of_the_guide_runs(page: str) -> None:
    text = (DOCS / page).read_text()
    names: dict[str, object] = {"__name__": "guide"}
    for block in BLOCK.finditer(text):
        line = text[: block.start(1)].count("\n")
        exec(compile("\n" * line + block[1], str(DOCS / page), "exec"), names)
