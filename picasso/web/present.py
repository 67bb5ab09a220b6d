"""Results as pages and the API show them: the stored document with the addresses of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import url_for

from picasso.errors import NotFound
from picasso.runs import Run
from picasso.storage import Session


def output_name(run: Run, place: str, file: str) -> str:
    """Return the flat name under which a file of a result is served; unique within a session."""
    return f"{run.id}-{place}-{file}"


def output_file(session: Session, name: str) -> Path:
    """Return the file that :func:`output_name` named, or raise NotFound."""
    run_id, _, rest = name.partition("-")
    place, _, file = rest.partition("-")
    found = session.run(run_id).file(place, file)
    if found is None:
        raise NotFound("There is no such file in this session.")
    return found


def present(run: Run, *, previews: bool = False) -> list[dict[str, Any]]:
    """Return the documents of a run's results so far, with addresses beside the file names."""
    return [addressed(run, document) for document in run.results(previews=previews)]


def addressed(run: Run, document: dict[str, Any]) -> dict[str, Any]:
    """Add the addresses of its files to the document of one result."""
    # Where its files lie is nobody else's business.
    place = document.pop("place")

    def url(file: str) -> str:
        return url_for("files.output", name=output_name(run, place, file))

    panels = []
    for panel in document["panels"]:
        links = {"url": url(panel["file"])}
        if "legend" in panel:
            links["legend_url"] = url(panel["legend"])
        panels.append({**panel, **links})
    return {
        **document,
        "panels": panels,
        "view_url": url(document["view"]),
        "arrays_url": url(document["arrays"]),
        "picture_url": url_for("files.picture", name=document["filename"]),
    }


def present_run(run: Run, position: int, *, results: bool = True) -> dict[str, Any]:
    """Return a run as JSON: what it does, how it stands, and (if wanted) the results so far."""
    spec = run.spec()
    return {
        "id": run.id,
        "visualization": spec.visualization,
        "settings": spec.settings,
        **run.state(),
        "position": position,
        "url": url_for("api.show_run", run_id=run.id),
        "page": url_for("pages.show_run", run_id=run.id),
        **({"results": present(run)} if results else {}),
    }
