"""The workspace, and the plain pages: choose images, a visualization and its settings, view the results."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from picasso import __version__
from picasso.errors import BadRequest, PicassoError, TooLarge
from picasso.explanation.registry import Entry
from picasso.explanation.render import DIVERGING, SEQUENTIAL
from picasso.imaging.masking import FILLS
from picasso.jobs.run import Run, StoredImage
from picasso.targets.class_names import choices
from picasso.web import error_handlers
from picasso.web.api.rankings import document
from picasso.web.context import each, find_session, in_time, make_session, need_session, services, session_images
from picasso.web.pages.address import Address, filled
from picasso.web.pages.downloads import recipes_of
from picasso.web.pages.files import sample_file
from picasso.web.pages.gallery import selected_images
from picasso.web.pages.inside import no_channels
from picasso.web.pages.reset import undoable
from picasso.web.pages.run_view import MAX_IN_TOTAL, RunView, class_names, looks, render, task
from picasso.web.pages.workspace import View
from picasso.web.predicted import count_labels
from picasso.web.presentation import present
from picasso.web.rankings import IMAGES

blueprint = Blueprint("pages", __name__)

# The main pages, with the words of their links.
PLACES = (
    ("pages.index", "Workspace"),
    ("gallery.show", "Gallery"),
    ("compare.show", "Compare"),
    ("pages.choose", "All methods"),
    ("audits.index", "Audit"),
    ("documentation.index", "Help"),
)
# Where sessions are kept.
SESSIONS = (("sessions.index", "Sessions"),)
# The form fields of a run that are not settings of its visualization.
OWN_FIELDS = ("image", "class", "target", "model", "visualization", "wrong")
# The number of characters of an invalid value that the form shows again.
MAX_SHOWN = 1_000


@blueprint.app_context_processor
def layout() -> dict[str, Any]:
    """Provide the variables of the layout: the title, the model and its task."""
    return {
        "app_title": services().settings.APP_TITLE,
        "model": services().model.status(),
        "task": task(),
        "model_name": services().settings.model_name(),
        "version": __version__,
        "frame": "layout.html",
        "places": PLACES + (SESSIONS if services().settings.KEEP_SESSIONS else ()),
    }


def home(errors: list[PicassoError] | None = None) -> str:
    """Return the workspace, optionally with the errors of an upload."""
    session = find_session()
    images = session.images() if session else []
    view = View(session, Address.read(filled(request.args)), images)
    return render_template(
        "workspace.html",
        view=view,
        images=images,
        labelled=count_labels(images),
        samples=list(services().samples),
        methods=methods(),
        choices=choices(list(class_names().values())),
        layers=services().model.layers(),
        no_channels=no_channels(),
        colours=(SEQUENTIAL[0], DIVERGING[0]),
        recipes=recipes_of(view.shown.look) if view.shown and view.shown.look else {},
        errors=errors or [],
        undoable=undoable(),
    )


def methods() -> list[tuple[Entry, str]]:
    """Return all visualizations, each with the reason why it can't be used, or ""."""
    return [(entry, services().model.unusable(entry)) for entry in services().registry.entries()]


@blueprint.get("/")
def index() -> str:
    """Show the workspace: one image of the session with its map, and the questions that can be asked about it."""
    return home()


@blueprint.post("/view")
def compute() -> BaseResponse:
    """Compute the maps that a view of the workspace lacks, and return to it."""
    session = find_session()
    view = View(session, Address.read(filled(request.form)), session.images() if session else [])
    return redirect(view.compute().url(), 303)


@blueprint.post("/view/<run_id>/cancel")
def stop(run_id: str) -> BaseResponse:
    """Stop one map of the workspace, and return to the view."""
    need_session().run(run_id).cancel()
    return redirect(Address.read(request.form).url(), 303)


@blueprint.get("/visualizations")
def choose() -> str:
    """Show all visualizations and the earlier runs, as a plain page."""
    session = find_session()
    # The single maps of the workspace are no runs of their own.
    runs = [run for run in each(session.runs(), RunView.at) if not run.spec.workspace] if session else []
    images = session.images() if session else []
    rankings = each(session.rankings()[:1], document) if session else []
    return render_template(
        "visualizations.html",
        images=images,
        history=runs,
        methods=methods(),
        ranking=next(iter(rankings), None),
        ranked=min(len(images), IMAGES),
    )


@blueprint.post("/images")
def upload() -> BaseResponse:
    """Store one or several images; valid ones are kept even if others are not."""
    uploads = [file for file in request.files.getlist("file") if file.filename]
    errors: list[PicassoError] = []
    added: list[StoredImage] = []
    if not uploads:
        errors.append(BadRequest("No images were chosen.", field="file"))
    try:
        for file in in_time(uploads):
            try:
                added.append(make_session().add_image(file.stream, file.filename or ""))
            except PicassoError as error:
                errors.append(error)
    except TooLarge as error:
        errors.append(error)
    return answer_upload(added, errors)


@blueprint.post("/samples")
def add_samples() -> BaseResponse:
    """Add bundled samples to the session."""
    files = [sample_file(name) for name in request.form.getlist("sample")]
    added = [make_session().add_image(file.read_bytes(), file.name) for file in in_time(files)]
    return answer_upload(added, [] if added else [BadRequest("No samples were chosen.", field="sample")])


def answer_upload(added: list[StoredImage], errors: list[PicassoError]) -> BaseResponse:
    """Show the first new image in the workspace, or the errors there."""
    if not errors:
        return redirect(url_for("pages.index", image=added[0]["uid"]), 303)
    return make_response(home(errors), errors[0].status)


