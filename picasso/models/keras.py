"""Keras models of Keras 1, 2 and 3: ``.keras``, ``.h5``, or an architecture as JSON with its weights."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picasso import remedies
from picasso.errors import ModelError
from picasso.models import outputs, recognition, scan
from picasso.models.head import Head
from picasso.models.outputs import choose_output
from picasso.models.recognition import Format
from picasso.models.tf import keras_files
from picasso.models.tf.built_graph import Several
from picasso.models.tf.graph import Graph
from picasso.models.tf.graph_model import GraphModel
from picasso.models.tf.runtime import keras, standard, tf1
from picasso.models.tf.training_loss import training_of


class KerasModel(GraphModel):
    """A classifier that Keras can load.

    Attributes:
        model: the loaded ``keras.Model``, or ``tf_keras.Model`` for files that only ``tf_keras`` can read. Picasso
            never changes it.

    Examples:
        >>> from picasso.config import PACKAGE
        >>> from picasso.models.keras import KerasModel
        >>> class Digits(KerasModel):
        ...     def class_names(self):
        ...         return ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        >>> model = Digits()
        >>> model.load(path=str(PACKAGE / "examples/keras/data/mnist.keras"))
        >>> model.num_classes, model.class_names()[4]
        (10, 'four')
    """

    framework = "keras"
    model: Any
    # The arguments of load() that apply to a copy of the model too.
    _options: dict[str, Any]

    def load(
        self,
        data_dir: str | None = None,
        path: str | None = None,
        weights: str | None = None,
        output: int | str | None = None,
        input_shape: Sequence[int] | None = None,
        custom_objects: dict[str, Any] | None = None,
        trust_model: bool = False,
        output_kind: str = "",
        model: Any = None,
    ) -> None:
        """Load ``path``, or the newest model in ``data_dir``, or use a ``model`` that is in memory.

        Args:
            data_dir: a folder, of which the newest model is loaded. If the folder contains a ``.json`` with an
                architecture, it is combined with the weights in the ``.h5``.
            path: a model file, or an architecture as ``.json``, instead of ``data_dir``.
            weights: the weights of a ``.json``; by default the newest ``.h5`` in its folder.
            output: the position or name of the output with the class scores, if there are several outputs.
            input_shape: ``(H, W, C)``, for models that do not define it.
            custom_objects: custom layers and functions by name.
            trust_model: if True, code inside the file, such as Lambda layers, may run.
            output_kind: the kind of the output values, such as ``"logits"``; detected by default.
            model: a ``keras.Model`` instead of a file. If it is trained further, predictions use the new weights.

        Raises:
            ModelError: there is nothing to load, Keras can't read it, or it is no image classifier.
        """
        self._options = {"output": output, "custom_objects": custom_objects, "trust_model": trust_model}
        if model is not None:
            self.model, self.format = model, "Keras model in memory"
            self.use(Path(str(model.name)), output, input_shape, in_memory=True)
            return
        found = recognition.keras_model(path, data_dir, weights)
        architecture = found.path if found.format is Format.KERAS_JSON else None
        file = found.weights or found.path
        keras_files.check_ending(file)
        if not architecture:
            keras_files.check_content(file)
        scan.require(found, trust_model, self.limits, keras_files.known_names(custom_objects))
        if architecture:
            self.model = keras_files.from_architecture(architecture, file, custom_objects, trust_model, self.limits)
        else:
            self.model, notes = keras_files.from_file(file, custom_objects, trust_model, self.limits, input_shape)
            self.notes += notes
        self.output_kind = output_kind or self.output_kind
        self.format = keras_files.describe(architecture or file, self.model)
        self.use(file, output, input_shape)
        self.files = (architecture, file) if architecture else (file,)

    def use(
        self,
        file: Path,
        output: int | str | None = None,
        input_shape: Sequence[int] | None = None,
        *,
        in_memory: bool = False,
    ) -> None:
        """Compile the loaded model, and store its file, or its name if it was in memory."""
        shape = input_shape_of(self.model, file, input_shape, self.shape_of_preprocess)

        def build() -> tuple[Any, Any]:
            image = tf1.placeholder("float32", shape, "picasso_input")
            with standard(keras), valid_names(self.model):
                answer = self.model(image, training=False)
                if output is None and (several := self._detections(answer, shape)):
                    return image, several
                return image, chosen_output(self.model, answer, output, file)

        layers = list(all_layers(self.model))
        names = {valid_name(layer.name) for layer in layers}
        trained = None if in_memory else training_of(file)
        graph = Graph(build, f"The model in {file.name}", names, said=self.said(), trained=trained, fixed=not in_memory)
        self.adopt(graph, file, in_memory=in_memory)

    def head(self) -> Head:
        """Return the last dense layer.

        Raises:
            ModelError: the class scores do not come from one dense layer.
        """
        # Imported here, because few uses of a model need it.
        from picasso.models.tf.keras_head import KerasHead

        return KerasHead(self, self.model, self._reloaded)

    def _reloaded(self, file: Path) -> KerasModel:
        """Return the model in another file, with the class, the preprocessing and the labels of this one."""
        other = copy.copy(self)
        for name in ("fingerprint", "_occluder", "_guided"):
            other.__dict__.pop(name, None)
        other.notes = ()
        # A class of the user may have a load() with other arguments.
        KerasModel.load(other, path=str(file), input_shape=self.input_shape, **self._options)
        other.warm_up()
        return other

    def _detections(self, answer: Any, shape: Sequence[int | None]) -> Several | None:
        """Return all outputs if they are those of an object detector, or None."""
        named = named_outputs(self.model, answer)
        shapes = {name: tuple(side or 0 for side in tensor.shape[1:]) for name, tensor in named.items()}
        size = (shape[1] or 0, shape[2] or 0, shape[3] or 0)
        found = len(named) > 1 and outputs.is_detection(shapes, size, self.said().task)
        return Several.of(named) if found else None


def all_layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, including those of nested models."""
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from all_layers(layer)


