"""ARCHITECTURE.md says what is true of the sources: each file has its words in the map, and each word its file."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "laminar"
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def paragraphs_of_the_map() -> dict[str, str]:
    """What the code map says of each package: from its name in bold letters to the next."""
    code_map = TEXT.split("## Code map")[1].split("\n## ")[0]
    titled = re.split(r"^\*\*(.+?)\*\* ", code_map, flags=re.MULTILINE)
    return dict(zip(titled[1::2], titled[2::2], strict=True))


def files_of(package: Path) -> set[str]:
    return {file.name for file in package.glob("*.py") if file.name != "__init__.py"}


def test_every_file_has_its_words_in_the_map_where_one_looks_for_it() -> None:
    told = paragraphs_of_the_map()
    missing = []
    for package in [SOURCES, *sorted(path.parent for path in SOURCES.rglob("*/__init__.py"))]:
        title = f"{package.relative_to(SOURCES)}/" if package != SOURCES else "laminar/"
        missing += [f"{title}{name}" for name in files_of(package) if f"`{name}`" not in told.get(title, "")]
    assert not missing, f"say in the code map of ARCHITECTURE.md, in a few words, what these are for: {sorted(missing)}"


def test_the_map_names_no_file_that_is_gone() -> None:
    for title, text in paragraphs_of_the_map().items():
        package = SOURCES if title == "laminar/" else SOURCES / title
        named = set(re.findall(r"`([a-z_]+\.py)`", text))
        assert named <= files_of(package), f"{title} has no {sorted(named - files_of(package))}"


def test_lines_can_be_read() -> None:
    tables = ("|", "```")
    long = [line for line in TEXT.splitlines() if len(line) >= 130 and not line.startswith(tables)]
    assert not long


def test_no_text_holds_a_merge_that_was_never_resolved() -> None:
    texts = [path for kind in ("*.md", "src/**/*.py", "docs/**/*.md", "tests/**/*.py") for path in ROOT.glob(kind)]
    left = re.compile(r"^(<{7}|>{7}) ", flags=re.MULTILINE)
    assert [str(path) for path in texts if left.search(path.read_text(encoding="utf-8"))] == []


def test_attributes_are_looked_up_elsewhere_only_where_the_invariants_say() -> None:
    invariant = re.search(r"^- No `__getattr__` but .*?(?=^- )", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert invariant is not None
    defining = {
        str(file.relative_to(SOURCES))
        for file in SOURCES.rglob("*.py")
        if re.search(r"def __getattr(ibute)?__\(", file.read_text(encoding="utf-8"))
    }
    assert set(re.findall(r"`([a-z_/]+\.py)`", invariant.group())) == defining
