"""The images in a folder and their truth, and how the files of the truth are found and read.

Every error names the file, the row or entry, and the valid values. Files in the truth are only looked up by name among
the images of the folder; their paths are never opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from picasso.config import IMAGES
from picasso.errors import BadRequest, reason
from picasso.evaluation.labeled_folder import abridged
from picasso.imaging import decode

T = TypeVar("T")

# The name of subfolders that contain masks, not images.
MASKS = "masks"
# The maximum size of a file. COCO's own file for validation has 20 MB.
MAX_BYTES = 100_000_000


@dataclass(frozen=True)
class Truth(Generic[T]):
    """The truth of the images in a folder.

    Attributes:
        of: the truth of each image that has one.
        without: the names of images without truth.
        missing: the names in the truth for which the folder has no image.
    """

    of: Mapping[Path, T]
    without: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return a sentence for images without truth, and one for truth without images."""
        found = []
        if self.without:
            found.append(f"{counted(self.without, 'image')} without truth: {abridged(self.without)}.")
        if self.missing:
            found.append(f"{counted(self.missing, 'entry', 'entries')} without an image: {abridged(self.missing)}.")
        return tuple(found)


class Images:
    """The images in a folder and its subfolders, except in those called ``masks``.

    Args:
        folder: the folder.

    Raises:
        BadRequest: it is missing or contains no images.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise invalid(f"There is no folder {folder}.")
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGES and file.is_file())
        self.names = {file: file.relative_to(folder).as_posix() for file in files}
        self.names = {file: name for file, name in self.names.items() if MASKS not in name.split("/")[:-1]}
        if not self.names:
            raise invalid(f"There are no images in {folder}.")
        self._by_name: dict[str, list[Path]] = {}
        for file in self.names:
            self._by_name.setdefault(file.name, []).append(file)

    def find(self, name: str, where: str) -> Path | None:
        """Return the image with a name, or None if there is none.

        The name is a path from the folder, or a longer or shorter path with the same end, such as only a file name.

        Args:
            name: the path or the file name.
            where: the place in the truth, to begin a sentence.

        Raises:
            BadRequest: several images have the name.
        """
        path = name.replace("\\", "/").removeprefix("./")
        files = {file: self.names[file] for file in self._by_name.get(path.rpartition("/")[2], [])}
        exact = [file for file, own in files.items() if own == path]
        fitting = exact or [file for file, own in files.items() if f"/{path}".endswith(f"/{own}")]
        fitting = fitting or [file for file, own in files.items() if own.endswith(f"/{path}")]
        if len(fitting) > 1:
            raise invalid(
                f"{where}: {len(fitting)} images are called {shown(name)}. Write their paths from the folder."
            )
        return fitting[0] if fitting else None

    def truth(self, entries: Mapping[str, T], where: Callable[[str], str]) -> Truth[T]:
        """Return the truth of the images from that of names.

        Args:
            entries: the truth by name of the image.
            where: a function from a name to its place in the truth, to begin a sentence.

        Raises:
            BadRequest: an image has several entries, or none has one.
        """
        of: dict[Path, T] = {}
        missing = []
        for name, value in entries.items():
            file = self.find(name, where(name))
            if file is None:
                missing.append(shown(name))
            elif file in of:
                raise invalid(
                    f"{where(name)}: the image {shown(self.names[file])} has two entries. Remove one of them."
                )
            else:
                of[file] = value
        if not of:
            first, image = shown(next(iter(entries), "none")), shown(next(iter(self.names.values())))
            raise invalid(
                f"The truth names none of the {len(self.names)} images. Its first entry is {first}, and the "
                f"first image is {image}."
            )
        without = tuple(shown(name) for file, name in self.names.items() if file not in of)
        return Truth(of, without, tuple(missing))


def only(folder: Path, patterns: Sequence[str], content: str) -> Path:
    """Return the one file in a folder with one of the patterns; ``content`` is what it contains, for messages."""
    if not folder.is_dir():
        raise invalid(f"There is no folder {folder}.")
    found = sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
    if not found:
        raise invalid(f"There is no file of {content} in {folder}: {' or '.join(patterns)}.")
    if len(found) > 1:
        names = abridged([file.relative_to(folder).as_posix() for file in found])
        raise invalid(f"There are several files of {content} in {folder}: {names}. Keep one of them.")
    return found[0]


def read(file: Path) -> bytes:
    """Return the bytes of a file of limited size."""
    try:
        with file.open("rb") as opened:
            body = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise invalid(f"{decode.path_name(str(file))} can't be read: {error.strerror}.") from error
    if len(body) > MAX_BYTES:
        raise invalid(
            f"{decode.path_name(str(file))} has more than {MAX_BYTES // 1_000_000} MB, the maximum for such a file."
        )
    return body


def read_json(file: Path, name: str) -> Any:
    """Return the content of a JSON file without NaN and infinity."""
    body = read(file)
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=refuse_constant)
    # Deeply nested lists exceed Python's recursion limit.
    except (ValueError, RecursionError) as error:
        raise invalid(f"{name} can't be read as JSON: {reason(error)}.") from error


def refuse_constant(text: str) -> NoReturn:
    """Raise ValueError for NaN and infinity, which are no JSON."""
    raise ValueError(f"{text} is no number")


def invalid(message: str) -> BadRequest:
    """Return the error for an invalid folder or file."""
    return BadRequest(message, field="folder")


def counted(items: Sequence[object], one: str, several: str = "") -> str:
    """Return a number of things with their noun."""
    return f"{len(items)} {one if len(items) == 1 else several or f'{one}s'}"


def shown(name: str) -> str:
    """Return a name from a file in a form that is safe to show."""
    return decode.path_name(name)


def excerpt(value: object, limit: int = 60) -> str:
    """Return a value from a file in a form that is safe to show."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = "".join(one if one.isprintable() else "?" for one in text[:limit]) + ("…" if len(text) > limit else "")
    return f'"{text}"' if isinstance(value, str) else text
