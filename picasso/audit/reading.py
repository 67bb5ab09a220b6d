"""Read the labelled images of an audit from files: small classes at once, large ones in random blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picasso.audit import object_masks
from picasso.audit.dataset import Folder, LazyImages, logits, require_classifier
from picasso.audit.selection import MIN_PER_CLASS, blocks_of, left_out, taken
from picasso.errors import BadRequest, PicassoError
from picasso.evaluation.labeled_folder import LabeledImage
from picasso.imaging import decode
from picasso.models.base import Model

# Properties such as noise are not defined for smaller images.
MIN_SIDE = 4


@dataclass(frozen=True)
class Source:
    """How image files are read.

    Attributes:
        masks: the folder of masks of the object, as in :mod:`picasso.audit.object_masks`, if there is one.
        limit: the largest image, in megapixels.
        called: returns the display name of a file name.
    """

    masks: Path | None
    limit: int
    called: Callable[[str], str]

    def read(
        self, model: Model, files: Mapping[int, Sequence[Path]], progress: Callable[[float], None]
    ) -> tuple[Folder, dict[int, int]]:
        """Return the images of each class that has enough readable ones, with their logits; and how many each has."""
        total, done = sum(map(len, files.values())), 0
        views: dict[int, NDArray[np.uint8]] = {}
        names: dict[int, tuple[str, ...]] = {}
        drawn: dict[int, NDArray[np.bool_]] = {}
        unreadable: list[str] = []
        readable: dict[int, int] = {}
        for target, found in files.items():
            seen, kept, good = [], [], []
            for file in found:
                done += 1
                try:
                    view = model.view(decode.read(file.read_bytes(), self.called(file.name), self.limit))
                except OSError as error:
                    # The path of the file must not be shown to visitors of a server.
                    unreadable.append(
                        f"{self.called(file.name)} can't be read: {error.strerror or type(error).__name__}."
                    )
                    continue
                except PicassoError as error:
                    unreadable.append(str(error))
                    continue
                seen.append(np.asarray(view, np.uint8).reshape(view.height, view.width, -1))
                kept.append(self.called(file.name))
                good.append(file)
                progress(done / total)
            readable[target] = len(seen)
            if len(seen) >= MIN_PER_CLASS:
                views[target], names[target] = np.stack(seen), tuple(kept)
                objects = object_masks.read(model, self.masks, good, self.limit) if self.masks else None
                drawn |= {} if objects is None else {target: objects}
        stored = LazyImages(views)
        answers = {key: logits(model, some) for key, some in stored.items()}
        folder = Folder(stored, answers, names, tuple(unreadable), masks=drawn, masks_given=self.masks is not None)
        return folder, readable


@dataclass(frozen=True)
class FileBlocks:
    """The files of the images of large classes in random blocks.

    Attributes:
        source: how they are read.
        files: the files of each block, by class.
    """

    source: Source
    files: Mapping[int, Sequence[Sequence[Path]]]

    @property
    def sizes(self) -> dict[int, list[int]]:
        """The number of images in each block, by class."""
        return {target: [len(one) for one in blocks] for target, blocks in self.files.items()}

    def read(self, model: Model, number: int, targets: Collection[int]) -> Folder:
        """Return a block of some classes: those that have one of this number, with enough readable images."""
        of = {target: self.files[target][number] for target in targets if number < len(self.files[target])}
        return self.source.read(model, of, lambda fraction: None)[0]

    def identity(self) -> bytes:
        """Return a digest of the names and sizes of the files; reading them all would take as long as auditing them."""
        every = [file for blocks in self.files.values() for one in blocks for file in one]
        sizes = (f"{file.parent.name}/{file.name} {file.stat().st_size}\n".encode() for file in every if file.exists())
        return hashlib.sha256(b"".join(sizes)).digest()


def read(
    model: Model,
    images: Sequence[LabeledImage],
    progress: Callable[[float], None],
    *,
    masks: Path | None = None,
    limit: int = decode.DEFAULT_MEGAPIXELS,
    called: Callable[[str], str] = decode.display_name,
    seed: int = 0,
) -> Folder:
    """Read the images of each class, and compute their logits.

    Of a class with more images than :func:`picasso.audit.selection.taken` selects, the first random block is read; the
    others are read when the audit needs them.

    Args:
        model: the model.
        images: the labelled images.
        progress: called with the completed fraction.
        masks: the folder of masks of the object, as in :mod:`picasso.audit.object_masks`, if there is one.
        limit: the largest image, in megapixels.
        called: returns the display name of a file name.
        seed: that of the division of large classes into blocks.

    Raises:
        BadRequest: the model is no classifier, fewer than two classes have enough readable images, there are too many
            classes, the input of the model is too small, or a mask does not fit its image.
    """
    require_classifier(model)
    if model.opens_images():
        raise BadRequest("An audit changes images of one or three channels, but this model opens its images itself.")
    height, width, _ = model.input_shape
    if min(height, width) < MIN_SIDE:
        raise BadRequest(f"The model sees {width} x {height} pixels; an audit needs at least {MIN_SIDE} x {MIN_SIDE}.")
    by_class: dict[int, list[Path]] = {}
    for one in images:
        by_class.setdefault(one.target, []).append(one.file)
    classes = [str(name) for name in model.class_names()]
    most = taken({target: len(found) for target, found in sorted(by_class.items())}, classes)
    files = {target: blocks_of(by_class[target], count, [seed, target]) for target, count in most.items() if count}
    source = Source(masks, limit, called)
    first, found = source.read(model, {target: blocks[0] for target, blocks in files.items()}, progress)
    # Check again, since some images may be unreadable.
    readable = {target: found.get(target, len(by_class[target])) for target in most}
    taken(readable, classes)
    few = sum(count < MIN_PER_CLASS for count in readable.values())
    several = any(len(blocks) > 1 for blocks in files.values())
    return replace(
        first,
        left_out=left_out(readable, classes),
        small_classes=few,
        blocks=FileBlocks(source, files) if several else None,
    )