def valid_name(name: str) -> str:
    """Return a layer's name with the characters replaced that TensorFlow's graphs do not allow."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", re.sub(r"^[^A-Za-z0-9.]", "x_", name))


@contextmanager
def valid_names(model: Any) -> Iterator[None]:
    """Rename the layers of a model so that TensorFlow's graphs accept the names, and restore them afterwards."""
    # These include layers inside custom layers.
    named = {layer: layer.name for layer in model._flatten_layers()}
    changed = {layer: name for layer, name in named.items() if valid_name(name) != name}
    for layer, name in changed.items():
        layer.name = valid_name(name)
    try:
        yield
    finally:
        for layer, name in changed.items():
            layer.name = name


def input_shape_of(
    model: Any, file: Path, given: Sequence[int] | None, learn: Callable[[], Sequence[int] | None]
) -> list[int | None]:
    """Return the shape ``[N or None, H, W, C]`` of a model's single input.

    Args:
        model: the Keras model.
        file: its file, for messages.
        given: ``(H, W, C)`` if the user configured it.
        learn: a function that returns the shape of the arrays from preprocess(), or None; called only if the shape is
            unknown otherwise.

    Raises:
        ModelError: the model has several inputs, or the shape is unknown.
    """
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) > 1:
        names = ", ".join(str(one.name) for one in inputs)
        raise ModelError(
            f"The model in {file.name} has {len(inputs)} inputs ({names}). Picasso supports only models with one "
            "image input. Wrap it in a model that provides the others."
        )
    known = list(inputs[0].shape) if inputs else [None]
    shape = [known[0], *given] if given else known
    if len(shape) == 1:
        # Subclassed models store the shape that they were built with in this attribute.
        built = getattr(model, "_build_shapes_dict", None) or {}
        shape = list(next(iter(built.values()), ())) or shape
    if (len(shape) != 4 or None in shape[1:]) and (learned := learn()):
        shape = [known[0], *learned]
    if len(shape) != 4 or None in shape[1:]:
        raise ModelError(
            f"The input of the model in {file.name} has the shape {tuple(shape)}. Specify height, width and "
            f"channels: {remedies.argument('input_shape', [224, 224, 3])}.",
            field="input_shape",
        )
    return shape


def chosen_output(model: Any, answer: Any, output: int | str | None, file: Path) -> Any:
    """Return the tensor of class scores among a model's outputs.

    Raises:
        ModelError: there are several and none was chosen, or the chosen one does not exist.
    """
    named = named_outputs(model, answer)
    shapes = {name: tuple(tensor.shape) for name, tensor in named.items()}
    return list(named.values())[choose_output(shapes, output, f"The model in {file.name}")]


def named_outputs(model: Any, answer: Any) -> dict[str, Any]:
    """Return the output tensors of a model by name: of their layers, or else by their positions."""
    named = by_name(answer)
    names = list(getattr(model, "output_names", None) or ())
    if isinstance(answer, list | tuple) and len(set(names)) == len(named):
        return dict(zip(names, named.values(), strict=True))
    return named


def by_name(answer: Any, prefix: str = "") -> dict[str, Any]:
    """Return the tensors of a nested output, by their dotted path of keys and positions."""
    if not isinstance(answer, dict | list | tuple):
        return {prefix or "output": answer}
    parts = answer.items() if isinstance(answer, dict) else enumerate(answer)
    found: dict[str, Any] = {}
    for key, part in parts:
        found |= by_name(part, f"{prefix}.{key}" if prefix else str(key))
    return found
