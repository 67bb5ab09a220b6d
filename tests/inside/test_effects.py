"""The effects of all channels: against edited predictions of single channels, and known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import picasso
from picasso.cli.command import main
from picasso.errors import BadRequest, ModelError
from picasso.inside.effects import channel_effects
from picasso.models import Edit
from picasso.models.base import Model
from tests.conftest import FAKES, noise_image
from tests.fakes import BlackBoxModel, LinearModel, PooledModel, RegressorModel


@pytest.mark.parametrize("kind", [LinearModel, PooledModel])
@pytest.mark.parametrize("edit", [{}, {"scale": 0.5}, {"value": 0.3}])
def test_effects_are_those_of_single_edits(
    kind: type[LinearModel], edit: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = kind()
    model.load()
    images = [noise_image(seed) for seed in range(5)]
    monkeypatch.setattr(Model, "batch_size", 2)
    found = channel_effects(model, None, images, **edit)
    monkeypatch.undo()
    inputs = model.inputs_of(images)
    outputs, scores = model.predict(inputs), model.logits(inputs)
    best, rows = outputs.argmax(axis=1), np.arange(5)
    assert found.images == 5
    assert sorted(one.channel for one in found.channels) == list(range(model.layers()[-1].shape[-1]))
    for one in found.channels:
        given: Any = edit or {"scale": 0}
        (edited,) = model.edits(inputs, [Edit(None, [one.channel], **given)])
        changes = (edited.scores - scores)[rows, best]
        assert one.shift == pytest.approx(float(changes.mean()), rel=1e-4, abs=1e-6)
        assert one.strength == pytest.approx(float(np.abs(changes).mean()), rel=1e-4, abs=1e-6)
        assert one.changed == (edited.outputs.argmax(axis=1) != best).sum()
        assert one.mean == pytest.approx(float(model.feature_maps(inputs)[..., one.channel].mean()), rel=1e-5)
    strengths = [one.strength for one in found.channels]
    assert strengths == sorted(strengths, reverse=True)


def test_a_channel_that_is_not_read_has_no_effect() -> None:
    model = LinearModel()
    model.load()
    model.weights[..., 1] = 0
    last = channel_effects(model, None, [noise_image()]).channels[-1]
    assert (last.channel, last.changed, last.shift, last.strength) == (1, 0, 0, 0)


def test_models_that_are_no_classifiers() -> None:
    model = RegressorModel()
    model.load()
    images = [noise_image(1), noise_image(2)]
    found = channel_effects(model, None, images)
    # Nothing is counted, so "0 of 2" would be wrong.
    assert found.lines(1)[0] == "channel        mean       shift"
    assert all(" of " not in line for line in found.lines(10))
    for one in found.channels:
        assert one.changed == 0
        assert one.shift == one.strength == picasso.channel_card(model, None, one.channel, images).shift


def test_wrong_questions_are_refused(linear: LinearModel) -> None:
    with pytest.raises(BadRequest, match="There are no images"):
        channel_effects(linear, None, [])
    with pytest.raises(ModelError, match="layer"):
        channel_effects(linear, "conv7", [noise_image()])
    with pytest.raises(ModelError, match="None of the 1 images can be read"):
        channel_effects(linear, None, [b"no image"])
    black_box = BlackBoxModel()
    black_box.load()
    with pytest.raises(ModelError, match="no feature maps, so it has no channels"):
        channel_effects(black_box, None, [noise_image()])


def test_the_command_prints_the_strongest_channels(tmp_path: Any) -> None:
    config = tmp_path / "config.py"
    config.write_text(f'MODEL_CLS_PATH = "{FAKES}"\nMODEL_CLS_NAME = "LinearModel"\n')
    noise_image().save(tmp_path / "a.png")
    printed = CliRunner().invoke(main, ["inside", "--config", str(config), "--folder", str(tmp_path)])
    assert printed.exit_code == 0, printed.output
    model = LinearModel()
    model.load()
    assert printed.stdout.splitlines() == channel_effects(model, None, tmp_path).lines(10)
    assert not (tmp_path / "picasso-card").exists()
    placed = CliRunner().invoke(
        main,
        ["inside", "--config", str(config), "--folder", str(tmp_path), "--out", str(tmp_path / "new" / "card")],
    )
    # Nothing is written, which would be noticed too late.
    assert placed.exit_code == 2
    assert placed.stderr == (
        "picasso: The effects of all channels are only printed; leave --out out, or give --channel or --concepts.\n"
    )
    assert not (tmp_path / "new").exists()