@blueprint.post("/images/<uid>/remove")
def remove_image(uid: str) -> BaseResponse:
    """Remove an image from the session."""
    need_session().remove_image(uid)
    return redirect(url_for("pages.index"), 303)


@blueprint.post("/images/<uid>/move")
def move_image(uid: str) -> BaseResponse:
    """Move an image one position to the front or to the back."""
    need_session().move(uid, -1 if request.form.get("to") == "front" else 1)
    return redirect(url_for("pages.index"), 303)


@blueprint.get("/images/<uid>/what-if")
def what_if(uid: str) -> str:
    """Show the page for hiding parts of an image."""
    session = need_session()
    return render_template(
        "what_if.html",
        image=session.image(uid),
        images=selected_images(session, request.args),
        fills=FILLS,
        choices=choices(list(class_names().values())),
        chosen=chosen(request.args),
    )


@blueprint.get("/visualizations/<name>")
def settings(name: str) -> BaseResponse:
    """Show the settings of a visualization, with the values in the URL if there are any."""
    return settings_form(name, request.args)


def settings_form(name: str, fields: MultiDict[str, str], problem: PicassoError | None = None) -> BaseResponse:
    """Return the form for the settings of a visualization, with what a form or an address contains.

    Args:
        name: the name of the visualization.
        fields: the fields of the form or the address; unknown ones are ignored.
        problem: why no run was started; it is shown beside its field.
    """
    entry = services().registry.get(name)
    allowed = entry.require().ALLOWED_SETTINGS
    controls = services().model.offered(allowed.controls())
    values: dict[str, Any] = {key: control.default for key, control in controls.items()}
    problems = {problem.field: problem} if problem else {}
    for key, value in fields.items():
        if key not in controls:
            continue
        try:
            values |= {key: allowed.parse({key: value}).as_dict()[key]}
        except BadRequest as error:
            values |= {key: value[:MAX_SHOWN]}
            problems |= {key: error}
    session = find_session()
    page = render_template(
        "settings.html",
        entry=entry,
        unusable=services().model.unusable(entry),
        controls=controls,
        values=values,
        images=session.images() if session else [],
        picked=fields.getlist("image"),
        choices=choices(list(class_names().values())),
        layers=services().model.layers(),
        chosen=chosen(fields),
        models=services().runner.models(),
        compared=fields.getlist("model"),
        problems=problems,
    )
    response = make_response(page, next((one.status for one in problems.values()), 200))
    return error_handlers.with_retry(response)


@blueprint.post("/visualizations/<name>")
def start_run(name: str) -> BaseResponse:
    """Queue a run with the chosen images, or with all; if a field is invalid, return the form with all values."""
    form = filled(request.form)
    values = {key: value for key, value in form.items() if key not in OWN_FIELDS}
    if form is not request.form:
        return settings_form(name, form)
    try:
        return redirect(url_for("pages.show_runs", ids=start(name, values).id), 303)
    except PicassoError as error:
        return settings_form(name, form, error)


@blueprint.post("/runs")
def start_runs() -> BaseResponse:
    """Queue one run for each of several visualizations, to be shown side by side."""
    names = request.form.getlist("visualization")
    if not names:
        raise BadRequest("No visualization was selected. Select those to run side by side.", field="visualization")
    if len(names) > MAX_IN_TOTAL:
        raise BadRequest(f"At most {MAX_IN_TOTAL} visualizations can be shown side by side.", field="visualization")
    return redirect(url_for("pages.show_runs", ids=",".join([start(name, {}).id for name in names])), 303)


def start(name: str, values: dict[str, Any]) -> Run:
    """Queue a run with the images, targets and models in the form."""
    session, form = find_session(), request.form
    if session is None:
        raise BadRequest("There are no images to explain. Upload images or add samples.", field="images")
    session.check_room()
    images = session_images(session, form.getlist("image") or None)
    return services().runner.start(
        session.runs_folder,
        name,
        values,
        images,
        targets=chosen(form),
        models=form.getlist("model"),
        among=session.images(),
    )


def chosen(fields: MultiDict[str, str]) -> list[str]:
    """Return the targets in a form or an address; those that are classes have a field of their own."""
    return [one.strip() for one in (*fields.getlist("class"), *fields.getlist("target")) if one.strip()]


@blueprint.get("/runs")
def together() -> BaseResponse:
    """Redirect to the page that shows the chosen runs side by side."""
    chosen = request.args.getlist("run")
    if not chosen:
        raise BadRequest("No runs were selected. Select those to show side by side.", field="run")
    return redirect(url_for("pages.show_runs", ids=",".join(chosen)), 303)


@blueprint.get("/runs/<ids>")
def show_runs(ids: str) -> str:
    """Show runs: their progress and their results so far."""
    shown = looks(need_session(), ids)
    return render(
        shown,
        [present(look.run, previews=True) for look in shown],
        sequential=SEQUENTIAL,
        diverging=DIVERGING,
        recipes=[recipes_of(look) for look in shown],
    )


@blueprint.post("/runs/<run_id>/cancel")
def cancel_run(run_id: str) -> BaseResponse:
    """Stop a run; finished results are kept."""
    need_session().run(run_id).cancel()
    return redirect(url_for("pages.show_runs", ids=request.form.get("together", run_id)), 303)


@blueprint.post("/runs/<run_id>/remove")
def remove_run(run_id: str) -> BaseResponse:
    """Delete a run and its results."""
    session = need_session()
    session.remove_run(session.run(run_id))
    return redirect(url_for("pages.choose"), 303)
