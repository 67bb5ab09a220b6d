"""Layers of graphs are edited as by a layer that is put behind them in the network itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.attribution.objectives import MapSum
from picasso.errors import ModelError
from picasso.models import Edit, load_model
from picasso.models.base import Model
from picasso.models.keras import KerasModel
from picasso.models.tf.backward import Backward
from picasso.models.tf.editing import Editing
from picasso.models.tf.runtime import keras, tf, tf1
from tests.models import vision_transformers
from tests.models.onnx_graphs import graph
from tests.models.tflite_files import of_keras

pytestmark = pytest.mark.filterwarnings("ignore")

layers, ops = keras.layers, keras.ops
SHAPE, CLASSES = (10, 12, 3), 4
IMAGES = np.random.default_rng(1).random((3, *SHAPE), np.float32)
TOLERANCE = 1e-6
#: Called with the name of a layer and its output; returns what the rest of the network gets.
Put = Callable[[str, Any], Any]


class Changed(layers.Layer):  # type: ignore[misc, name-defined]
    """Multiplies channels and adds to them; has no weights."""

    def __init__(self, edit: Edit, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.edit, self.axis = edit, axis

    def call(self, maps: Any) -> Any:
        shape = [1] * len(maps.shape)
        shape[self.axis] = maps.shape[self.axis]
        factors, offsets = (np.reshape(one, shape) for one in self.edit.coefficients(shape[self.axis]))
        return maps * factors + offsets


class Replaced:
    """Puts constant maps in place of those of one layer."""

    def __init__(self, layer: str, maps: Any) -> None:
        self.layer, self.maps = layer, maps

    def __call__(self, name: str, maps: Any) -> Any:
        # Multiplied by 0, not left out, so that the weights before the layer remain in the network.
        return 0 * maps + self.maps if name == self.layer else maps


def convolution(count: int, name: str, **options: Any) -> Any:
    return layers.Conv2D(count, 3, padding="same", name=name, **{"activation": "relu", **options})


def ended(images: Any, maps: Any, **options: Any) -> Any:
    scores = layers.Dense(CLASSES, name="scores")(layers.GlobalAveragePooling2D(**options)(maps))
    return keras.Model(images, layers.Softmax()(scores))


def sequential(put: Put) -> Any:
    images = keras.Input(SHAPE)
    maps = put("first", convolution(5, "first")(images))
    return ended(images, put("last", convolution(6, "last")(layers.MaxPooling2D()(maps))))


def normalized(put: Put) -> Any:
    """A layer of a convolution, a normalization and a swish activation; the normalization is folded."""
    images = keras.Input(SHAPE)
    maps = convolution(5, "first", activation=None)(images)
    maps = put("swish", layers.Activation("swish", name="swish")(layers.BatchNormalization()(maps)))
    return ended(images, put("last", convolution(6, "last")(maps)))


def residual(put: Put) -> Any:
    """A skip connection around "inner", and one from it; the input is used again behind all of them."""
    images = keras.Input(SHAPE)
    first = put("first", convolution(5, "first")(images))
    inner = put("inner", convolution(5, "inner")(first))
    outer = put("outer", convolution(5, "outer")(inner))
    added = put("add", layers.Add(name="add")([first, outer]))
    joined = put("join", layers.Concatenate(name="join")([added, inner, images]))
    return ended(images, put("last", convolution(6, "last")(joined)))


def several(put: Put) -> Any:
    """Three branches use "first"."""
    images = keras.Input(SHAPE)
    first = put("first", convolution(5, "first")(images))
    pooled = layers.Reshape((1, 1, 5))(layers.GlobalMaxPooling2D()(first))
    weighted = put("product", convolution(5, "product")(first * pooled))
    maps = put("join", layers.Concatenate(name="join")([weighted, layers.AveragePooling2D(3, 1, "same")(first)]))
    return ended(images, put("last", convolution(6, "last")(maps)))


def nested(put: Put) -> Any:
    given = keras.Input((*SHAPE[:2], 5))
    within = put("one", convolution(5, "one")(given))
    inner = keras.Model(given, layers.Add(name="two")([put("between", convolution(5, "between")(within)), given]))
    images = keras.Input(SHAPE)
    maps = put("two", inner(put("first", convolution(5, "first")(images))))
    return ended(images, put("last", convolution(6, "last")(maps)))


class Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self, put: Put) -> None:
        super().__init__()
        self.put = put
        self.first, self.last = convolution(5, "first"), convolution(6, "last")
        self.pool, self.scores = layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)

    def call(self, images: Any) -> Any:
        maps = self.put("last", self.last(self.put("first", self.first(images))))
        return ops.softmax(self.scores(self.pool(maps)))


def subclassed(put: Put) -> Any:
    network = Subclassed(put)
    network(keras.Input(SHAPE))
    return network


def channels_first(put: Put) -> Any:
    images = keras.Input(SHAPE)
    maps = layers.Permute((3, 1, 2))(images)
    first = put("first", convolution(5, "first", data_format="channels_first")(maps))
    maps = put("add", layers.Add(name="add")([first, convolution(5, "inner", data_format="channels_first")(first)]))
    return ended(
        images, put("last", convolution(6, "last", data_format="channels_first")(maps)), data_format="channels_first"
    )


NETWORKS: dict[Callable[[Put], Any], list[str]] = {
    sequential: ["first", "last"],
    normalized: ["swish", "last"],
    residual: ["first", "inner", "outer", "add", "join", "last"],
    several: ["first", "product", "join", "last"],
    nested: ["first", "one", "between", "two", "last"],
    subclassed: ["first", "last"],
    channels_first: ["first", "add", "last"],
}


@pytest.fixture(scope="module", autouse=True)
def _cleared() -> Iterator[None]:
    yield
    keras.backend.clear_session()


def plain(build: Callable[[Put], Any]) -> Any:
    """Return a network with random weights whose probabilities are neither 0 nor 1."""
    network, drawn = build(lambda _, maps: maps), np.random.default_rng(4)
    weights = []
    for before in network.get_weights():
        size = np.sqrt(4 / np.prod(before.shape[:-1]))
        # Variances are positive.
        low, high = (-size, size) if before.ndim > 1 else (0.1, 0.4)
        weights.append(drawn.uniform(low, high, before.shape))
    network.set_weights(weights)
    return network


def expected(build: Callable[[Put], Any], network: Any, edit: Edit, axis: int, images: Any = IMAGES) -> Any:
    """Return the answers of a network with a layer behind the edited one."""
    put = lambda name, maps: Changed(edit, axis)(maps) if name == edit.layer else maps  # noqa: E731
    other = build(put)
    other.set_weights(network.get_weights())
    return other(images).numpy()


def edits_of(layer: str, count: int) -> list[Edit]:
    return [
        Edit(layer, [1], scale=0),
        Edit(layer, [0, count - 1], scale=-2.5),
        Edit(layer, range(count), value=0.3),
        Edit(layer, [3, 0], value=[0.7, -0.2]),
    ]


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_edits_are_those_of_a_layer_in_the_network(build: Callable[[Put], Any]) -> None:
    network, model = plain(build), KerasModel()
    model.load(model=network)
    plainly, logits = model.predict(IMAGES), model.logits(IMAGES)
    assert [layer.name for layer in model.layers() if layer.name in NETWORKS[build]] == NETWORKS[build]
    sizes = {layer.name: layer.shape[2] for layer in model.layers()}
    for layer in NETWORKS[build]:
        made = edits_of(layer, sizes[layer])
        for edit, found in zip(made, model.edits(IMAGES, made), strict=True):
            truth = expected(build, network, edit, 1 if build is channels_first else -1)
            np.testing.assert_allclose(found.outputs, truth, rtol=0, atol=TOLERANCE)
            rises = (found.scores - logits) - (found.scores - logits)[:, :1]
            ratios = np.log(truth / plainly)
            np.testing.assert_allclose(rises, ratios - ratios[:, :1], rtol=0, atol=2e-5)
            assert np.abs(truth - plainly).max() > 1e-4, (layer, edit)
        same = next(model.edits(IMAGES, [Edit(layer, range(sizes[layer]), scale=1)]))
        np.testing.assert_allclose(same.outputs, plainly, rtol=0, atol=1e-7)
        np.testing.assert_allclose(same.scores, logits, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_replaced_maps_are_those_of_a_layer_in_the_network(build: Callable[[Put], Any]) -> None:
    """The maps of other images, too: what skips around the layer stays that of the images."""
    network, model = plain(build), KerasModel()
    model.load(model=network)
    plainly, logits, axis = model.predict(IMAGES), model.logits(IMAGES), 1 if build is channels_first else -1
    for layer in NETWORKS[build]:
        maps = model.feature_maps(IMAGES, layer)
        edit = Edit(layer, [1], scale=-2)
        other = np.ascontiguousarray(maps[::-1, ::-1])
        same, edited, turned = model.predict_from(IMAGES, [maps, edit.changed(maps), other], layer)
        np.testing.assert_allclose(same.outputs, plainly, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(same.scores, logits, rtol=0, atol=TOLERANCE)
        truth = next(model.edits(IMAGES, [edit]))
        np.testing.assert_allclose(edited.outputs, truth.outputs, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(edited.scores, truth.scores, rtol=0, atol=TOLERANCE)
        put = Replaced(layer, np.moveaxis(other, -1, axis))
        again = build(put)
        again.set_weights(network.get_weights())
        np.testing.assert_allclose(turned.outputs, again(IMAGES).numpy(), rtol=0, atol=TOLERANCE)
        assert np.abs(turned.outputs - plainly).max() > 1e-4


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_one_pass_tells_what_separate_passes_tell(build: Callable[[Put], Any]) -> None:
    model = KerasModel()
    model.load(model=plain(build))
    sizes, classes = {layer.name: layer.shape[2] for layer in model.layers()}, np.array([1, 3, 0])
    for layer in NETWORKS[build]:
        passed, made = model.layer_pass(IMAGES, layer), edits_of(layer, sizes[layer])
        near: dict[str, Any] = {"rtol": 0, "atol": TOLERANCE}
        np.testing.assert_allclose(passed.maps, model.feature_maps(IMAGES, layer), **near)
        np.testing.assert_allclose(passed.outputs, model.predict(IMAGES), **near)
        np.testing.assert_allclose(passed.scores, model.logits(IMAGES), **near)
        np.testing.assert_allclose(
            passed.gradients(classes), model.feature_gradients(IMAGES, classes.tolist(), layer), **near
        )
        for one, other in zip(passed.edits(made), model.edits(IMAGES, made), strict=True):
            np.testing.assert_allclose(one.outputs, other.outputs, **near)
            np.testing.assert_allclose(one.scores, other.scores, **near)
    without = model.layer_pass(IMAGES, differentiate=False)
    np.testing.assert_allclose(without.outputs, model.predict(IMAGES), **near)
    with pytest.raises(ModelError, match="Gradients can't be taken of a forward pass"):
        without.gradients(classes)
    first = model.layers()[0].name
    with pytest.raises(ModelError, match=f"This pass is about layer 'last', and an edit about '{first}'"):
        without.edits([Edit(first, [0], scale=0)])


def test_one_pass_is_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = KerasModel()
    model.load(model=plain(residual))
    list(model.layer_pass(IMAGES, "inner").edits(edits_of("inner", 5)))
    refused = lambda *_: pytest.fail("another forward pass")  # noqa: E731
    monkeypatch.setattr(Editing, "before", refused)
    monkeypatch.setattr(Backward, "forward", refused)
    for method in ("outputs", "scores"):
        monkeypatch.setattr(model._graph, method, refused)
    monkeypatch.setattr(model._graph.inside, "feature_maps", refused)
    passed = model.layer_pass(IMAGES, "inner")
    assert len(list(passed.edits(edits_of("inner", 5)))) == 4
    assert passed.gradients(np.array([0, 1, 2])).shape == passed.maps.shape


def test_maps_with_channels_first_are_turned() -> None:
    network, model = plain(channels_first), KerasModel()
    model.load(model=network)
    first = keras.Model(network.input, network.get_layer("first").output)(IMAGES).numpy()
    np.testing.assert_allclose(model.feature_maps(IMAGES, "first"), first.transpose(0, 2, 3, 1), rtol=0, atol=1e-6)
    assert {layer.shape for layer in model.layers()} == {(10, 12, 5), (10, 12, 6)}
    assert model.feature_gradients(IMAGES, [0, 1, 2], "last").shape == (3, 10, 12, 6)


def onnx_file(network: Any, file: Path) -> Path:
    """Write the network ``residual`` as an ONNX file."""
    onnx = pytest.importorskip("onnx")
    node, weights = onnx.helper.make_node, {}
    for layer in network.layers:
        if layer.get_weights():
            kernel, weights[f"{layer.name}_b"] = layer.get_weights()
            weights[f"{layer.name}_w"] = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel

    def convolved(given: str, name: str) -> list[Any]:
        inputs = [given, f"{name}_w", f"{name}_b"]
        return [
            node("Conv", inputs, [f"{name}_c"], pads=[1, 1, 1, 1], name=f"/{name}/Conv"),
            node("Relu", [f"{name}_c"], [name], name=f"/{name}/Relu"),
        ]

    nodes = [
        *convolved("images", "first"),
        *convolved("first", "inner"),
        *convolved("inner", "outer"),
        node("Add", ["first", "outer"], ["add"], name="/add/Add"),
        node("Concat", ["add", "inner", "images"], ["join"], axis=1, name="/join/Concat"),
        *convolved("join", "last"),
        node("ReduceMean", ["last", "axes"], ["mean"], keepdims=0),
        node("Gemm", ["mean", "scores_w", "scores_b"], ["scores"]),
        node("Softmax", ["scores"], ["probabilities"]),
    ]
    made = graph(nodes, {"images": IMAGES[:1].transpose(0, 3, 1, 2)}, ["probabilities"])
    weights["axes"] = np.array([2, 3], np.int64)
    made.graph.initializer.extend(onnx.numpy_helper.from_array(one, name) for name, one in weights.items())
    output = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, [1, CLASSES])
    made.graph.output[0].CopyFrom(output)
    onnx.save(made, file)
    return file


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_translated_files_are_edited_alike(suffix: str, tmp_path: Path) -> None:
    network, file = plain(residual), tmp_path / f"model{suffix}"
    model = load_model(onnx_file(network, file) if suffix == ".onnx" else of_keras(network, file), preprocess="0..1")
    np.testing.assert_allclose(model.predict(IMAGES), network(IMAGES).numpy(), rtol=0, atol=TOLERANCE)
    assert len(model.layers()) == 6
    for own, name in zip(model.layers(), NETWORKS[residual], strict=True):
        for edit, its in zip(edits_of(name, own.shape[2]), edits_of(own.name, own.shape[2]), strict=True):
            truth = expected(residual, network, edit, -1)
            np.testing.assert_allclose(model.edited(IMAGES, its), truth, rtol=0, atol=TOLERANCE)
            maps = its.changed(model.feature_maps(IMAGES, own.name))
            (replaced,) = model.predict_from(IMAGES, [maps], own.name)
            np.testing.assert_allclose(replaced.outputs, truth, rtol=0, atol=TOLERANCE)


def test_a_channel_of_tokens_is_changed_in_class_tokens_and_registers_too() -> None:
    network = vision_transformers.network(before=2, behind=1)
    model = vision_transformers.adopted(network)
    images = np.random.default_rng(0).random((2, *model.input_shape), np.float32)
    known = {layer.name for layer in model.layers()}
    blocks = [one for one in network.layers if isinstance(one, layers.Add) and one.name in known]
    assert blocks
    for layer in [blocks[0], network.get_layer("last")]:
        edit = Edit(layer.name, [0, 5], value=[0.5, -1])
        before = keras.Model(network.input, layer.output)
        *_, scores = network.layers
        # What follows the layer, with the same weights.
        rest = keras.Model(layer.output, scores.output)
        truth = rest(edit.changed(before(images).numpy())).numpy()
        np.testing.assert_allclose(model.edited(images, edit), truth, rtol=0, atol=TOLERANCE)
        assert np.abs(truth - model.predict(images)).max() > 1e-4
        passed, classes = model.layer_pass(images, layer.name), np.array([1, 0])
        np.testing.assert_allclose(next(passed.edits([edit])).outputs, truth, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(passed.maps, model.feature_maps(images, layer.name), rtol=0, atol=TOLERANCE)
        gradients = model.feature_gradients(images, classes.tolist(), layer.name)
        np.testing.assert_allclose(passed.gradients(classes), gradients, rtol=0, atol=TOLERANCE)


def test_class_tokens_and_registers_are_not_replaced() -> None:
    network = vision_transformers.network(before=2, behind=1)
    model = vision_transformers.adopted(network)
    images = np.random.default_rng(0).random((2, *model.input_shape), np.float32)
    known = {layer.name for layer in model.layers()}
    layer = next(one for one in network.layers if isinstance(one, layers.Add) and one.name in known)
    tokens = keras.Model(network.input, layer.output)(images).numpy()
    maps = model.feature_maps(images, layer.name)
    other = np.random.default_rng(1).normal(size=maps.shape).astype(np.float32)
    changed = tokens.copy()
    changed[:, 2:-1] = other.reshape(2, -1, maps.shape[-1])
    same, found = model.predict_from(images, [maps, other], layer.name)
    np.testing.assert_allclose(same.outputs, model.predict(images), rtol=0, atol=TOLERANCE)
    truth = keras.Model(layer.output, network.layers[-1].output)(changed).numpy()
    np.testing.assert_allclose(found.outputs, truth, rtol=0, atol=TOLERANCE)
    assert np.abs(truth - same.outputs).max() > 1e-4


def test_replacements_are_taken_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    network, model = plain(residual), KerasModel()
    model.load(model=network)
    monkeypatch.setattr(KerasModel, "batch_size", 7)
    # Behind "last", two replacements for three images fill a batch; there is a skip connection around "inner".
    factors, taken = [1, 0.5, -1, 3, 0], list[float]()

    def given(maps: Any) -> Iterator[Any]:
        for factor in factors:
            taken.append(factor)
            yield factor * maps

    for name, most in (("last", 2), ("inner", 1)):
        maps = model.feature_maps(IMAGES, name)
        taken.clear()
        for number, found in enumerate(model.predict_from(IMAGES, given(maps), name)):
            assert len(taken) <= (number // most + 1) * most
            edit = Edit(name, range(maps.shape[-1]), scale=factors[number])
            np.testing.assert_allclose(found.outputs, model.edited(IMAGES, edit), rtol=0, atol=TOLERANCE)
        assert taken == factors


def test_the_part_before_the_layer_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, made = [], []
    before, cut = Editing.before, Editing.__init__

    def counted(self: Editing, fed: Any) -> Any:
        runs.append(len(fed))
        return before(self, fed)

    def kept(self: Editing, *arguments: Any) -> None:
        cut(self, *arguments)
        made.append(self)

    monkeypatch.setattr(Editing, "before", counted)
    monkeypatch.setattr(Editing, "__init__", kept)
    model = KerasModel()
    model.load(model=plain(residual))
    answers = model.edits(IMAGES, [*edits_of("inner", 5), *edits_of("last", 6)])
    assert runs == []
    assert len(list(answers)) == 8
    assert runs == [3, 3]

    def convolutions(function: Any) -> int:
        return sum(one.type == "Conv2D" for one in function.graph.get_operations())

    # The whole network has four convolutions, of which none is computed in both parts.
    assert [(convolutions(one._before), convolutions(one._rest)) for one in made] == [(2, 2), (4, 0)]
    list(model.edits(IMAGES, edits_of("last", 6)))
    assert len(made) == 2


def test_many_edits_share_batches_if_the_rest_needs_only_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    rest = Editing.rest

    def counted(self: Editing, before: Any, edits: Any) -> Any:
        sizes.append((len(before.value), len(edits)))
        return rest(self, before, edits)

    monkeypatch.setattr(Editing, "rest", counted)
    network, model = plain(residual), KerasModel()
    model.load(model=network)
    monkeypatch.setattr(KerasModel, "batch_size", 7)
    for name, expected_sizes in (("last", [(3, 2), (3, 2), (3, 1)]), ("inner", [(3, 1)] * 5)):
        sizes.clear()
        edits = [Edit(name, [index], value=1 + index) for index in range(5)]
        for edit, found in zip(edits, model.edits(IMAGES, edits), strict=True):
            np.testing.assert_allclose(found.outputs, expected(residual, network, edit, -1), rtol=0, atol=TOLERANCE)
        assert sizes == expected_sizes


def test_branches_of_tensorflow_1_are_computed_again() -> None:
    tensors: dict[str, Any] = {}

    def build() -> None:
        images = tensors["images"] = tf1.placeholder(tf.float32, [None, *SHAPE])
        no, yes = tf.raw_ops.Switch(data=images, pred=tf.reduce_all(images < 100))
        images, _ = tf.raw_ops.Merge(inputs=[-no, yes])
        tensors["layer"] = tf.nn.relu(images - 0.5)
        tensors["answer"] = tf.reduce_mean(tensors["layer"] * images, (1, 2))

    from picasso.models.tf.cutting import Cutter

    cutter = Cutter(tf1.wrap_function(build, []))
    editing = Editing(cutter.cut, tensors["images"], [tensors["answer"]], tensors["layer"])
    edit = Edit("layer", [2], value=3)
    ((found,),) = editing.answers(tf.constant(IMAGES), [edit.coefficients(3)], 8)
    truth = (edit.changed(np.maximum(IMAGES - 0.5, 0)) * IMAGES).mean((1, 2))
    np.testing.assert_allclose(found, truth, rtol=0, atol=TOLERANCE)


def test_fast_models_are_edited_exactly(tmp_path: Path) -> None:
    model, file = KerasModel(), tmp_path / "model.keras"
    plain(sequential).save(file)
    model.load(path=str(file))
    edit = Edit("first", [1], scale=0)
    exact = model.edited(IMAGES, edit)
    exactly = model.layer_pass(IMAGES, "first").outputs
    model.compute_fast(fast=True)
    np.testing.assert_array_equal(model.edited(IMAGES, edit), exact)
    np.testing.assert_array_equal(model.layer_pass(IMAGES, "first").outputs, exactly)
    assert model._graph.fast


def test_a_fixed_batch_size_and_many_inputs() -> None:
    images = keras.Input(SHAPE, batch_size=2)
    fixed = ended(images, convolution(6, "last")(convolution(5, "first")(layers.Identity()(images))))
    free = plain(lambda put: ended(given := keras.Input(SHAPE), convolution(6, "last")(convolution(5, "first")(given))))
    fixed.set_weights(free.get_weights())
    answers = []
    for network in (fixed, free):
        model: Model = KerasModel()
        model.load(model=network)
        edit = Edit("first", [1, 4], scale=3)
        answers.append(model.edited(IMAGES, edit))
        maps = edit.changed(model.feature_maps(IMAGES[:1], "first"))
        (replaced,) = model.predict_from(IMAGES[:1], [maps], "first")
        np.testing.assert_allclose(replaced.outputs, answers[-1][:1], rtol=0, atol=TOLERANCE)
        assert model.edited(IMAGES[:0], Edit("first", [0], scale=0)).shape == (0, CLASSES)
        passed = model.layer_pass(IMAGES[:1], "first")
        np.testing.assert_allclose(passed.outputs, model.predict(IMAGES[:1]), rtol=0, atol=TOLERANCE)
        assert passed.maps.shape == passed.gradients(np.array([2])).shape == (1, *SHAPE[:2], 5)
        assert next(passed.edits([Edit("first", [0], scale=0)])).outputs.shape == (1, CLASSES)
    assert answers[0].shape == (3, CLASSES)
    np.testing.assert_allclose(answers[0], answers[1], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("build", [sequential, normalized, residual, several])
def test_gradients_of_feature_maps_are_those_of_keras(build: Callable[[Put], Any]) -> None:
    network, model = plain(build), KerasModel()
    model.load(model=network)
    sizes = {layer.name: layer.shape for layer in model.layers()}
    for layer in NETWORKS[build]:
        weights = np.random.default_rng(3).normal(size=(len(IMAGES), *sizes[layer])).astype(np.float32)
        images = tf.constant(IMAGES)
        with tf.GradientTape() as tape:
            tape.watch(images)
            summed = tf.reduce_sum(keras.Model(network.inputs, network.get_layer(layer).output)(images) * weights)
        expected = tape.gradient(summed, images).numpy()
        found = model.map_gradients(IMAGES, weights, layer)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    with pytest.raises(ModelError, match="The weights of the feature maps of layer"):
        model.map_gradients(IMAGES, weights[:1], layer)


RECTIFIERS: dict[str, Callable[[Any], Any]] = {
    "relu": layers.ReLU(),
    "relu6": layers.ReLU(max_value=6.0),
    "clip": lambda maps: ops.clip(maps, 0.0, 5.0),
    "maximum": lambda maps: ops.maximum(maps, 0.0),
}


@pytest.mark.parametrize("rectifier", RECTIFIERS)
def test_gradients_of_what_goes_into_a_rectifier(rectifier: str) -> None:
    """A channel that is 0 everywhere has no gradient, but what goes into it has one: that of the convolution."""
    given = keras.Input(SHAPE)
    before = layers.Conv2D(5, 3, padding="same", name="before", bias_initializer=keras.initializers.Constant(-9.0))(
        given
    )
    maps = RECTIFIERS[rectifier](before)
    answer = layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(maps))
    network, model = keras.Model(given, answer), KerasModel()
    model.load(model=network)
    layer = model.layers()[-1]
    assert not model.feature_maps(IMAGES, layer.name).any()
    weights = np.random.default_rng(3).normal(size=(len(IMAGES), *layer.shape)).astype(np.float32)
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        summed = tf.reduce_sum(keras.Model(network.inputs, network.get_layer("before").output)(images) * weights)
    expected = tape.gradient(summed, images).numpy()
    assert not model.map_gradients(IMAGES, weights, layer.name).any()
    found = model.map_gradients(IMAGES, weights, layer.name, unrectified=True)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    # A search begins with these.
    begun = MapSum(model, layer, {2: 1.0}).gradients(IMAGES)
    assert all(one.any() for one in begun)


def test_a_layer_without_a_rectifier_has_no_other_gradients() -> None:
    model = KerasModel()
    model.load(model=plain(normalized))
    for layer in model.layers():
        weights = np.ones((len(IMAGES), *layer.shape), np.float32)
        if model.feature_maps(IMAGES, layer.name).min() < 0:
            found = model.map_gradients(IMAGES, weights, layer.name, unrectified=True)
            np.testing.assert_array_equal(found, model.map_gradients(IMAGES, weights, layer.name))
