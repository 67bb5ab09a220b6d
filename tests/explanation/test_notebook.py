"""Results in notebooks: lists that draw themselves, of bounded size, and short texts everywhere."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from picasso.explanation import legend, notebook
from picasso.explanation.pipeline import explain
from picasso.explanation.result import Result, Results
from tests.conftest import noise_image
from tests.fakes import LinearModel


class Parsed(HTMLParser):
    """The tags and the text of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def results() -> Results:
    model = LinearModel()
    model.load()
    made = explain(model, [noise_image(seed) for seed in range(3)], "PartialOcclusion", Strides=5)
    assert isinstance(made, Results)
    return made


def test_a_list_of_results_draws_all_of_a_few(results: Results) -> None:
    page = Parsed(results._repr_html_())
    assert not page.open
    assert set(page.tags) <= {"div", "p", "b", "figure", "figcaption", "img", "span", "code"}
    legends = sum(panel.kind == "map" and not panel.flat for one in results for panel in one.panels)
    assert page.tags.count("img") == sum(1 + len(one.panels) for one in results) + legends
    for one in results:
        for panel in one.panels:
            assert panel.title in page.text
            if panel.kind == "map":
                described = panel.describe()
                low, high = legend.ends(described)
                assert f"{low} against" in page.text
                assert f"for {high}" in page.text
                assert legend.details(described) in page.text
                assert legend.amount(described) in page.text


def test_many_results_are_bounded(results: Results) -> None:
    many = Results([*results] * 100)
    page = Parsed(many._repr_html_())
    shown = page.tags.count("figure")
    assert shown <= notebook.IMAGES + 1 + len(results[0].panels)
    assert f"more: show some with results[{page.text.count('PartialOcclusion')}:]" in page.text
    assert len(many._repr_html_()) < 3_000_000
    lines = repr(many).splitlines()
    assert len(lines) == 9
    assert lines[-1] == " and 292 more]"


def test_one_result_with_many_panels_and_long_texts_is_bounded(results: Results) -> None:
    panel = replace(results[0].panels[1], title="t" * 5000, note="n" * 5000)
    html = replace(results[0], panels=(panel,) * 200)._repr_html_()
    page = Parsed(html)
    assert page.tags.count("figure") == notebook.IMAGES
    assert f"and {200 - notebook.IMAGES + 1} more panels" in page.text
    assert "t" * (notebook.LONGEST + 1) not in page.text
    big = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    assert len(replace(results[0], view=big)._repr_html_()) < 2_000_000


def test_names_are_escaped(results: Results) -> None:
    evil = "<script>alert(1)</script>"
    panel = replace(results[0].panels[1], title=evil, quantity=evil, note=evil, ends=(evil, evil), unit=evil)
    html = replace(results[0], image=evil, visualization=evil, notes=(evil,), panels=(panel,))._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 6


def test_an_empty_list_says_so() -> None:
    assert Results()._repr_html_() == "<p>no results</p>"
    assert repr(Results()) == "[]"


def test_parts_of_a_list_draw_themselves_too(results: Results) -> None:
    assert isinstance(results[:2], Results)
    assert isinstance(results[0], Result)
    assert results[-1] is list(results)[-1]


def test_texts_are_short_everywhere(results: Results) -> None:
    first = results[0]
    assert repr(first).startswith("<Result: PartialOcclusion of image 0, ")
    assert repr(first.panels[1]).endswith(", map of 5 x 5, drop of the probability>")
    model = LinearModel()
    assert repr(model) == "<LinearModel, not loaded>"
    model.load()
    for thing in (model, first, *first.panels, first.model):
        assert len(repr(thing)) < 200
        assert "\n" not in repr(thing)
    size = " x ".join(map(str, model.input_shape))
    assert f"input {size}, {model.num_classes} outputs>" in repr(model)
    assert f"input {size}, {model.num_classes} outputs>" in repr(first.model)
