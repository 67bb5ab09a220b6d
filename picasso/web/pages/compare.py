"""The page Compare: a grid of images and methods, models or targets, and a timeline of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from picasso.errors import BadRequest, Busy, PicassoError
from picasso.explanation.comparison import own_name
from picasso.explanation.registry import Entry
from picasso.jobs.run import StoredImage
from picasso.models.checkpoints import spread
from picasso.models.info import ModelInfo
from picasso.targets import Wanted
from picasso.targets.class_names import choices
from picasso.visualizations.settings import Control
from picasso.web.context import find_session, need_session, services, session_images
from picasso.web.pages.grid import Column, Grid, Request
from picasso.web.pages.home import chosen
from picasso.web.pages.run_view import class_names, text_of, written
from picasso.web.pages.timeline import Timeline, order_of_training

blueprint = Blueprint("compare", __name__)

# What columns can be, with their names on the page.
KINDS = {"method": "Methods", "model": "Models", "target": "Classes"}
# The fields of the address that are not settings of a method.
OWN_FIELDS = ("by", "method", "model", "target", "class", "image", "view", "sort", "size", "opacity", "pair")
# The methods that are compared first, and of those the ones by which models and targets are compared.
FIRST = ("GradCAM", "PartialOcclusion", "SaliencyMaps")
# The most columns and rows, and how many there are unless others are chosen.
MAX_COLUMNS, MAX_ROWS = 12, 60
FEW_COLUMNS, FEW_ROWS = 6, 12
# The places of targets if none is chosen.
PLACES = ("most important", "second", "third")


@dataclass(frozen=True)
class Query:
    """What the address of the page says, with defaults for what it does not say.

    ``settings`` are those of the methods that have them.
    """

    fields: MultiDict[str, str]

    @cached_property
    def by(self) -> str:
        """What columns are."""
        by = self.fields.get("by") or ("model" if services().runner.models() else "method")
        return one_of(by, list(KINDS), "by")

    @property
    def timeline(self) -> bool:
        """Whether the models are drawn as a timeline."""
        return (
            self.by == "model" and one_of(self.fields.get("view", "grid"), ["grid", "timeline"], "view") == "timeline"
        )

    @property
    def sort(self) -> str:
        """The order of the rows."""
        return one_of(self.fields.get("sort", "given"), ["given", "disagreement"], "sort")

    @cached_property
    def offered(self) -> list[Entry]:
        """The methods that give maps of this model."""
        model = services().model
        entries = services().registry.entries()
        return [one for one in entries if one.cls and one.family != "Answers" and not model.unusable(one)]

    @cached_property
    def methods(self) -> list[str]:
        """The names of the methods; one unless they are the columns."""
        names = [entry.name for entry in self.offered]
        preferred = [name for name in FIRST if name in names] or names
        few = preferred[:2] if self.by == "method" else preferred[:1]
        found = [one_of(name, names, "method") for name in self.fields.getlist("method")] or few
        return found if self.by == "method" else found[:1]

    @cached_property
    def models(self) -> list[str]:
        """The names of the models, "" for the main one; one unless they are the columns."""
        names = order_of_training(services().settings) if self.timeline else ["", *services().runner.models()]
        given = self.fields.getlist("model")
        for name in given:
            one_of(name, names, "model")
        if self.by != "model":
            return given[:1] or [""]
        if given:
            return [name for name in names if name in given]
        return names if self.timeline else [names[0], *spread(names[1:], FEW_COLUMNS - 1)]

    @cached_property
    def targets(self) -> list[str]:
        """The targets as texts, one unless they are the columns; none for those that the predictions suggest."""
        found = list(dict.fromkeys(chosen(self.fields)))
        return found if self.by == "target" else found[:1]

    @cached_property
    def images(self) -> list[StoredImage]:
        """The images, the first of the session by default."""
        session = find_session()
        if session is None:
            return []
        given = self.fields.getlist("image")
        if len(given) > MAX_ROWS:
            raise BadRequest(
                f"At most {MAX_ROWS} images can be compared at once; {len(given)} are chosen.", field="image"
            )
        few = 1 if self.timeline else FEW_ROWS
        return session_images(session, list(given)) if given else session.images()[:few]

    @cached_property
    def settings(self) -> dict[str, str]:
        """The settings that the address names; those that no method has are of methods chosen before."""
        entries = map(services().registry.get, self.methods)
        known = {name for entry in entries for name in entry.require().ALLOWED_SETTINGS.controls()}
        return {name: value for name, value in self.fields.items() if name in known and name not in OWN_FIELDS}

    def columns(self) -> list[Column]:
        """Return the columns.

        Raises:
            BadRequest: a setting or a target is invalid, or there are too many columns.
            NotReady: targets are chosen, and the model is not loaded yet.
        """
        session = find_session()
        wanted, _ = services().model.parsed(self.targets, session.images() if session else [])
        checked = services().registry.with_settings(self.methods, self.settings)
        found = list(self._columns(checked, wanted))
        most = len(found) if self.timeline else MAX_COLUMNS
        if len(found) > most:
            raise BadRequest(f"At most {most} columns can be compared; {len(found)} are chosen.", field=self.by)
        return found

    def _columns(self, checked: dict[str, dict[str, object]], wanted: Sequence[Wanted]) -> list[Column]:
        """Return the columns for validated settings and targets."""

        def asked(method: str, model: str) -> Request:
            allowed = services().registry.get(method).require()
            settings = allowed.ALLOWED_SETTINGS.parse(checked[method])
            if self.by == "model" or model:
                settings = allowed.ALLOWED_SETTINGS.parse(allowed.settings_to_compare(settings))
            return Request(method, settings.as_dict(), list(wanted), model)

        target = text_of(wanted[0]) if wanted else ""
        if self.by == "method":
            return [Column(titled(name), asked(name, self.models[0]), target) for name in self.methods]
        if self.by == "model":
            return [Column(model_name(name), asked(self.methods[0], name), target) for name in self.models]
        one = asked(self.methods[0], self.models[0])
        if not wanted:
            return [Column(title, one, place=place) for place, title in enumerate(PLACES)]
        return [Column(written(class_names(), each), one, text_of(each)) for each in wanted]

    def address(self, **changed: Any) -> str:
        """Return the address of this page with other fields; None removes one."""
        fields = {name: self.fields.getlist(name) for name in self.fields if any(self.fields.getlist(name))}
        fields["target"] = chosen(self.fields)
        fields.pop("class", None)
        if "" in self.fields.getlist("model"):
            fields["model"] = self.fields.getlist("model")
        return url_for("compare.show", **{**fields, **changed})


def one_of(value: str, allowed: Sequence[str], field: str) -> str:
    """Return a value, or raise a BadRequest that lists the allowed ones."""
    if value not in allowed:
        known = ", ".join(filter(None, allowed)) + (", or empty for the main model" if "" in allowed else "")
        raise BadRequest(f"{field} must be one of {known}, not {value[:60]!r}.", field=field)
    return value


def titled(method: str) -> str:
    """Return the usual name of a method."""
    return services().registry.get(method).title


def model_name(name: str) -> str:
    """Return the name of a model as it is shown; the main one has none in the settings."""
    card = services().model.status().get("card")
    if name or not card:
        return name or services().settings.model_name()
    return own_name(ModelInfo.from_dict(card), services().runner.models())


def page(query: Query, error: PicassoError | None = None) -> str:
    """Return the page, with an error of the form above it."""
    session = find_session()
    ready = services().model.status()["state"] == "ready"
    grid = None
    if ready and session and query.images and query.methods and not error:
        try:
            grid = Grid.of(session, query.images, query.columns())
        except BadRequest as wrong:
            error = wrong
    rows = grid.rows if grid else []
    if query.sort == "disagreement":
        # Rows without a number, such as those of flat maps, come last.
        rows = sorted(rows, key=lambda row: (row.agreement is None, row.agreement))
    return render_template(
        "compare.html",
        query=query,
        grid=grid,
        error=error,
        # A link on another site must start no work, so the visitor then has to press the button.
        trusted=request.headers.get("Sec-Fetch-Site") in ("same-origin", "none"),
        rows=rows,
        timelines=[Timeline.of(row) for row in rows if row.shown] if query.timeline else [],
        kinds=KINDS,
        all_images=session.images() if session else [],
        choices=choices(list(class_names().values())),
        pairs=[(entry.name, entry.name) for entry in query.offered],
        models=[(name, model_name(name)) for name in ("", *services().runner.models())],
        form=settings_form(query),
        layers=services().model.layers(),
    )


def settings_form(query: Query) -> list[tuple[str, Control, Any]]:
    """Return the settings of the method with their values, unless methods are the columns."""
    if query.by == "method" or not query.methods:
        return []
    allowed = services().registry.get(query.methods[0]).require().ALLOWED_SETTINGS
    values = allowed.parse({}).as_dict()
    for name, value in query.settings.items():
        # The page says which value is invalid; the others stay.
        with suppress(BadRequest):
            values[name] = allowed.parse({name: value}).as_dict()[name]
    return [(name, control, values[name]) for name, control in services().model.offered(allowed.controls()).items()]


@blueprint.get("/compare")
def show() -> str:
    """Show the grid or the timeline that the address describes, with the maps that there are."""
    return page(Query(request.args))


@blueprint.post("/compare")
def start() -> BaseResponse:
    """Start runs for the maps that are missing, and show the grid.

    If the queue is full, the maps of the other columns are started later, from the page.
    """
    query, session = Query(request.form), need_session()
    session.check_room()
    started = 0
    try:
        grid = Grid.of(session, query.images, query.columns())
        for asked, _ in grid.requests:
            if images := grid.missing(asked, again=True):
                services().runner.start(
                    session.runs_folder,
                    asked.method,
                    asked.settings,
                    images,
                    targets=query.targets,
                    model=asked.model,
                    among=session.images(),
                )
                started += 1
    except BadRequest as error:
        return make_response(page(query, error), error.status)
    except Busy:
        if not started:
            raise
    return redirect(query.address(), 303)


@blueprint.post("/compare/cancel")
def cancel() -> BaseResponse:
    """Stop the runs of the grid; finished maps are kept."""
    query, session = Query(request.form), need_session()
    for look, _ in Grid.of(session, query.images, query.columns()).running:
        look.run.cancel()
    return redirect(query.address(), 303)
