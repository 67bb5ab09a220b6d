"""Which findings of an audit fail a build: the status of the command, and its JUnit file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from picasso.audit.reporting.failures import FailureRule
from picasso.audit.reporting.reliance import reliance
from picasso.audit.reporting.report import junit
from picasso.cli.options import parse_share
from picasso.errors import BadRequest
from tests.audit.test_audit import audit
from tests.audit.test_coverage import command

Finding = dict[str, Any]


def finding(
    name: str,
    there: float,
    back: float,
    *,
    classes: tuple[str, str] = ("a", "b"),
    alarm: bool = True,
    half: float = 0.1,
) -> Finding:
    """Return a finding of ``audit.json`` with these effects, whose intervals have this half width."""
    sizes = zip(classes, (there, back), strict=True)
    return {
        "name": name,
        "kind": "property",
        "alarm": alarm,
        "tier": "relies on" if alarm else "informative",
        "sentence": f"{name} moves the margin.",
        "floor": 0.1,
        "directions": [{"of": of, "fraction": size, "low": size - half, "high": size + half} for of, size in sizes],
    }


def document(*findings: Finding, **coverage: Any) -> dict[str, Any]:
    """Return the content of an ``audit.json`` with these findings, each in a group of its own."""
    judged = {"judged": True, "swapped": [], "compared": 1, "pairs": 1, "small_classes": 0, "untested": 0}
    return {
        "verdict": "A verdict.",
        "findings": list(findings),
        "groups": [
            {"name": one["name"], "alarm": one["alarm"], "between": "“a” and “b”", "findings": [index]}
            for index, one in enumerate(findings)
        ],
        "trials": [{"intervention": one["name"], "kind": one["kind"], "ours": 0, "theirs": 1} for one in findings],
        "confusion": {"classes": ["a", "b"]},
        "undecided": [],
        "coverage": {**judged, "undecided": 0, "unreadable": 0, **coverage},
    }


def cases(written: dict[str, Any], rule: FailureRule) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the counts of a JUnit file, and what each of its cases contains."""
    suite = ElementTree.fromstring(junit(written, rule.judge(written)))  # noqa: S314 - written by the audit
    return suite.attrib, {case.attrib["name"]: [one.tag for one in case] for case in suite}


def test_the_reliance_is_the_smaller_effect_that_counts() -> None:
    assert reliance(finding("light", 0.9, 0.4)) == pytest.approx((0.4, 0.3, 0.5))
    # In reverse, only the changed answers show it.
    assert reliance(finding("light", 0.9, 0.05)) == pytest.approx((0.9, 0.8, 1.0))


def test_only_alarms_of_at_least_this_reliance_fail() -> None:
    written = document(finding("light", 0.9, 0.5), finding("noise", 0.8, 0.49), finding("tilt", 0.9, 0.9, alarm=False))
    judged = FailureRule(0.5).judge(written)
    assert [(one.index, one.fails) for one in judged] == [(0, True), (1, False)]
    assert [one.sentence() for one in judged] == [
        "Light (“a” and “b”): reliance 50% (95% interval 40% to 60%). At least 50%, so it fails.",
        "Noise (“a” and “b”): reliance 49% (95% interval 39% to 59%). Below 50%, so it does not fail.",
    ]
    counts, inside = cases(written, FailureRule(0.5))
    assert counts["failures"] == "1"
    assert inside == {"light": ["failure"], "noise": ["system-out"], "tilt": [], "coverage": []}


def test_by_default_all_alarms_fail_and_nothing_is_explained() -> None:
    written = document(finding("light", 0.9, 0.5), finding("noise", 0.8, 0.1))
    judged = FailureRule().judge(written)
    assert [one.fails for one in judged] == [True, True]
    assert [one.why for one in judged] == ["", ""]
    assert cases(written, FailureRule())[1] == {"light": ["failure"], "noise": ["failure"], "coverage": []}


def test_a_group_fails_by_any_of_its_findings() -> None:
    small, large = finding("light", 0.9, 0.2), finding("light", 0.9, 0.8, classes=("a", "<c>"))
    written = document(small, large)
    written["groups"] = [{"name": "light", "alarm": True, "between": "“a” against both", "findings": [0, 1]}]
    counts, inside = cases(written, FailureRule(0.5))
    assert (counts["failures"], inside["light"]) == ("1", ["failure", "system-out"])
    assert cases(written, FailureRule(0.9))[0]["failures"] == "0"


def test_what_was_not_judged_stays_as_it_is() -> None:
    written = document(finding("light", 0.9, 0.2), judged=False)
    assert cases(written, FailureRule(1))[0] == {
        "name": "picasso audit", "tests": "2", "failures": "0", "errors": "1", "skipped": "0",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["30%", "nan", "-0.1", "1.01", "inf", "x"])
def test_a_share_is_a_number_from_0_to_1(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_share(text, "--fail-on")
    assert caught.value.message == f"--fail-on must be a number from 0 to 1, such as 0.3 for 30%, not {text!r}."


def test_shares_are_read() -> None:
    assert [parse_share(text, "--fail-on") for text in ("", "0", "0.25", "1")] == [0, 0, 0.25, 1]


def test_the_command_fails_on_what_is_chosen(tmp_path: Path) -> None:
    assert audit(tmp_path, 0.9).exit_code == 1
    before = (tmp_path / "out" / "audit.json").read_bytes()
    found = [reliance(one).value for one in json.loads(before)["findings"] if one["alarm"]]
    done = audit(tmp_path, 0.9, "--fail-on", min(1.0, max(found) + 0.001))
    assert done.exit_code == 0, done.output
    assert "The model appears to rely on" in done.output
    assert done.output.count("so it does not fail.") == len(found)
    assert (tmp_path / "out" / "audit.json").read_bytes() == before
    assert "<failure" not in (tmp_path / "out" / "junit.xml").read_text()
    done = audit(tmp_path, 0.9, "--fail-on", max(found))
    assert done.exit_code == 1
    assert done.output.count("so it fails.") == 1
    done = audit(tmp_path, 0.9, "--fail-on", "30%")
    assert (done.exit_code, "--fail-on must be a number from 0 to 1" in done.output) == (2, True)


def test_swapped_folders_are_no_pass_whatever_fails(tmp_path: Path) -> None:
    assert command(tmp_path, "Swapped", (12, 3, 12), "--fail-on", "1").exit_code == 2
