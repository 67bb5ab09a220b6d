"""Read the labelled images of an audit from files: small classes at once, large ones in random blocks."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picasso.audit import object_masks
from picasso.audit.dataset import FirstLook, Folder, LazyImages, logits, require_classifier
from picasso.audit.first_look import first_look
from picasso.audit.properties import Images
from picasso.audit.selection import (
    MIN_PER_CLASS,
    PAIRS,
    SAMPLE,
    block_size,
    blocks_of,
    left_out,
    most_classes,
    needs_look,
    with_enough,
)
from picasso.audit.trial import generator_of
from picasso.errors import BadRequest, PicassoError
from picasso.evaluation.image_files import ImageFiles
from picasso.evaluation.labeled_folder import LabeledImage, files_by_class
from picasso.imaging import decode
from picasso.models.arrays import Array
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
        unmasked: the classes of several blocks of which some images have no mask.
    """

    masks: Path | None
    limit: int
    called: Callable[[str], str]
    unmasked: Collection[int] = ()

    def read(
        self, model: Model, blocks: Mapping[int, Sequence[Sequence[Path]]], progress: Callable[[float], None]
    ) -> tuple[Folder, dict[int, int], dict[int, int]]:
        """Read, of each class, the first block that has enough readable images.

        Args:
            model: the model.
            blocks: the files of the blocks, by class.
            progress: called with the completed fraction.

        Returns:
            The images of the classes that have enough, with their logits; how many each class has; and how many blocks
            were passed over.
        """
        total, done = sum(len(of[0]) for of in blocks.values()), 0
        views: dict[int, NDArray[np.uint8]] = {}
        names: dict[int, tuple[str, ...]] = {}
        drawn: dict[int, NDArray[np.bool_]] = {}
        unreadable: list[str] = []
        readable: dict[int, int] = {}
        passed: dict[int, int] = {}
        for target, of in blocks.items():
            for number, files in enumerate(of):
                seen, good = [], []
                for file in files:
                    done += 1
                    try:
                        seen.append(self._view(model, file))
                        good.append(file)
                    except PicassoError as error:
                        unreadable.append(str(error))
                        continue
                    progress(min(1.0, done / total))
                readable[target], passed[target] = len(seen), number
                if len(seen) >= MIN_PER_CLASS:
                    views[target], names[target] = np.stack(seen), tuple(self.called(file.name) for file in good)
                    objects = self._objects(model, target, good)
                    drawn |= {} if objects is None else {target: objects}
                    break
        stored = LazyImages(views)
        answers = {key: logits(model, some) for key, some in stored.items()}
        folder = Folder(stored, answers, names, tuple(unreadable), masks=drawn, masks_given=self.masks is not None)
        return folder, readable, passed

    def _view(self, model: Model, file: Path) -> NDArray[np.uint8]:
        """Return an image as the model sees it, ``(H, W, C)``."""
        try:
            view = model.view(decode.read(file.read_bytes(), self.called(file.name), self.limit))
        except OSError as error:
            # The path of the file must not be shown to visitors of a server.
            why = error.strerror or type(error).__name__
            raise BadRequest(f"{self.called(file.name)} can't be read: {why}.") from error
        return np.asarray(view, np.uint8).reshape(view.height, view.width, -1)

    def _objects(self, model: Model, target: int, files: Sequence[Path]) -> NDArray[np.bool_] | None:
        if self.masks is None or target in self.unmasked:
            return None
        return object_masks.read(model, self.masks, files, self.limit)


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
        of = {target: [self.files[target][number]] for target in targets if number < len(self.files[target])}
        return self.source.read(model, of, lambda fraction: None)[0]

    def identity(self) -> bytes:
        """Return a digest of the names and sizes of all images and masks.

        Reading them all would take as long as auditing them.
        """
        digest, masks = hashlib.sha256(), self.source.masks

        def add(files: Iterable[Path]) -> None:
            for file in files:
                with contextlib.suppress(OSError):
                    digest.update(f"{file.parent.name}/{file.name} {file.stat().st_size}\n".encode())

        add(file for blocks in self.files.values() for one in blocks for file in one)
        if masks is not None:
            for blocks in self.files.values():
                add(object_masks.file_of(masks, file) for one in blocks for file in one)
        return digest.digest()


