"""The model: what was guessed about it, other preprocessing tried on a few images, its description and its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from flask import Blueprint, make_response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from picasso import remedies
from picasso.errors import BadRequest, PicassoError
from picasso.explanation.preprocessing_trial import MAX_IMAGES
from picasso.jobs.run import StoredImage
from picasso.models.preprocessing import Preprocessing
from picasso.targets import Prediction, phrase
from picasso.web import error_handlers
from picasso.web.context import find_session, services
from picasso.web.pages.inside import no_channels
from picasso.web.predicted import labels
from picasso.web.quoting import literal, option, wrapped

blueprint = Blueprint("model", __name__)

# What can be tried, with the words of the form.
KINDS = {"values": "value range", "order": "order of channels", "resize": "resizing"}
# The setting that settles each guess that no trial can settle.
SETTLED_BY = {"task": "TASK", "meaning of the output": "OUTPUT"}
# If at least this many images all have the same first prediction, an alternative is not recommended.
MIN_ALIKE = 3
# Without known classes, another alternative is only better than the served one if its mean confidence is this much
# higher: a few images show no smaller difference.
MARGIN = 0.05


class Lines(NamedTuple):
    """How to set something: the line of a settings file, and the option of a command."""

    setting: str
    option: str

    @classmethod
    def of(cls, name: str, value: str) -> Lines:
        """Return the lines for a setting that is also an option."""
        return cls(f"{name} = {literal(value)}", wrapped([option(remedies.KNOWN[name][0], value)]))


class TrialImage(NamedTuple):
    """An image of a trial: its path, its name, the folders that it was uploaded in, and the image of a session."""

    path: str
    name: str
    folders: str
    stored: StoredImage | None


class Cell(NamedTuple):
    """The first prediction of an image with one alternative: its text, its name, and whether it is right, if known."""

    text: str
    name: str
    correct: bool | None


@dataclass(frozen=True)
class Alternative:
    """One preprocessing with its predictions.

    Attributes:
        keywords: the value of the setting PREPROCESS.
        served: whether it is the current one.
        cells: one for each image; none if it can't be used.
        right: the number of right predictions, or None if no image has a known class.
        confidence: the mean probability of the first predictions, or None if they have none.
        error: why it can't be used, or "".
    """

    keywords: str
    served: bool
    cells: tuple[Cell, ...]
    right: int | None
    confidence: float | None
    error: str

    @property
    def names(self) -> list[str]:
        """The names of the first predictions, one for each image."""
        return [cell.name for cell in self.cells]

    @property
    def kinds(self) -> int:
        """The number of different first predictions."""
        return len(set(filter(None, self.names)))

    @property
    def lines(self) -> Lines:
        """How to choose it."""
        return Lines.of("PREPROCESS", self.keywords)


@dataclass(frozen=True)
class Trial:
    """The predictions of some images with several kinds of preprocessing.

    Attributes:
        kind: what differs, a key of :data:`KINDS`.
        images: the images.
        classes: the names of their classes, each "" if it is not known.
        alternatives: the kinds of preprocessing.
    """

    kind: str
    images: tuple[TrialImage, ...]
    classes: tuple[str, ...]
    alternatives: tuple[Alternative, ...]

    @property
    def labelled(self) -> int:
        """The number of images whose class is known."""
        return sum(map(bool, self.classes))

    @property
    def confident(self) -> list[Alternative]:
        """The alternatives whose predictions have probabilities."""
        return [one for one in self.alternatives if one.confidence is not None]

    @property
    def alike(self) -> bool:
        """Whether all alternatives predict the same class for every image, so that the images don't tell them apart."""
        return len(self.confident) > 1 and all(one.names == self.confident[0].names for one in self.confident)

    @property
    def best(self) -> Alternative | None:
        """The alternative with the most right predictions, or else the most confident one.

        None if neither is known, or if all predict the same. One that predicts the same for all images comes last:
        values out of range often give the same confident answer. The served one comes first unless another one is
        clearly more confident.
        """
        if self.alike:
            return None
        few = len(self.images) < MIN_ALIKE

        def evidence(one: Alternative) -> tuple[float, ...]:
            return one.right or 0, few or one.kinds > 1, (one.confidence or 0) + MARGIN * one.served

        return max(self.confident, key=evidence, default=None)

    @property
    def certain(self) -> bool:
        """Whether the best alternative has more right predictions than all others."""
        best = self.best
        if best is None or best.right is None:
            return False
        return all((one.right or 0) < best.right for one in self.alternatives if one is not best)


@blueprint.app_context_processor
def bar() -> dict[str, Any]:
    """Provide the notes on the model that are no guesses."""
    return {"model_notes": notes(services().model.status().get("card") or {})}


def notes(card: Mapping[str, Any]) -> list[str]:
    """Return the notes on a model that are no guesses."""
    guesses = " ".join(card.get("guessed", {}).values())
    return [note for note in card.get("notes", ()) if note not in guesses]


