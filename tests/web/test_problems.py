"""Invalid values in forms: the message beside the field, what was typed, and buttons that fill in what was meant."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from picasso.errors import BadRequest
from picasso.targets.class_names import numbers
from picasso.visualizations.settings import Choice, Number, Slider, Toggle
from tests.conftest import upload
from tests.jobs.test_engine import until

FORM = "/visualizations/PartialOcclusion"


@pytest.fixture
def visitor(client: FlaskClient) -> FlaskClient:
    """A visitor with two images, of a server whose model is loaded."""
    until(lambda: client.get("/readyz").status_code == 200)
    upload(client)
    upload(client)
    return client


def elements(text: str, tag: str) -> list[str]:
    return re.findall(rf"<{tag}\b[^>]*>", text)


def test_an_invalid_setting_comes_back_with_all_that_was_typed(visitor: FlaskClient) -> None:
    typed = {"Window": "0.7 <b>", "Strides": "20", "class": ["bee", "dog"], "image": "1"}
    answer = visitor.post(FORM, data=typed)
    assert answer.status_code == 400
    text = answer.text
    assert "<b>" not in text
    (field,) = (one for one in elements(text, "select") if 'name="Window"' in one)
    assert 'aria-invalid="true"' in field
    assert 'aria-describedby="Window-error Window-help"' in field
    assert "<option selected>0.7 &lt;b&gt;</option>" in text
    message = text.partition('id="Window-error"')[2].partition("</div>")[0]
    assert "Window must be one of 0.50, 0.40" in message
    # What is valid stays, too.
    assert "<option selected>20</option>" in text
    assert re.findall(r'name="class"[^>]*value="(\w+)"', text) == ["bee", "dog"]
    images = [one for one in elements(text, "input") if 'name="image"' in one]
    assert ["checked" in one for one in images] == [False, True]
    # Enter runs, rather than taking the first suggestion.
    assert "use:" not in elements(text.partition("<form")[2].partition('action="/visualizations')[2], "button")[0]
    assert visitor.get("/api/runs").get_json() == {"runs": []}


def test_a_suggestion_is_filled_in_without_starting_a_run(visitor: FlaskClient) -> None:
    typed = {"Window": "0.51", "Strides": "20", "class": ["bee"]}
    text = visitor.post(FORM, data=typed).text
    offered = re.findall(r'name="use:Window" value="([^"]+)"', text)
    assert offered[0] == "0.50"
    answer = visitor.post(FORM, data={**typed, "use:Window": "0.50"})
    assert answer.status_code == 200
    assert "aria-invalid" not in answer.text
    assert "<option selected>0.50</option>" in answer.text
    assert re.findall(r'name="class"[^>]*value="(\w+)"', answer.text) == ["bee"]
    assert visitor.get("/api/runs").get_json() == {"runs": []}
    assert visitor.post(FORM, data={**typed, "Window": "0.50"}).status_code == 303


def test_of_several_classes_the_misspelt_one_is_replaced(visitor: FlaskClient) -> None:
    typed: dict[str, Any] = {"class": ["bee", "doge", "ant vs foxx"]}
    text = unescape(visitor.post(FORM, data=typed).text)
    assert "The model has no class doge. Similar names: dog" in text.partition('id="class-error"')[2]
    wrong = [one for one in elements(text, "input") if "aria-invalid" in one]
    assert len(wrong) == 1
    assert 'value="doge"' in wrong[0]
    assert 'name="wrong" value="doge"' in text
    text = visitor.post(FORM, data={**typed, "wrong": "doge", "use:class": "dog"}).text
    assert re.findall(r'name="class"[^>]*value="([^"]+)"', text) == ["bee", "dog", "ant vs foxx"]
    typed = {"class": ["bee", "dog", "ant vs foxx"]}
    text = visitor.post(FORM, data=typed).text
    assert 'name="use:class" value="ant vs fox"' in text
    answer = visitor.post(FORM, data={**typed, "wrong": "ant vs foxx", "use:class": "ant vs fox"})
    assert re.findall(r'name="class"[^>]*value="([^"]+)"', answer.text) == ["bee", "dog", "ant vs fox"]


def test_an_invalid_address_shows_the_form(visitor: FlaskClient) -> None:
    answer = visitor.get(f"{FORM}?Window=9&Strides=9&class=bee")
    assert answer.status_code == 400
    assert answer.text.count('aria-invalid="true"') == 2
    assert 'value="bee"' in answer.text
    assert visitor.get(f"{FORM}?unknown=1").status_code == 200


def test_what_concerns_no_field_is_above_the_form(client: FlaskClient) -> None:
    until(lambda: client.get("/readyz").status_code == 200)
    answer = client.post(FORM, data={"Window": "0.40"})
    assert answer.status_code == 400
    assert "There are no images to explain" in answer.text.partition("<form")[0]
    assert "<option selected>0.40</option>" in answer.text


@pytest.mark.parametrize(
    ("control", "raw", "expected"),
    [
        (Choice("", "grey", ("grey", "black", "white")), "Blak", ["black"]),
        (Choice("", "grey", ("grey", "black", "white")), "xyz", ["grey", "black", "white"]),
        (Choice("", 0.5, (0.5, 0.25), 2), "0.255", ["0.25", "0.50"]),
        (Choice("", 0, tuple(range(100))), "x", [str(one) for one in range(8)]),
        (Number("", 8, 1, 64), "900", ["64"]),
        (Number("", 8, 1, 64), "2.6", ["3"]),
        (Number("", 8, 1), "0", ["1"]),
        (Number("", 8, None, 0), "7", ["0"]),
        (Number("", 0.5), "many", ["0.5"]),
        (Slider("", 0.5, 0.0, 1.0, 0.1), "nan", ["0.5"]),
        (Toggle("", True), "maybe", ["true", "false"]),
    ],
)
def test_suggestions_are_valid_values(control: Any, raw: str, expected: list[str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - has no message
        control.parse(raw)
    assert control.similar(raw) == expected
    for one in expected:
        control.parse(one)


def test_suggestions_for_classes_are_classes() -> None:
    names = ["tabby cat", "tiger cat", "dog"]
    with pytest.raises(BadRequest) as error:
        numbers(names, ["taby cat"])
    assert error.value.suggestions[0] == "tabby cat"
    with pytest.raises(BadRequest) as error:
        numbers(names, ["dog vs taby cat"])
    assert (error.value.value, error.value.suggestions[0]) == ("dog vs taby cat", "dog vs tabby cat")
    assert all(numbers(names, [one]) for one in error.value.suggestions)