def read(
    model: Model,
    images: Sequence[LabeledImage],
    progress: Callable[[float], None],
    *,
    masks: Path | None = None,
    limit: int = decode.DEFAULT_MEGAPIXELS,
    called: Callable[[str], str] = decode.display_name,
    seed: int = 0,
    pairs: int = PAIRS,
) -> Folder:
    """Read the images of each class, and compute their logits.

    Of a class with more images than :func:`picasso.audit.selection.block_size`, the first random block is read; the
    others are read when the audit needs them. Of many classes, a sample of each is looked at, and only those in the
    chosen pairs are read.

    Args:
        model: the model.
        images: the labelled images.
        progress: called with the completed fraction.
        masks: the folder of masks of the object, as in :mod:`picasso.audit.object_masks`, if there is one.
        limit: the largest image, in megapixels.
        called: returns the display name of a file name.
        seed: that of the division of large classes into blocks.
        pairs: the number of pairs of classes that will be compared; 0 for all.

    Raises:
        BadRequest: the model is no classifier, fewer than two classes have enough readable images, the input of the
            model is too small, or a mask does not fit its image.
    """
    require_classifier(model)
    if model.opens_images():
        raise BadRequest("An audit changes images of one or three channels, but this model opens its images itself.")
    height, width, _ = model.input_shape
    if min(height, width) < MIN_SIDE:
        raise BadRequest(f"The model sees {width} x {height} pixels; an audit needs at least {MIN_SIDE} x {MIN_SIDE}.")
    by_class, classes = dict(sorted(files_by_class(images).items())), [str(name) for name in model.class_names()]
    readable, values = {target: len(found) for target, found in by_class.items()}, prod(model.input_shape)
    targets, source, look = with_enough(readable, classes), Source(masks, limit, called), None
    if needs_look([readable[target] for target in targets], values):
        files = {target: divided(by_class[target], SAMPLE, seed, "look", target) for target in targets}
        look = looked(model, source, files, lambda fraction: progress(fraction / 2))
        readable |= look.readable
        with_enough(readable, classes)
        targets = sorted({target for pair in look.first(pairs, most_classes(values)) for target in pair})
    size = block_size(values, len(targets))
    files = {target: divided(by_class[target], size, seed, "blocks", target) for target in targets}
    source = replace(source, unmasked=unmasked(masks, files))
    before = 0.5 if look else 0.0
    first, found, passed = source.read(model, files, lambda fraction: progress(before + (1 - before) * fraction))
    files = {target: blocks[passed[target] :] for target, blocks in files.items()}
    # Check again, since some images may be unreadable.
    readable |= found
    with_enough({target: readable[target] for target in targets}, classes)
    few = sum(count < MIN_PER_CLASS for count in readable.values())
    several = any(len(blocks) > 1 for blocks in files.values())
    others = [one for target, some in look.unreadable.items() if target not in files for one in some] if look else []
    return replace(
        first,
        unreadable=(*others, *first.unreadable),
        left_out=left_out(readable, classes),
        small_classes=few,
        blocks=FileBlocks(source, files) if several else None,
        look=look,
    )


def divided(files: Sequence[Path], most: int, seed: int, *what: object) -> list[Sequence[Path]]:
    """Return files in random blocks of at most ``most``, drawn for a purpose."""
    return chosen(files, blocks_of(len(files), most, generator_of(seed, *what)))


def looked(
    model: Model, source: Source, files: Mapping[int, Sequence[Sequence[Path]]], progress: Callable[[float], None]
) -> FirstLook:
    """Look at a sample of each class, one class after the other.

    Args:
        model: the model.
        source: how the images are read.
        files: the files in blocks, by class; of each class, the first with enough readable images is looked at.
        progress: called with the completed fraction.

    Raises:
        BadRequest: fewer than two classes have enough readable images.
    """
    plain, readable, unreadable = replace(source, masks=None), dict[int, int](), dict[int, tuple[str, ...]]()

    def samples() -> Iterator[tuple[int, Images, Array]]:
        for done, (target, blocks) in enumerate(files.items()):
            some, counts, _ = plain.read(model, {target: blocks}, lambda fraction: None)
            progress((done + 1) / len(files))
            if some.unreadable:
                unreadable[target] = some.unreadable
            if target in some.views:
                yield target, some.views[target], some.logits[target]
            else:
                readable[target] = counts[target]
                with_enough({one: readable.get(one, MIN_PER_CLASS) for one in files})

    return replace(first_look(samples()), unreadable=unreadable, readable=readable)


def chosen(files: Sequence[Path], blocks: Sequence[NDArray[np.int32]]) -> list[Sequence[Path]]:
    """Return the files of each block, given their indices."""
    if isinstance(files, ImageFiles):
        return [files.chosen(block) for block in blocks]
    return [[files[index] for index in block] for block in blocks]


def unmasked(masks: Path | None, files: Mapping[int, Sequence[Sequence[Path]]]) -> set[int]:
    """Return the classes of several blocks of which some images have no mask.

    A class must not have masks in one block and none in the next, and a mask of the wrong size in the last block is
    found at the start.

    Args:
        masks: the folder of masks, if there is one.
        files: the files of each block, by class.

    Raises:
        BadRequest: a mask of such a class can't be read, or has another size than its image.
    """
    if masks is None:
        return set()
    several = {target: [file for one in blocks for file in one] for target, blocks in files.items() if len(blocks) > 1}
    return {target for target, every in several.items() if not object_masks.cover(masks, every)}
