"""Write the report of an audit: a standalone HTML page, JSON, evidence images, and JUnit XML for a build."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import jinja2

from picasso.audit.audit import Audit
from picasso.audit.dataset import pixels
from picasso.audit.reporting import charts, inline_images
from picasso.audit.reporting.document import CLOSEST, document
from picasso.audit.reporting.evidence import Evidence, Shown
from picasso.audit.reporting.failures import FailureRule, JudgedAlarm
from picasso.audit.reporting.outlines import outline
from picasso.audit.reporting.page_policy import content_security_policy
from picasso.audit.reporting.views import Cluster, Views, compute_views
from picasso.explanation import render
from picasso.imaging import decode

__all__ = ["document", "write"]

# Smaller images of the evidence are enlarged to this side.
SIDE = 96
# The number of images of a cluster, flips and near-duplicate pairs on the page; audit.json contains all.
MAX_IN_CLUSTER, MAX_FLIPS, MAX_DUPLICATES = 8, 12, 12


def write(audit: Audit, out: Path, rule: FailureRule | None = None) -> dict[str, Any]:
    """Write ``report.html``, ``audit.json``, ``junit.xml`` and the evidence into a folder; return the JSON.

    Args:
        audit: the audit.
        out: the folder; its parent must exist.
        rule: decides which findings are failures in ``junit.xml``; by default, all that raise an alarm. The other files
            do not depend on it.
    """
    # Don't create parents: an audit that was deleted in the meantime must not reappear.
    out.mkdir(exist_ok=True)
    shutil.rmtree(out / "evidence", ignore_errors=True)
    views = compute_views(audit)
    written = document(audit, views)
    for number, one in enumerate(views.exhibits):
        write_evidence(str(number), one, out / "evidence")
    if views.closest is not None:
        write_evidence(CLOSEST, views.closest, out / "evidence")
    (out / "audit.json").write_text(json.dumps(written, indent=1, allow_nan=False), encoding="utf-8")
    (out / "junit.xml").write_text(junit(written, (rule or FailureRule()).judge(written)), encoding="utf-8")
    (out / "report.html").write_text(page(audit, views, written), encoding="utf-8")
    return written


def write_evidence(prefix: str, one: Evidence, folder: Path) -> None:
    """Write the images of a finding before and after, as the model sees them; small images are enlarged."""
    folder.mkdir(exist_ok=True)
    for index, shown in enumerate(one.shown):
        for when, view in (("before", shown.before), ("after", shown.after)):
            body = decode.encode(render.enlarge(pixels(view), SIDE))
            (folder / f"{prefix}-{index}-{when}.png").write_bytes(body)


def page(audit: Audit, views: Views, written: Mapping[str, Any]) -> str:
    """Return the report as a self-contained HTML page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("picasso"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "capital": capital}
    names = [str(name) for name in audit.model.class_names()]
    pairs = {pair: made for pair, made in audit.trials.items() if made}
    style = environment.get_template("audit_style.html").render()
    return environment.get_template("audit.html").render(
        audit=written,
        style=style,
        policy=content_security_policy(style),
        forests=sorted(
            (charts.forest(made, pair, audit.verdict, names) for pair, made in pairs.items()),
            key=lambda plot: not plot["alarms"],
        ),
        bars=[charts.bars(one["histogram"]) for one in written["confounded"]],
        scale=inline_images.scale(),
        exhibits=[exhibit(one, views) for one in views.exhibits],
        leading=leading(views),
        tested=list(dict.fromkeys(one["intervention"] for one in written["trials"])),
        **drawn_views(audit, views),
    )


def leading(views: Views) -> list[inline_images.Drawn]:
    """Return the image that illustrates the verdict, before and after; nothing if no change was tested."""
    first = views.closest or next(iter(views.exhibits), None)
    return [] if first is None else drawn_pair(first.shown[first.example])


def drawn_pair(shown: Shown) -> list[inline_images.Drawn]:
    """Return an image before and after a change, with the outline of the region that the change is about."""
    return [
        {**inline_images.photograph(view), "outline": outline(region)}
        for view, region in ((shown.before, shown.region_before), (shown.after, shown.region_after))
    ]


