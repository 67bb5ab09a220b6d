"""SARIF files of ``picasso check`` and ``picasso audit``: their form, what they contain, and GitHub's limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from picasso.audit.reporting import alerts
from picasso.audit.reporting.failures import FailureRule
from picasso.cli import check_result
from picasso.cli.sarif_file import SarifFile
from picasso.errors import BadRequest
from picasso.evaluation.model_check import Source
from picasso.evaluation.sarif import Alert, Level, Rule, sarif
from tests.audit.test_audit import audit
from tests.audit.test_coverage import command
from tests.audit.test_failures import finding
from tests.audit.test_summary import written
from tests.cli.test_command import ONNX, config, run
from tests.conftest import noise_image, png
from tests.docs.blocks import block_of

__all__ = ["config"]

RULE = Rule("dark", "A dark image", "Take a lighter one.")


def results(file: Path) -> list[dict[str, Any]]:
    """Return the results of a SARIF file whose form is right."""
    log = json.loads(file.read_text(encoding="utf-8"))
    require_form(log)
    found: list[dict[str, Any]] = log["runs"][0]["results"]
    return found


def require_form(log: dict[str, Any]) -> None:
    """Raise an error if a log lacks what SARIF or GitHub requires, or has more than GitHub takes."""
    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert set(run) == {"tool", "results"}
    driver = run["tool"]["driver"]
    assert driver["name"] == "Picasso"
    assert len(run["results"]) <= 5000
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert 0 < len(rule["shortDescription"]["text"]) <= 1024
        assert 0 < len(rule["fullDescription"]["text"]) <= 1024
        assert rule["help"]["text"]
    for one in run["results"]:
        assert ids[one["ruleIndex"]] == one["ruleId"]
        assert one["level"] in ("error", "warning", "note")
        assert one["message"]["text"]
        (place,) = one["locations"]
        physical = place["physicalLocation"]
        assert " " not in physical["artifactLocation"]["uri"]
        assert all(physical["region"][name] == 1 for name in ("startLine", "startColumn", "endLine", "endColumn"))
        assert one["partialFingerprints"]["primaryLocationLineHash"]


def uri(result: dict[str, Any]) -> str:
    text: str = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    return text


def test_the_most_severe_come_first_and_the_rest_is_left_out() -> None:
    many = [Alert(RULE, Level.NOTE, f"note {index}", Path("a.png")) for index in range(6000)]
    log = sarif([*many, Alert(RULE, Level.WARNING, "w", Path("a.png")), Alert(RULE, Level.ERROR, "e", Path("a.png"))])
    require_form(log)
    found = log["runs"][0]["results"]
    assert len(found) == 5000
    assert [one["level"] for one in found[:3]] == ["error", "warning", "note"]


def test_paths_are_relative_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    log = sarif([Alert(RULE, Level.NOTE, "x", Path(one)) for one in ("models/a b.keras", "../other.keras")])
    inside, outside = log["runs"][0]["results"]
    assert uri(inside) == "models/a%20b.keras"
    assert inside["locations"][0]["physicalLocation"]["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    assert uri(outside) == (tmp_path / "other.keras").as_uri()


def test_an_alert_is_known_again_by_what_it_is_about() -> None:
    def prints(*alerts: Alert) -> list[str]:
        return [one["partialFingerprints"]["primaryLocationLineHash"] for one in sarif(alerts)["runs"][0]["results"]]

    one, again, other = prints(
        Alert(RULE, Level.NOTE, "reliance 40%", Path("a"), "light"),
        Alert(RULE, Level.NOTE, "reliance 41%", Path("a"), "light"),
        Alert(RULE, Level.NOTE, "reliance 40%", Path("a"), "noise"),
    )
    assert one == again != other


def test_an_error_is_an_alert_but_a_bug_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadRequest), SarifFile(tmp_path / "a.sarif", RULE, Path("m.keras")):
        raise BadRequest("It is dark.")
    assert [one["message"]["text"] for one in results(tmp_path / "a.sarif")] == ["It is dark."]
    with pytest.raises(ZeroDivisionError), SarifFile(tmp_path / "b.sarif", RULE, Path("m.keras")):
        raise ZeroDivisionError
    assert not (tmp_path / "b.sarif").exists()


def test_every_warning_has_a_rule() -> None:
    assert set(check_result.WARNINGS) == {str(one) for one in Source}
    rules = [check_result.FAILED, check_result.UNREADABLE, *check_result.WARNINGS.values()]
    rules += [value for value in vars(alerts).values() if isinstance(value, Rule)]
    assert len({rule.id for rule in rules}) == len(rules) == 11
    require_form(sarif([Alert(rule, Level.NOTE, "x", Path("a")) for rule in rules]))


def test_warnings_fail_a_check_only_if_they_are_asked_to(config: Path, tmp_path: Path) -> None:
    for seed in range(5):
        (tmp_path / f"{seed}.png").write_bytes(png(noise_image(0)))
    images, file = sorted(tmp_path.glob("*.png")), tmp_path / "check.sarif"
    done = run("check", *images, "--config", config, "--fail-on", "warning", "--sarif", file)
    assert (done.exit_code, done.stderr) == (1, "1 warning, so the check fails.\n")
    (found,) = results(file)
    assert (found["ruleId"], found["level"], uri(found)) == ("suspicious-output", "warning", config.as_uri())
    assert found["message"]["text"] in done.stdout
    for chosen in ((), ("--fail-on", "error")):
        assert run("check", *images, "--config", config, *chosen).exit_code == 0
    # A single image is no reason to warn.
    done = run("check", images[0], "--config", config, "--fail-on", "warning", "--sarif", file)
    assert (done.exit_code, results(file)) == (0, [])


def test_errors_of_a_check(config: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(noise_image(0)))
    (tmp_path / "b.png").write_bytes(b"no image")
    file = tmp_path / "check.sarif"
    done = run("check", tmp_path / "a.png", tmp_path / "b.png", "--config", config, "--sarif", file)
    (found,) = results(file)
    assert (done.exit_code, found["ruleId"], uri(found)) == (2, "unreadable-image", (tmp_path / "b.png").as_uri())
    done = run("check", tmp_path / "b.png", "--config", config, "--sarif", file)
    assert (done.exit_code, [one["level"] for one in results(file)]) == (2, ["error"])
    (tmp_path / "m.onnx").write_bytes(b"no model")
    done = run("check", "--model", tmp_path / "m.onnx", "--sarif", file)
    (found,) = results(file)
    assert (done.exit_code, found["ruleId"], uri(found)) == (2, "check-failed", (tmp_path / "m.onnx").as_uri())
    assert done.stderr == f"picasso: {found['message']['text']}\n"


def test_a_place_for_the_file_is_required_before_the_work(config: Path, tmp_path: Path) -> None:
    for words in (("check", "--config", config), ("audit", tmp_path, "--config", config)):
        done = run(*words, "--sarif", tmp_path / "missing" / "a.sarif")
        assert (done.exit_code, "--sarif must be a file in a folder that exists" in done.stderr) == (2, True)


def test_what_is_assumed_of_a_model_file_is_a_warning_about_it(tmp_path: Path) -> None:
    file = tmp_path / "check.sarif"
    done = run("check", "--model", ONNX, "--fail-on", "warning", "--sarif", file)
    assert done.exit_code == 1, done.output
    assert "model-assumption" in {one["ruleId"] for one in results(file)}
    assert {uri(one) for one in results(file)} == {"tests/zoo/logits.onnx"}


def test_alerts_of_an_audit() -> None:
    found = written(
        finding("noise", 0.9, 0.5), finding("light", 0.9, 0.4), finding("tilt", 0.9, 0.9, alarm=False),
        more_pairs_left_out=1,
    )  # fmt: skip
    told = alerts.audit_alerts(found, FailureRule(0.5).judge(found), ["Hue is gone."], Path("m.keras"))
    assert [(one.rule.id, str(one.level), one.message) for one in told] == [
        ("shortcut", "error", "noise moves the margin. At least 50%."),
        ("shortcut", "warning", "light moves the margin. Below 50%."),
        ("baseline-only", "note", "Hue is gone."),
        ("not-judged", "note", "1 pair of classes was not compared."),
    ]
    assert alerts.audit_alerts(written(), [], [], Path("m.keras")) == []


def test_the_audit_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "audit.sarif"
    done = audit(tmp_path, 0.9, "--sarif", file)
    assert done.exit_code == 1, done.output
    alarms = [one for one in json.loads((tmp_path / "out" / "audit.json").read_text())["findings"] if one["alarm"]]
    errors = [one for one in results(file) if one["level"] == "error"]
    assert [one["message"]["text"] for one in errors] == [one["sentence"] for one in alarms]
    assert audit(tmp_path, 0.9, "--sarif", file, "--fail-on", "x").exit_code == 2
    assert [one["ruleId"] for one in results(file)] == ["audit-failed"]


def test_the_alert_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    audit(tmp_path, 0.9, "--sarif", "audit.sarif")
    assert json.loads(block_of("sarif")) == results(tmp_path / "audit.sarif")[0]


def test_an_audit_without_a_result_is_one_error(tmp_path: Path) -> None:
    file = tmp_path / "audit.sarif"
    assert command(tmp_path, "Swapped", (12, 3, 12), "--sarif", str(file)).exit_code == 2
    assert [one["ruleId"] for one in results(file) if one["level"] == "error"] == ["no-result"]
