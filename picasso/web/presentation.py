"""Results for pages and the API: the stored documents with the URLs of their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import url_for

from picasso.errors import NotFound
from picasso.jobs.run import Run
from picasso.storage.session import Session

# Returns the URL of a file of one image's result: (position, file name).
FileUrl = Callable[[str, str], str]


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


def present(run: Run, *, previews: bool = False, only: int | None = None) -> list[dict[str, Any]]:
    """Return the documents of a run's results so far, with URLs in addition to the file names.

    Args:
        run: the run.
        previews: whether to include previews of unfinished results.
        only: the position of the only image to look at.
    """

    def address(place: str, file: str) -> str:
        return url_for("files.output", name=output_name(run, place, file))

    spec, shown = run.spec(), []
    asked = [str(one) for one in spec.targets if isinstance(one, str)]
    others = {name: url_for("files.image", name=other["filename"]) for name, other in spec.references.items()}
    for document in run.results(previews=previews, only=only):
        # Paths on the server are not public.
        place = document.pop("place")
        document = with_addresses(document, place, address)
        document["image_url"] = url_for("files.image", name=document["filename"])
        document["what_if_url"] = url_for("pages.what_if", uid=document["uid"], target=asked)
        document |= {"references": others} if others else {}
        for index, panel in enumerate(document["panels"]):
            if panel["kind"] == "map":
                at = {"run_id": run.id, "place": place, "panel": index}
                panel["values_url"] = url_for("api_runs.show_values", **at)
                panel["figure_url"] = url_for("keeping.figure", **at)
                panel["legend_svg_url"] = url_for("keeping.legend", **at)
        shown.append(document)
    return shown


def with_addresses(document: dict[str, Any], place: str, address: FileUrl) -> dict[str, Any]:
    """Return the document of one result with the URLs of its files."""
    view = address(place, document["view"])
    panels = []
    for panel in document["panels"]:
        own = {"url": address(place, panel["file"])}
        if panel["kind"] == "map":
            own |= {"legend_url": address(place, panel["legend"]), "view_url": view}
        panels.append({**panel, **own})
    links = {"view_url": view, "arrays_url": address(place, document["arrays"])}
    if "mask" in document:
        links["mask_url"] = address(place, document["mask"])
    return {**document, "panels": panels, **links}


def remaining(fraction: float, seconds: float) -> float | None:
    """Return the estimated computing time left in seconds; None if there is too little progress for an estimate."""
    if not 0.02 <= fraction < 1 or seconds < 0.5:
        return None
    return round(seconds / fraction * (1 - fraction), 1)
