"""Which file is for what: each says so in its first line, and this puts the lines of all files together.

``python scripts/code_map.py`` prints the map; when the site is built, it goes into the page docs/code_map.md, of which
mkdocs lets this file know (`on_page_markdown`).
"""

import ast
import sys
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent.parent / "src" / "laminar"
PLACE = "<!-- the map -->"


def first_line(file: Path) -> str:
    """What a module's docstring says first: all of its first paragraph, on one line."""
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].split())


def packages() -> list[Path]:
    """The folders of the library, in the order of their names."""
    return sorted({file.parent for file in SOURCES.rglob("*.py")})


def code_map() -> str:
    """A heading for each folder, and under it a line for each file."""
    lines = []
    for package in packages():
        lines += [f"## {package.relative_to(SOURCES.parent)}/", "", first_line(package / "__init__.py"), ""]
        files = [file for file in sorted(package.glob("*.py")) if file.name != "__init__.py"]
        lines += [*(f"- `{file.name}`: {first_line(file)}" for file in files), ""]
    return "\n".join(lines)


def on_page_markdown(markdown: str, **_mkdocs: Any) -> str:
    """Called by mkdocs for each page: puts the map in its place."""
    return markdown.replace(PLACE, code_map()) if PLACE in markdown else markdown


if __name__ == "__main__":
    sys.stdout.write(code_map())
