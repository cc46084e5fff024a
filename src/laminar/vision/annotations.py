"""Boxes and classes from files of annotations."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from laminar.core.errors import DataError

__all__ = ["get_annotations"]

Box = list[float]


def get_annotations(
    fname: str | Path, prefix: str | Path | None = None
) -> tuple[list[str], list[tuple[list[Box], list[str]]]]:
    """Read boxes and classes in COCO's format.

    Args:
        fname: the JSON file.
        prefix: folder to put before the pictures' names.

    Returns:
        the names of the pictures that have boxes, in the file's order, and for each its boxes (x1, y1, x2, y2) and the
        names of their classes.

    Raises:
        DataError: the file is not in COCO's format.
    """
    content = json.loads(Path(fname).read_text(encoding="utf-8"))
    missing = [key for key in ("images", "annotations", "categories") if key not in content]
    if missing:
        raise DataError(f"{fname} is no file of annotations in COCO's format: it has no {', no '.join(missing)}")
    classes = {category["id"]: str(category["name"]) for category in content["categories"]}
    boxes: dict[object, list[Box]] = defaultdict(list)
    names: dict[object, list[str]] = defaultdict(list)
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        boxes[annotation["image_id"]].append([x, y, x + width, y + height])
        names[annotation["image_id"]].append(classes[annotation["category_id"]])
    pictures = [image for image in content["images"] if image["id"] in boxes]
    files = [str(image["file_name"] if prefix is None else Path(prefix) / image["file_name"]) for image in pictures]
    return files, [(boxes[image["id"]], names[image["id"]]) for image in pictures]
