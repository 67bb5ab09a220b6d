"""What the widget for notebooks shows: the view that a choice asks for, as plain values, without any notebook."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.errors import BadRequest, NotFound, PicassoError, reason
from picasso.explanation import figure, legend, render
from picasso.explanation.guide import DEFAULT, QUESTIONS, Question
from picasso.explanation.inputs import NamedImage, Source, expand, image_from, named, prepare
from picasso.explanation.pipeline import GROUP, asked_for, check_loaded, listed, other_image, run
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.imaging import decode
from picasso.models.base import Model
from picasso.targets import Prediction, phrase
from picasso.targets.class_names import AGAINST, unambiguous
from picasso.visualizations.panel import Panel

log = logging.getLogger(__name__)

# The maximum number of images, and of results that are kept; the oldest are dropped.
MAX_IMAGES, MAX_RESULTS = 60, 200
# The maximum number of panels of one target.
MAX_PANELS = 3
# The longer side of a thumbnail in pixels.
THUMBNAIL = 96
# The longest name of an image or a class, and the longest note.
MAX_NAME, MAX_NOTE = 80, 300

Report = Callable[[float], None]


@dataclass(frozen=True)
class Choice:
    """What to show.

    Attributes:
        image: the number of an image, from 0.
        question: the name of a question of :data:`~picasso.explanation.guide.QUESTIONS`.
        method: the name of a visualization, or "" for the quickest that answers the question.
        target: the text of a target, or "" for the first that has a map.
    """

    image: int = 0
    question: str = DEFAULT
    method: str = ""
    target: str = ""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Choice:
        """Read a choice that a browser sent; values of other types stand for the defaults."""
        kinds = {"image": int, "question": str, "method": str, "target": str}
        return cls(**{key: document[key] for key, kind in kinds.items() if type(document.get(key)) is kind})


@dataclass(frozen=True)
class Listed:
    """An image of the strip: its source, its name, a thumbnail, and its predictions, or why it can't be read."""

    source: Source
    name: str
    thumbnail: str = ""
    predictions: tuple[Prediction, ...] = ()
    error: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return what the strip shows."""
        best = phrase(self.predictions[0]) if self.predictions else "" if self.error else "nothing found"
        return {"name": short(self.name), "src": self.thumbnail, "predicted": short(best), "error": self.error}


@dataclass
class Exploration:
    """The images of a widget, and the maps of them that were computed so far.

    Attributes:
        model: the loaded model.
        images: the images that are shown.
        more: whether there are others.
        registry: all visualizations.
        methods: the settings of the usable ones by their names.
        unusable: why the others don't fit the model, by their names.
        targets: what to explain; none for the most important predictions.
        result: the result that was shown last, or None.
    """

    model: Model
    images: list[Listed]
    more: bool
    registry: Registry
    methods: dict[str, dict[str, object]]
    unusable: dict[str, str]
    targets: Sequence[int | str] = ()
    result: Result | None = None
    _results: dict[tuple[int, str, bool], Result] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Model,
        images: Source | Iterable[Source],
        targets: int | str | Sequence[int | str],
        plugin_dirs: Sequence[str | Path],
        settings: Mapping[str, object],
    ) -> Exploration:
        """Read the images and predict; the arguments and errors are those of :func:`picasso.widget`."""
        check_loaded(model, "widget")
        asked_for(model, targets)
        registry = Registry([Path(folder) for folder in plugin_dirs])
        unusable = registry.unsuitable(model)
        usable = [one.name for one in registry.entries() if one.cls and one.name not in unusable]
        methods = registry.with_settings(usable, settings)
        found = list(islice(expand(images, model), MAX_IMAGES + 1))
        shown = list(predicted(model, found[:MAX_IMAGES]))
        if all(one.error for one in shown):
            why = shown[0].error if shown else "Pass file names, folders, PIL images or (H, W, 3) arrays."
            raise BadRequest(f"There is no image to show. {why}")
        return cls(model, shown, len(found) > MAX_IMAGES, registry, methods, unusable, listed(targets))

    # ---- what can be chosen -------------------------------------------------------------------------------

    def questions(self) -> list[Question]:
        """Return the questions that fit the model."""
        task, several = self.model.spec.task, all(len(one.predictions) > 1 for one in self.images if not one.error)
        fitting = [one for one in QUESTIONS.values() if task in one.tasks and (several or not one.contrast)]
        return [one for one in fitting if self.steps(one)]

    def steps(self, question: Question) -> list[str]:
        """Return the visualizations that answer a question, the quickest first."""
        return question.methods(self.methods.__contains__)

    def menu(self) -> dict[str, Any]:
        """Return what can be chosen: images, questions and methods."""
        more = f"Only the first {MAX_IMAGES} images are shown. Pass a part of the list to see others."
        return {
            "images": [one.as_dict() for one in self.images],
            "more": more if self.more else "",
            "questions": [{"name": one.name, "text": one.text, "help": one.help} for one in self.questions()],
            "methods": [
                {"name": one.name, "title": one.title, "family": one.family, "reason": self.unusable.get(one.name, "")}
                for one in self.registry.entries()
                if one.cls
            ],
        }

    # ---- what is shown ------------------------------------------------------------------------------------

    def view(self, choice: Choice, report: Report) -> dict[str, Any]:
        """Return what a choice shows, after computing what is missing; what went wrong is one sentence in ``error``.

        Args:
            choice: what to show.
            report: called with the progress of the computation, 0..1.
        """
        try:
            return self._view(choice, report)
        except PicassoError as error:
            why = error.message
        # Code of a plugin or a model; a traceback would appear far from the widget, or not at all.
        except Exception as error:
            log.info("the widget failed to show %s", choice, exc_info=True)
            why = f"{choice.method or 'This'} failed: {reason(error)}."
        self.result = None
        return {"image": choice.image, "question": choice.question, "method": choice.method, "error": why}

    def _view(self, choice: Choice, report: Report) -> dict[str, Any]:
        """Return what :meth:`view` does; the errors are those of :func:`picasso.explain`."""
        if not 0 <= choice.image < len(self.images):
            raise NotFound(f"There is no image {choice.image}; the images are 0 to {len(self.images) - 1}.")
        question = next((one for one in self.questions() if one.name == choice.question), None)
        if question is None:
            raise NotFound(f"There is no question {choice.question[:60]!r} about this model.")
        steps = self.steps(question)
        entry, last = self.registry.get(choice.method or steps[0]), self.registry.get(steps[-1])
        if why := entry.reason or self.unusable.get(entry.name):
            raise BadRequest(f"{entry.title} {why}")
        result = self.result = self._result(choice.image, entry.name, question.contrast, report)
        of_targets = [one for one in result.panels if target_of(one)]
        chips = {target_of(one): one for one in reversed(of_targets)}
        target = choice.target if choice.target in chips else next(reversed(chips), "")
        others = [one for one in result.panels if not target_of(one)]
        panels = [*(one for one in of_targets if target_of(one) == target), *others][:MAX_PANELS]
        return {
            "image": choice.image,
            "name": short(result.image),
            "question": question.name,
            "method": entry.name,
            "title": entry.title,
            "description": entry.description,
            "misleads": entry.misleads,
            "better": {"name": last.name, "title": last.title} if last != entry else {},
            "target": target,
            "chips": [
                {"target": text, "name": short(one.title), "amount": legend.amount(one.describe())}
                for text, one in reversed(chips.items())
            ],
            "predictions": short(", ".join(map(phrase, result.predictions)), MAX_NOTE),
            "panels": [drawn(one, result.view, f"{entry.title} of {result.image}") for one in panels],
            "plain": address(figure.enlarged(Panel("", result.view), result.view, "")),
            "small": max(result.view.shape[:2]) <= figure.PIXELS,
            "notes": [short(note, MAX_NOTE) for note in result.notes],
            "error": "",
        }

    def _result(self, number: int, method: str, contrast: bool, report: Report) -> Result:
        """Return the result of a method for an image, which is computed if it is missing."""
        image, key = self.images[number], (number, method, contrast)
        if image.error:
            raise BadRequest(image.error)
        if key not in self._results:
            wanted = self.targets
            if contrast:
                best, *others = image.predictions
                names = [str(name) for name in self.model.class_names()]
                wanted = [unambiguous(names, f"{best['index']}{AGAINST}{one['index']}") for one in others]
            read = image_from(image.source, number, image.name, self.model)
            asked = asked_for(self.model, wanted)
            visualization, settings = self.registry.get(method).require(), self.methods[method]
            other = other_image(self.model)
            (result,) = run(self.model, visualization, settings, [read], report, targets=asked, other=other)
            while len(self._results) >= MAX_RESULTS:
                del self._results[next(iter(self._results))]
            self._results[key] = result
        return self._results[key]


def predicted(model: Model, sources: Sequence[Source]) -> Iterator[Listed]:
    """Yield the images in their order, each with its predictions; one that can't be read has its error instead."""
    names = named(sources)
    for start in range(0, len(sources), GROUP):
        group: list[NamedImage | str] = []
        for number in range(start, min(start + GROUP, len(sources))):
            try:
                group.append(image_from(sources[number], number, names[number], model))
            except PicassoError as error:
                group.append(error.message)
        readable = [one for one in group if isinstance(one, NamedImage)]
        inputs = iter(prepare(model, readable) if readable else [])
        for number, one in enumerate(group, start):
            if isinstance(one, str):
                yield Listed(sources[number], names[number] or f"image {number}", error=one)
                continue
            image = next(inputs)
            small = decode.data_address(decode.thumbnail(image.image, THUMBNAIL), "image/webp")
            yield Listed(sources[number], image.name, small, tuple(image.best))


