"""Write event files for results and audits that are already in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from picasso import fileio
from picasso.audit.reporting.reliance import described, subject
from picasso.errors import BadRequest
from picasso.explanation.result import DOCUMENT, Result
from picasso.summaries.event_writer import EventWriter
from picasso.summaries.records import audit_text, run_text, write_audit, write_result

AUDIT, REPORT = "audit.json", "report.html"
EPOCH = re.compile(r"epoch-(\d+)")


def write_existing(source: Path, logdir: Path, link: str = "") -> str:
    """Write what is in a folder into an event file, and say what it was.

    Args:
        source: a folder of an audit or its ``audit.json``, or a folder of results, at any depth: of
            ``picasso explain``, of an exported run, or of a training that :class:`picasso.callbacks.Explain` recorded.
        logdir: the folder for the event file; TensorBoard shows its name.
        link: the address of the HTML report, or "".

    Raises:
        BadRequest: there is neither an audit nor a result, one can't be read, the link is no web address, or ``logdir``
            can't be written.
        ConfigurationError: the package ``tensorboard`` is not installed.
    """
    if link and not re.match(r"https?://", link):
        raise BadRequest(f"A link must be the http or https address of the report, not {link!r}.", field="link")
    file = source if source.name == AUDIT else source / AUDIT
    if file.is_file():
        document = fileio.read_document(file)
        if "findings" not in document:
            raise BadRequest(f"{file} is not the result of an audit. Run the audit again.")
        with opened(logdir) as events:
            try:
                write_audit_folder(events, file.parent, document, link)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BadRequest(f"{file} is incomplete or damaged. Run the audit again.") from error
        count = len(document["findings"])
        return f"an audit with {count} finding{'' if count == 1 else 's'}"
    folders = [one.parent for one in sorted(source.rglob(DOCUMENT)) if not hidden(one.parent, source)]
    if not folders:
        raise BadRequest(
            f"There is no result.json and no audit.json in {source}. Pass the output folder of picasso explain or "
            "picasso audit."
        )
    with opened(logdir) as events:
        results = [write_folder(events, one) for one in folders]
        events.text("results", run_text(results, list(reports(source)), link))
    return f"{len(results)} result{'' if len(results) == 1 else 's'}"


def opened(logdir: Path) -> EventWriter:
    """Return a new event file in a folder.

    Raises:
        BadRequest: the folder can't be written.
    """
    try:
        return EventWriter(logdir)
    except OSError as error:
        raise BadRequest(
            f"No event file can be written into {logdir}: {error.strerror}. Pass a folder that can be written.",
            field="logdir",
        ) from error


def hidden(folder: Path, above: Path) -> bool:
    """Tell whether a folder is in one that is not complete, whose name begins with a dot."""
    return any(part.startswith(".") for part in folder.relative_to(above).parts)


def write_folder(events: EventWriter, folder: Path) -> Result:
    """Write the result in a folder; its step is the epoch in its path, or 0."""
    try:
        result = Result.load(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"The result in {folder} can't be read; explain the image again.") from error
    epoch = EPOCH.fullmatch(folder.parent.name)
    write_result(events, result, int(epoch[1]) if epoch else 0)
    return result


def write_audit_folder(events: EventWriter, folder: Path, document: dict[str, Any], link: str) -> None:
    """Write the numbers, the text and the example images of an audit."""
    write_audit(events, document)
    events.text("audit", audit_text(document, list(reports(folder)), link))
    for finding in document["findings"]:
        for number, shown in enumerate(finding["shown"]):
            for when in ("before", "after"):
                # Only files of the audit, whatever the document says.
                file = fileio.child(folder / "evidence", Path(shown[when]).name)
                if file is not None:
                    with Image.open(file) as image:
                        events.image(f"evidence/{described(subject(finding))}/{number}/{when}", image, 0)


def reports(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the names and paths of files in a folder that tell more."""
    if (folder / REPORT).is_file():
        yield "report", str((folder / REPORT).resolve())
    yield "folder", str(folder.resolve())
