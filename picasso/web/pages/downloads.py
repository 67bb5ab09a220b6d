"""The downloads of a run: a zip of everything, a table, and a self-contained report."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from flask import Blueprint, Response, current_app, send_file
from msgspec import Meta

from picasso import __version__
from picasso.audit.reporting.page_policy import content_security_policy
from picasso.errors import BadRequest, NotFound
from picasso.explanation.display_options import DisplayOptions
from picasso.explanation.registry import DEFAULT_TEMPLATE
from picasso.explanation.result import AS_COMPUTED, DOCUMENT, Kin, Result
from picasso.imaging import decode
from picasso.jobs.run import Run
from picasso.web import exporting, recipes
from picasso.web.api.documents import Request
from picasso.web.api.operations import RUNS, operation
from picasso.web.api.runs import PanelNumber, Position, RunId
from picasso.web.context import need_session, services
from picasso.web.pages.run_view import RunView, class_names, looks, render
from picasso.web.presentation import with_addresses
from picasso.web.security import is_loopback

log = logging.getLogger(__name__)

blueprint = Blueprint("keeping", __name__, url_prefix="/api")

RunIds = Annotated[str, Meta(description="The ids of one to six runs, separated by commas.")]
STYLES = ("vendor/pico-2.1.1.min.css", "picasso.css")


def recipes_of(look: RunView) -> dict[str, str]:
    """Return recipes that reproduce a run without a browser: in Python and on the command line."""
    settings = services().settings
    names = list(class_names().values())
    # Only visitors on this machine may see its paths.
    others = settings.asks_for_password() or settings.PROXIES or settings.TRUSTED_HOSTS
    open_hearted = is_loopback(settings.HOST) and not others
    return {
        title: write(settings, look.spec, services().registry, names=names, full_paths=open_hearted)
        for title, write in (("In Python", recipes.as_python), ("On the command line", recipes.as_command))
    }


@blueprint.get("/runs/<run_id>/results.zip")
@operation(RUNS, media=("application/zip",), says="The archive.", session="needed", errors=(503, 507))
def results_zip(run_id: RunId) -> Response:
    """Return all files of a run: arrays, images, JSON, a table and the report."""
    run = need_session().run(run_id)
    # Closed, and thereby deleted, once it is sent.
    target = tempfile.TemporaryFile(dir=services().storage.folder)  # noqa: SIM115
    exporting.archive(run, target, {"report.html": made_report([finished(RunView.at(run))]).encode()})
    target.seek(0)
    name = f"{name_of(run)}.zip"
    return send_file(target, "application/zip", as_attachment=True, download_name=name, conditional=False)


@blueprint.get("/runs/<run_id>/results.csv")
@operation(RUNS, media=("text/csv",), says="The table.", session="needed", errors=(503,))
def results_csv(run_id: RunId) -> Response:
    """Return a table of a run, with one line per prediction and per map."""
    run = need_session().run(run_id)
    return attached(exporting.table(run.results()), "text/csv", f"{name_of(run)}.csv")


class LookQuery(Request):
    """How maps are drawn, as on a page; the default is as their method draws them.

    Attributes:
        opacity: the opacity of the strongest values in percent.
        colours: the colours of maps without a middle, such as "warm" or "viridis".
        signed: the colours of maps with a middle, such as "warm-cool" or "RdBu_r".
        scale: "own" for that of the method, "each" for that of each map, "common" for that of all of a quantity.
    """

    opacity: Annotated[int, Meta(ge=0, le=100)] | None = None
    colours: str = AS_COMPUTED.colours
    signed: str = AS_COMPUTED.signed
    scale: str = AS_COMPUTED.scale

    def look(self) -> DisplayOptions:
        """Return the display options, or raise a BadRequest."""
        return DisplayOptions(self.opacity, self.colours, self.signed, self.scale)


class ReportQuery(LookQuery):
    """How a report is drawn, and what it says besides.

    Attributes:
        title: its title.
        notes: what is written above the results; line breaks are kept.
    """

    title: Annotated[str, Meta(max_length=200)] = ""
    notes: Annotated[str, Meta(max_length=4000)] = ""


@blueprint.get("/runs/<ids>/report.html")
@operation(RUNS, media=("text/html",), says="The report.", session="needed", errors=(503,))
def report(ids: RunIds, query: ReportQuery) -> Response:
    """Return one run, or several side by side, as one self-contained file."""
    shown = [finished(look) for look in looks(need_session(), ids)]
    page = made_report(shown, query.look(), title=query.title.strip(), notes=query.notes.strip())
    return attached(page, "text/html", f"{name_of(shown[0].run)}.html")


@blueprint.get("/runs/<run_id>/maps/<place>/<int:panel>.png")
@operation(RUNS, media=("image/png",), says="The image.", session="needed")
def figure(run_id: RunId, place: Position, panel: PanelNumber, query: LookQuery) -> Response:
    """Return one map as an image to take away: with its title, its legend, and where it comes from."""
    result, kin = stored(run_id, place)
    return sent(
        decode.encode(result.figure(panel, query.look(), kin)), "image/png", f"{run_id[:8]}-{place}-{panel}.png"
    )


@blueprint.get("/runs/<run_id>/legends/<place>/<int:panel>.svg")
@operation(RUNS, media=("image/svg+xml",), says="The legend.", session="needed")
def legend(run_id: RunId, place: Position, panel: PanelNumber, query: LookQuery) -> Response:
    """Return the legend of one map as SVG."""
    result, kin = stored(run_id, place)
    text = result.legend_svg(panel, query.look(), kin)
    return sent(text.encode(), "image/svg+xml", f"{run_id[:8]}-{place}-{panel}-legend.svg")


def stored(run_id: str, place: str) -> tuple[Result, list[dict[str, Any]]]:
    """Return one result of a run, and the descriptions of all its panels, or raise NotFound."""
    run = need_session().run(run_id)
    file = run.file(place, DOCUMENT)
    if file is None:
        raise NotFound("There is no such result in this session.")
    return Result.load(file.parent), [panel for document in run.results() for panel in document["panels"]]


def sent(body: bytes, mimetype: str, name: str) -> Response:
    """Return a file of a result, with a name under which a browser saves it."""
    response = Response(body, mimetype=mimetype)
    response.headers.set("Content-Disposition", "attachment", filename=f"picasso-{name}")
    return response


def attached(text: str, mimetype: str, name: str) -> Response:
    """Return text as a file download."""
    response = Response(text, mimetype=mimetype)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def name_of(run: Run) -> str:
    """Return the name of the downloads of a run."""
    return f"picasso-{run.spec().visualization}-{run.id[:8]}"


def finished(look: RunView) -> RunView:
    """Return a run that has ended, or raise BadRequest."""
    if look.running:
        raise BadRequest("The run is not finished. Wait for it, or cancel it to download the results so far.")
    return look


def made_report(shown: list[RunView], look: DisplayOptions = AS_COMPUTED, *, title: str = "", notes: str = "") -> str:
    """Return the page of runs as one file without scripts, with all styles and images embedded.

    If a plugin's template fails, the default template is used, so that the results are not lost.
    """
    kin = [panel for one in shown for document in one.run.results() for panel in document["panels"]]
    results = [list(inlined(one.run, look, kin)) for one in shown]
    static = Path(current_app.static_folder or "")
    styles = [(static / name).read_text(encoding="utf-8") for name in STYLES]
    facts = list(made_with(shown, results))
    report = {
        "styles": styles,
        "policy": content_security_policy(*styles),
        "made_with": facts,
        "title": title,
        "notes": notes,
    }
    frame = {"frame": "report.html", "report": report}
    try:
        return render(shown, results, **frame)
    except Exception:
        if shown[0].entry.template == DEFAULT_TEMPLATE:
            raise
        log.exception("the template of %s failed; using the default template", shown[0].entry.name)
        plain = replace(shown[0], entry=replace(shown[0].entry, template=DEFAULT_TEMPLATE))
        return render([plain, *shown[1:]], results, **frame)


def inlined(run: Run, look: DisplayOptions, kin: Kin) -> Iterator[dict[str, Any]]:
    """Yield the documents of a run with its images as data URLs, and its maps with the display options."""

    def address(place: str, name: str) -> str:
        file = run.file(place, name)
        if file is None:
            raise NotFound("The results were deleted in the meantime.")
        return decode.data_address(file.read_bytes()) if file.suffix == ".png" else ""

    for document in run.results():
        place = document.pop("place")
        shown = with_addresses(document, place, address)
        if look != AS_COMPUTED and (file := run.file(place, DOCUMENT)):
            panels = Result.load(file.parent).drawn(look, kin)
            shown["panels"] = [{**one, **again} for one, again in zip(shown["panels"], panels, strict=True)]
        yield {**shown, "image_url": thumbnail(document["filename"]) or shown["view_url"]}


def thumbnail(filename: str) -> str:
    """Return the data URL of a thumbnail, or "" if the image was removed from the session after the run."""
    try:
        return decode.data_address(need_session().thumbnail_file(filename).read_bytes(), "image/webp")
    except (NotFound, FileNotFoundError):
        return ""


def made_with(shown: list[RunView], results: list[list[dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    """Yield the provenance of the results as names and values."""
    yield "made", time.strftime("%Y-%m-%d %H:%M", time.localtime(shown[0].spec.created))
    models = {document["model"]["checkpoint"]: document["model"] for documents in results for document in documents}
    for model in models.values():
        yield "model", f"{model['name']}, {model['checkpoint']} of {model['checkpoint_time']}"
        yield "SHA-256 of the model", model["fingerprint"] or "not known"
        yield "input", f"{' x '.join(map(str, model['input_shape']))}; {model['preprocessing']}"
        if model.get("precision", "exact") != "exact":
            yield "arithmetic", next((note for note in model["notes"] if note.startswith("Fast arithmetic")), "fast")
        if model.get("output"):
            yield "output", model["output"]
        yield "logits", model["logits"]
        yield "versions", ", ".join(f"{name} {version}" for name, version in model["versions"].items())
    yield "Picasso", __version__
