"""Settings fields: what they accept, what they refuse and how they say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picasso.errors import BadRequest
from picasso.visualizations.partial_occlusion import OcclusionSettings
from picasso.visualizations.settings import VisualizationSettings, choice, layer, number, slider, text, toggle


@dataclass(frozen=True)
class Everything(VisualizationSettings):
    """One field of each kind."""

    window_side: float = choice(0.5, 0.25, help="A choice of numbers.", digits=2)
    colour: str = choice("grey", "black", help="A choice of words.")
    steps: int = number(3, minimum=1, maximum=9, help="A whole number.")
    sigma: float = number(1.5, help="Any number.")
    alpha: float = slider(0.5, minimum=0.0, maximum=1.0, step=0.1, help="A slider.")
    invert: bool = toggle(False, help="A toggle.")
    layer: str = layer(help="A layer.")
    blocks: str = text(r"\d+(, *\d+)*", "numbers such as 1, 3", help="A text.")


def test_defaults_and_public_names() -> None:
    assert list(Everything.controls()) == [
        "WindowSide",
        "Colour",
        "Steps",
        "Sigma",
        "Alpha",
        "Invert",
        "Layer",
        "Blocks",
    ]
    assert Everything.parse({}) == Everything()
    expected = {
        "WindowSide": 0.5,
        "Colour": "grey",
        "Steps": 3,
        "Sigma": 1.5,
        "Alpha": 0.5,
        "Invert": False,
        "Layer": "",
        "Blocks": "",
    }
    assert Everything().as_dict() == expected


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("WindowSide", "0.25", 0.25),
        ("WindowSide", ".250", 0.25),
        ("WindowSide", 0.5, 0.5),
        ("Colour", "black", "black"),
        ("Steps", "9", 9),
        ("Steps", 4.0, 4),
        ("Sigma", "-1e3", -1000.0),
        ("Alpha", "1", 1.0),
        ("Invert", "on", True),
        ("Layer", " conv_1 ", "conv_1"),
        ("Layer", "default", ""),
        ("Blocks", " 1, 3 ", "1, 3"),
        ("Blocks", 17, "17"),
        ("Blocks", "none", ""),
        ("Blocks", "", ""),
        ("Invert", True, True),
        ("Invert", "FALSE", False),
    ],
)
def test_accepted(name: str, raw: object, value: object) -> None:
    parsed = Everything.parse({name: raw}).as_dict()[name]
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "raw", "allowed"),
    [
        ("WindowSide", "0.3", "one of 0.50, 0.25"),
        ("WindowSide", "nan", "one of 0.50, 0.25"),
        ("WindowSide", True, "one of"),
        ("Colour", "Grey", "one of grey, black"),
        ("Colour", ["grey"], "one of"),
        ("Layer", 5, "the name of a layer with feature maps, or default"),
        ("Steps", "2.5", "a whole number from 1 to 9"),
        ("Steps", "10", "a whole number from 1 to 9"),
        ("Steps", "", "a whole number"),
        ("Steps", True, "a whole number"),
        ("Sigma", "nan", "a number"),
        ("Sigma", "1e999", "a number"),
        ("Sigma", None, "a number"),
        ("Alpha", "-0.1", "a number from 0.0 to 1.0"),
        ("Invert", "maybe", "true or false"),
    ],
)
def test_refused_naming_the_field_and_what_is_allowed(name: str, raw: object, allowed: str) -> None:
    with pytest.raises(BadRequest, match=f"{name} must be {allowed}") as caught:
        Everything.parse({name: raw})
    assert caught.value.field == name


def test_unknown_settings_list_the_known() -> None:
    with pytest.raises(BadRequest, match="Unknown setting 'Colr'; the settings are: WindowSide, Colour"):
        Everything.parse({"Colr": "grey"})
    with pytest.raises(BadRequest, match="the settings are: none"):
        VisualizationSettings.parse({"x": 1})


def test_fields_describe_themselves() -> None:
    described = {name: control.describe() for name, control in Everything.controls().items()}
    assert described["Alpha"] == {
        "kind": "slider", "help": "A slider.", "default": "0.5", "minimum": 0.0, "maximum": 1.0, "step": 0.1,
    }  # fmt: skip
    assert described["WindowSide"]["values"] == ["0.50", "0.25"]
    assert described["Invert"] == {"kind": "toggle", "help": "A toggle.", "default": "false"}
    assert described["Blocks"] == {
        "kind": "text", "help": "A text.", "default": "none", "pattern": r"\d+(, *\d+)*",
        "form": "numbers such as 1, 3",
    }  # fmt: skip


@pytest.mark.parametrize("raw", ["one", "1,", "1 3", "\u0663", True, None, [1], "1, " * 400 + "1", "1\n2"])
def test_texts_of_another_form_are_refused(raw: object) -> None:
    with pytest.raises(BadRequest, match="Blocks must be numbers such as 1, 3, or none, not '") as caught:
        Everything.parse({"Blocks": raw})
    assert caught.value.field == "Blocks"


def test_the_original_settings_keep_their_values() -> None:
    controls = OcclusionSettings.controls()
    assert controls["Window"].options() == ["0.50", "0.40", "0.30", "0.20", "0.10", "0.05"]
    assert controls["Strides"].options() == ["2", "5", "10", "20", "30"]
    assert controls["Occlusion"].options()[:3] == ["grey", "black", "white"]
    assert OcclusionSettings() == OcclusionSettings(0.2, 20, "grey", "drop")
    assert OcclusionSettings.parse({"Window": "0.50", "Strides": "2", "Show": "probability"}).window == 0.5


anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.lists(st.integers()))


@given(st.sampled_from(list(Everything.controls())), anything)
def test_any_value_is_either_parsed_or_refused(name: str, raw: Any) -> None:
    try:
        value = Everything.parse({name: raw}).as_dict()[name]
    except BadRequest:
        return
    control = Everything.controls()[name]
    assert control.parse(control.show(value)) == value
    assert type(value) is type(control.default)
