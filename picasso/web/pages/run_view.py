"""The view of runs: one alone, or several on the same images side by side."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import render_template

from picasso.attribution.rank_agreement import rank_correlation
from picasso.errors import BadRequest
from picasso.explanation.comparison import mean
from picasso.explanation.registry import Entry
from picasso.jobs.run import Run, Spec, State
from picasso.storage.session import Session
from picasso.targets import OutputTask, Wanted
from picasso.targets.class_names import AGAINST, choices
from picasso.web.context import services
from picasso.web.presentation import remaining

log = logging.getLogger(__name__)

# The maximum number of runs side by side, so that the page stays light.
MAX_IN_TOTAL = 6

# The folder of a run, and one of its results.
Source = tuple[Path, dict[str, Any]]


@dataclass(frozen=True)
class RunView:
    """One run with everything that its page shows."""

    run: Run
    spec: Spec
    state: State
    entry: Entry
    position: int

    @classmethod
    def at(cls, run: Run) -> RunView:
        """Look at a run."""
        spec = run.spec()
        return cls(run, spec, run.state(), services().registry.get(spec.visualization), services().runner.position(run))

    @property
    def running(self) -> bool:
        """Whether it is queued or running."""
        return self.state["state"] in ("waiting", "running")

    @property
    def remaining(self) -> float | None:
        """The estimated computing time left in seconds, if it is known."""
        return (
            remaining(self.state["fraction"], self.state["seconds"] - self.state["compiling"]) if self.running else None
        )

    @property
    def compiling(self) -> float:
        """The estimated seconds for compilation, which happens once per model; 0 once it is done."""
        return self.state["compiling"] if self.running and not self.state["fraction"] else 0.0

    @property
    def description(self) -> str:
        """The text on what the maps show and how to read them, for these settings."""
        cls = self.entry.require()
        try:
            return cls.describe(cls.ALLOWED_SETTINGS.parse(self.spec.settings))
        except Exception:
            # A plugin may fail or may have changed since the run; its maps are shown anyway.
            log.exception("%s could not describe its maps", self.entry.name)
            return self.entry.description

    @property
    def targets(self) -> list[str]:
        """What the user asked about, as the form takes it."""
        unique = ClassNames(enumerate(value for value, _ in choices(list(class_names().values()))))
        return [written(unique, one) for one in self.spec.targets]

    @property
    def settings(self) -> dict[str, str]:
        """The formatted settings by name."""
        controls = self.entry.require().ALLOWED_SETTINGS.controls()
        shown = {name: control.show(self.spec.settings[name]) for name, control in controls.items()}
        if self.spec.targets:
            noun = "classes" if all(not isinstance(one, str) for one in self.spec.targets) else "targets"
            shown[noun] = ", ".join(written(class_names(), one) for one in self.spec.targets)
        if self.spec.model:
            shown["model"] = self.spec.model
        if self.spec.models:
            shown["compared with"] = ", ".join(self.spec.models)
        return shown


def written(names: dict[int, str], wanted: Wanted) -> str:
    """Return the name of a class, or of two, or the text of another target."""
    if isinstance(wanted, str):
        return wanted
    return names[wanted] if isinstance(wanted, int) else AGAINST.join(names[one] for one in wanted)


def task() -> str:
    """Return the task of the model, a value of :class:`~picasso.targets.OutputTask`; classification until it is known.

    The templates in ``predictions/`` are named after it.
    """
    card = services().model.status().get("card") or {}
    return str(card.get("task", {}).get("task", OutputTask.CLASSIFICATION))


def class_names() -> dict[int, str]:
    """Return the names of the model's classes by index; the index itself while the model is not loaded."""
    report = services().model.status().get("report") or {"class_names": []}
    return ClassNames(enumerate(report["class_names"]))


class ClassNames(dict[int, str]):
    """Names by index, or the index if there is no name."""

    def __missing__(self, index: int) -> str:
        return str(index)


def looks(session: Session, ids: str) -> list[RunView]:
    """Return the runs with the comma-separated ids in a URL.

    Raises:
        NotFound: one of them is not there.
        BadRequest: there are too many.
    """
    wanted = list(dict.fromkeys(ids.split(",")))
    if len(wanted) > MAX_IN_TOTAL:
        raise BadRequest(f"At most {MAX_IN_TOTAL} runs can be shown side by side.", field="run")
    return [RunView.at(session.run(run_id)) for run_id in wanted]


