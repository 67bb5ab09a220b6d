"""The image files in a folder, listed fast and stored compactly: a list of a million paths would take 400 MB."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from picasso.config import IMAGES


class ImageFiles(Sequence[Path]):
    """Paths in a folder; each is made when it is asked for.

    Args:
        folder: the folder.
        names: the paths relative to it, as bytes that are separated by zeros, which no path contains.
        ends: where each name ends in them, ``(n,)``.
        order: the indices of the names that belong to the list, ``(m,)``; None for all of them.

    Examples:
        >>> from pathlib import Path
        >>> from picasso.evaluation.image_files import ImageFiles
        >>> files = ImageFiles.of(Path("images"), ["1.png", "2.png", "old/1.png"])
        >>> len(files), files[2].as_posix()
        (3, 'images/old/1.png')
        >>> [file.name for file in files.chosen([2, 0])]
        ['1.png', '1.png']
    """

    def __init__(
        self, folder: Path, names: bytes, ends: NDArray[np.int64], order: NDArray[np.int32] | None = None
    ) -> None:
        self._folder, self._names, self._ends, self._order = folder, names, ends, order

    @classmethod
    def of(cls, folder: Path, names: Sequence[str]) -> ImageFiles:
        """Return the list of paths with these names, relative to the folder."""
        joined = os.fsencode("".join(f"{name}\0" for name in names))
        return cls(folder, joined, np.flatnonzero(np.frombuffer(joined, np.uint8) == 0))

    def chosen(self, indices: Sequence[int] | NDArray[np.integer]) -> ImageFiles:
        """Return the list of some of the paths, which shares their names."""
        some = np.asarray(indices, np.int32)
        return ImageFiles(self._folder, self._names, self._ends, some if self._order is None else self._order[some])

    def __len__(self) -> int:
        return len(self._ends if self._order is None else self._order)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> ImageFiles: ...
    def __getitem__(self, index: int | slice) -> Path | ImageFiles:
        if isinstance(index, slice):
            return self.chosen(range(len(self))[index])
        # An error for an index beyond the end, as in a list.
        place = range(len(self))[index] if self._order is None else int(self._order[index])
        start = int(self._ends[place - 1]) + 1 if place else 0
        return self._folder / os.fsdecode(self._names[start : int(self._ends[place])])

    def __iter__(self) -> Iterator[Path]:
        return (self[index] for index in range(len(self)))


def images_below(folder: Path) -> ImageFiles:
    """Return the images in a folder and its subfolders, sorted; links to folders are not followed."""
    found: list[str] = []
    todo = [""]
    while todo:
        inside = todo.pop()
        try:
            entries = os.scandir(folder / inside)
        # As pathlib does: what can't be listed is left out.
        except PermissionError:
            continue
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(f"{inside}{entry.name}/")
                elif os.path.splitext(entry.name)[1].lower() in IMAGES:  # noqa: PTH122 - a path for each is slow
                    found.append(f"{inside}{entry.name}")
    # The parts of a path are compared one by one, as paths are.
    found.sort(key=lambda name: name.split("/") if "/" in name else [name])
    return ImageFiles.of(folder, found)
