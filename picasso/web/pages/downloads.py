"""What is kept of a run: everything as a zip, a table, and a report that opens without a server."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, send_file

from picasso import __version__
from picasso.audit.reporting.page_policy import content_security_policy
from picasso.errors import BadRequest, NotFound
from picasso.explanation.registry import DEFAULT_TEMPLATE
from picasso.imaging import decode
from picasso.jobs.run import Run
from picasso.web import exporting, recipes
from picasso.web.context import need_session, services
from picasso.web.pages.run_view import RunView, class_names, looks, render
from picasso.web.presentation import with_addresses
from picasso.web.security import is_loopback

log = logging.getLogger(__name__)

blueprint = Blueprint("keeping", __name__, url_prefix="/api")

STYLES = ("vendor/pico-2.1.1.min.css", "picasso.css")


def recipes_of(look: RunView) -> dict[str, str]:
    """Return how a run is made again without a browser: in Python, and on the command line."""
    settings = services().settings
    names = list(class_names().values())
    # The folders of this machine are only the business of those who sit at it.
    others = settings.asks_for_password() or settings.PROXIES or settings.TRUSTED_HOSTS
    open_hearted = is_loopback(settings.HOST) and not others
    return {
        title: write(settings, look.spec, services().registry, names=names, full_paths=open_hearted)
        for title, write in (("In Python", recipes.as_python), ("On the command line", recipes.as_command))
    }


@blueprint.get("/runs/<run_id>/results.zip")
def results_zip(run_id: str) -> Response:
    """Return everything of a run: arrays, images, JSON, a table and the report."""
    run = need_session().run(run_id)
    # Closed, and thereby gone, when it is sent.
    target = tempfile.TemporaryFile(dir=services().storage.folder)  # noqa: SIM115
    exporting.archive(run, target, {"report.html": made_report([finished(RunView.at(run))]).encode()})
    target.seek(0)
    return send_file(target, "application/zip", as_attachment=True, download_name=f"{name_of(run)}.zip")


@blueprint.get("/runs/<run_id>/results.csv")
def results_csv(run_id: str) -> Response:
    """Return a table of a run: one line for each prediction and each map."""
    run = need_session().run(run_id)
    return attached(exporting.table(run.results()), "text/csv", f"{name_of(run)}.csv")


@blueprint.get("/runs/<ids>/report.html")
def report(ids: str) -> Response:
    """Return one run, or several side by side, as one file with everything in it."""
    shown = [finished(look) for look in looks(need_session(), ids)]
    return attached(made_report(shown), "text/html", f"{name_of(shown[0].run)}.html")


def attached(text: str, mimetype: str, name: str) -> Response:
    """Return text as a file to be saved."""
    response = Response(text, mimetype=mimetype)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def name_of(run: Run) -> str:
    """Return what the files of a run are called when they are saved."""
    return f"picasso-{run.spec().visualization}-{run.id[:8]}"


def finished(look: RunView) -> RunView:
    """Return a run that has ended, or raise BadRequest."""
    if look.running:
        raise BadRequest("The run has not ended yet; wait for it, or cancel it to keep what is done.")
    return look


def made_report(shown: list[RunView]) -> str:
    """Return the page of runs as one file: no script, and all styles and images in it.

    Where a plugin's template fails, the default one draws the results: nobody shall lose them for it.
    """
    results = [list(inlined(look.run)) for look in shown]
    static = Path(current_app.static_folder or "")
    styles = [(static / name).read_text(encoding="utf-8") for name in STYLES]
    facts = list(made_with(shown, results))
    report = {"styles": styles, "policy": content_security_policy(*styles), "made_with": facts}
    frame = {"frame": "report.html", "report": report}
    try:
        return render(shown, results, **frame)
    except Exception:
        if shown[0].entry.template == DEFAULT_TEMPLATE:
            raise
        log.exception("the template of %s failed; the default one is taken", shown[0].entry.name)
        plain = replace(shown[0], entry=replace(shown[0].entry, template=DEFAULT_TEMPLATE))
        return render([plain, *shown[1:]], results, **frame)


def inlined(run: Run) -> Iterator[dict[str, Any]]:
    """Yield the documents of a run with its images as data addresses."""

    def address(place: str, name: str) -> str:
        file = run.file(place, name)
        if file is None:
            raise NotFound("The results were deleted meanwhile.")
        return decode.data_address(file.read_bytes()) if file.suffix == ".png" else ""

    for document in run.results():
        shown = with_addresses(document, document.pop("place"), address)
        yield {**shown, "image_url": thumbnail(document["filename"]) or shown["view_url"]}


def thumbnail(filename: str) -> str:
    """Return the data address of a small image, or "" where it was removed from the session after the run."""
    try:
        return decode.data_address(need_session().thumbnail_file(filename).read_bytes(), "image/webp")
    except (NotFound, FileNotFoundError):
        return ""


def made_with(shown: list[RunView], results: list[list[dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    """Yield what the results were made with, in names and values."""
    yield "made", time.strftime("%Y-%m-%d %H:%M", time.localtime(shown[0].spec.created))
    models = {document["model"]["checkpoint"]: document["model"] for documents in results for document in documents}
    for model in models.values():
        yield "model", f"{model['name']}, {model['checkpoint']} of {model['checkpoint_time']}"
        yield "SHA-256 of the model", model["fingerprint"] or "not known"
        yield "input", f"{' x '.join(map(str, model['input_shape']))}; {model['preprocessing']}"
        if model.get("output"):
            yield "output", model["output"]
        yield "logits", model["logits"]
        yield "versions", ", ".join(f"{name} {version}" for name, version in model["versions"].items())
    yield "Picasso", __version__