def labels(shown: Sequence[RunView]) -> list[str]:
    """Return what tells each of several runs from the others: the visualization, and the settings that differ."""
    names = []
    for look in shown:
        others = [other for other in shown if other.entry.name == look.entry.name and other is not look]
        differ = {
            key: value
            for key, value in look.settings.items()
            if any(other.settings.get(key) != value for other in others)
        }
        names.append(", ".join([look.entry.title, *(f"{key} {value}" for key, value in differ.items())]))
    # Two runs of the same settings are told apart by their place.
    return [name if names.count(name) == 1 else f"{name} ({index})" for index, name in enumerate(names, 1)]


def render(shown: Sequence[RunView], results: Sequence[list[dict[str, Any]]], **more: Any) -> str:
    """Return the page of runs: the template of the visualization for one, a common one for several.

    Args:
        shown: the runs.
        results: the documents of each, with addresses.
        more: what the frame of the page wants to know besides; ``frame`` itself is the page's by default.
    """
    alone, first = len(shown) == 1, shown[0]
    return render_template(
        first.entry.template if alone else "together.html",
        looks=shown,
        labels=labels(shown),
        results=results[0] if alone else rows(shown, results),
        run=first.run,
        state=first.state,
        visualization=first.entry,
        settings=first.spec.settings,
        controls=first.entry.require().ALLOWED_SETTINGS.controls(),
        **more,
    )


def rows(shown: Sequence[RunView], results: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return one document for each image, with the panels of all runs, each in a group named after its run.

    Args:
        shown: the runs.
        results: the documents of each, with addresses.
    """
    found: dict[int, dict[str, Any]] = {}
    sources: dict[int, list[Source]] = {}
    for look, label, documents in zip(shown, labels(shown), results, strict=True):
        for document in documents:
            row = found.setdefault(document["uid"], {**document, "panels": [], "notes": []})
            row["panels"] += [{**panel, "group": named(label, panel["group"])} for panel in document["panels"]]
            row["notes"] += [note for note in document["notes"] if note not in row["notes"]]
            row["compared"] = {**row["compared"], **document["compared"]}
            sources.setdefault(document["uid"], []).append((look.run.folder, document))
    if not any(look.running for look in shown):
        for uid, row in found.items():
            row["agreement"] = agreement(sources[uid])
    return list(found.values())


def named(label: str, group: str) -> str:
    """Return the name of a group of panels: of the run, and of what it compares itself."""
    return f"{label} · {group}" if group else label


def agreement(sources: Sequence[Source]) -> float | None:
    """Return the mean rank correlation of the runs' maps of the same target and quantity, or None if there are none.

    Maps of different quantities are not compared: where a pixel matters, one may be high and the other low.
    """
    found = []
    for (folder, one), (other_folder, two) in itertools.combinations(sources, 2):
        theirs = maps(two)
        for key, array in maps(one).items():
            if key in theirs:
                places = ((folder, one["position"], *array), (other_folder, two["position"], *theirs[key]))
                found.append(correlation(*places))
    return mean(found)


def maps(document: dict[str, Any]) -> dict[tuple[str, str], tuple[str, float]]:
    """Return the array and the noise of each map of a result by target and quantity; of several models, the first."""
    found = [panel for panel in document["panels"] if panel["kind"] == "map" and target_of(panel)]
    first = [panel for panel in found if panel["group"] == found[0]["group"]]
    return {(target_of(panel), panel["quantity"]): (panel["array"], panel["noise"]) for panel in first}


def text_of(wanted: Wanted) -> str:
    """Return the text of a target, as the panels of its maps have it."""
    return str(wanted) if isinstance(wanted, int | str) else AGAINST.join(map(str, wanted))


def target_of(panel: dict[str, Any]) -> str:
    """Return the target of a map; plugins may name only a class; "" if the map has none."""
    index = panel["class_index"]
    return str(panel["target"] or ("" if index is None else index))


@functools.lru_cache(maxsize=4096)
def correlation(one: tuple[Path, int, str, float], two: tuple[Path, int, str, float]) -> float | None:
    """Return how far two stored maps agree; results never change, so what was computed is kept."""
    first, second = (Run(folder).array(str(position), name) for folder, position, name, _ in (one, two))
    return None if first is None or second is None else rank_correlation(first, second, (one[-1], two[-1]))
