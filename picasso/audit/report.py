"""What an audit leaves behind: a page that opens without a server, JSON, evidence, and JUnit for a build's gate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import jinja2
import numpy as np

from picasso import __version__, images, rendering
from picasso.audit.auditing import Audit
from picasso.audit.folder import Folder, logits, margins, pixels
from picasso.audit.folder_checks import confounded
from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.properties import Pictures
from picasso.audit.statistics import interval
from picasso.audit.trials import Bench, Trial
from picasso.audit.verdict import Suspect

# How many pictures are shown before and after, and how large at least.
SHOWN, SIDE = 10, 96
ADVICE = {
    "property": "Collect pictures in which it is spread alike over the classes, or vary it at random in training.",
    "mark": "Crop or cover the mark, or paste it into pictures of all classes in training.",
    "thing": "Vary it at random in training, by moving, enlarging or colouring pictures, or collect others.",
    "region": "Crop or cover this part in training, or collect pictures without what lies there.",
    "broad": "Look at the pictures below: what do all of one class share besides the thing? Collect others.",
}


def classes(folder: Folder, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each class how many of its pictures are answered right, with a 95% interval, and the usual mistake."""
    rows = []
    for target, answers in folder.logits.items():
        best = answers.argmax(axis=1)
        right, wrong = int((best == target).sum()), best[best != target]
        low, high = interval(right, len(best))
        mistake = names[int(np.bincount(wrong).argmax())] if len(wrong) else ""
        rows.append(
            {"name": names[target], "pictures": len(best), "right": right, "low": low, "high": high, "mistake": mistake}
        )
    return rows


def evidence(bench: Bench, trial: Trial) -> list[tuple[Pictures, Pictures]]:
    """Return the pictures that a change moved most, before and after: ``(H, W, C)`` each."""
    (intervention,) = (one for one in INTERVENTIONS if one.name == trial.intervention)
    changed = bench.change(intervention, trial.ours, trial.theirs)
    if changed is None:
        return []
    ours, after = bench.folder.views[trial.ours], changed.towards
    moved = margins(logits(bench.model, after), trial.ours, trial.theirs)
    moved -= margins(bench.folder.logits[trial.ours], trial.ours, trial.theirs)
    return [(ours[index], after[index]) for index in np.argsort(-moved, kind="stable")[:SHOWN]]


def document(audit: Audit) -> dict[str, Any]:
    """Return everything that was found as JSON-ready values."""
    model, folder, found = audit.model, audit.folder, audit.verdict
    names = [str(name) for name in model.class_names()]
    rows = classes(folder, names)
    pictures, right = sum(row["pictures"] for row in rows), sum(row["right"] for row in rows)
    low, high = interval(right, pictures)
    return {
        "picasso": __version__,
        "model": model.card().as_dict(),
        "accuracy": {"pictures": pictures, "right": right, "low": low, "high": high, "classes": rows},
        "verdict": found.sentence(),
        "alarms": len(found.alarms),
        "suspects": [suspect(one, names) for one in found.suspects],
        "silent": list(found.silent),
        "smallest_visible_effect": found.smallest,
        "confounded": [
            {"name": one.name, "less": names[one.one], "more": names[one.other], "separation": one.separation}
            for one in confounded(folder.views)
        ],
        "pairs_left_out": [[names[one], names[other]] for one, other in audit.left],
        "unreadable": list(folder.unreadable),
        "trials": [asdict(one) for made in audit.trials.values() for one in made],
    }


def suspect(one: Suspect, names: Sequence[str]) -> dict[str, Any]:
    """Return a suspect as JSON-ready values."""
    return {
        "name": one.there.intervention,
        "kind": one.there.kind,
        "alarm": one.alarm,
        "sentence": one.sentence(names),
        "p": one.p,
        "advice": ADVICE[one.there.kind],
        "directions": [
            {"of": names[trial.ours], "towards": names[trial.theirs], **asdict(trial.effect)}
            for trial in (one.there, one.back)
        ],
    }


def write(audit: Audit, out: Path) -> None:
    """Write ``report.html``, ``audit.json``, ``junit.xml`` and the evidence into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    written, bench = document(audit), Bench(audit.model, audit.folder, audit.seed)
    shown: list[list[dict[str, str]]] = []
    for number, one in enumerate(audit.verdict.suspects):
        pairs = evidence(bench, one.there)
        shown.append([])
        for index, (before, after) in enumerate(pairs):
            addresses = {}
            for when, view in (("before", before), ("after", after)):
                body = images.encode(rendering.enlarge(pixels(view), SIDE))
                file = out / "evidence" / f"{number}-{index}-{when}.png"
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(body)
                addresses[when] = images.data_address(body)
            shown[-1].append(addresses)
    (out / "audit.json").write_text(json.dumps(written, indent=1, allow_nan=False), encoding="utf-8")
    (out / "junit.xml").write_text(junit(written), encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("picasso"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("audit.html").render(audit=written, shown=shown)
    (out / "report.html").write_text(page, encoding="utf-8")


def junit(written: Mapping[str, Any]) -> str:
    """Return the outcome as JUnit XML: a case for each thing that was tried, failed where it raised an alarm."""
    failed = {one["name"]: one["sentence"] for one in written["suspects"] if one["alarm"]}
    tried = dict.fromkeys(one["intervention"] for one in written["trials"])
    cases = [
        f'  <testcase classname="picasso.audit" name={quoteattr(name)}>'
        + (f"<failure message={quoteattr(failed[name])}/>" if name in failed else "")
        + "</testcase>"
        for name in tried
    ]
    head = f'<testsuite name="picasso audit" tests="{len(tried)}" failures="{len(failed)}">'
    return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', head, *cases, "</testsuite>", ""])