def exhibit(one: Evidence, views: Views) -> dict[str, Any]:
    """Return the images of a finding for the template: image pairs, changed pixels and attention."""
    ours, theirs = (views.attention[target] for target in one.pair)
    high = max(float(ours.mean.max()), float(theirs.mean.max()))
    return {
        "pairs": [drawn_pair(shown) for shown in one.shown],
        "where": inline_images.heat_map(one.where),
        "attention": [inline_images.heat_map(of.mean, high) for of in (ours, theirs)],
    }


def drawn_views(audit: Audit, views: Views) -> dict[str, Any]:
    """Return the images of the views of the whole folder for the template."""
    folder = audit.folder
    high = max((float(one.mean.max()) for one in views.attention.values()), default=1.0)

    def cluster(target: int, one: Cluster) -> dict[str, Any]:
        """Return the mean map of a cluster and its most typical images."""
        some = [inline_images.photograph(view) for view in folder.views[target][one.members[:MAX_IN_CLUSTER]]]
        return {"map": inline_images.heat_map(one.attention.mean), "images": some}

    return {
        "attention": [
            {
                "image": inline_images.photograph(folder.views[target].mean(axis=0)),
                "map": inline_images.heat_map(one.mean, high),
            }
            for target, one in views.attention.items()
        ],
        "clusters": [[cluster(target, one) for one in found] for target, found in views.clusters.items()],
        "flips": [inline_images.photograph(folder.views[one.target][one.index]) for one in views.flips[:MAX_FLIPS]],
        "near_duplicates": [
            [
                inline_images.photograph(folder.views[target][index])
                for target, index in ((one.one, one.first), (one.other, one.second))
            ]
            for one in views.near_duplicates[:MAX_DUPLICATES]
        ],
    }


def percent(value: float, digits: int = 0) -> str:
    """Format a share as a percentage: 0.123 is "12%"."""
    words = f"{100 * value:.{digits}f}%"
    return words if float(words[:-1]) else words.lstrip("-")


def capital(words: str) -> str:
    """Return a text with its first letter capitalised."""
    return words[:1].upper() + words[1:]


def junit(written: Mapping[str, Any], judged: Sequence[JudgedAlarm]) -> str:
    """Return the outcome as JUnit XML, with one test case per intervention, which fails if one of its findings does.

    A case whose findings raise an alarm but do not fail passes, and its output says so. A further case, "coverage", is
    an error if nothing was judged or folders are swapped, and is skipped if some pairs of classes were not compared, if
    the time ran out, or if a class was left out.
    """
    # The first finding of each group has the largest effect.
    failed: dict[str, str] = {}
    told: dict[str, list[str]] = {}
    alarms = {one.index: one for one in judged}
    for group in written["groups"]:
        if group["alarm"]:
            failing = [index for index in group["findings"] if alarms[index].fails]
            if failing:
                sentence, why = written["findings"][failing[0]]["sentence"], alarms[failing[0]].why
                failed.setdefault(group["name"], f"{group['between']}. {sentence}{f' {why}.' if why else ''}")
            passing = [alarms[index].sentence() for index in group["findings"] if not alarms[index].fails]
            told.setdefault(group["name"], []).extend(passing)
    tried = dict.fromkeys(one["intervention"] for one in written["trials"])
    cases = [
        f'  <testcase classname="picasso.audit" name={quoteattr(name)}>'
        + (f"<failure message={quoteattr(failed[name])}/>" if name in failed else "")
        + (f"<system-out>{escape(lines)}</system-out>" if (lines := "\n".join(told.get(name, ()))) else "")
        + "</testcase>"
        for name in tried
    ]
    # An audit that could not judge anything, or not all pairs, is no pass.
    seen = written["coverage"]
    partial = seen["compared"] < seen["pairs"] or any(
        seen[what] > 0 for what in ("small_classes", "untested", "undecided")
    )
    outcome = "error" if not seen["judged"] or seen["swapped"] else "skipped" if partial else ""
    cases.append(
        '  <testcase classname="picasso.audit" name="coverage">'
        + (f"<{outcome} message={quoteattr(written['verdict'])}/>" if outcome else "")
        + "</testcase>"
    )
    counts = f'failures="{len(failed)}" errors="{int(outcome == "error")}" skipped="{int(outcome == "skipped")}"'
    head = f'<testsuite name="picasso audit" tests="{len(cases)}" {counts}>'
    return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', head, *cases, "</testsuite>", ""])
