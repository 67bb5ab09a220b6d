"""The summaries of a result, of a training and of an audit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from picasso.audit.reporting.reliance import described, reliance, subject
from picasso.audit.reporting.summary import escaped
from picasso.explanation import legend, render
from picasso.explanation.result import Result
from picasso.summaries.event_writer import EventWriter
from picasso.visualizations.panel import Panel

Document = Mapping[str, Any]
AGREEMENT = "Rank correlation of the map with that of the epoch before."
# What stays as it is in an address between "<" and ">" in Markdown: what is written as %XX already, and all signs that
# an address may have and that mean nothing there.
SAFE = "%:/?#[]@!$&'()+,;=~-."
RELIANCE = "How far the change moves predictions on the way between two classes."


def write_panel(events: EventWriter, tag: str, panel: Panel, result: Result, step: int) -> None:
    """Write a map over its image, with its quantity as description."""
    document = panel.describe()
    about = f"{result.visualization} of {panel.title}: {legend.details(document)}"
    events.image(tag, render.draw(panel, result.view), step, escaped(about))


def write_view(events: EventWriter, tag: str, result: Result, step: int) -> None:
    """Write an image as the model sees it."""
    drawn: Image.Image = render.enlarge(np.asarray(result.view))
    events.image(tag, drawn, step)


def values(result: Result) -> dict[str, tuple[float, str]]:
    """Return the values of the targets of a result's maps, and the agreement of compared models, with their units.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.summaries.records import values
        >>> model = BrightnessModel()
        >>> model.load()
        >>> (result,) = picasso.explain(model, np.ones((8, 8)), "SaliencyMaps", classes="bright")
        >>> {name: (round(value, 3), unit) for name, (value, unit) in values(result).items()}
        {'value/image 0/SaliencyMaps/bright': (0.982, 'probability')}
    """
    found = {}
    for panel in result.panels:
        value = panel.probability if panel.value is None else panel.value
        if panel.kind == "map" and value is not None:
            found[f"value/{tag(panel, result)}"] = float(value), panel.unit
    if result.agreement is not None:
        found[f"agreement/{result.image}/{result.visualization}"] = result.agreement, ""
    return found


def tag(panel: Panel, result: Result) -> str:
    """Return the name of a map: its image, method, model if several are compared, and title."""
    group = f"/{panel.group}" if panel.group else ""
    return f"{result.image}/{result.visualization}{group}/{panel.title}"


def write_result(events: EventWriter, result: Result, step: int = 0) -> None:
    """Write all maps of a result, the values of their targets, and the agreement of compared models."""
    write_view(events, f"image/{result.image}", result, step)
    for panel in result.panels:
        if panel.kind == "map":
            write_panel(events, f"map/{tag(panel, result)}", panel, result, step)
    for name, (value, unit) in values(result).items():
        events.scalar(name, value, step, unit)


def write_epoch(events: EventWriter, record: Document) -> None:
    """Write the numbers of a line of ``epochs.jsonl``."""
    for one in record["images"]:
        events.scalar(f"confidence/{one['image']}", one["confidence"], record["epoch"])
        events.scalar(f"agreement/{one['image']}", one["agreement"], record["epoch"], AGREEMENT)


def write_audit(events: EventWriter, audit: Document, step: int = 0) -> None:
    """Write the numbers of an ``audit.json``: the reliance of each finding, alarms, accuracy and calibration."""
    for finding in audit["findings"]:
        events.scalar(f"reliance/{described(subject(finding))}", reliance(finding).value, step, RELIANCE)
    events.scalar("audit/alarms", audit["alarms"], step)
    known, calibration = audit["accuracy"], audit["calibration"]
    events.scalar("audit/accuracy", known["right"] / max(1, known["images"]), step)
    events.scalar("audit/expected calibration error", calibration["error"] if calibration else None, step)
    events.scalar("audit/minimal detectable effect", audit["minimal_detectable_effect"], step)


def audit_text(audit: Document, files: Sequence[tuple[str, str]], link: str) -> str:
    """Return the verdict, the findings and where the report is, in Markdown.

    Args:
        audit: the content of ``audit.json``.
        files: the names and the paths of files that tell more.
        link: the address of the report, or "".
    """
    rows = [f"| {escaped(described(subject(one)))} | {one['tier']} | {reliance(one)} |" for one in audit["findings"]]
    table = ["| Finding | Tier | Reliance |", "| --- | --- | --- |", *rows, ""] if rows else []
    return "\n".join([escaped(audit["verdict"]), "", *table, *where(files, link)])


def run_text(results: Sequence[Result], files: Sequence[tuple[str, str]], link: str) -> str:
    """Return the model, the images and where the results are, in Markdown; arguments as in :func:`audit_text`."""
    rows = []
    for one in results:
        best = one.predictions[0] if one.predictions else None
        said = f"{escaped(best['name'])} {best['prob']:.4f}" if best and "prob" in best else ""
        rows.append(f"| {escaped(one.image)} | {one.visualization} | {said} |")
    about = sorted({escaped(one.provenance) for one in results})
    table = ["| Image | Visualization | Prediction |", "| --- | --- | --- |", *rows, ""]
    return "\n".join([*about, "", *table, *where(files, link)])


def where(files: Sequence[tuple[str, str]], link: str) -> list[str]:
    """Return lines that name files, and a link to the report."""
    lines = [f"[Report](<{quote(link, SAFE)}>)", ""] if link else []
    # TensorBoard removes links to files, and browsers do not follow them.
    return [*lines, *(f"- {name}: {code(path)}" for name, path in files)]


def code(text: str) -> str:
    """Return a text on one line that Markdown shows as it is."""
    single = " ".join(text.split())
    # A fence is longer than any in the text, and apart from those at its ends.
    fence = "`" * (1 + max(map(len, re.findall("`+", single)), default=0))
    return f"`{single}`" if len(fence) == 1 else f"{fence} {single} {fence}"
