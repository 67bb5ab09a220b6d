"""The result of an audit as alerts of a SARIF file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from picasso.audit.reporting.failures import JudgedAlarm
from picasso.audit.reporting.reliance import Document
from picasso.audit.reporting.summary import not_judged
from picasso.evaluation.sarif import Alert, Level, Rule

FAILED = Rule(
    "audit-failed",
    "The audit could not run",
    "The model can't be loaded or is no classifier, the folder does not fit it, or an option or a setting is wrong. "
    "The message states what is valid and what to do.",
)
SHORTCUT = Rule(
    "shortcut",
    "The model relies on something other than the object",
    "Changing something that should not matter, such as the light or the background, moves the predictions from one "
    "class towards another by more than chance. The report of the audit shows the images before and after the "
    "change. Collect images in which it says nothing about the class, or try picasso mend. If it is accepted, keep "
    "the audit.json of this audit as the baseline of later ones.",
)
NO_RESULT = Rule(
    "no-result",
    "The audit judged nothing",
    "The model does not separate the classes of the folder, or the folders seem to be swapped. Compare the names of "
    "the folders with the labels, and the preprocessing with the training; picasso check helps.",
)
NOT_JUDGED = Rule(
    "not-judged",
    "A part was not judged",
    "Classes, pairs or interventions were not tested: for lack of images or time, or because the model does not "
    "separate the classes. Nothing is known of them. Add images, or raise --budget and --pairs.",
)
GONE = Rule(
    "baseline-only",
    "A finding of the baseline is missing",
    "The baseline has a finding that raises no alarm now. If it was tested to the end, remove it by replacing the "
    "baseline; otherwise it may still be there.",
)


def audit_alerts(written: Document, judged: Sequence[JudgedAlarm], missing: Sequence[str], path: Path) -> list[Alert]:
    """Return an alert for each finding that raises an alarm and for whatever else a reader of the result must know.

    A finding that fails is an error, and so is an audit without a result. An alarm that does not fail is a warning;
    what could not be judged and what only the baseline has are notes.

    Args:
        written: the content of ``audit.json``.
        judged: its findings that raise an alarm.
        missing: a sentence for each finding of the baseline that is missing.
        path: the file of the model.
    """
    alerts = []
    for alarm in judged:
        kind, name, classes = alarm.about
        reason = f" {alarm.why}." if alarm.why else ""
        message = f"{written['findings'][alarm.index]['sentence']}{reason}"
        # The numbers change from run to run, what the finding is about does not.
        key = "\n".join([kind, name, *sorted(classes)])
        alerts.append(Alert(SHORTCUT, Level.ERROR if alarm.fails else Level.WARNING, message, path, key))
    if not written["coverage"]["judged"] or written["coverage"]["swapped"]:
        alerts.append(Alert(NO_RESULT, Level.ERROR, written["verdict"], path, NO_RESULT.id))
    alerts += [Alert(GONE, Level.NOTE, one, path) for one in missing]
    alerts += [Alert(NOT_JUDGED, Level.NOTE, one, path) for one in not_judged(written)]
    return alerts
