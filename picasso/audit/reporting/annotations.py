"""The result of an audit as workflow commands of GitHub Actions, which shows them as annotations of a run."""

from __future__ import annotations

from collections.abc import Sequence

from picasso.audit.reporting.failures import JudgedAlarm
from picasso.audit.reporting.reliance import Document
from picasso.audit.reporting.summary import not_judged

TITLE = "Picasso audit"


def github_annotations(written: Document, judged: Sequence[JudgedAlarm], missing: Sequence[str]) -> list[str]:
    """Return a line for each annotation.

    A finding that fails is an error, and so is an audit that judged nothing or found swapped folders. An alarm that
    does not fail, a finding of the baseline that is missing, and what could not be judged are warnings.

    Args:
        written: the content of ``audit.json``.
        judged: its findings that raise an alarm.
        missing: a sentence for each finding of the baseline that is missing.
    """
    lines = []
    for alarm in judged:
        sentence = written["findings"][alarm.index]["sentence"]
        reason = f" {alarm.why}." if alarm.why else ""
        lines.append(annotation("error" if alarm.fails else "warning", f"{sentence}{reason}"))
    if not written["coverage"]["judged"] or written["coverage"]["swapped"]:
        lines.append(annotation("error", written["verdict"]))
    lines += [annotation("warning", one) for one in missing]
    if left := not_judged(written):
        lines.append(annotation("warning", "\n".join(left)))
    return lines


def annotation(level: str, message: str) -> str:
    r"""Return one command. Percent signs and line breaks are escaped, as the documentation of GitHub Actions says.

    Examples:
        >>> from picasso.audit.reporting.annotations import annotation
        >>> annotation("warning", "50% of a\nb")
        '::warning title=Picasso audit::50%25 of a%0Ab'
    """
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{level} title={TITLE}::{escaped}"
