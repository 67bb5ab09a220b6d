"""The folder of a recorded training: maps, checkpoints, and settings with which ``picasso serve`` opens it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from picasso import fileio
from picasso.callbacks.json_lines import EpochLines
from picasso.errors import BadRequest
from picasso.explanation.inputs import NamedImage
from picasso.explanation.result import Result
from picasso.models.base import Model
from picasso.models.checkpoints import MAX_CHECKPOINTS, spread

MAPS, IMAGES, LABELS, SETTINGS, LINES = "maps", "images", "labels.txt", "config.yaml", "epochs.jsonl"
EPOCH = re.compile(r"epoch-\d{4,}")
# The names of what a process writes, and of what it left if it was killed meanwhile, as fileio names it. The folder may
# hold other files, such as checkpoints of the user.
OWN_MAPS = re.compile(r"\.?epoch-(?P<epoch>\d{4,})(?P<draft>\.\d+\.[0-9a-f]{8})?")
OWN_CHECKPOINT = re.compile(r"(?P<draft>\.\d+\.[0-9a-f]{8}\.)?epoch-(?P<epoch>\d{4,})\.keras")


class TimelineFolder:
    """The files of a training.

    ==========================  =====================================================================
    ``maps/epoch-0001/00-NAME`` the saved :class:`~picasso.explanation.result.Result` of each image
    ``epochs.jsonl``            the predictions and the agreement of each epoch, one line for each
    ``epoch-0001.keras``        the model after each epoch
    ``config.yaml``             settings: the newest checkpoint, and the others to compare with
    ``images/``                 the images, which the settings offer as samples
    ==========================  =====================================================================

    Args:
        folder: the folder, which is made if it does not exist.

    Raises:
        BadRequest: it is a file, or holds settings that are not those of an earlier training.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise BadRequest(f"{folder} is a file; pass a folder as to.", field="to")
        others = [name for name in (SETTINGS, LABELS) if (folder / name).exists()]
        if others and not (folder / LINES).exists():
            raise BadRequest(
                f"{folder} has a {others[0]} of its own, which would be replaced. Pass a folder of its own as to, such "
                f"as {folder / 'training'}.",
                field="to",
            )
        self.folder = folder
        self._newest: int | None = None

    def write(self, epoch: int, results: Sequence[Result], record: Mapping[str, Any]) -> None:
        """Write the maps and the record of an epoch; those of an earlier training from this epoch on are deleted."""
        maps = self.folder / MAPS
        maps.mkdir(parents=True, exist_ok=True)
        # A callback may be passed to several trainings, each of which counts its epochs from the first.
        if self._newest is None or epoch <= self._newest:
            self._clear(epoch)
        self._newest = epoch
        with fileio.whole_folder(maps / named_epoch(epoch)) as draft:
            for number, result in enumerate(results):
                result.save(draft / folder_name(number, result.image))
        EpochLines(self.folder / LINES).add(record)

    def write_images(self, images: Sequence[NamedImage]) -> None:
        """Write the images as PNG."""
        place = self.folder / IMAGES
        place.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(images):
            if isinstance(one.image, Image.Image):
                with fileio.whole(place / f"{folder_name(number, one.name)}.png") as draft:
                    one.image.save(draft, "PNG")

    def write_checkpoint(self, epoch: int, keras_model: Any, model: Model, preprocess: Any) -> None:
        """Write a checkpoint, and the settings for all of them.

        Args:
            epoch: the epoch.
            keras_model: the model to save.
            model: the same model as Picasso uses it.
            preprocess: how it was told to prepare images.
        """
        with fileio.whole(self.folder / f"{named_epoch(epoch)}.keras") as draft:
            keras_model.save(draft)
        names = "\n".join(map(str, model.class_names()))
        fileio.write_bytes(self.folder / LABELS, f"{names}\n".encode())
        files = [file for file in self.folder.glob("epoch-*.keras") if EPOCH.fullmatch(file.stem)]
        # By number: from epoch 10,000 on, names have more digits.
        files.sort(key=lambda file: (len(file.name), file.name))
        *others, newest = spread([file.name for file in files], MAX_CHECKPOINTS)
        settings: dict[str, Any] = {"MODEL": newest, "LABELS": LABELS, "SAMPLES_DIR": IMAGES}
        if isinstance(preprocess, str) and preprocess:
            settings["PREPROCESS"] = preprocess
        settings["COMPARE"] = {Path(name).stem: {"MODEL": name} for name in others}
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        fileio.write_bytes(self.folder / SETTINGS, text.encode())

    def _clear(self, first: int) -> None:
        """Delete what a killed process left incomplete, and the epochs of an earlier training from one on."""
        for folder in list((self.folder / MAPS).iterdir()):
            if incomplete_or_from(first, OWN_MAPS.fullmatch(folder.name)):
                shutil.rmtree(folder, ignore_errors=True)
        for file in list(self.folder.iterdir()):
            if incomplete_or_from(first, OWN_CHECKPOINT.fullmatch(file.name)):
                file.unlink(missing_ok=True)


def incomplete_or_from(first: int, name: re.Match[str] | None) -> bool:
    """Tell whether a name of a file of an epoch is that of a draft, or of an epoch from ``first`` on."""
    return name is not None and (name["draft"] is not None or int(name["epoch"]) >= first)


def named_epoch(epoch: int) -> str:
    """Return the name of the files of an epoch."""
    return f"epoch-{epoch:04d}"


def folder_name(number: int, image: str) -> str:
    """Return the name of the folder of an image: its position, and what of its own name is safe in a path."""
    return f"{number:02d}-{re.sub(r'[^0-9A-Za-z_-]+', '_', Path(image).stem)[:40]}"
