"""``python -m laminar.verify FILE``: what an exported learner is made of, and whether it still predicts as it did.

No code comes from the file: what is neither laminar's nor importable by the caller cannot be verified here.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from laminar.core.errors import LaminarError
from laminar.learner import load_learner

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Load each file, and say what was found.

    Returns:
        0 if all of them predict what they did when they were written, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m laminar.verify", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what learn.export wrote")
    failed = 0
    for file in parser.parse_args(arguments).files:
        try:
            print(_verified(file))
        except LaminarError as error:
            failed = 1
            print(f"{file}: REFUSED\n  {error}", file=sys.stderr)
    return failed


def _verified(file: Path) -> str:
    learn = load_learner(file)
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        sizes = ", ".join(f"{info.filename} {info.file_size:,} bytes" for info in archive.infolist())
    golden = len((manifest.get("golden") or {}).get("items", ()))
    checks = f"{golden} golden items predict as they did" if golden else "it holds no golden items to predict"
    parameters = sum(parameter.numel() for parameter in learn.model.parameters())
    versions = ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())
    return (
        f"{file}: good\n  {checks}; digests agree; no pickle\n  {type(learn.model).__name__} of {parameters:,} "
        f"parameters; classes: {learn.dls.vocab}\n"
        f"  format {manifest['format_version']}, written by {versions}\n  {sizes}"
    )


if __name__ == "__main__":
    sys.exit(main())
