"""The workspace: what its address asks for, the maps that are already there, and those that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from picasso.errors import BadRequest, NotFound, NotReady, PicassoError
from picasso.explanation.guide import CLASSES, DEFAULT, QUESTIONS, USUAL, Question
from picasso.explanation.legend import amount
from picasso.explanation.registry import Entry
from picasso.jobs.run import Run, Spec, State, StoredImage
from picasso.storage.session import Session
from picasso.targets import OutputTask, Wanted
from picasso.targets.class_names import AGAINST, unambiguous
from picasso.visualizations.settings import Control
from picasso.web.context import each, services
from picasso.web.pages.address import Address
from picasso.web.pages.run_view import RunView, class_names, target_of, task, text_of
from picasso.web.predicted import Row, predictions
from picasso.web.presentation import present
from picasso.web.rankings import preferred

# The maximum number of images in the strip; the gallery shows all.
MAX_STRIP = 60
# Predictions for at most this many images are computed without being asked for.
MAX_UNASKED = 500
# The maximum number of single maps that a session keeps; the oldest are deleted.
MAX_MAPS = 300
UNFINISHED = ("waiting", "running")


@dataclass(frozen=True)
class Step:
    """One visualization of the image, with the run that has its result or computes it.

    Attributes:
        entry: the visualization.
        settings: its validated settings by name.
        look: the run, or None.
        result: the document of its result for the image so far, or None.
        preliminary: whether the result is a preview.
    """

    entry: Entry
    settings: dict[str, Any]
    look: RunView | None = None
    result: dict[str, Any] | None = None
    preliminary: bool = False

    @property
    def running(self) -> bool:
        """Whether it is queued or running."""
        return self.look is not None and self.look.running

    @property
    def error(self) -> str:
        """Why it failed, or ""."""
        failed = self.look.state["error"] if self.look else None
        return failed["message"] if failed else ""

    @property
    def missing(self) -> bool:
        """Whether it must be computed; a failed one is only computed again if the user asks for it."""
        return not self.running and not self.error and (self.result is None or self.preliminary)


@dataclass(frozen=True)
class Chip:
    """A target that can be chosen: its text, its name, and its value for the image."""

    text: str
    name: str
    amount: str = ""


class View:
    """The image, the question and the maps of an address.

    Args:
        session: the visitor's session.
        address: what to show.
        images: the images of the session.

    Attributes:
        address: what is shown; the image is chosen if the address named none.
        image: the image, or None if there are none.
        errors: what is wrong with the fields of the address, by name.
    """

    def __init__(self, session: Session | None, address: Address, images: Sequence[StoredImage]) -> None:
        self._session, self.images, self.errors = session, images, dict[str, PicassoError]()
        self.image = next((one for one in images if str(one["uid"]) == address.image), images[0] if images else None)
        if address.image and (self.image is None or str(self.image["uid"]) != address.image):
            gone = "" if session else " The session may have been deleted or have expired, or the server was restarted."
            self.errors["image"] = NotFound(
                f"There is no image with the number {address.image[:20]} in this session.{gone}"
            )
        self.address = replace(address, image=str(self.image["uid"]) if self.image else "")
        # Both note what is wrong with the address.
        _ = self.plan, self.wanted

    # ---- what was asked -----------------------------------------------------------------------------------

    @cached_property
    def question(self) -> Question:
        """The question; the default if a method was chosen without one.

        Raises:
            NotFound: there is no such question.
        """
        name = self.address.question
        if name and name not in QUESTIONS:
            raise NotFound(f"There is no question {name[:60]!r}. The questions are {', '.join(QUESTIONS)}.")
        question = QUESTIONS.get(name, QUESTIONS[DEFAULT])
        if OutputTask(task()) not in question.tasks:
            raise NotFound(f"This model has no answer to “{question.text}”.")
        return question

    @cached_property
    def chosen(self) -> Entry | None:
        """The visualization that was chosen itself, or None."""
        return services().registry.get(self.address.method) if self.address.method else None

    @cached_property
    def preferred(self) -> str:
        """The name of the visualization that a ranking prefers for the model, or ""."""
        return preferred()

    @property
    def praised(self) -> bool:
        """Whether a ranking has put its method in the place of the usual one."""
        return bool(self.plan) and self.chosen is None and self.question.open and self.preferred not in ("", USUAL)

    @property
    def questions(self) -> list[Question]:
        """The questions that fit the model."""
        kind = OutputTask(task())
        return [one for one in QUESTIONS.values() if kind in one.tasks and one.methods(usable)]

    @cached_property
    def plan(self) -> list[tuple[Entry, dict[str, Any]]]:
        """The visualizations that answer, with their validated settings."""
        registry = services().registry
        if self.chosen is None:
            steps = [registry.get(name) for name in self.question.methods(usable, self.preferred)]
            return [(entry, entry.require().ALLOWED_SETTINGS.parse({}).as_dict()) for entry in steps]
        allowed, given = self.chosen.require().ALLOWED_SETTINGS, dict[str, str]()
        for name, value in self.address.settings.items():
            try:
                services().model.check_settings(allowed.controls(), allowed.parse({name: value}).as_dict())
                given[name] = value
            except BadRequest as error:
                self.errors[name] = error
        return [(self.chosen, allowed.parse(given).as_dict())]

    @cached_property
    def controls(self) -> dict[str, Control]:
        """The controls of the last visualization."""
        allowed = self.plan[-1][0].require().ALLOWED_SETTINGS.controls() if self.plan else {}
        return services().model.offered(allowed)

    @property
    def values(self) -> dict[str, Any]:
        """The values of the controls: what was typed, even where it is wrong."""
        typed = {name: value for name, value in self.address.settings.items() if name in self.errors}
        return self.plan[-1][1] | typed if self.plan else {}

    @cached_property
    def wanted(self) -> Wanted | None:
        """The target as the worker takes it, or None for the most important predictions."""
        if not self.address.target:
            return None
        try:
            parsed, _ = services().model.parsed([self.address.target], self.images)
        except NotReady:
            return None
        except BadRequest as error:
            self.errors["target"] = error
            return None
        return parsed[0] if len(parsed) == 1 else None

    # ---- what is there ------------------------------------------------------------------------------------

    @cached_property
    def steps(self) -> list[Step]:
        """The visualizations that answer, with their results so far."""
        if self.question.contrast and not self.chosen and AGAINST not in self.address.target:
            # The classes are not known yet.
            return [Step(entry, settings) for entry, settings in self.plan]
        return [self._step(entry, settings) for entry, settings in self.plan]

    @cached_property
    def shown(self) -> Step | None:
        """The best answer so far: the last step that has one."""
        return next((step for step in reversed(self.steps) if step.result), None)

    @property
    def working(self) -> list[Step]:
        """The steps that are being computed."""
        return [step for step in self.steps if step.running]

    @property
    def complete(self) -> bool:
        """Whether nothing must be computed."""
        return not self.errors and not any(step.missing for step in self.steps)

    @cached_property
    def default(self) -> dict[str, Any] | None:
        """A result for the image that explains its most important predictions, or None."""
        for run, spec, position in self._runs:
            if not spec.targets and (found := self._result(run, position)):
                return found
        return None

    @cached_property
    def chips(self) -> list[Chip]:
        """The targets that can be chosen: the most important predictions, and what was asked."""
        results = [one for one in (self.default, self.shown.result if self.shown else None) if one]
        found: dict[str, Chip] = {}
        for result in results:
            for one in result["predictions"] if OutputTask(task()) in CLASSES else []:
                found.setdefault(str(one["index"]), Chip(str(one["index"]), one["name"], f"{one['prob']:.4f}"))
            for panel in result["panels"]:
                if text := target_of(panel):
                    found.setdefault(text, Chip(text, panel["title"], amount(panel)))
        if not self.pair[0]:
            return list(found.values())
        # A contrast is chosen in two rows of its own.
        for text in self.pair:
            found.setdefault(text, Chip(text, class_names()[int(text)]))
        return [chip for chip in found.values() if AGAINST not in chip.text]

    @cached_property
    def target(self) -> str:
        """The text of the target that is shown, or ""."""
        if self.wanted is not None:
            return text_of(self.wanted)
        panels = self.shown.result["panels"] if self.shown and self.shown.result else []
        return next(filter(None, map(target_of, panels)), "")

    def spelled(self, text: str) -> str:
        """Return the text of a target as an address has it: with the names of classes."""
        return unambiguous(list(class_names().values()), text) if OutputTask(task()) in CLASSES else text

    @property
    def pair(self) -> tuple[str, str]:
        """The two classes of a contrast, or twice ""."""
        first, found, second = self.target.partition(AGAINST)
        return (first, second) if found and self.question.contrast else ("", "")

    @property
    def panels(self) -> list[dict[str, Any]]:
        """The panels of the target, then those that belong to no target."""
        found = self.shown.result["panels"] if self.shown and self.shown.result else []
        own = [panel for panel in found if self.target and target_of(panel) == self.target]
        return own + [panel for panel in found if not target_of(panel)]

    @property
    def others(self) -> list[dict[str, Any]]:
        """The panels of other targets, one for each."""
        found = self.shown.result["panels"] if self.shown and self.shown.result else []
        return list({target_of(one): one for one in reversed(found) if one not in self.panels}.values())[::-1]

    def neighbour(self, places: int) -> StoredImage | None:
        """Return the image that many places further in the strip, or None."""
        place = self._place + places
        return self.images[place] if 0 <= place < len(self.images) else None

    @cached_property
    def _place(self) -> int:
        """The position of the image among those of the session; 0 if there are none."""
        return self.images.index(self.image) if self.image else 0

    @cached_property
    def strip(self) -> Sequence[StoredImage]:
        """The images around the current one."""
        start = max(0, min(self._place - MAX_STRIP // 2, len(self.images) - MAX_STRIP))
        return self.images[start : start + MAX_STRIP]

    @cached_property
    def rows(self) -> dict[int, Row]:
        """The predictions for the images of the strip, as far as they are known."""
        return predictions(self._session, self.strip) if self._session else {}

    @property
    def unpredicted(self) -> bool:
        """Whether predictions for the strip are missing, and so few that they are computed without being asked for."""
        missing = any(not row.predicted and not row.error for row in self.rows.values())
        return missing and len(self.images) <= MAX_UNASKED

    @cached_property
    def _runs(self) -> list[tuple[Run, Spec, int]]:
        """The session's runs that have the image, with its position in each, the newest first."""
        if self._session is None or self.image is None:
            return []
        found = []
        for run, spec in each(self._session.runs(), specified):
            position = spec.position(self.image["uid"])
            if position is not None and not spec.models and not spec.model:
                found.append((run, spec, position))
        return found

    def _result(self, run: Run, position: int, *, previews: bool = False) -> dict[str, Any] | None:
        """Return the result of the image, unless it is that of another model that was served before."""
        found = next(iter(present(run, previews=previews, only=position)), None)
        card = services().model.status().get("card")
        # Results of an earlier version have no precision.
        same = (
            found is None
            or card is None
            or all(found["model"].get(key, "exact") == card[key] for key in ("fingerprint", "precision"))
        )
        return found if same else None

    def _step(self, entry: Entry, settings: dict[str, Any]) -> Step:
        """Return a visualization with the newest run that has its result, computes it or has failed."""
        for run, spec, position in self._runs:
            if spec.visualization != entry.name or spec.settings != settings:
                continue
            state, result = run.state(), self._result(run, position, previews=True)
            if not self._covers(spec.targets, state, result):
                continue
            preliminary = result is not None and not (run.result_folder(position)).exists()
            if state["state"] in UNFINISHED or state["error"] or (result and not preliminary):
                return Step(entry, settings, RunView.at(run), result, preliminary)
        return Step(entry, settings)

    def _covers(self, targets: Sequence[Wanted], state: State, result: dict[str, Any] | None) -> bool:
        """Tell whether a run explains the target that was asked for."""
        if self.wanted is None:
            return not targets
        texts = [text_of(one) for one in targets]
        if texts or result is None:
            return text_of(self.wanted) in texts if texts else self._suggested
        explained = set(filter(None, map(target_of, result["panels"])))
        return not explained or text_of(self.wanted) in explained

    @property
    def _suggested(self) -> bool:
        """Whether the target is one of the most important predictions, which are explained together."""
        panels = self.default["panels"] if self.default else []
        return self.wanted is not None and text_of(self.wanted) in map(target_of, panels)

    # ---- what is missing ----------------------------------------------------------------------------------

    def compute(self) -> Address:
        """Queue a run for each step that is missing, or that has failed, and return the address of the view.

        Raises:
            PicassoError: a setting or a target is wrong, or the queue is full.
        """
        if self._session is None or self.image is None:
            raise BadRequest("There are no images to explain. Upload images or add samples.", field="image")
        if self.question.contrast and self.chosen is None and AGAINST not in self.address.target:
            return View(self._session, self._contrast(self.image), self.images).compute()
        steps = self.steps
        wanted = self.wanted
        for error in self.errors.values():
            raise error
        self._session.check_room()
        forget_oldest(self._session)
        targets = [] if wanted is None or self._suggested else [self.address.target]
        for step in steps:
            if step.missing or step.error:
                services().runner.start(
                    self._session.runs_folder,
                    step.entry.name,
                    step.settings,
                    [self.image],
                    targets=targets,
                    among=self.images,
                    workspace=True,
                )
        return self.address

    def _contrast(self, image: StoredImage) -> Address:
        """Return the address for the most probable class of an image, or the chosen one, rather than the next."""
        question = {"kind": "predict", "paths": [image["path"]], "targets": [], "references": {}, "show": False}
        best = services().runner.ask(question)["answers"][0]["predictions"]
        indices = [str(one["index"]) for one in best]
        first = text_of(self.wanted) if isinstance(self.wanted, int) else indices[0]
        second = next((index for index in indices if index != first), None)
        if second is None:
            raise BadRequest("The model has only one class, so there is nothing to compare it with.", field="target")
        return replace(self.address, target=self.spelled(f"{first}{AGAINST}{second}"))


def forget_oldest(session: Session) -> None:
    """Delete the oldest maps of the workspace beyond the maximum number."""
    kept = [run for run, spec in each(session.runs(), specified) if spec.workspace]
    for run in kept[MAX_MAPS - 1 :]:
        session.remove_run(run)


def specified(run: Run) -> tuple[Run, Spec]:
    """Return a run with its specification."""
    return run, run.spec()


def usable(name: str) -> bool:
    """Tell whether the model supports a visualization."""
    try:
        return not services().model.unusable(services().registry.get(name))
    except PicassoError:
        return False
