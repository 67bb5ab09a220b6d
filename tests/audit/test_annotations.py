"""The annotations of an audit in GitHub Actions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from picasso.audit.reporting.annotations import annotation, github_annotations
from picasso.audit.reporting.failures import FailureRule
from tests.audit.test_audit import audit
from tests.audit.test_coverage import command
from tests.audit.test_failures import finding
from tests.audit.test_summary import written

COMMAND = re.compile(r"^::(error|warning) title=Picasso audit::(.+)$", re.MULTILINE)


@pytest.mark.parametrize(
    ("message", "escaped"),
    [("50%", "50%25"), ("%0A", "%250A"), ("a\r\nb", "a%0D%0Ab"), ("::error::x", "::error::x"), ("a, b: c", "a, b: c")],
)
def test_messages_are_escaped(message: str, escaped: str) -> None:
    assert annotation("error", message) == f"::error title=Picasso audit::{escaped}"


def test_what_fails_is_an_error_and_the_rest_a_warning() -> None:
    found = written(
        finding("noise", 0.9, 0.5), finding("light", 0.9, 0.4), finding("tilt", 0.9, 0.9, alarm=False),
        more_pairs_left_out=1, unreadable=["x"],
    )  # fmt: skip
    assert github_annotations(found, FailureRule(0.5).judge(found), ["Hue is gone."]) == [
        "::error title=Picasso audit::noise moves the margin. At least 50%25.",
        "::warning title=Picasso audit::light moves the margin. Below 50%25.",
        "::warning title=Picasso audit::Hue is gone.",
        "::warning title=Picasso audit::1 pair of classes was not compared.%0A1 image could not be read.",
    ]


def test_a_pass_says_nothing() -> None:
    assert github_annotations(written(), [], []) == []


def test_the_command_prints_them_if_it_is_asked_to(tmp_path: Path) -> None:
    done = audit(tmp_path, 0.9, "--annotations", "github")
    assert done.exit_code == 1, done.output
    said = COMMAND.findall(done.stdout)
    assert {level for level, _ in said} == {"error"}
    assert all("% " not in message for _, message in said)
    assert not COMMAND.search(audit(tmp_path, 0.9).stdout)
    assert audit(tmp_path, 0.9, "--annotations", "other").exit_code == 2


def test_an_audit_without_a_result_is_an_error(tmp_path: Path) -> None:
    done = command(tmp_path, "Swapped", (12, 3, 12), "--annotations", "github")
    assert done.exit_code == 2
    assert ("error", True) in [(level, "seem to be swapped" in said) for level, said in COMMAND.findall(done.stdout)]
