"""A name that star imports of fastai give is in ours, or on the page for those who come from there."""

import re
from pathlib import Path

import pytest

import laminar.text.all
import laminar.vision.all

PAGE = (Path(__file__).parents[2] / "docs" / "coming_from_fastai.md").read_text(encoding="utf-8")
LISTED = Path(__file__).with_name("names_of_fastai.txt").read_text(encoding="utf-8")
NAMES = {
    module: names.split() for module, names in re.findall(r"^([\w.]+): (.+(?:\n  .+)*)$", LISTED, flags=re.MULTILINE)
}
OURS = {*laminar.vision.all.__all__, *laminar.text.all.__all__}
TOLD = set(re.findall(r"\w+", PAGE))


@pytest.mark.parametrize("module", NAMES)
def test_every_name_is_ours_or_told_of(module: str) -> None:
    missing = [name for name in NAMES[module] if name not in OURS and name not in TOLD]
    assert not missing, "add a row to docs/coming_from_fastai.md, or the name to our star imports"


def test_what_the_page_calls_missing_is_missing() -> None:
    gone = PAGE.split("## Names that are not here")[1].split("\n## Moving")[0]
    first_cells = "".join(re.findall(r"^\| (.+?) \| ", gone, flags=re.MULTILINE)) + gone.split("## Not there yet")[1]
    told = set(re.findall(r"`(\w+)`", first_cells))
    fastais = {name for names in NAMES.values() for name in names}
    assert (told & fastais) & OURS == set()
