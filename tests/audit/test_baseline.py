"""Findings of an earlier audit are known: only new ones, and those that have grown, fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.audit.reporting.baseline import Baseline, read_baseline
from picasso.audit.reporting.failures import FailureRule
from picasso.audit.reporting.reliance import Reliance
from picasso.errors import BadRequest
from tests.audit.test_audit import audit
from tests.audit.test_failures import document, finding

NAMES = ["a", "b", "c"]


def baseline(folder: Path, *findings: dict[str, Any]) -> Baseline:
    """Write an ``audit.json`` with these findings, and read it."""
    file = folder / "audit.json"
    file.write_text(json.dumps(document(*findings)), encoding="utf-8")
    return read_baseline(file)


def test_findings_are_matched_by_what_they_are(tmp_path: Path) -> None:
    first, second = finding("light", 0.9, 0.5), finding("noise", 0.8, 0.4)
    elsewhere, other = finding("light", 0.9, 0.5, classes=("a", "c")), finding("light", 0.9, 0.5)
    other["kind"] = "mark"
    turned = finding("light", 0.9, 0.5, classes=("b", "a"))
    rule = FailureRule(baseline=baseline(tmp_path, first, second))
    # In another order, and with the larger effect in the other direction.
    assert [one.fails for one in rule.judge(document(second, turned))] == [False, False]
    assert [(one.fails, one.why) for one in rule.judge(document(elsewhere, other))] == [(True, "New")] * 2


def test_known_findings_fail_if_they_have_grown_by_more_than_their_uncertainty(tmp_path: Path) -> None:
    rule = FailureRule(baseline=baseline(tmp_path, finding("light", 0.9, 0.4)))
    # The intervals have a half width of 0.1, so that of the difference has 0.1 * sqrt(2) = 0.1414.
    within, beyond = document(finding("light", 0.9, 0.541)), document(finding("light", 0.9, 0.542))
    assert [one.fails for one in rule.judge(within) + rule.judge(beyond)] == [False, True]
    assert [one.sentence() for one in rule.judge(within)] == [
        "Light (“a” and “b”): reliance 54% (95% interval 44% to 64%). Known, with 40% (95% interval 30% to 50%) in the "
        "baseline, so it does not fail."
    ]
    assert "Grown from 40% (95% interval 30% to 50%) in the baseline, so it fails." in rule.judge(beyond)[0].sentence()
    assert not rule.judge(document(finding("light", 0.9, 0.2)))[0].fails


def test_the_same_reliance_seldom_seems_to_have_grown() -> None:
    chance, error = np.random.default_rng(0), 0.05
    pairs = chance.normal(0.5, error, (20_000, 2)).tolist()
    grown = [
        Reliance(now, now - 1.96 * error, now + 1.96 * error).exceeds(
            Reliance(then, then - 1.96 * error, then + 1.96 * error)
        )
        for now, then in pairs
    ]
    # 2.5%, up to four standard errors of 20,000 draws.
    assert abs(sum(grown) / len(grown) - 0.025) < 4 * (0.025 * 0.975 / len(grown)) ** 0.5


def test_what_raised_no_alarm_before_is_new(tmp_path: Path) -> None:
    rule = FailureRule(baseline=baseline(tmp_path, finding("light", 0.9, 0.5, alarm=False)))
    assert rule.judge(document(finding("light", 0.9, 0.5)))[0].fails


def test_both_options_together_need_both(tmp_path: Path) -> None:
    rule = FailureRule(0.5, baseline(tmp_path, finding("light", 0.9, 0.4)))
    written = document(finding("light", 0.9, 0.52), finding("noise", 0.9, 0.45), finding("tilt", 0.9, 0.5))
    assert [(one.fails, one.why.partition(",")[0]) for one in rule.judge(written)] == [
        (False, "Known"), (False, "New"), (True, "New"),
    ]  # fmt: skip
    grown = rule.judge(document(finding("light", 0.9, 0.499, half=0.001)))
    assert not grown[0].fails


def test_missing_findings_are_said_to_be_gone_only_if_they_were_tested(tmp_path: Path) -> None:
    names = ("gone", "weak", "late", "skipped")
    earlier = baseline(tmp_path, *(finding(name, 0.9, 0.4) for name in names))
    written = document(finding("weak", 0.9, 0.4, alarm=False))
    written["trials"] += [
        {"kind": "property", "intervention": name, "ours": ours, "theirs": theirs}
        for name, ours, theirs in (("gone", 1, 0), ("late", 0, 1), ("skipped", 0, 2))
    ]
    written["undecided"] = [{"classes": ["a", "b"], "interventions": ["late"]}]
    said = "(“a” and “b”): reliance 40% (95% interval 30% to 50%) in the baseline."
    assert earlier.missing(written, NAMES) == [
        f"Gone {said} It is gone.",
        f"Weak {said} It raises no alarm now.",
        f"Late {said} It is undecided now.",
        f"Skipped {said} It was not tested now.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "3",
        '{"confusion": {"classes": []}}',
        '{"confusion": {"classes": ["a"]}, "findings": [{}]}',
        json.dumps(document(finding("light", float("nan"), float("nan")))),
        json.dumps(document(finding("light", 0.9, 0.5))).replace("0.5,", '"0.5",'),
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_audit_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "some.json").write_text(text)
    with pytest.raises(
        BadRequest, match=r"^The baseline .*some\.json is no audit\.json: use the one in the output folder"
    ):
        read_baseline(tmp_path / "some.json")


def test_a_missing_file_and_other_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"^The baseline .*none\.json can't be read: No such file or directory\.$"):
        read_baseline(tmp_path / "none.json")
    found = baseline(tmp_path, finding("light", 0.9, 0.5))
    found.require_classes(NAMES)
    with pytest.raises(BadRequest, match=r"is of other classes: this model has no class “b”\. Use the audit\.json of"):
        found.require_classes(["a", "c"])


def test_the_command_passes_with_its_own_audit_as_the_baseline(tmp_path: Path) -> None:
    assert audit(tmp_path, 0.9).exit_code == 1
    file = tmp_path / "out" / "audit.json"
    done = audit(tmp_path, 0.9, "--baseline", file)
    assert done.exit_code == 0, done.output
    written = json.loads(file.read_text())
    assert done.output.count("Known, with ") == sum(one["alarm"] for one in written["findings"]) > 0
    assert "<failure" not in (tmp_path / "out" / "junit.xml").read_text()
    # Without its first finding, that is new.
    (tmp_path / "earlier.json").write_text(json.dumps({**written, "findings": written["findings"][1:]}))
    done = audit(tmp_path, 0.9, "--baseline", tmp_path / "earlier.json")
    assert (done.exit_code, done.output.count("New, so it fails.")) == (1, 1), done.output
    assert (tmp_path / "out" / "junit.xml").read_text().count(" New.") == 1
    written["confusion"]["classes"][0] = "cat"
    (tmp_path / "earlier.json").write_text(json.dumps(written))
    done = audit(tmp_path, 0.9, "--baseline", tmp_path / "earlier.json")
    assert (done.exit_code, "this model has no class “cat”" in done.output) == (2, True)
