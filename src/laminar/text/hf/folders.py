"""What is said of a name or a folder in which transformers finds no model, or no tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["no_such"]

_NAMED = 6  # files of a folder that are named in a message


def no_such(what: str, given: str | Path, files: Sequence[str], error: Exception) -> str:
    """The message: of a folder without the files that make it one, what it holds; else what transformers says.

    Args:
        what: was looked for.
        given: the name or the folder.
        files: of which a folder with such a thing has at least one.
        error: what transformers raised.
    """
    folder = Path(given)
    if folder.is_file():
        return f"there is no {what} {str(given)!r}: it is a file. Pass the folder, as save_pretrained wrote it."
    if not folder.exists() and (folder.is_absolute() or len(folder.parts) > 2 or str(given).startswith(".")):
        return f"there is no {what} {str(given)!r}: there is no such folder, and it is no name either."
    if not folder.is_dir() or any((folder / name).exists() for name in files):
        return f"there is no {what} {str(given)!r}: {error}"
    there = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    holds = ", ".join(there[:_NAMED]) + (", ..." if len(there) > _NAMED else "")
    return (
        f"there is no {what} in the folder {str(given)!r}: it has no {' and no '.join(files)}. It holds: "
        f"{holds or 'nothing'}. learn.save_pretrained(folder) writes both, model and tokenizer."
    )
