"""The results of an audit as JSON-ready values, for ``audit.json`` and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from picasso import __version__
from picasso.audit.audit import Audit
from picasso.audit.confounders import confounded
from picasso.audit.interventions.base import FLOOR
from picasso.audit.reporting import charts, performance, recommendations
from picasso.audit.reporting.evidence import Evidence
from picasso.audit.reporting.mean_attention import MeanAttention, cells
from picasso.audit.reporting.outlines import outline
from picasso.audit.reporting.views import Views, compute_views
from picasso.audit.rule import FLIPS
from picasso.audit.statistics import LEVEL
from picasso.audit.trial import Pair

# The prefix of the evidence files of the largest effect, if there is no alarm.
CLOSEST = "closest"
# What an outline in an example means: what is changed or, by the kind of the intervention, something else.
CHANGED, OUTLINED = "Outlined: the part that is changed.", {"object": "Outlined: where the model looks most."}


def document(audit: Audit, seen: Views | None = None) -> dict[str, Any]:
    """Return the results as JSON-ready values. Shares, effects and probabilities are fractions.

    ``picasso``: the version. ``model``: the model card.
    ``accuracy``: the number of correct images, with 95% confidence intervals, in total and by class.
    ``confusion``: a row of ``counts`` for each of ``classes``, and the number of predictions ``elsewhere``.
    ``calibration``: the expected calibration error and its bins; null if probabilities don't sum to 1.
    ``verdict``: the summary. ``coverage``: what it is about: the number of ``compared`` ``pairs`` of classes, whether
    anything was ``judged``, ``small_classes``, ``unreadable`` images, groups of ``swapped`` folders, how many of the
    ``classes`` are ``masked``, null without masks, how many ``interventions`` are ``untested`` on the last pair, how
    many tests are ``undecided``, and the share of the images that the tests ``used``.
    ``example``: the image that illustrates it, before and after the change of the first finding or, if there is no
    alarm, of the largest effect; null if nothing was tested. Each finding has one, too.
    ``alarms``: the number of groups of findings with an alarm.
    ``rule``: the significance level, the smallest effect and the smallest share of changed answers of an alarm, and the
    number of tests.
    ``findings``: each with its ``tier`` ("relies on", "one direction" or "informative"), a ``caveat`` if it raises no
    alarm, its sentence, both directions, ``where`` pixels were changed (means in cells), the images
    that are shown, a recommendation, how to verify it, and the ``remainder`` without the first finding.
    ``groups``: findings about the same intervention that share a class, its ``owner``, by index.
    ``silent``: interventions without a finding. ``nothing_to_change``: interventions that were not tested.
    ``minimal_detectable_effect``: the smallest effect that every test would have detected; null if the folder is too
    small. ``detectable_effects``: the same by intervention.
    ``confounded``: the properties that separate classes, with histograms.
    ``views``: ``attention`` and ``clusters`` by class, ``flips``, and ``near_duplicates``.
    ``not_separable``: pairs of classes that the model does not separate. ``pairs_left_out``: pairs that were not
    compared; of many classes, ``more_pairs_left_out`` is the number of those that are not listed. ``untested``: the
    interventions that were not tested on a pair because the time ran out. ``undecided``: those that were tested on too
    few images for that reason.
    ``unreadable``: an error message for each unreadable image. ``classes_left_out``: a sentence that names the classes
    with too few images, or "". ``trials``: all trials; a trial used some images of a pool.

    Args:
        audit: the audit.
        seen: its views, if they are already computed.
    """
    seen = seen or compute_views(audit)
    folder, found = audit.folder, audit.verdict
    names = [str(name) for name in audit.model.class_names()]
    tried = {one.intervention for made in audit.trials.values() for one in made}
    return {
        "picasso": __version__,
        "model": audit.model.card().as_dict(),
        **how_it_does(audit, names),
        "verdict": audit.sentence(),
        "coverage": {
            **asdict(audit.coverage),
            "judged": audit.coverage.judged,
            "swapped": [[names[one] for one in group] for group in audit.coverage.swapped],
        },
        "example": verdict_example(seen, names),
        "alarms": sum(group.alarm for group in found.groups),
        "rule": {"level": LEVEL, "floor": FLOOR, "flips": FLIPS, "tests": found.tests},
        "findings": [finding(number, one, names) for number, one in enumerate(seen.exhibits)],
        "groups": groups(audit, names),
        "silent": list(found.silent),
        "nothing_to_change": [one.name for one in audit.context.interventions if one.name not in tried],
        "minimal_detectable_effect": finite(found.smallest),
        "detectable_effects": {
            name: finite(size) for name, size in sorted(found.detectable.items(), key=lambda one: one[1])
        },
        "confounded": [
            {
                "name": one.name,
                "less": names[one.one],
                "more": names[one.other],
                "separation": one.separation,
                "histogram": charts.histogram(one, folder.views),
            }
            for one in confounded(folder.views, audit.trials if folder.look else None)
        ],
        "views": views(audit, seen, names),
        "not_separable": [[names[one], names[other]] for one, other in found.alike],
        "pairs_left_out": [[names[one], names[other]] for one, other in audit.left],
        "more_pairs_left_out": audit.unlisted,
        "untested": by_pair(audit.untested, names),
        "undecided": by_pair(audit.undecided, names),
        "classes_left_out": folder.left_out,
        "unreadable": list(audit.context.unreadable),
        "trials": [asdict(replace(one, tally=None)) for made in audit.trials.values() for one in made],
    }


def by_pair(interventions: Mapping[Pair, list[str]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return names of interventions by pair of classes as a list."""
    return [
        {"classes": [names[target] for target in pair], "interventions": found} for pair, found in interventions.items()
    ]


