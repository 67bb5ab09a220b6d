"""The report of an audit: the contents of the page and the JSON, the coordinates of charts, and reproducibility."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.audit.audit import Audit, run
from picasso.audit.dataset import Folder, encoded, logits
from picasso.audit.interventions import INTERVENTIONS, KINDS
from picasso.audit.reporting import charts, recommendations, report
from picasso.audit.reporting.document import document
from picasso.audit.reporting.views import compute_views
from picasso.audit.trial import TrialContext
from picasso.models.arrays import Array, Classes
from tests.audit.test_audit import COUNT, HEIGHT, WIDTH, Judge, noise_images
from tests.fakes import softmax

NAMES = {target: tuple(f"{target}-{index:02d} <b>.png" for index in range(COUNT)) for target in (0, 1)}


class Named(Judge):
    """Relies on the brightness, looks at the bar in the middle, and has class names that must be escaped."""

    reliance = 0.9

    def class_names(self) -> list[str]:
        return ["no <i>tank</i>", "tank & co"]

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        found = np.full_like(inputs, 1e-3)
        found[:, 6:18, 8:24] = 1
        return found


class Several(Named):
    """A multi-label model: its probabilities do not sum to 1."""

    def batch_probabilities(self, inputs: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-self.batch_logits(inputs))) ** 2, np.float32)


@pytest.fixture(scope="module")
def audit() -> Audit:
    model, views = Named(), noise_images("brightness")
    model.load()
    # The same image in two classes.
    views[1][5] = views[0][7]
    answers = {target: logits(model, some) for target, some in views.items()}
    return run(TrialContext(model, Folder(views, answers, NAMES)))


@pytest.fixture(scope="module")
def out(audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    report.write(audit, folder)
    return folder


class Page(HTMLParser):
    """Parses a page and records open elements, images without alternative text, and headings."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wordless: list[str] = []
        self.headings: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.heads_without_scope = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []  # type: ignore[list-item]
        self.heads_without_scope += tag == "th" and "scope" not in given
        if tag == "img" and not given.get("alt"):
            self.wordless.append(str(given.get("src"))[:40])
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append((tag, ""))
        if tag not in {"img", "meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """The elements of charts are self-closing."""

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"h1", "h2", "h3", "h4"} and self.headings[-1][1] == "":
            self.headings[-1] = self.headings[-1][0], data.strip()


def test_the_page_is_whole_in_the_order_of_questions(out: Path) -> None:
    text = (out / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.wordless == []
    assert page.heads_without_scope == 0
    assert len(set(page.ids)) == len(page.ids)
    assert set(re.findall(r'href="#(\w+)"', text)) <= set(page.ids)
    sections = [words for tag, words in page.headings if tag == "h2"]
    wanted = ["Verdict", "Brightness", "No effect found", "Performance", "Confounded properties"]
    places = [sections.index(words) for words in [*wanted, "Where the model looks"]]
    assert places == sorted(places)
    inner = [words for tag, words in page.headings if tag == "h3"]
    for words in (
        "Confusion matrix", "Calibration", "Before and after",
        "Average attention", "Attention clusters", "Images that change class most often",
        "Near-duplicates in different classes",
    ):  # fmt: skip
        assert words in inner


def test_the_page_needs_nothing_else_and_escapes_names(out: Path) -> None:
    text = (out / "report.html").read_text()
    assert "<script" not in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "url(" not in text
    assert "<i>tank" not in text
    assert "<b>.png" not in text
    assert "no &lt;i&gt;tank&lt;/i&gt;" in text
    assert "0-07 &lt;b&gt;.png" in text


def test_the_evidence_is_ten_pairs_in_both_directions(audit: Audit, out: Path) -> None:
    written = json.loads((out / "audit.json").read_text())
    assert written["alarms"] >= 1
    for one in written["findings"]:
        assert [shown["class"] for shown in one["shown"]] == [one["directions"][0]["of"]] * 5 + [
            one["directions"][1]["of"]
        ] * 5
        for shown in one["shown"]:
            assert (out / shown["before"]).read_bytes() != (out / shown["after"]).read_bytes()
    # Brightness flips: the probability of the true class falls after the change.
    assert all(shown["probability_after"] < shown["probability_before"] for shown in written["findings"][0]["shown"])
    assert (out / "report.html").read_text().count('alt="before"') == 10 * len(written["findings"])


def test_the_verdict_starts_with_a_sentence_and_an_image_pair(audit: Audit, out: Path) -> None:
    written, page = json.loads((out / "audit.json").read_text()), (out / "report.html").read_text()
    main = page.partition("<main>")[2]
    # Nothing but the sentence comes before the pair, and nothing is folded before it.
    assert re.match(
        r'\s*<h2 id="verdict">Verdict</h2>\s*<p class="verdict alarm">[^<]+</p>\s*<figure class="example">', main
    )
    one = written["example"]
    assert one == written["findings"][0]["example"]
    assert (one["intervention"], one["outlined"]) == ("brightness", "")
    assert one["before"]["outline"] is None
    # The predictions are those of the model, for the images of the evidence.
    (index,) = (int(one["before"]["file"].split("-")[1]),)
    shown = compute_views(audit).exhibits[0].shown[index]
    for when, view in (("before", shown.before), ("after", shown.after)):
        said = audit.model.predict(encoded(audit.model, view[None]))[0]
        assert one[when]["predicted"] == audit.model.class_names()[said.argmax()]
        assert one[when]["probability"] == pytest.approx(said.max(), abs=1e-5)
        assert (out / one[when]["file"]).is_file()
    assert shown.own_after < shown.own_before - 0.1


def test_without_a_finding_the_example_is_what_comes_closest(audit: Audit, tmp_path: Path) -> None:
    alarms = {one.there.intervention for one in audit.verdict.alarms}
    trials = {
        pair: [replace(one, informative=one.informative or one.intervention in alarms) for one in made]
        for pair, made in audit.trials.items()
    }
    quiet = Audit(audit.context, trials, ())
    assert quiet.verdict.alarms == []
    written = report.write(quiet, tmp_path)
    one = written["example"]
    smaller: dict[str, list[float]] = {}
    for trial in (trial for made in trials.values() for trial in made if not trial.informative):
        smaller.setdefault(trial.intervention, []).append(trial.effect.fraction)
    assert one["intervention"] == max(smaller, key=lambda name: min(smaller[name]))
    assert sorted(one["effect"]) == sorted(smaller[one["intervention"]])
    assert (tmp_path / one["before"]["file"]).is_file()
    page = (tmp_path / "report.html").read_text()
    assert f"{one['intervention']} comes closest to a finding" in page
    assert page.index('class="example"') < page.index("<details>")


def test_where_says_what_was_changed(audit: Audit) -> None:
    seen = {one.finding.there.intervention: one for one in compute_views(audit).exhibits}
    where = seen["brightness"].where
    assert where.shape == (HEIGHT, WIDTH)
    assert 0.05 < where.mean() < 0.4
    middle = seen.get("the middle")
    if middle:
        assert middle.where[:4].max() == 0


def test_the_same_audit_gives_the_same_report(audit: Audit, out: Path, tmp_path: Path) -> None:
    report.write(replace(audit), tmp_path)
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    for file in files:
        assert (out / file).read_bytes() == (tmp_path / file).read_bytes(), file


def test_the_json_says_what_its_documentation_lists(audit: Audit) -> None:
    written = document(audit)
    listed = re.findall(r"``(\w+)``", document.__doc__ or "")
    assert set(written) <= set(listed)
    assert set(listed) - set(written) <= {
        "caveat",
        "classes",
        "counts",
        "elsewhere",
        "owner",
        "remainder",
        "tier",
        "where",
        *written["coverage"],
        *written["views"],
    }
    assert written["rule"]["tests"] == sum(not one["informative"] for one in written["trials"]) / 2
    tried = {one["intervention"] for one in written["trials"]}
    assert set(written["nothing_to_change"]) == {one.name for one in INTERVENTIONS} - tried
    assert {one["name"] for one in written["findings"]} | set(written["silent"]) == tried


def test_views_are_in_the_json_as_numbers(audit: Audit) -> None:
    seen = document(audit)["views"]
    assert seen["near_duplicates"] == [
        {"classes": ["no <i>tank</i>", "tank & co"], "names": ["0-07 <b>.png", "1-05 <b>.png"], "likeness": 1.0}
    ]
    for one in seen["attention"]:
        assert one["images"] == COUNT
        assert np.asarray(one["cells"]).shape == np.asarray(one["more_than_even"]).shape == (8, 8)
        # Gradients are in the middle, so the corners get no attention.
        assert not one["more_than_even"][0][0]
        assert one["border_low"] <= one["border"] <= one["border_high"] < one["border_even"]
    for one in seen["clusters"]:
        assert sorted(name for group in one["clusters"] for name in group["names"]) == sorted(
            NAMES[one["class"] != "no <i>tank</i>"]
        )
    alarms = {one.there.intervention for one in audit.verdict.alarms}
    assert {name for one in seen["flips"] for name in one["by"]} <= alarms
    assert seen["flips"][0]["tried"] >= len(seen["flips"][0]["by"]) >= len(seen["flips"][-1]["by"]) >= 1


def test_confounded_properties_come_with_histograms(audit: Audit) -> None:
    (one,) = (one for one in document(audit)["confounded"] if one["name"] == "brightness")
    counts = one["histogram"]
    assert sum(counts["less"]) == sum(counts["more"]) == COUNT
    assert len(counts["less"]) == charts.HISTOGRAM
    bars = charts.bars(counts)
    assert max(max(bar["up"], bar["down"]) for bar in bars) == 48
    assert bars[12]["x"] == 50


def test_labels_that_hold_together_have_no_calibration(audit: Audit, tmp_path: Path) -> None:
    model = Several()
    model.load()
    # No tests were run: the report says so.
    report.write(Audit(TrialContext(model, audit.folder), {(0, 1): []}, ()), tmp_path)
    written, page = json.loads((tmp_path / "audit.json").read_text()), (tmp_path / "report.html").read_text()
    assert written["calibration"] is None
    assert "do not sum to 1" in page
    assert written["minimal_detectable_effect"] is None
    assert "This folder is too small to estimate the smallest detectable effect" in page
    assert (written["alarms"], written["findings"], written["views"]["flips"]) == (0, [], [])
    assert written["example"] is None
    assert "No image changes class" in page


def test_the_forest_lies_where_its_numbers_say(audit: Audit) -> None:
    ((pair, made),) = audit.trials.items()
    plot = charts.forest(made, pair, audit.verdict, ["a", "b"])
    assert plot["pair"] == ["a", "b"]
    smaller = [min(way["fraction"] for way in row["directions"]) for row in plot["rows"]]
    assert smaller == sorted(smaller, reverse=True)
    alarms = {row["name"] for row in plot["rows"] if row["state"] == "alarm"}
    assert alarms == {one.there.intervention for one in audit.verdict.alarms}
    zero, half, one = (tick["at"] for tick in plot["ticks"])
    assert half == pytest.approx((zero + one) / 2, abs=0.02)
    for row in plot["rows"]:
        for way in row["directions"]:
            assert 0 <= way["low"] <= way["at"] <= way["high"] <= 100
            if 0 <= way["fraction"] <= 1:
                assert way["at"] == pytest.approx(zero + way["fraction"] * (one - zero), abs=0.02)


def test_there_is_advice_for_everything_that_is_tried() -> None:
    assert set(recommendations.RECOMMENDATIONS) == set(recommendations.MANUAL_CHECKS) == set(KINDS)
    # There are no recommendations for interventions that no longer exist.
    assert set(recommendations.IN_PARTICULAR) <= {one.name for one in INTERVENTIONS}
    for one in INTERVENTIONS:
        assert recommendations.recommendation(one.kind, one.name).endswith(".")


@pytest.mark.parametrize(
    ("value", "words"), [(0.123, "12%"), (1, "100%"), (-0.001, "0%"), (-0.1, "-10%"), (-0.5, "-50%")]
)
def test_shares_are_written_as_people_read_them(value: float, words: str) -> None:
    assert report.percent(value) == words


def test_views_of_two_small_classes() -> None:
    model = Wide()
    model.load()
    views = {target: np.random.default_rng(target).random((50, 48, 48, 3), np.float32) for target in (0, 1)}
    answers = {target: logits(model, some) for target, some in views.items()}
    audit = Audit(TrialContext(model, Folder(views, answers, {0: NAMES[0] * 2, 1: NAMES[1] * 2})), {(0, 1): []}, ())
    seen = compute_views(audit)
    assert set(seen.attention) == {0, 1}


class Wide(Named):
    """Accepts images of 48 x 48."""

    def load(self, **arguments: Any) -> None:
        super().load()
        self.input_shape = (48, 48, 3)

    def batch_probabilities(self, inputs: Array) -> Array:
        return softmax(self.batch_logits(inputs))
