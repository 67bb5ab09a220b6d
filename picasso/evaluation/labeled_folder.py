"""Folders of labelled images, with one subfolder for each class, and the accuracy of a model on them."""

from __future__ import annotations

import dataclasses
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import overload

from picasso.errors import BadRequest
from picasso.evaluation.image_files import ImageFiles, images_below
from picasso.evaluation.outputs import Progress, outputs_of
from picasso.imaging import decode
from picasso.models.base import Model
from picasso.models.preprocessing import RANGES
from picasso.targets.class_names import by_name

# The maximum number of characters of a path. It bounds the work, because each part of a path is looked up.
MAX_PATH_LENGTH = 4_000
# The maximum number of images on which value ranges are compared.
TRIED = 100


@dataclass(frozen=True)
class LabeledImage:
    """An image and the index of its class."""

    file: Path
    target: int


class LabeledImages(Sequence[LabeledImage]):
    """The images in folders of classes; each is made when it is asked for, so that a million take little memory.

    Args:
        folders: the files of each folder, with the index of their class.
    """

    def __init__(self, folders: Sequence[tuple[int, Sequence[Path]]]) -> None:
        self._folders = [(target, files) for target, files in folders if len(files)]
        self._ends = list(accumulate(len(files) for _, files in self._folders))

    @property
    def by_class(self) -> dict[int, Sequence[Path]]:
        """The files of each class."""
        found: dict[int, Sequence[Path]] = {}
        for target, files in self._folders:
            # Hardly ever: a class has a folder of its name and one of its number.
            found[target] = [*found[target], *files] if target in found else files
        return found

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> LabeledImage: ...
    @overload
    def __getitem__(self, index: slice) -> list[LabeledImage]: ...
    def __getitem__(self, index: int | slice) -> LabeledImage | list[LabeledImage]:
        if isinstance(index, slice):
            return [self[one] for one in range(len(self))[index]]
        place = range(len(self))[index]
        number = bisect_right(self._ends, place)
        target, files = self._folders[number]
        return LabeledImage(files[place - self._ends[number]], target)


def files_by_class(images: Sequence[LabeledImage]) -> dict[int, Sequence[Path]]:
    """Return the files of each class, in the order of the images."""
    if isinstance(images, LabeledImages):
        return images.by_class
    found: dict[int, list[Path]] = {}
    for one in images:
        found.setdefault(one.target, []).append(one.file)
    return dict(found)