def finite(value: float) -> float | None:
    """Return a number, or None if it is infinite, which JSON can't say."""
    return value if np.isfinite(value) else None


def how_it_does(audit: Audit, names: Sequence[str]) -> dict[str, Any]:
    """Return accuracy, confusion and calibration."""
    table = performance.confusion(audit.folder)
    known = performance.calibration(audit.folder, performance.probabilities(audit.model, audit.folder))
    return {
        "accuracy": performance.accuracy(audit.folder, names),
        "confusion": {**asdict(table), "classes": [names[one] for one in table.classes]},
        "calibration": None if known is None else asdict(known),
    }


def finding(number: int, one: Evidence, names: Sequence[str]) -> dict[str, Any]:
    """Return a finding and its evidence; ``number`` is the prefix of the evidence files."""
    of = one.finding
    return {
        "name": of.there.intervention,
        "kind": of.there.kind,
        "alarm": of.alarm,
        "tier": of.tier,
        "caveat": of.caveat(names),
        "sentence": of.sentence(names),
        "p": of.p,
        "floor": of.there.floor,
        "repeated": of.there.repeated,
        "advice": recommendations.recommendation(of.there.kind, of.there.intervention),
        "manual_check": recommendations.manual_check(of.there.kind, of.there.intervention),
        "directions": [
            {
                "of": names[trial.ours],
                "towards": names[trial.theirs],
                **asdict(trial.effect),
                "excess_flips": trial.effect.flips - trial.effect.control_flips,
                "pool": trial.pool,
            }
            for trial in (of.there, of.back)
        ],
        "remainder": None if one.remainder is None else asdict(one.remainder),
        "where": rounded(cells(one.where[None])[0]),
        "example": example(one, str(number), names),
        "shown": [
            {
                "name": shown.name,
                "class": names[shown.ours],
                "towards": names[shown.theirs],
                "probability_before": shown.own_before,
                "probability_after": shown.own_after,
                "before": f"evidence/{number}-{index}-before.png",
                "after": f"evidence/{number}-{index}-after.png",
            }
            for index, shown in enumerate(one.shown)
        ],
    }


def groups(audit: Audit, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the groups of findings: what they are about, their classes, and the indices of the findings."""
    found = audit.verdict
    return [
        {
            "name": group.name,
            "tier": group.tier,
            "alarm": group.alarm,
            "owner": None if group.owner is None else names[group.owner],
            "others": [names[one] for one in group.others],
            "between": group.between(names, audit.folder.classes),
            "findings": [found.findings.index(one) for one in group.findings],
        }
        for group in found.groups
    ]


def verdict_example(seen: Views, names: Sequence[str]) -> dict[str, Any] | None:
    """Return the example that illustrates the verdict."""
    if seen.closest is not None:
        return example(seen.closest, CLOSEST, names)
    return example(seen.exhibits[0], "0", names) if seen.exhibits else None


def example(one: Evidence, prefix: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the image that shows the effect best, before and after; ``prefix`` is that of the evidence files."""
    shown, trial = one.shown[one.example], one.finding.there
    trial = trial if trial.ours == shown.ours else one.finding.back
    a, b = (f"“{names[target]}”" for target in (shown.ours, shown.theirs))
    (said, sure), (says, surer) = shown.says_before, shown.says_after
    words = trial.words.format(a=a, b=b)
    return {
        "intervention": trial.intervention,
        "name": shown.name,
        "sentence": f"The model classifies this image of {a} as “{names[said]}” ({share(sure)}). After {words}, it "
        f"classifies the same image {'still ' if said == says else ''}as “{names[says]}” ({share(surer)}).",
        "effect": [one.finding.there.effect.fraction, one.finding.back.effect.fraction],
        "outlined": "" if shown.region_before is None else OUTLINED.get(trial.kind, CHANGED),
        **{
            when: {
                "file": f"evidence/{prefix}-{one.example}-{when}.png",
                "predicted": names[target],
                "probability": probability,
                "outline": outline(region),
            }
            for when, (target, probability), region in (
                ("before", shown.says_before, shown.region_before),
                ("after", shown.says_after, shown.region_after),
            )
        },
    }


def share(value: float) -> str:
    """Format a probability; no number is rounded to certainty."""
    return ">99%" if 0.995 <= value < 1 else f"{value:.0%}"


def views(audit: Audit, seen: Views, names: Sequence[str]) -> dict[str, Any]:
    """Return the views of the folder as numbers and names."""
    files = audit.folder.names
    return {
        "attention": [{"class": names[target], **gaze(one)} for target, one in seen.attention.items()],
        "clusters": [
            {
                "class": names[target],
                "clusters": [
                    {"names": [files[target][index] for index in one.members], **gaze(one.attention)} for one in found
                ],
            }
            for target, found in seen.clusters.items()
        ],
        "flips": [
            {"name": files[one.target][one.index], "class": names[one.target], "by": list(one.by), "tried": one.tried}
            for one in seen.flips
        ],
        "near_duplicates": [
            {
                "classes": [names[one.one], names[one.other]],
                "names": [files[one.one][one.first], files[one.other][one.second]],
                "likeness": round(one.likeness, 4),
            }
            for one in seen.near_duplicates
        ],
    }


def gaze(one: MeanAttention) -> dict[str, Any]:
    """Return the mean attention on some images, in cells."""
    return {
        "images": one.images,
        "cells": rounded(one.cells),
        "more_than_even": one.more.tolist(),
        "border": one.border,
        "border_low": one.border_low,
        "border_high": one.border_high,
        "border_even": one.border_even,
    }


def rounded(values: np.ndarray[Any, Any]) -> list[Any]:
    """Return an array as lists of numbers with four decimals."""
    found: list[Any] = np.round(values.astype(np.float64), 4).tolist()
    return found
