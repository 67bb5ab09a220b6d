"""Token maps of transformers: found however a network is written, where the tokens lie, and from which layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from picasso.errors import ModelError
from picasso.models.info import Capability, Place
from picasso.models.tf.layouts import COLUMNS, ROWS, Factor, cropped, plain, tokens_of
from picasso.models.tf.runtime import keras, tf
from tests.models import vision_transformers as made

pytestmark = pytest.mark.filterwarnings("ignore")

PLACE = Place((3.0, 3.0), (6.0, 6.0))
MAPS = (made.GRID, made.GRID, made.WIDTH)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    keras.utils.set_random_seed(5)
    yield
    keras.backend.clear_session()


def default_of(model: Any) -> str:
    (name,) = [layer.name for layer in model.layers() if layer.default]
    return str(name)


@pytest.mark.parametrize(
    ("patches", "before", "behind"),
    [
        (made.convolved, 1, 0),
        (made.convolved, 0, 0),
        (made.convolved, 1, 4),
        (made.convolved, 5, 0),
        (made.extracted, 1, 0),
        (made.cut_by_reshapes, 1, 0),
        (made.sliced, 1, 0),
        (made.sliced, 0, 2),
    ],
)
def test_tokens_are_found(patches: Any, before: int, behind: int) -> None:
    network = made.network(patches, before, behind, pooled=not before)
    model = made.adopted(network)
    kinds = keras.layers.Add | keras.layers.LayerNormalization
    # The first normalization comes before all attention.
    names = [layer.name for layer in network.layers if isinstance(layer, kinds)][1:]
    # The patches are convolutions, which may be layers, too.
    tokens = model.layers()[-len(names) :]
    assert [layer.name for layer in tokens] == names
    assert names[-1] == "last"
    assert {layer.shape for layer in tokens} == {MAPS}
    (place,) = {layer.place for layer in tokens}
    assert place
    # Where the place is measured, it is not exact.
    found = [*place.start, *place.step]
    assert found == pytest.approx([*PLACE.start, *PLACE.step], abs=0.3 if patches is made.sliced else 1e-6)
    expected = keras.Model(network.input, network.get_layer(names[1]).output)(made.IMAGES).numpy()
    count = made.GRID**2
    assert expected.shape[1] == count + before + behind
    maps = model.feature_maps(made.IMAGES, names[1])
    np.testing.assert_allclose(maps.reshape(2, count, -1), expected[:, before : before + count], rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooled", [False, True])
def test_the_default_layer_is_the_last_whose_tokens_reach_the_scores(pooled: bool) -> None:
    network = made.network(pooled=pooled)
    model = made.adopted(network)
    names = [layer.name for layer in model.layers()]
    # Of the last block, a head that takes the class token reads nothing else: so the block before it.
    assert default_of(model) == ("last" if pooled else names[8])
    live = [bool(np.abs(model.feature_gradients(made.IMAGES, [0, 1], name)).max(axis=-1).all()) for name in names]
    assert names[8].startswith("layer_normalization")
    assert live == [True] * 9 + [pooled] * 4
    assert not model.notes


def test_gradients_are_those_of_the_tokens() -> None:
    network = made.network()
    model = made.adopted(network)
    default = network.get_layer(default_of(model))
    upper = keras.Model(network.input, [default.output, network.layers[-1].input])
    weights = network.layers[-1].kernel
    images = tf.constant(made.IMAGES)
    with tf.GradientTape() as tape:
        tokens, read = upper(images)
        score = tf.reduce_sum((read @ weights)[:, 1])
    expected = tape.gradient(score, tokens).numpy()[:, 1:].reshape(2, *MAPS)
    found = model.feature_gradients(made.IMAGES, [1, 1])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_tokens_are_no_evidence_before_a_normalization() -> None:
    """A normalization ignores how long a token is, so that a token times its gradient is 0, but not behind it."""
    model = made.adopted(made.network())
    before, behind = [layer.name for layer in model.layers()][7:9]
    products = [
        (model.feature_maps(made.IMAGES, name) * model.feature_gradients(made.IMAGES, [0, 1], name)).sum(axis=-1)
        for name in (before, behind)
    ]
    assert np.abs(products[0]).max() < 0.02 * np.abs(products[1]).max()


def test_a_block_that_is_one_layer_gives_its_name_to_its_result() -> None:
    model = made.adopted(made.nested())
    names = [layer.name for layer in model.layers()]
    assert [name for name in names if name.startswith("block")] == ["block_0", "block_1", "block_2"]
    assert default_of(model) == names[names.index("block_1") + 1]


def test_windows_are_put_together_again() -> None:
    model = made.adopted(made.windowed())
    assert {layer.place for layer in model.layers()} == {PLACE}
    assert default_of(model) == "last"
    assert Capability.ATTENTION in model.capabilities
    with pytest.raises(ModelError, match="no attention between all tokens"):
        model.token_grid()


def test_a_graph_as_exporters_write_it() -> None:
    graph = made.exported()
    found = [layer for layer in graph.layers() if layer.place == PLACE and layer.shape == MAPS]
    # The patches, four additions, and a normalization behind each.
    assert len(found) == len(graph.layers()) == 9
    assert next(layer.name for layer in found if layer.default) == found[4].name
    found_grid, gradient = graph.token_gradient() or (None, made.IMAGES)
    grid = graph.transformer.grid(found_grid, gradient)
    assert (grid.count, grid.first, grid.readers) == (17, 1, (0,))


def shuffled(images: Any) -> Any:
    """Patches in an order that is no grid."""
    order = np.random.default_rng(0).permutation(made.GRID**2)
    return keras.ops.take(made.convolved(images), order, axis=1)


def test_without_a_grid_no_maps_are_offered() -> None:
    model = made.adopted(made.network(shuffled))
    assert model.layers() == []
    assert Capability.FEATURE_MAPS not in model.capabilities
    assert any("where on the image its tokens lie is not known" in note for note in model.notes)


def test_tokens_of_an_axis() -> None:
    grid = (Factor(2, ROWS, 1.0, 2.0), Factor(3, COLUMNS, 1.0, 2.0))
    assert tokens_of(grid) == (0, grid)
    assert tokens_of((Factor(6),)) is None
    padded = cropped(grid, 6, -1, 9)
    assert padded == (Factor(9, grid=grid, first=1),)
    assert cropped(padded, 9, 1, 6) == grid
    assert cropped(padded, 9, 1, 7) == (Factor(7, grid=grid, first=0),)
    assert cropped(padded, 9, 2, 6) == plain(6)
