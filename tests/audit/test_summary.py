"""The summary of an audit in Markdown: its parts, escaped names, and the workflow in the documentation."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from picasso.audit.reporting.failures import FailureRule
from picasso.audit.reporting.summary import summary
from picasso.cli.command import main
from tests.audit.test_audit import audit
from tests.audit.test_baseline import baseline
from tests.audit.test_coverage import command
from tests.audit.test_failures import document, finding
from tests.docs.blocks import BLOCKS, block_of

NOTHING: dict[str, Any] = {
    "not_separable": [], "pairs_left_out": [], "more_pairs_left_out": 0, "untested": [], "detectable_effects": {},
    "classes_left_out": "", "unreadable": [],
}  # fmt: skip
WORDS = ["picasso", "audit", "my images"]


def written(*findings: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return the content of an ``audit.json`` about two classes."""
    return {**document(*findings, classes=2), **NOTHING, **values}


def text_of(found: dict[str, Any], rule: FailureRule) -> str:
    """Return its summary."""
    missing = rule.baseline.missing(found, ["a", "b"]) if rule.baseline else []
    return summary(found, rule.judge(found), missing, images=1200, command=WORDS)


def rows(text: str) -> list[list[str]]:
    """Return the cells of the table, without its head."""
    return [re.split(r" ?\| ?", line)[1:-1] for line in text.splitlines() if line.startswith("|")][2:]


def test_the_whole_summary(tmp_path: Path) -> None:
    rule = FailureRule(0.2, baseline(tmp_path, finding("light", 0.9, 0.4), finding("hue", 0.9, 0.4)))
    found = written(
        finding("noise", 0.9, 0.5), finding("light", 0.9, 0.45), finding("tilt", 0.9, 0.6, alarm=False),
        not_separable=[["a", "c"]],
        unreadable=["x"],
    )  # fmt: skip
    assert text_of(found, rule) == (
        "## Picasso audit: failed\n\n"
        "A verdict.\n\n"
        "| Classes | Finding | Reliance (95% interval) | Result |\n"
        "| --- | --- | --- | --- |\n"
        "| “a” and “b” | noise | 50% (40% to 60%) | **fails**: new, at least 20% |\n"
        "| “a” and “b” | light | 45% (35% to 55%) | does not fail: known, with 40% (95% interval 30% to 50%) in the "
        "baseline, at least 20% |\n"
        "| “a” and “b” | tilt | 60% (50% to 70%) | no alarm: informative |\n\n"
        "**In the baseline only**\n\n"
        "- Hue (“a” and “b”): reliance 40% (95% interval 30% to 50%) in the baseline. It was not tested now.\n\n"
        "**Not judged**\n\n"
        "- The model does not separate “a” and “c”.\n"
        "- 1 image could not be read.\n\n"
        "1,200 images in the folder. 1 of 1 pairs of 2 classes were compared.\n\n"
        "```sh\npicasso audit 'my images'\n```\n"
    )


def test_the_summary_and_the_annotations_of_the_page(tmp_path: Path) -> None:
    done = audit(tmp_path, 0.9, "--summary", tmp_path / "summary.md", "--annotations", "github")
    shown, _, command = (tmp_path / "summary.md").read_text(encoding="utf-8").partition("\n\n```sh\n")
    assert command
    assert block_of("summary").strip() == shown
    told = [line for line in done.stdout.splitlines() if line.startswith("::")]
    assert block_of("annotations").splitlines() == told


