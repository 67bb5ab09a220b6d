"""A callback that records predictions and maps of fixed images after each epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from picasso.callbacks.base import EpochCallback
from picasso.callbacks.timeline_folder import MAPS, TimelineFolder, folder_name, named_epoch
from picasso.errors import BadRequest
from picasso.explanation.comparison import agreement, comparable
from picasso.explanation.inputs import Source, expand, image_from, named
from picasso.explanation.pipeline import GROUP, asked_for, find, listed, other_image, require_suitable, run
from picasso.explanation.result import Result
from picasso.models.base import Model
from picasso.summaries.records import write_epoch, write_panel, write_view
from picasso.targets import OutputTask
from picasso.visualizations.base import BaseVisualization
from picasso.visualizations.panel import Panel


class Explain(EpochCallback):
    """Record, after each epoch of ``fit``, the predictions and the maps of the same images.

    Arguments that do not fit the model raise an error when ``fit`` begins. A later error is logged as a warning, once,
    and the training continues. The model is used as it is in memory: its graph is built once, and neither its weights
    nor random numbers change.

    Args:
        images: file names, folders, the bytes of files, PIL images, or arrays ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)``
            or batches ``(N, H, W, C)`` of integers 0..255 or floats 0..1; or one of these.
        visualization: the name of an installed visualization, or a class. A gradient method such as ``"SaliencyMaps"``
            costs least.
        every: the number of epochs between two records.
        to: the folder for maps, predictions and checkpoints, which ``picasso serve --config FOLDER/config.yaml`` opens;
            None writes none.
        classes: the class of each image, or one for all, by name or index. Without it, each map is about the class that
            the model then predicts, so that maps of different epochs may be about different classes.
        tensorboard: the folder for an event file of TensorBoard, such as ``"logs/picasso"``; None writes none. It needs
            the package ``tensorboard``.
        checkpoints: whether the folder gets the model of each epoch, which the timeline of the application needs.
        model: the Keras model to explain; None for the one that is trained. It may be a part of that one.
        labels: the class names, as for :func:`picasso.load_model`.
        preprocess: keywords or a function that prepare the images, as for :func:`picasso.load_model`.
        plugin_dirs: folders with custom visualizations.
        settings: the visualization's settings, such as ``Window=0.1``.

    Raises:
        BadRequest: an argument is invalid, an image can't be read, or, when ``fit`` begins, a folder can't be written.
        NotFound: there is no visualization of that name.
        ConfigurationError: the package ``tensorboard`` is needed and not installed.

    Examples:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from picasso.callbacks import Explain
        >>> from picasso.models.tf.runtime import keras
        >>> images = np.random.default_rng(0).random((4, 8, 8, 1)).astype("float32")
        >>> model = keras.Sequential(
        ...     [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
        ... )
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> folder = Path(tempfile.mkdtemp()) / "training"
        >>> explain = Explain(images[:2], "SaliencyMaps", to=folder, classes=[0, 1])
        >>> history = model.fit(images, np.array([0, 1, 0, 1]), epochs=2, verbose=0, callbacks=[explain])
        >>> [json.loads(line)["epoch"] for line in (folder / "epochs.jsonl").read_text().splitlines()]
        [1, 2]
        >>> sorted(file.name for file in (folder / "maps" / "epoch-0002").iterdir())
        ['00-image_0', '01-image_1']
    """

    def __init__(
        self,
        images: Source | Iterable[Source],
        visualization: str | type[BaseVisualization[Any]] = "PartialOcclusion",
        every: int = 1,
        to: str | Path | None = None,
        *,
        classes: int | str | Sequence[int | str] = (),
        tensorboard: str | Path | None = None,
        checkpoints: bool = True,
        model: Any = None,
        labels: str | Path | Sequence[str] | Mapping[Any, Any] = (),
        preprocess: Any = "",
        plugin_dirs: Sequence[str | Path] = (),
        **settings: object,
    ) -> None:
        super().__init__(every, model, labels, preprocess, to, tensorboard)
        sources = list(expand(images))
        if not sources:
            raise BadRequest("There are no images. Give some files, a folder of images, or arrays.", field="images")
        names = named(sources)
        self._images = [image_from(one, place, names[place]) for place, one in enumerate(sources)]
        self._visualization = find(visualization, plugin_dirs)
        self._settings = self._visualization.ALLOWED_SETTINGS.parse(settings).as_dict()
        alike = [*listed(classes)] * (len(sources) if isinstance(classes, int | str | np.integer) else 1)
        if alike and len(alike) != len(sources):
            raise BadRequest(
                f"There are {len(alike)} classes for {len(sources)} images. Pass one class for each image, or one for "
                "all.",
                field="classes",
            )
        self._classes: list[int | str | None] = [*alike] if alike else [None] * len(sources)
        self._folder = None if to is None else TimelineFolder(Path(to))
        self._checkpoints, self._images_written = checkpoints, False
        # The epoch of the last record, and its maps.
        self._last: tuple[int, list[Panel | None]] = 0, [None] * len(sources)

    def check(self, model: Model) -> None:
        """Raise an error if the classes, the images, the visualization or its settings do not fit the model."""
        require_suitable(model, self._visualization)
        for wanted in dict.fromkeys(self._classes):
            if wanted is not None:
                asked_for(model, wanted)
        model.inputs_of([one.image for one in self._images])
        # Before the training, a detector may not detect what is asked for.
        if model.spec.task in (OutputTask.CLASSIFICATION, OutputTask.MULTI_LABEL, OutputTask.REGRESSION):
            self._explained_images(model, 1)

    def record(self, model: Model, epoch: int, logs: Mapping[str, Any]) -> None:
        """Write the maps and predictions of an epoch."""
        results = self._explained_images(model)
        maps = [next((panel for panel in one.panels if panel.kind == "map"), None) for one in results]
        # A training that begins again has no epoch before its first.
        before = self._last[1] if self._last[0] < epoch else [None] * len(maps)
        agreements = [agreed(*both) for both in zip(maps, before, strict=True)]
        self._last = epoch, maps
        described = [
            {
                "image": result.image,
                "class": panel.title if panel else None,
                "confidence": value_of(panel),
                "agreement": alike,
                "predictions": [dict(one) for one in result.predictions],
                "map": f"{MAPS}/{named_epoch(epoch)}/{folder_name(number, result.image)}",
            }
            for number, (result, panel, alike) in enumerate(zip(results, maps, agreements, strict=True))
        ]
        line = {"epoch": epoch, "logs": numbers(logs), "images": described}
        if self._folder:
            self._folder.write(epoch, results, line)
            if not self._images_written:
                self._folder.write_images(self._images)
                self._images_written = True
            if self._checkpoints:
                self._write_checkpoint(self._folder, model, epoch)
        if self._logdir:
            self._write_events(self._logdir, line, results, maps)

    def _write_events(
        self, logdir: Path, line: Mapping[str, Any], results: Sequence[Result], maps: Sequence[Panel | None]
    ) -> None:
        """Write the maps and numbers of an epoch, and with the first one the images."""
        epoch, begun = line["epoch"], self._events is not None
        events = self.events(logdir)
        write_epoch(events, line)
        for result, panel in zip(results, maps, strict=True):
            if not begun:
                write_view(events, f"image/{result.image}", result, epoch)
            if panel:
                write_panel(events, f"map/{result.image}", panel, result, epoch)

    def _write_checkpoint(self, folder: TimelineFolder, model: Model, epoch: int) -> None:
        """Write the checkpoint of an epoch; a model that can't be saved still has its maps."""
        try:
            folder.write_checkpoint(epoch, self.keras_model(), model, self._preprocess)
        except Exception as error:
            self._tell(f"wrote no checkpoint for epoch {epoch}", error)

    def _explained_images(self, model: Model, count: int | None = None) -> list[Result]:
        """Return the result of each image, or of the first ones, in their order."""
        found: dict[int, Result] = {}
        classes = self._classes[:count]
        for wanted in dict.fromkeys(classes):
            places = [place for place, one in enumerate(classes) if one == wanted]
            targets = asked_for(model, []) if wanted is None else asked_for(model, wanted)
            for start in range(0, len(places), GROUP):
                some = places[start : start + GROUP]
                images = [self._images[place] for place in some]
                made = run(
                    model,
                    self._visualization,
                    self._settings,
                    images,
                    lambda fraction: None,
                    targets=targets,
                    other=other_image(model),
                )
                found |= zip(some, made, strict=True)
        return [found[place] for place in sorted(found)]


def agreed(panel: Panel | None, before: Panel | None) -> float | None:
    """Return the rank correlation of a map with that of the epoch before, or None if they can't be compared."""
    return agreement(panel, before) if panel and before and comparable(panel, before) else None


def value_of(panel: Panel | None) -> float | None:
    """Return the value of the target of a map, such as the probability of its class."""
    if panel is None:
        return None
    value = panel.probability if panel.value is None else panel.value
    return None if value is None else float(value)


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers of an epoch's metrics."""
    found = {name: float(value) for name, value in logs.items() if isinstance(value, int | float)}
    return {name: value for name, value in found.items() if abs(value) < float("inf")}
