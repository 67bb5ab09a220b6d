"""Write event files for results and audits that are already in a folder."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image, UnidentifiedImageError

from picasso import fileio
from picasso.audit.reporting.reliance import described, subject
from picasso.errors import BadRequest
from picasso.explanation.result import DOCUMENT, Result
from picasso.summaries.event_writer import EventWriter
from picasso.summaries.records import audit_text, run_text, write_audit, write_result

AUDIT, REPORT = "audit.json", "report.html"
ACCEPTED = (
    "Pass the output folder of picasso explain or picasso audit, a result.json, an audit.json, the folder of a "
    "training, or a file with what picasso explain --json or picasso audit --json printed."
)
EPOCH = re.compile(r"epoch-(\d+)")


def write_existing(source: Path, logdir: Path, link: str = "") -> str:
    """Write what is in a folder into an event file, and say what it was.

    An error leaves no event file.

    Args:
        source: a folder of an audit or its ``audit.json``; a folder of results, at any depth: of ``picasso explain``,
            of an exported run, or of a training that :class:`picasso.callbacks.Explain` recorded; a ``result.json``; or
            a file with what these commands print with ``--json``.
        logdir: the folder for the event file; TensorBoard shows its name.
        link: the address of the HTML report, or "".

    Raises:
        BadRequest: there is neither an audit nor a result, one can't be read, the link is no web address, or ``logdir``
            can't be written.
        ConfigurationError: the package ``tensorboard`` is not installed.
    """
    if link and not web_address(link):
        raise BadRequest(f"A link must be the http or https address of the report, not {link!r}.", field="link")
    if source.is_file() and source.name not in (AUDIT, DOCUMENT):
        places = printed_folders(source)
    elif source.exists():
        places = [source if source.is_dir() else source.parent]
    else:
        raise BadRequest(f"There is no file or folder {source}. {ACCEPTED}")
    file = places[0] / AUDIT
    if file.is_file() and source.name != DOCUMENT:
        document = fileio.read_document(file)
        if "findings" not in document:
            raise BadRequest(f"{file} is not the result of an audit. Run the audit again.")
        with opened(logdir) as events:
            try:
                write_audit_folder(events, file.parent, document, link)
            # A damaged image is an OSError, too, but not of the system.
            except (KeyError, TypeError, ValueError, AttributeError, UnidentifiedImageError) as error:
                raise BadRequest(f"{file} or its evidence is incomplete or damaged. Run the audit again.") from error
        count = len(document["findings"])
        return f"an audit with {count} finding{'' if count == 1 else 's'}"
    found = ((one.parent, place) for place in places for one in sorted(place.rglob(DOCUMENT)))
    folders = [folder for folder, place in found if not hidden(folder, place)]
    if not folders:
        raise BadRequest(f"There is no result.json and no audit.json in {source}. {ACCEPTED}")
    # Of results that were printed, those that have them all.
    above = dict.fromkeys(places if len(places) == 1 else (one.parent for one in places))
    with opened(logdir) as events:
        results = [write_folder(events, one) for one in folders]
        events.text("results", run_text(results, [about for one in above for about in reports(one)], link))
    return f"{len(results)} result{'' if len(results) == 1 else 's'}"


def web_address(text: str) -> bool:
    """Tell whether a text is an http or https address with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def printed_folders(file: Path) -> list[Path]:
    """Return the folders that are named in what ``picasso explain --json`` or ``picasso audit --json`` printed.

    Those of the ``results.json`` of an exported run are beside that file.

    Raises:
        BadRequest: the file is something else, or a folder is missing.
    """
    try:
        found = json.loads(file.read_bytes())
        folders = [Path(one["folder"]) for one in (found if isinstance(found, list) else [found])]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        folders = []
    if not folders:
        raise BadRequest(f"{file} names no folder with results. {ACCEPTED}")
    for number, folder in enumerate(folders):
        near = next((one for one in (folder, file.parent / folder) if one.is_dir()), None)
        if near is None:
            raise BadRequest(
                f"{file} names the folder {folder}, which does not exist here. Start the command in the folder in "
                "which the results were computed, or pass their folder."
            )
        folders[number] = near
    return folders


@contextmanager
def opened(logdir: Path) -> Iterator[EventWriter]:
    """Yield a new event file in a folder; an error removes it, with the folders that were made for it.

    Raises:
        BadRequest: the folder can't be written.
    """
    made = [one for one in (logdir, *logdir.parents) if not one.exists()]
    try:
        events = EventWriter(logdir)
    except OSError as error:
        raise BadRequest(
            f"No event file can be written into {logdir}: {error.strerror}. Pass a folder that can be written.",
            field="logdir",
        ) from error
    try:
        with events:
            yield events
    except BaseException:
        events.file.unlink(missing_ok=True)
        for folder in made:
            # Others may have written into it meanwhile.
            with suppress(OSError):
                folder.rmdir()
        raise


def hidden(folder: Path, above: Path) -> bool:
    """Tell whether a folder is in one that is not complete, whose name begins with a dot."""
    return any(part.startswith(".") for part in folder.relative_to(above).parts)


def write_folder(events: EventWriter, folder: Path) -> Result:
    """Write the result in a folder; its step is the epoch in its path, or 0."""
    try:
        result = Result.load(folder)
    # np.load raises others for a damaged file: EOFError, BadZipFile.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
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