class Files(Sequence[Path]):
    """The files of labelled images.

    Args:
        images: the images.
    """

    def __init__(self, images: Sequence[LabeledImage]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> list[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | list[Path]:
        if isinstance(index, slice):
            return [one.file for one in self._images[index]]
        return self._images[index].file


@dataclass(frozen=True)
class ClassAccuracy:
    """The accuracy of a model on the images of one class.

    Attributes:
        name: the name of the class.
        images: the number of images that could be read.
        right: the number of correct predictions.
        mistaken_for: the name of the most frequent wrong prediction, or "".
    """

    name: str
    images: int
    right: int
    mistaken_for: str = ""


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of a model on a labelled folder.

    Attributes:
        classes: the accuracy of each class that has images, in the order of the model's output.
        unreadable: a sentence for each image that could not be read.
        answered: the index of the class and of the predicted class, for each image that could be read.
    """

    classes: tuple[ClassAccuracy, ...]
    unreadable: tuple[str, ...] = ()
    answered: tuple[tuple[int, int], ...] = ()

    @property
    def images(self) -> int:
        """Return the number of images that could be read."""
        return sum(share.images for share in self.classes)

    @property
    def right(self) -> int:
        """Return the number of correct predictions."""
        return sum(share.right for share in self.classes)

    @property
    def fraction(self) -> float:
        """Return the accuracy, 0..1."""
        return self.right / max(1, self.images)

    def near_chance(self, classes: int) -> bool:
        """Tell whether the accuracy is at most two standard deviations above that of guessing among ``classes``."""
        chance = 1 / classes
        return self.right <= self.images * chance + 2 * math.sqrt(self.images * chance * (1 - chance))


class Classes:
    """The classes of a model, and their lookup by the name of a folder.

    Args:
        names: the class names in the order of the model's output.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._as_written = by_name(names)
        self._by_name = by_name([plain(name) for name in names])

    def target(self, folder: str) -> int | None:
        """Return the index of the class that a folder is named after, or None if there is none.

        An exact name takes precedence over a similar one (see :func:`plain`), and a name over an index.

        Raises:
            BadRequest: several classes have the name.
        """
        # "-1" is no class, rather than class 1 with a hyphen before it.
        spelled = [] if re.match(r"\s*-\s*\d", folder) else self._by_name.get(plain(folder))
        same = self._as_written.get(folder) or spelled or []
        if len(same) > 1:
            raise BadRequest(
                f"The folder {decode.display_name(folder)} has the name of {len(same)} classes: "
                f"{', '.join(map(str, same[:10]))}. Call it by the number of the right one.",
                field="folder",
            )
        if same:
            return same[0]
        # Python refuses to parse integers with thousands of digits.
        numbered = folder.isdecimal() and len(folder) < 10 and int(folder) < len(self.names)
        return int(folder) if numbered else None

    def innermost(self, path: str) -> int:
        """Return the index of the class of the innermost folder named after one: ``tank`` in ``images/tank/sunny``.

        Raises:
            BadRequest: no folder of the path is named after a class, or the path is too long.
        """
        if len(path) > MAX_PATH_LENGTH:
            raise BadRequest(f"The path of a folder has at most {MAX_PATH_LENGTH:,} characters.", field="folder")
        for part in reversed(path.split("/")):
            if (target := self.target(part)) is not None:
                return target
        raise self.unknown(decode.display_name(path))

    def unknown(self, folder: Path | str, folders: Sequence[str] = ()) -> BadRequest:
        """Return the error for a folder that is not named after a class.

        Args:
            folder: the folder.
            folders: the names of all subfolders, including this one, sorted as text.
        """
        hint = ""
        if len(folders) == len(self.names) and self.names == [str(index) for index in range(len(self.names))]:
            hint = (
                " No labels are known. If the model was trained on these folders by Keras, its classes are in the "
                f"order {abridged(folders)}: write their names into a file of labels in this order."
            )
        known = abridged(self.names)
        return BadRequest(
            f"The folder {folder} is named after no class; the classes are {known}.{hint}", field="folder"
        )


def find(model: Model, folder: Path) -> LabeledImages:
    """Return the images in the subfolders of ``folder``, each of which is named after a class or its index.

    Raises:
        BadRequest: the folder is missing or contains no images, or a subfolder is not named after a class.
    """
    named, by_folder = Classes([str(name) for name in model.class_names()]), images_by_folder(folder)
    found = []
    for subfolder, files in by_folder.items():
        target = named.target(subfolder.name)
        if target is None:
            raise named.unknown(subfolder, [path.name for path in by_folder])
        found.append((target, files))
    if not any(len(files) for _, files in found):
        raise without_images(folder)
    return LabeledImages(found)


def images_by_folder(folder: Path) -> dict[Path, ImageFiles]:
    """Return the images in each subfolder of ``folder`` and below, sorted.

    Raises:
        BadRequest: there is no such folder.
    """
    if not folder.is_dir():
        raise BadRequest(f"There is no folder {folder}.", field="folder")
    # Sorted by name as text, as in Keras.
    subfolders = sorted(
        (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")),
        key=lambda path: path.name,
    )
    return {subfolder: images_below(subfolder) for subfolder in subfolders}


def without_images(folder: Path) -> BadRequest:
    """Return the error for a folder whose subfolders contain no images."""
    return BadRequest(
        f"There are no images in subfolders of {folder}; it takes one folder for each class.", field="folder"
    )


def measure(model: Model, images: Sequence[LabeledImage], progress: Progress = lambda fraction: None) -> Accuracy:
    """Return the accuracy of a model on images, by its most probable class for each.

    Args:
        model: the model.
        images: the images.
        progress: a function that is called with the fraction of the images that are done, 0..1.

    Raises:
        ModelError: the model fails, or none of the images can be read.
    """
    answers: dict[int, list[int]] = {target: [] for target in sorted(files_by_class(images))}
    unreadable: list[str] = []
    # Equal pairs are one object: a million images have few different ones.
    answered: list[tuple[int, int]] = []
    known: dict[tuple[int, int], tuple[int, int]] = {}
    for index, output, _ in outputs_of(model, Files(images), unreadable, progress):
        target, answer = images[index].target, int(output.argmax())
        answers[target].append(answer)
        answered.append(known.setdefault((target, answer), (target, answer)))
    return Accuracy(by_class(answers, model.class_names()), tuple(unreadable), tuple(answered))


def by_class(answers: Mapping[int, Sequence[int]], names: Sequence[str]) -> tuple[ClassAccuracy, ...]:
    """Return the accuracy of each class; of equally frequent mistakes, the one with the lowest index is named.

    Args:
        answers: the index of the predicted class of each image, by the index of the image's class.
        names: the class names in the order of the model's output.
    """
    rows = []
    for target, predicted in answers.items():
        wrong = Counter(one for one in predicted if one != target)
        mistake = min(wrong, key=lambda one: (-wrong[one], one), default=None)
        mistaken_for = "" if mistake is None else str(names[mistake])
        rows.append(ClassAccuracy(str(names[target]), len(predicted), len(predicted) - wrong.total(), mistaken_for))
    return tuple(rows)


def by_values(model: Model, images: Sequence[LabeledImage]) -> dict[str, Accuracy]:
    """Return the accuracy of a model with each value range for its channels, the current range first.

    At most :data:`TRIED` images, evenly spread, are used. The result is empty if the model class overrides ``encode()``
    or ``preprocess()``.
    """
    if not model.preprocesses_by_name():
        return {}
    used = model.preprocessing
    some = images[:: -(-len(images) // TRIED)]
    own = used.values or "0..1"
    fitting = [name for name, (mean, _) in RANGES.items() if len(mean) <= model.input_shape[2]]
    found: dict[str, Accuracy] = {}
    try:
        for name in sorted(fitting, key=lambda name: name != own):
            model.preprocessing = dataclasses.replace(used, values=name)
            found[name] = measure(model, some)
    finally:
        model.preprocessing = used
    return found


def better_values(tried: Mapping[str, Accuracy]) -> tuple[str, float, float] | None:
    """Return the value range with the highest accuracy, its accuracy, and that of the current range.

    None if its accuracy is not higher by more than two standard deviations and one image.

    Args:
        tried: the result of :func:`by_values`.
    """
    if not tried:
        return None
    best = max(tried, key=lambda name: tried[name].fraction)
    now, then, images = next(iter(tried.values())).fraction, tried[best].fraction, tried[best].images
    clear = then - now > 2 * math.sqrt(then * (1 - then) / images) + 1 / images
    return (best, then, now) if clear else None


def plain(name: str) -> str:
    """Return a name with its case folded and each run of underscores, hyphens and spaces replaced by one space."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def abridged(names: Sequence[str], most: int = 8) -> str:
    """Return names separated by commas; if there are more than ``most``, the first ones, an ellipsis and the last."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 2])}, ... {names[-1]}"
