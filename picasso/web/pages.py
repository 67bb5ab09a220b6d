"""Pages for people: choose pictures, choose a visualization and its settings, watch the run, look at the result."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from picasso import __version__
from picasso.errors import BadRequest, PicassoError
from picasso.storage import Session
from picasso.web.files import sample_file
from picasso.web.present import present
from picasso.web.services import drop_session, find_session, make_session, need_session, services

blueprint = Blueprint("pages", __name__)


@blueprint.app_context_processor
def layout() -> dict[str, Any]:
    """Give every page what its frame shows: the title and the model."""
    return {
        "app_title": services().settings.APP_TITLE,
        "model": services().runner.model_status(),
        "model_class": services().settings.MODEL_CLS_NAME,
        "version": __version__,
    }


def home(errors: list[PicassoError] | None = None) -> str:
    """Return the first page, perhaps with what was wrong with an upload."""
    session = find_session()
    runner = services().runner
    cards = [(entry, runner.unusable(entry)) for entry in services().registry.entries()]
    return render_template(
        "home.html",
        pictures=session.pictures() if session else [],
        runs=[(run, run.spec(), run.state()) for run in session.runs()] if session else [],
        samples=list(services().samples),
        cards=cards,
        errors=errors or [],
    )


@blueprint.get("/")
def index() -> str:
    """Show the pictures of the session, the samples, and the visualizations."""
    return home()


@blueprint.post("/pictures")
def upload() -> BaseResponse:
    """Take one or many pictures; those that are good are kept even where others are not."""
    uploads = [file for file in request.files.getlist("file") if file.filename]
    errors: list[PicassoError] = []
    if not uploads:
        errors.append(BadRequest("No pictures were chosen.", field="file"))
    for file in uploads:
        try:
            make_session().add_picture(file.read(), file.filename or "")
        except PicassoError as error:
            errors.append(error)
    return answer_upload(errors)


@blueprint.post("/samples")
def add_samples() -> BaseResponse:
    """Add bundled samples to the session."""
    chosen = request.form.getlist("sample")
    for name in chosen:
        file = sample_file(name)
        make_session().add_picture(file.read_bytes(), file.name)
    return answer_upload([] if chosen else [BadRequest("No samples were chosen.", field="sample")])


def answer_upload(errors: list[PicassoError]) -> BaseResponse:
    """Go back to the first page, or show there what was wrong."""
    if not errors:
        return redirect(url_for("pages.index"), 303)
    return make_response(home(errors), errors[0].status)


@blueprint.post("/pictures/<uid>/remove")
def remove_picture(uid: str) -> BaseResponse:
    """Take a picture out of the session."""
    need_session().remove_picture(uid)
    return redirect(url_for("pages.index"), 303)


@blueprint.get("/visualizations/<name>")
def settings(name: str) -> str:
    """Show the settings of a visualization, as chosen before if the address carries them."""
    entry = services().registry.get(name)
    allowed = entry.require().ALLOWED_SETTINGS
    controls = allowed.controls()
    chosen = {key: value for key, value in request.args.items() if key in controls}
    session = find_session()
    return render_template(
        "settings.html",
        entry=entry,
        unusable=services().runner.unusable(entry),
        controls=controls,
        values=allowed.parse(chosen).as_dict(),
        pictures=session.pictures() if session else [],
    )


@blueprint.post("/visualizations/<name>")
def start_run(name: str) -> BaseResponse:
    """Queue a run of the chosen pictures, or of all."""
    session = find_session()
    chosen = request.form.getlist("picture")
    values = {key: value for key, value in request.form.items() if key != "picture"}
    run = services().runner.start(*job(session, name, values, chosen))
    return redirect(url_for("pages.show_run", run_id=run.id), 303)


def job(session: Session | None, name: str, values: dict[str, Any], chosen: list[str]) -> tuple[Any, ...]:
    """Return the arguments of ``Runner.start`` for some of a session's pictures."""
    if session is None:
        raise BadRequest("There are no pictures to look at; upload some or choose samples.", field="images")
    pictures = [session.picture(uid) for uid in chosen] if chosen else session.pictures()
    return session.runs_folder, name, values, pictures


@blueprint.get("/runs/<run_id>")
def show_run(run_id: str) -> str:
    """Show how far a run is, or its result once it has ended."""
    run = need_session().run(run_id)
    spec, state = run.spec(), run.state()
    entry = services().registry.get(spec.visualization)
    running = state["state"] in ("waiting", "running")
    return render_template(
        "run.html" if running or state["state"] == "failed" else entry.template,
        run=run,
        state=state,
        position=services().runner.position(run),
        visualization=entry,
        settings=spec.settings,
        controls=entry.require().ALLOWED_SETTINGS.controls(),
        results=present(run, previews=True),
    )


@blueprint.post("/runs/<run_id>/cancel")
def cancel_run(run_id: str) -> BaseResponse:
    """Stop a run; what is done is kept."""
    need_session().run(run_id).cancel()
    return redirect(url_for("pages.show_run", run_id=run_id), 303)


@blueprint.get("/model")
def show_model() -> str:
    """Show what Picasso understood of the model, and its layers."""
    return render_template("model.html", report=services().runner.model_status().get("report"))


@blueprint.post("/reset")
def reset() -> Response:
    """Delete the session with all its pictures and results, and start over."""
    return drop_session(make_response(redirect(url_for("pages.index"), 303)))
