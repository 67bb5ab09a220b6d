"""One map to take away: as an image with its legend, as seen on the page, and the legend as SVG."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from picasso.errors import BadRequest
from picasso.explanation import figure, render
from picasso.explanation.display_options import DisplayOptions
from picasso.explanation.pipeline import explain
from picasso.explanation.result import Result
from tests.conftest import noise_image
from tests.fakes import LinearModel


@pytest.fixture
def result() -> Result:
    model = LinearModel()
    model.load()
    (made,) = explain(model, noise_image(), "PartialOcclusion", Strides=5)
    return made


def test_the_figure_has_the_map_its_legend_and_texts(result: Result) -> None:
    panel = result.panels[1]
    drawn = np.asarray(result.figure())
    height, width = drawn.shape[:2]
    assert width == figure.SIDE + 2 * figure.MARGIN
    bar = np.asarray(render.colour_bar(panel, (figure.SIDE, figure.BAR)))
    rows = [top for top in range(height - figure.BAR) if (drawn[top, figure.MARGIN : -figure.MARGIN] == bar[0]).all()]
    assert len(rows) == 1
    inside = drawn[rows[0] : rows[0] + figure.BAR, figure.MARGIN : -figure.MARGIN]
    np.testing.assert_array_equal(inside, bar)
    expected = np.asarray(figure.enlarged(panel, result.view, "")).reshape(-1, 3)
    shown = drawn[: rows[0], figure.MARGIN : -figure.MARGIN].reshape(-1, 3)
    end = len(shown) - figure.SIDE * (figure.MARGIN // 4)
    np.testing.assert_array_equal(shown[end - len(expected) : end], expected)
    # Longer texts take more room, and are not cut off at the edge.
    long = replace(result, image="name " * 60).figure()
    assert long.height > height
    assert (np.asarray(long)[:, -figure.MARGIN // 2 :] == 255).all()


def test_the_figure_is_drawn_as_seen(result: Result) -> None:
    look = DisplayOptions(opacity=40, signed="PuOr_r", scale="each")
    (one, colours) = look.applied(result.panels[1]), "PuOr_r"
    most = float(np.abs(one.array).max())
    assert one.transparency == pytest.approx(0.6)
    assert one.scale() == (-most, most)
    expected = figure.figure(one, result.view, ("PartialOcclusion of " + result.image, result.provenance), colours)
    np.testing.assert_array_equal(np.asarray(result.figure(1, look)), np.asarray(expected))
    assert (np.asarray(result.figure(1)) != np.asarray(result.figure(1, look))).any()


def test_a_common_scale_spans_all_maps_of_the_quantity(result: Result) -> None:
    maps = [panel for panel in result.panels if panel.kind == "map"]
    described = [panel.describe() for panel in result.panels]
    applied = [DisplayOptions(scale="common").applied(panel, described).scale() for panel in maps]
    largest = max(panel.scale()[1] for panel in maps if panel.quantity == maps[0].quantity)
    assert applied[0] == (-largest, largest)
    # Magnitudes begin where the smallest map does.
    unsigned = [replace(panel, signed=False, array=np.abs(panel.array)) for panel in maps]
    ends = DisplayOptions(scale="common").applied(unsigned[0], [panel.describe() for panel in unsigned]).scale()
    assert ends == (0.0, max(panel.scale()[1] for panel in unsigned if panel.quantity == maps[0].quantity))
    assert DisplayOptions(scale="each").applied(unsigned[0]).scale()[1] == float(unsigned[0].array.max())


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"colours": "jet"}, "colours must be one of warm, viridis, cividis, magma, inferno, gray, not 'jet'."),
        ({"signed": "warm"}, "signed must be one of warm-cool, RdBu_r, PuOr_r, BrBG_r, not 'warm'."),
        ({"scale": "x" * 100}, f"scale must be one of own, each, common, not '{'x' * 80}'."),
        ({"opacity": 101}, "opacity must be from 0 to 100, not 101."),
    ],
)
def test_a_look_says_which_values_are_valid(chosen: dict[str, object], message: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(message)):
        DisplayOptions(**chosen)  # type: ignore[arg-type]


def test_what_is_not_there_is_said(result: Result) -> None:
    for number in (-1, len(result.panels)):
        with pytest.raises(BadRequest, match=f"has no panel {number}; it has {len(result.panels)}, from 0"):
            result.figure(number)
    with pytest.raises(BadRequest, match="Panel 0 of .* is an image, which has no legend"):
        result.legend_svg(0)
    with pytest.raises(BadRequest, match="has no map"):
        replace(result, panels=()).figure()


def test_the_legend_as_svg_has_the_colours_of_the_map(result: Result) -> None:
    panel = replace(result.panels[1], title="cat <b>", quantity="drop & more")
    root = ElementTree.fromstring(figure.legend_svg(panel))  # noqa: S314 - its own text
    space = {"svg": "http://www.w3.org/2000/svg"}
    rects = root.findall("svg:rect", space)[1:]
    assert sum(int(rect.attrib["width"]) for rect in rects) == 512
    first, last = rects[0].attrib, rects[-1].attrib
    assert (first["fill"], last["fill"]) == ("rgb(42 88 255)", "rgb(240 20 40)")
    assert float(first["fill-opacity"]) == float(last["fill-opacity"]) == pytest.approx(0.75)
    texts = [text.text or "" for text in root.findall("svg:text", space)]
    assert texts[0].endswith("against")
    assert texts[1].startswith("for")
    assert texts[2].startswith("drop & more")
    assert root.findtext("svg:title", namespaces=space) == "cat <b>"


@pytest.mark.parametrize("text", ["", "ok", "≤ 3 × 4", "Füße", "日本語 αβγ", "\U0001f600" * 900, "a" * 3000])
def test_any_text_can_be_written(text: str) -> None:
    shown, font = figure.written(text, figure.SMALL)
    assert font.getlength(shown) >= 0
    for line in figure.lines(text, figure.SMALL, 300):
        assert figure.length(line, figure.SMALL) <= 300
    joined = "".join(figure.lines(text[:100], figure.SMALL, 300)).replace(" ", "")
    assert joined == text[:100].replace(" ", "")


@pytest.mark.parametrize("system", [True, False])
def test_characters_without_a_font_are_replaced(system: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not system:
        monkeypatch.setattr(figure, "system_font", lambda size: None)
    shown, _ = figure.written("Füße ≤ 1", figure.SMALL)
    assert shown in ({"Füße ≤ 1", "Fu?e <= 1"} if system else {"Fu??e <= 1"})


def test_an_image_as_flat_as_a_line_makes_a_figure(result: Result) -> None:
    flat = replace(result, view=np.zeros((1, 3000, 3), np.uint8))
    assert flat.figure(1).width == figure.SIDE + 2 * figure.MARGIN
