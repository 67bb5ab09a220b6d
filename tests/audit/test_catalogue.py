"""Custom interventions are tested like the built-in ones, and errors in their files are reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from picasso.audit.catalogue import catalogue
from picasso.audit.interventions import INTERVENTIONS, ImagePair, Intervention, InterventionResult
from picasso.audit.start import audit_model
from picasso.cli.command import main
from picasso.errors import BadRequest, ConfigurationError
from tests.audit.test_audit import audit
from tests.fakes import LinearModel

OWN = '''
import numpy as np
from picasso.audit.interventions import Intervention, InterventionResult


class Half(Intervention):
    """Replaces the upper half with that of another image."""

    kind, name = "region", "the upper half"

    def change(self, case, generator):
        half = case.size[0] // 2
        towards, control = case.ours.copy(), case.ours.copy()
        towards[:, :half] = case.theirs[generator.integers(len(case.theirs), size=len(case.ours)), :half]
        control[:, :half] = case.ours[generator.permutation(len(case.ours)), :half]
        return InterventionResult(towards, control)

    def words(self, case):
        return "replacing the upper half of {a} images with that of {b} images"


INTERVENTIONS = [Half()]
'''


@pytest.mark.slow
def test_own_ones_are_tried_and_named(tmp_path: Path) -> None:
    (tmp_path / "halves.py").write_text(OWN)
    assert [one.name for one in catalogue([tmp_path / "halves.py"])][len(INTERVENTIONS) :] == ["the upper half"]
    done = audit(tmp_path, 0.6)
    before = json.loads((tmp_path / "out" / "audit.json").read_text())
    config = tmp_path / "config.py"
    config.write_text(config.read_text() + 'INTERVENTIONS = ["halves.py"]\n')
    words = ["audit", tmp_path / "images", "--config", config, "--out", tmp_path / "out"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 1, done.output
    written = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert {one["intervention"] for one in written["trials"]} == {
        *(one["intervention"] for one in before["trials"]),
        "the upper half",
    }
    # The model relies on the light, of which half is in the upper half.
    own = next(one for one in written["findings"] if one["name"] == "the upper half")
    assert own["alarm"]
    assert "replacing the upper half of" in own["sentence"].lower()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "There is no file .*/own.py, which INTERVENTIONS names"),
        ("INTERVENTIONS = 1 / 0", "own.py, which INTERVENTIONS names, can't be imported: ZeroDivisionError"),
        ("raise SystemExit(3)", "own.py, which INTERVENTIONS names, can't be imported: SystemExit: 3"),
        (
            "x = 1",
            "own.py, which INTERVENTIONS names, offers no intervention: TypeError: there is no list",
        ),
        ("INTERVENTIONS = 1", "own.py, which INTERVENTIONS names, offers no intervention: TypeError"),
        (
            OWN.replace("INTERVENTIONS = [Half()]", "INTERVENTIONS = [Half]"),
            r"Half is a class; add an instance, Half\(\)",
        ),
        ("INTERVENTIONS = ['brightness']", "must be an Intervention with a name, whose kind is one of mark, property"),
        (OWN.replace('"region"', '"half"'), "must be an Intervention with a name, whose kind is one of mark, property"),
        (
            OWN.replace('kind, name = "region", "the upper half"', 'kind = "region"'),
            "must be an Intervention with a name",
        ),
        (
            OWN.replace("the upper half", "brightness"),
            "In .*/own.py, another intervention is also called brightness",
        ),
    ],
)
def test_mistakes_are_said(source: Any, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    if source:
        file.write_text(source)
    with pytest.raises(ConfigurationError, match=sentence):
        catalogue([file])


class Nameless(Intervention):
    """Raises an error when its kind is read."""

    name = "nameless"

    @property
    def kind(self) -> str:  # type: ignore[override]
        raise KeyError("kind")

    def change(self, case: ImagePair, generator: np.random.Generator) -> InterventionResult | None:
        raise NotImplementedError

    def words(self, case: ImagePair) -> str:
        raise NotImplementedError


class Unheard(Nameless):
    """Has an unknown kind."""

    kind = "unheard of"


@pytest.mark.parametrize(
    ("interventions", "sentence"),
    [
        ([Unheard()], "whose kind is one of mark, property"),
        ([Nameless()], "A Nameless must be an Intervention with a name, .*: KeyError: kind"),
        (["brightness"], "'brightness' must be an Intervention"),
        ([INTERVENTIONS[0], INTERVENTIONS[0]], "Two interventions are called"),
    ],
)
def test_what_cannot_be_tried_is_said_before_a_image_is_read(
    interventions: Any, sentence: str, linear: LinearModel, tmp_path: Path
) -> None:
    with pytest.raises(BadRequest, match=sentence):
        audit_model(linear, tmp_path / "nowhere", interventions=interventions)
