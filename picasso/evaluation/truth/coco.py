"""Boxes in COCO's format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from picasso.evaluation.labeled_folder import Classes, abridged
from picasso.evaluation.metrics import TrueBoxes
from picasso.evaluation.truth.files import Images, Truth, excerpt, invalid, only, read_json, shown
from picasso.imaging import decode


def boxes(folder: Path, names: Sequence[str]) -> Truth[TrueBoxes]:
    """Return the objects in each image from the one file ``annotations.json`` or ``instances*.json`` of a folder.

    The file is in COCO's format, in the folder or in its subfolder ``annotations``. Its categories are matched with the
    classes of the model by name.

    Args:
        folder: the folder with the images.
        names: the class names in the order of the model's output.

    Raises:
        BadRequest: there is no such file or there are several, or one of its entries is invalid.
    """
    file = only(folder, ("annotations.json", "instances*.json", "annotations/instances*.json"), "boxes")
    name = decode.path_name(str(file))
    document = read_json(file, name)
    images, annotations, categories = (entries(document, key, name) for key in ("images", "annotations", "categories"))
    files = named(images, "image", "file_name", name)
    classes = category_classes(named(categories, "category", "name", name), annotations, names, name)
    found: dict[Any, list[tuple[list[float], int, bool]]] = {key: [] for key in files}
    for number, entry in enumerate(annotations):
        image = entry.get("image_id")
        if not is_key(image) or image not in files:
            raise invalid(f"{name}: annotation {number} has the image_id {excerpt(image)}, but no image has this id.")
        box, crowd = checked(entry, f"{name}: annotation {number}")
        found[image].append((box, classes[entry["category_id"]], crowd))
    truth: dict[str, TrueBoxes] = {}
    for key, objects in found.items():
        if files[key] in truth:
            raise invalid(f"{name}: two images have the file_name {shown(files[key])}.")
        truth[files[key]] = TrueBoxes(
            np.array([box for box, _, _ in objects], np.float64).reshape(-1, 4),
            np.array([index for _, index, _ in objects], np.int64),
            np.array([crowd for _, _, crowd in objects], bool),
        )
    return Images(folder).truth(truth, lambda image: f"{name}: the image {shown(image)}")


def entries(document: Any, key: str, file: str) -> list[dict[str, Any]]:
    """Return one of the lists of a document."""
    found = document.get(key) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise invalid(f"{file} must have a list of objects {key!r}, as in COCO's format.")
    return found


def named(found: list[dict[str, Any]], kind: str, key: str, file: str) -> dict[Any, str]:
    """Return the names of images or categories by their ids."""
    names: dict[Any, str] = {}
    for number, entry in enumerate(found):
        if not isinstance(entry.get(key), str) or not is_key(entry.get("id")):
            raise invalid(f"{file}: {kind} {number} must have an id and a {key}; it is {excerpt(entry)}.")
        if entry["id"] in names:
            raise invalid(f"{file}: {kind} {number} has the id {excerpt(entry['id'])} of another one.")
        names[entry["id"]] = entry[key]
    return names


def checked(entry: dict[str, Any], where: str) -> tuple[list[float], bool]:
    """Return the box of an annotation as left, top, right and bottom, and whether it is around several objects."""
    box, crowd = entry.get("bbox"), entry.get("iscrowd", 0)
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)) or min(box[2:]) < 0:
        raise invalid(f"{where} must have a bbox of four numbers, left, top, width and height; it is {excerpt(box)}.")
    if crowd not in (0, 1):
        raise invalid(f"{where} has the iscrowd {excerpt(crowd)}. Valid are 0 and 1.")
    left, top, width, height = map(float, box)
    return [left, top, left + width, top + height], bool(crowd)


def category_classes(
    labels: dict[Any, str], annotations: list[dict[str, Any]], names: Sequence[str], file: str
) -> dict[Any, int]:
    """Return the index of the class of each category that an annotation has, by its id."""
    known = Classes(names)
    found: dict[Any, int] = {}
    for number, entry in enumerate(annotations):
        key = entry.get("category_id")
        if not is_key(key) or key not in labels:
            raise invalid(
                f"{file}: annotation {number} has the category_id {excerpt(key)}, but no category has this id."
            )
        if key not in found:
            index = known.target(labels[key])
            if index is None:
                raise invalid(
                    f"{file}: the category {excerpt(labels[key])} is no class; the classes are {abridged(names)}."
                )
            found[key] = index
    return found


def is_key(value: object) -> bool:
    """Tell whether a value can be the id of an entry: an integer or a text."""
    return isinstance(value, int | str) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    # Pixels; this also excludes integers that no float can represent.
    return -1e9 <= value <= 1e9
