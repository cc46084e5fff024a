"""What the notebooks in nbs/ show is of no particular machine."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "nbs").glob("*.ipynb"))
OF_A_MACHINE = re.compile(r"(/root|/home|/Users|/tmp|/var)/\S+|[A-Z]:\\Users")


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_outputs_show_no_path_of_a_machine_and_every_cell_was_run(file: Path) -> None:
    cells = [cell for cell in json.loads(file.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    texts = [
        "".join(text)
        for cell in cells
        for output in cell["outputs"]
        for text in [output.get("text", ""), *(v for k, v in output.get("data", {}).items() if k.startswith("text/"))]
    ]
    assert [found.group() for text in texts for found in OF_A_MACHINE.finditer(text)] == []
    assert all(cell["execution_count"] for cell in cells if cell["source"])