def target_of(panel: Panel) -> str:
    """Return the target of a map; plugins may name only a class; "" if the map has none."""
    return panel.target or ("" if panel.class_index is None else str(panel.class_index))


def drawn(panel: Panel, view: NDArray[np.uint8], subject: str) -> dict[str, Any]:
    """Return a panel as an image with its legend."""
    described = panel.describe()
    shown = {
        "src": address(figure.enlarged(panel, view, "")),
        "alt": short(f"{subject}: {panel.title}", MAX_NOTE),
        "title": short(panel.title),
        "kind": panel.kind,
        "details": short(legend.details(described), MAX_NOTE) if panel.kind == "map" else "",
        "note": short(panel.note, MAX_NOTE),
    }
    if panel.kind == "map" and not panel.flat:
        (low, high), (left, right) = legend.ends(described), panel.meanings
        shown["low"], shown["high"] = f"{low} {left}".strip(), f"{right} {high}".strip()
        shown["legend"] = decode.data_address(decode.encode(render.colour_bar(panel)))
    return shown


def address(image: Image.Image) -> str:
    """Return an image as a data URL."""
    return decode.data_address(decode.encode(image))


def short(text: str, longest: int = MAX_NAME) -> str:
    """Return a text, cut off if it is long."""
    return text if len(text) <= longest else f"{text[:longest]}…"
