"""ARCHITECTURE.md can be held in the head and is true of the sources; files say themselves what they are for."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "laminar"
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
FILES = sorted(SOURCES.rglob("*.py"))
LONGEST_FILE = 400
# Lists of names, one a line, which nobody reads from top to bottom.
LISTS = {"basics.py"}


def lines_of(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def paragraphs_of_the_map() -> dict[str, str]:
    """What the code map says of each package: from its name in bold letters to the next."""
    code_map = TEXT.split("## Code map")[1].split("\n## ")[0]
    titled = re.split(r"^\*\*(.+?)\*\* ", code_map, flags=re.MULTILINE)
    return dict(zip(titled[1::2], titled[2::2], strict=True))


def folder_of(title: str) -> Path:
    return SOURCES if title == "laminar/" else SOURCES / title


def test_the_architecture_is_short_enough_to_be_read() -> None:
    assert len(TEXT.splitlines()) < 200


def test_every_folder_is_in_the_map() -> None:
    told = {folder_of(title) for title in paragraphs_of_the_map()}
    assert {file.parent for file in FILES} - told == set()


def test_the_map_names_no_file_that_is_gone() -> None:
    for title, text in paragraphs_of_the_map().items():
        gone = {name for name in re.findall(r"`([a-z_]+\.py)`", text) if not (folder_of(title) / name).exists()}
        assert not gone, f"{title} has no {sorted(gone)}"


def test_the_other_parts_name_no_file_that_is_gone() -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", TEXT))
    assert {name for name in named if not (SOURCES / name).exists() and not (ROOT / name).exists()} == set()


def test_the_list_of_files_is_made_of_what_each_says_first() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "code_map.py"], capture_output=True, text=True, check=True
    )
    said = dict(re.findall(r"^- `(\w+\.py)`: (.*)$", done.stdout, flags=re.MULTILINE))
    assert set(said) == {file.name for file in FILES} - {"__init__.py"}
    assert said["accumulate.py"] == "Gradient accumulation: large batches on small devices."
    sentence = re.compile(r"['`\w(].{10,250}[.?`]")
    silent = {name: words for name, words in said.items() if not sentence.fullmatch(words)}
    assert not silent, "say in the first line of the docstring, in a sentence, what the file is for"


def test_a_file_can_be_held_in_the_head() -> None:
    long = {file.name: len(lines_of(file)) for file in FILES if file.name not in LISTS}
    assert {name: lines for name, lines in long.items() if lines >= LONGEST_FILE} == {}


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
