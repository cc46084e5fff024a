"""What the documents say of each other holds: links lead somewhere, everything can be reached, figures agree."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def anchors_of(page: Path) -> set[str]:
    """The names by which headings of a page are linked to."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = page if not path else page.parent / path
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            broken.append(target)
    assert broken == []


def test_every_guide_and_every_notebook_is_reached_from_the_readme() -> None:
    internal = {"index.md", "code_map.md", "architecture.md"}
    guides = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md") if page.name not in internal}
    notebooks = {f"nbs/{notebook.name}" for notebook in (ROOT / "nbs").glob("*.ipynb")}
    assert (guides | notebooks) - set(LINK.findall(README)) == set()


def test_every_extra_is_in_the_readme() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(project["optional-dependencies"]) - {"dev", "docs"}
    assert {extra for extra in extras if f"`{extra}`" not in README} == set()


def test_every_page_of_the_site_is_in_its_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not re.search(rf": {re.escape(page)}$", navigation, flags=re.MULTILINE)} == set()


def test_every_storey_has_a_page_of_reference() -> None:
    described = " ".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    storeys = {file.parent.name for file in (ROOT / "src" / "laminar").glob("*/__init__.py")} - {"studies"}
    assert {name for name in storeys if f"::: laminar.{name}\n" not in described} == set()


def test_the_figures_of_the_readme_are_those_of_the_page_of_benchmarks() -> None:
    table = README.split("## Measured")[1].split("\n## ")[0]
    figures = [cell.strip() for line in table.splitlines() if line.startswith("| ") for cell in line.split("|")[2:4]]
    numbers = [figure for figure in figures if figure[-1:].isdigit()]
    cells = {
        cell
        for row in re.findall(r"^\|(.+)\|$", (ROOT / "docs" / "benchmarks.md").read_text("utf-8"), re.MULTILINE)
        for cell in re.findall(r"\+?[\d.,]+", row)
    }
    assert numbers
    assert [number for number in numbers if number not in cells] == []