@blueprint.get("/model")
def show() -> str:
    """Show the model: what was guessed, its description, and its layers."""
    return page()


@blueprint.post("/model")
def try_preprocessing() -> BaseResponse:
    """Predict a few images with each alternative of one part of the preprocessing, and show the page with them."""
    try:
        return make_response(page(tried(request.form)))
    except PicassoError as error:
        return error_handlers.with_retry(make_response(page(problem=error), error.status))


def page(trial: Trial | None = None, problem: PicassoError | None = None) -> str:
    """Return the page, optionally with the result of a trial or why there is none."""
    status = services().model.status()
    report = status.get("report")
    card = report["model"] if report else {}
    known = {"task": report["task"]["name"], "meaning of the output": card["task"]["activation"]} if report else {}
    settled = {what: Lines.of(SETTLED_BY[what], known[what]) for what in card.get("guessed", {}) if what in SETTLED_BY}
    session = find_session()
    first = next(iter(session.images()), None) if session else None
    return render_template(
        "model.html",
        report=report,
        # Channels are looked at for an image.
        first=None if first is None or no_channels() else first["uid"],
        warnings=[one for one in report["warnings"] if one not in card["notes"]] if report else [],
        settled=settled,
        offer=status.get("trial"),
        kinds=KINDS,
        chosen=request.form,
        trial=trial,
        problem=problem,
        count=MAX_IMAGES,
    )


def tried(form: Mapping[str, str]) -> Trial:
    """Return the result of the trial that a form asks for.

    Raises:
        BadRequest: a field is invalid, there are no images, or nothing can be tried with this model.
    """
    # If the model is not loaded, asking says so.
    status = services().model.status()
    offer = status.get("trial", {"reason": "", "keywords": "", "current": {}, "choices": {}})
    if offer["reason"]:
        raise BadRequest(offer["reason"])
    choices, kind = offer["choices"], form.get("try", "")
    if choices:
        valid(kind, list(choices), "try")
    parts = dict(offer["current"])
    for name, allowed in choices.items():
        # The order may also be that of the value range.
        unset = [""] if name == "order" else []
        parts[name] = valid(form.get(name, parts[name]), [*allowed, *unset], name)
    alternatives = [keywords({**parts, kind: one}) for one in choices.get(kind, [])]
    images = some_images()
    question = {
        "kind": "try preprocessing",
        "paths": [image.path for image in images],
        "samples": images[0].stored is None,
        "alternatives": list(dict.fromkeys(alternatives)),
    }
    answers = services().runner.ask(question)["alternatives"]
    known = labels()
    targets = [known.target(image.folders)[0] for image in images]
    classes = tuple("" if target is None else str(known.names[target]) for target in targets)
    served = offer["keywords"]
    return Trial(kind, tuple(images), classes, tuple(alternative(one, targets, served) for one in answers))


def valid(value: str, allowed: Sequence[str], field: str) -> str:
    """Return a value of a field, or raise BadRequest if it is not allowed."""
    if value not in allowed:
        listed = ", ".join(one for one in allowed if one)
        raise BadRequest(f"The field {field} must be one of {listed}, not {value[:40]!r}.", field=field)
    return value


def keywords(parts: Mapping[str, str]) -> str:
    """Return the keywords of a preprocessing with some parts, in their usual order."""
    return Preprocessing.parse(" ".join(parts.values())).keywords()


def some_images() -> list[TrialImage]:
    """Return a few images of the session, evenly spread, those with a class first; or else samples.

    Raises:
        BadRequest: there are neither.
    """
    session, known = find_session(), labels()
    stored = session.images() if session else []
    labelled = [one for one in stored if known.target(one.get("label", ""))[0] is not None]
    found = [TrialImage(str(one["path"]), one["name"], one.get("label", ""), one) for one in labelled or stored]
    if not found:
        found = [
            TrialImage(str(path), name, name.rpartition("/")[0], None) for name, path in services().samples.items()
        ]
    if not found:
        raise BadRequest("There are no images to try it on. Upload some in the workspace first.", field="images")
    count = min(MAX_IMAGES, len(found))
    return [found[index * len(found) // count] for index in range(count)]


def alternative(answer: Mapping[str, Any], targets: Sequence[int | None], served: str) -> Alternative:
    """Return one alternative from the worker's answer."""
    firsts: list[Prediction | None] = [best[0] if best else None for best in answer["predictions"]]
    pairs = list(zip(firsts, targets, strict=False))
    judged = [None if target is None or first is None else first["index"] == target for first, target in pairs]
    probabilities = [first["prob"] for first in firsts if first and "prob" in first]
    return Alternative(
        keywords=answer["keywords"],
        served=answer["keywords"] == served,
        cells=tuple(
            Cell(phrase(first) if first else "nothing", first["name"] if first else "", correct)
            for first, correct in zip(firsts, judged, strict=True)
        ),
        right=sum(map(bool, judged)) if any(one is not None for one in judged) else None,
        confidence=sum(probabilities) / len(firsts) if probabilities else None,
        error=answer["error"],
    )
