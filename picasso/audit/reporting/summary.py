"""A short summary of an audit in Markdown, for a pull request."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from picasso.audit.reporting.failures import JudgedAlarm
from picasso.audit.reporting.reliance import Document, reliance
from picasso.errors import BadRequest

# The number of findings, and of names in a sentence, that are listed.
MAX_FINDINGS, MAX_NAMES = 50, 6
# Characters that Markdown or a table may interpret. As a reference to a character, none of them is.
SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~&$]")


def escaped(text: str) -> str:
    r"""Return a text on one line, so that Markdown shows it as it is, in a table, too.

    A zero-width space after ``@`` keeps a name from notifying somebody.

    Examples:
        >>> from picasso.audit.reporting.summary import escaped
        >>> escaped("a|b\n*c*")
        'a&#124;b &#42;c&#42;'
    """
    single = " ".join(text.split())
    return SPECIAL.sub(lambda found: f"&#{ord(found[0])};", single).replace("@", "@&#8203;")


def write_summary(
    file: Path,
    written: Document,
    judged: Sequence[JudgedAlarm],
    missing: Sequence[str],
    *,
    images: int,
    command: Sequence[str],
) -> None:
    """Write the summary; see :func:`summary`.

    Raises:
        BadRequest: the file can't be written.
    """
    text = summary(written, judged, missing, images=images, command=command)
    try:
        file.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadRequest(f"The summary {file} can't be written: {error.strerror}.", field="summary") from error


def summary(
    written: Document,
    judged: Sequence[JudgedAlarm],
    missing: Sequence[str],
    *,
    images: int,
    command: Sequence[str] = (),
) -> str:
    """Return the summary: the verdict, the findings, what could not be judged, the images and the command.

    Args:
        written: the content of ``audit.json``.
        judged: its findings that raise an alarm.
        missing: a sentence for each finding of the baseline that is missing.
        images: the number of images in the folder.
        command: the words of the command line; none if it was not run by a command.
    """
    seen = written["coverage"]
    parts = [f"## Picasso audit: {status(written, judged)}", escaped(written["verdict"])]
    if written["findings"]:
        parts.append(table(written, judged))
    if len(written["findings"]) > MAX_FINDINGS:
        parts.append(f"{len(written['findings']) - MAX_FINDINGS} more findings are in `report.html`.")
    for title, sentences in (("In the baseline only", missing), ("Not judged", not_judged(written))):
        if sentences:
            parts.append("\n".join([f"**{title}**", "", *(f"- {escaped(one)}" for one in sentences)]))
    parts.append(
        f"{images:,} images in the folder. {seen['compared']:,} of {seen['pairs']:,} pairs of {seen['classes']:,} "
        "classes were compared."
    )
    if not command:
        return "\n\n".join(parts) + "\n"
    # A fence is longer than any in the command.
    typed = shlex.join(command)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", typed)), default=0))
    return "\n\n".join([*parts, f"{fence}sh\n{typed}\n{fence}"]) + "\n"


def status(written: Document, judged: Sequence[JudgedAlarm]) -> str:
    """Return the outcome in a word, as the status of the command tells it."""
    if any(one.fails for one in judged):
        return "failed"
    return "passed" if written["coverage"]["judged"] and not written["coverage"]["swapped"] else "no result"


def table(written: Document, judged: Sequence[JudgedAlarm]) -> str:
    """Return the table of the findings."""
    alarms = {one.index: one for one in judged}
    rows = ["| Classes | Finding | Reliance (95% interval) | Result |", "| --- | --- | --- | --- |"]
    for index, one in enumerate(written["findings"][:MAX_FINDINGS]):
        classes = " and ".join(f"“{escaped(way['of'])}”" for way in one["directions"])
        found = reliance(one)
        if alarm := alarms.get(index):
            why = f": {alarm.why[0].lower()}{alarm.why[1:]}" if alarm.why else ""
            result = f"{'**fails**' if alarm.fails else 'does not fail'}{why}"
        else:
            result = f"no alarm: {one['tier']}"
        numbers = f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%})"
        rows.append(f"| {classes} | {escaped(one['name'])} | {numbers} | {result} |")
    return "\n".join(rows)


def not_judged(written: Document) -> list[str]:
    """Return sentences on the pairs, interventions and images that the audit says nothing about."""
    found = []
    if alike := [" and ".join(f"“{name}”" for name in pair) for pair in written["not_separable"]]:
        found.append(f"The model does not separate {listed(alike, '; ')}.")
    if left := len(written["pairs_left_out"]) + written["more_pairs_left_out"]:
        found.append(f"{left:,} {'pair of classes was' if left == 1 else 'pairs of classes were'} not compared.")
    for which, words in (("untested", "Time ran out before the test of"), ("undecided", "Time ran out, undecided:")):
        for one in written[which][:MAX_NAMES]:
            pair = " and ".join(f"“{name}”" for name in one["classes"])
            found.append(f"{words} {listed(one['interventions'])} ({pair}).")
        if (more := len(written[which]) - MAX_NAMES) > 0:
            found.append(f"{words} others, for {more} more pairs of classes.")
    if blind := [name for name, size in written["detectable_effects"].items() if size is None or size >= 1]:
        found.append(f"The folder is too small or too varied to judge {listed(blind)}.")
    if written["classes_left_out"]:
        found.append(written["classes_left_out"])
    if bad := len(written["unreadable"]):
        found.append(f"{bad:,} {'image' if bad == 1 else 'images'} could not be read.")
    return found


def listed(names: Sequence[str], between: str = ", ") -> str:
    """Join names, at most :data:`MAX_NAMES` of them."""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return between.join(names[:MAX_NAMES]) + more