def test_what_could_not_be_judged_is_listed() -> None:
    found = written(
        pairs_left_out=[["a", "c"]],
        more_pairs_left_out=1999,
        untested=[{"classes": ["a", "b"], "interventions": [f"i{number}" for number in range(8)]}],
        undecided=[{"classes": ["a", "b"], "interventions": ["noise"]}] * 7,
        detectable_effects={"light": 0.2, "tilt": None, "texture": 1.0},
        classes_left_out="Left out, with fewer than 8 images: c (5).",
    )
    listed = [line[2:] for line in text_of(found, FailureRule()).splitlines() if line.startswith("- ")]
    assert listed == [
        "2,000 pairs of classes were not compared.",
        "Time ran out before the test of i0, i1, i2, i3, i4, i5 and 2 more (“a” and “b”).",
        *["Time ran out, undecided: noise (“a” and “b”)."] * 6,
        "Time ran out, undecided: others, for 1 more pairs of classes.",
        "The folder is too small or too varied to judge tilt, texture.",
        "Left out, with fewer than 8 images: c (5).",
    ]


@pytest.mark.parametrize(
    ("changes", "word"),
    [({}, "passed"), ({"judged": False}, "no result"), ({"swapped": [["a", "b"]]}, "no result")],
)
def test_the_status_is_that_of_the_command(changes: dict[str, Any], word: str) -> None:
    found = {**document(classes=2, **changes), **NOTHING}
    assert text_of(found, FailureRule()).startswith(f"## Picasso audit: {word}\n")


NAME = "a|b\\|c `d` *e* _f_ [g](h) <img src=x> &amp; #1 ~i~ $j$\nk"


def test_names_are_shown_as_they_are() -> None:
    one = finding("light", 0.9, 0.5, classes=(NAME, "@somebody"))
    found = written(one, verdict=f"It is “{NAME}”.")
    text = text_of(found, FailureRule())
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    cells = [html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", page)]
    plain = NAME.replace("\n", " ")
    assert cells == [f"“{plain}” and “@\u200bsomebody”", "light", "50% (40% to 60%)", "<strong>fails</strong>"]
    assert f"<p>It is “{html.escape(plain, quote=False)}”.</p>" in page


def test_a_command_can_hold_fences() -> None:
    text = summary(written(), [], [], images=1, command=["picasso", "````"])
    assert text.endswith("`````sh\npicasso '````'\n`````\n")


def test_long_lists_end() -> None:
    text = text_of(written(*(finding("light", 0.9, 0.5) for _ in range(53))), FailureRule())
    assert len(rows(text)) == 50
    assert "\n3 more findings are in `report.html`.\n" in text


def test_the_command_writes_it_whatever_the_status(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    done = audit(tmp_path, 0.9, "--summary", file)
    assert done.exit_code == 1, done.output
    text, found = file.read_text(), json.loads((tmp_path / "out" / "audit.json").read_text())
    assert text.startswith(f"## Picasso audit: failed\n\n{found['verdict']}\n")
    assert [row[1] for row in rows(text)] == [one["name"] for one in found["findings"]]
    assert "\n80 images in the folder. 1 of 1 pairs of 2 classes were compared.\n" in text
    swapped = command(tmp_path / "swapped", "Swapped", (12, 3, 12), "--summary", str(file))
    assert (swapped.exit_code, file.read_text()[:26]) == (2, "## Picasso audit: no resul")


@pytest.mark.parametrize("place", [".", "none/summary.md"])
def test_a_place_that_can_not_be_written_is_refused_before_the_work(place: str, tmp_path: Path) -> None:
    done = audit(tmp_path, 0.9, "--summary", tmp_path / place)
    assert done.exit_code == 2
    assert "picasso: --summary must be a file in a folder that exists, but " in done.output
    assert not (tmp_path / "out").exists()


def test_the_workflow_in_the_documentation_runs_a_command_that_exists() -> None:
    (block,) = (one for one in BLOCKS if one.mark == "workflow")
    steps = yaml.safe_load(block.text)["jobs"]["audit"]["steps"]
    (line,) = [step["run"] for step in steps if step.get("run", "").startswith("picasso ")]
    _, name, *words = shlex.split(line)
    context = main.commands[name].make_context(name, words)
    assert context.params["summary"] == Path("$GITHUB_STEP_SUMMARY")
    assert context.params["baseline"] == Path("accepted/audit.json")
