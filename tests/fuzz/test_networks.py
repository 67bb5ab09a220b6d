"""A few of the random networks: ``python -m tests.fuzz.networks`` compares hundreds."""

from __future__ import annotations

import pytest

from picasso.models.tf.incremental import checked
from tests.fuzz.networks import TOLERANCE, compare

pytestmark = pytest.mark.filterwarnings("ignore")


# Between them they have grouped, separable, transposed and depthwise convolutions, attention, gates and a U-shape.
@pytest.mark.parametrize("seed", [8, 13, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (4, 102, 117))])
def test_maps_of_random_networks_are_those_of_painted_windows(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "MIN_GAIN", 0.0)
    one = compare(seed)
    assert one.method.startswith("only what a window changes"), one.blocks
    assert one.moved > 0.01
    assert one.error < TOLERANCE
