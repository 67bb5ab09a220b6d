"""SavedModel folders: written by Keras' ``export``, ``tf.saved_model.save``, tf_keras, or TensorFlow 1."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from picasso import remedies
from picasso.errors import ModelError, reason
from picasso.models.newest import newest
from picasso.models.outputs import choose_output, is_detection
from picasso.models.recognition import Format, Found
from picasso.models.scan import require
from picasso.models.tf import variables
from picasso.models.tf.built_graph import Several
from picasso.models.tf.frozen_graph import GraphError, importer, pruned, refuse_dormant, side_by_side, with_values
from picasso.models.tf.graph import Graph
from picasso.models.tf.graph_model import GraphModel
from picasso.models.tf.incremental.inlining import without_calls
from picasso.models.tf.runtime import convert_to_constants, saved_model_pb2, tf, tf1
from picasso.targets import decoders

DEFAULT_SIGNATURES = ("serving_default", "serve")
FILE = "saved_model.pb"
READ = (FILE, "variables", "assets")
# The common prefix of the files with the values of the variables.
VARIABLES = Path("variables") / "variables"
# Operations that change a variable and have no output.
ASSIGNMENTS = {"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "ResourceScatterUpdate"}
CHANGES = (
    "The model changes its variables during prediction, such as the seed of an augmentation, the state of a dropout or "
    "moving averages. Picasso leaves these changes out: each prediction is that of the model as it was saved."
)
LIVE = (
    "The model keeps state that can't be made constant, such as a generator of random numbers. So it is called "
    "as it is: its layers are not available, and its predictions may vary."
)

Build = Callable[[], tuple[Any, Any]]

log = logging.getLogger(__name__)


class SavedModel(GraphModel):
    """A classifier in a SavedModel folder."""

    framework = "tensorflow"

    def load(
        self,
        data_dir: str | None = None,
        path: str | None = None,
        signature: str | None = None,
        output: int | str | None = None,
        input_shape: Sequence[int] | None = None,
        trust_model: bool = False,
        output_kind: str = "",
    ) -> None:
        """Load the SavedModel folder ``path``, or the newest one in ``data_dir``.

        Args:
            data_dir: a folder of SavedModel folders.
            path: a SavedModel folder.
            signature: the name of the signature to call; by default ``serving_default``, ``serve`` or the only one.
            output: the name of the output with the class scores, or its position among the sorted names, if there are
                several outputs.
            input_shape: ``(H, W, C)``, for signatures that do not define it; by default the shape of the arrays from
                :meth:`preprocess`, if a class overrides it.
            trust_model: if True, operations that access files or call Python may run.
            output_kind: the kind of the output values, such as ``"logits"``; detected by default.

        Raises:
            ModelError: the folder is broken, the signature or the output is ambiguous, or the model contains code and
                is not trusted.
        """
        self.output_kind = output_kind or self.output_kind
        folder = Path(path) if path else newest(data_dir, (f"*/{FILE}",), "SavedModel").parent
        require(Found(Format.SAVED_MODEL, folder), trust_model, self.limits)
        graph = read(folder).meta_graphs[0]
        try:
            modern = graph.HasField("object_graph_def")
            self.format = f"SavedModel of TensorFlow {2 if modern else 1}"
            described = graph.signature_def[choose_signature(sorted(graph.signature_def), signature, folder)]
            check_one_input([tensor.name for tensor in described.inputs.values()], folder)
            (images,) = described.inputs.values()
            several = {} if output is not None else self._detections(described, images.tensor_shape, input_shape)
            if several:
                joined = {described.outputs[name].name: one for name, one in several.items()}
                answer = side_by_side(graph.graph_def, joined)
            else:
                answer = chosen_tensor(described, output, folder)
            make = self._modern if modern else self._of_tensorflow_1
            build = make(folder, graph, images.name, answer, input_shape, trust_model)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"TensorFlow could not load the SavedModel {folder.name}: {reason(error)}.") from error
        if several:
            build = partial(with_shapes, build, {name: tuple(one.shape[1:]) for name, one in several.items()})
        self.adopt(Graph(build, folder.name, said=self.said()), folder / FILE)
        # A version number needs the name of its parent folder.
        self.checkpoint = f"{folder.parent.name}/{folder.name}" if folder.name.isdecimal() else folder.name
        # The files and folders that TensorFlow reads; the folder may contain others.
        self.files = tuple(folder / name for name in READ if (folder / name).exists())

    def _detections(self, described: Any, images: Any, input_shape: Sequence[int] | None) -> dict[str, Any]:
        """Return the outputs of a signature, each a ``TensorSpec``, if they are those of a detector; else {}."""
        outputs = {
            name: tf.TensorSpec(one.tensor_shape, tf.as_dtype(one.dtype))
            for name, one in sorted(described.outputs.items())
        }
        if len(outputs) < 2 or any(one.shape.rank is None for one in outputs.values()):
            return {}
        shapes = {name: tuple(side or 0 for side in one.shape.as_list()[1:]) for name, one in outputs.items()}
        sides = list(input_shape or [side.size for side in images.dim][1:])
        size = (max(0, sides[0]), max(0, sides[1]), max(0, sides[2])) if len(sides) == 3 else (0, 0, 0)
        if not is_detection(shapes, size, self.said().task):
            return {}
        used = decoders.used(shapes)
        return {name: one for name, one in outputs.items() if name in used}

    def _of_tensorflow_1(
        self, folder: Path, graph: Any, source: str, output: str, input_shape: Sequence[int] | None, trust: bool
    ) -> Build:
        """Return a function that builds a graph of TensorFlow 1 with its variables replaced by constants."""
        definition = with_values(graph, output, folder / VARIABLES, folder.name, trust=trust)
        learned = None if input_shape else self.shape_of_preprocess()
        return importer(definition, source, output, folder.name, input_shape, learned, trust=trust)

    def _modern(
        self, folder: Path, graph: Any, source: str, output: str, input_shape: Sequence[int] | None, trust: bool
    ) -> Build:
        """Return a function that builds a graph of TensorFlow 2, with its variables replaced by constants if possible.

        TensorFlow's own loader runs the initializers in the file and its functions that restore variables. To avoid
        this, only the signature is extracted from the graph, and the values of its variables are read by name.
        """
        live = Live.of(folder, graph, source, output, trust)
        learned = None if input_shape else self.shape_of_preprocess()
        try:
            function = live.function()
            definition, changing = freeze(function)
            images, answered = function.inputs[0].name, function.outputs[0].name
            build = importer(definition, images, answered, folder.name, input_shape, learned, trust=trust)
            build_alone(build)
        except Exception as error:
            if isinstance(error, ModelError) and not isinstance(error, GraphError):
                raise
            log.info("the SavedModel %s can't be frozen and is called as it is", folder.name, exc_info=True)
            self.notes += (LIVE,)
            return partial(called, live, input_shape or learned)
        self.notes += (CHANGES,) if changing else ()
        return build


@dataclass(frozen=True)
class Live:
    """The part of a graph that an output depends on, with variables instead of constants.

    Attributes:
        definition: the GraphDef of this part.
        variables: the variables, by the names of their operations in the GraphDef.
        source: the name of the input tensor of the images.
        output: the name of the tensor of class scores.
        described: the shape and type of the images, a ``TensorSpec``.
    """

    definition: Any
    variables: dict[str, Any]
    source: str
    output: str
    described: Any

    @classmethod
    def of(cls, folder: Path, graph: Any, source: str, output: str, trust: bool) -> Live:
        """Extract the part of a MetaGraphDef that ``output`` depends on, and read its variables.

        Raises:
            ModelError: the output depends on a forbidden operation, or a variable has no value.
        """
        definition = pruned(graph.graph_def, output)
        refuse_dormant(definition, folder.name, trust)
        names = [node.name for node in definition.node if node.op in variables.VARIABLES]
        values = variables.values(graph, folder / VARIABLES, names, folder.name)
        restored = {name: tf.Variable(value, trainable=False) for name, value in values.items()}
        placeholder = next(node for node in graph.graph_def.node if node.name == variables.base(source))
        described = tf.TensorSpec(placeholder.attr["shape"].shape, placeholder.attr["dtype"].type)
        return cls(definition, restored, source, output, described)

    def function(self) -> Any:
        """Return a function from images to class scores. It keeps only weak references to the variables."""

        def build(images: Any) -> Any:
            here = tf1.get_default_graph()
            mapped = {f"{name}:0": here.capture(variable.handle) for name, variable in self.variables.items()}
            (answer,) = tf1.import_graph_def(self.definition, {**mapped, self.source: images}, [self.output], name="")
            return answer

        function = tf1.wrap_function(build, [self.described])
        function.graph.variables = list(self.variables.values())
        return function


def freeze(function: Any) -> tuple[Any, bool]:
    """Return the GraphDef of a function with its variables replaced by constants, and whether it assigned to any.

    Assignments are removed, because a constant can't be assigned to. They rarely affect the current prediction: seeds,
    counters and moving averages are updated for the next one.
    """
    # TensorFlow's public function for this does not allow changes of the graph between its two steps.
    data = convert_to_constants._FunctionConverterDataInEager(
        func=function, lower_control_flow=False, aggressive_inlining=False
    )
    graph = data.graph_def
    nodes = chain(graph.node, *(inner.node_def for inner in graph.library.function))
    changing = [node for node in nodes if node.op in ASSIGNMENTS]
    for node in changing:
        # The name is kept, because other operations may have a control dependency on it.
        node.op = "NoOp"
        waits = [name for name in node.input if name.startswith("^")]
        del node.input[:]
        node.input.extend(waits)
        node.attr.clear()
    definition, _ = convert_to_constants._replace_variables_by_constants(data)
    return definition, bool(changing)


def build_alone(build: Callable[[], tuple[Any, Any]]) -> None:
    """Call ``build`` in an empty graph, so that its errors are raised early."""
    with tf.Graph().as_default():
        build()


def called(live: Live, input_shape: Sequence[int] | None) -> tuple[Any, Any]:
    """Build a graph that keeps its variables in the default graph, and return its input and output tensors.

    Args:
        live: the part of the graph to build.
        input_shape: ``(H, W, C)``, or None for the shape that the graph defines.
    """
    shape = [None, *input_shape] if input_shape else live.described.shape
    images = tf1.placeholder(tf.float32, shape, "picasso_input")
    function, here = live.function(), tf1.get_default_graph()
    # The gradient of a function call is registered only in the process that saved it, so calls are inlined.
    with function.graph.as_default():
        definition, output = without_calls(function.graph.as_graph_def(), function.outputs[0].name)
    left = {node.name for node in definition.node}
    mapped = {inner.name: here.capture(outer) for outer, inner in function.graph.captures if inner.op.name in left}
    mapped[function.inputs[0].name] = tf.cast(images, live.described.dtype)
    (answer,) = tf1.import_graph_def(definition, mapped, [output], name="")
    return images, answer


def read(folder: Path) -> Any:
    """Return the parsed ``saved_model.pb`` of a folder, a ``SavedModel`` message with at least one graph.

    Raises:
        ModelError: the file is missing, is no SavedModel, or contains no graph.
    """
    try:
        document = saved_model_pb2.SavedModel.FromString((folder / FILE).read_bytes())
    except FileNotFoundError:
        raise ModelError(f"There is no {FILE} in {folder}.") from None
    except Exception as error:
        raise ModelError(f"{folder.name}/{FILE} is not a SavedModel: {reason(error)}.") from error
    if not document.meta_graphs:
        raise ModelError(f"{folder / FILE} contains no graph.")
    return document


def choose(named: Sequence[str], wanted: str | None, option: str, folder: Path) -> str:
    """Return the name ``wanted``, or the only one in ``named``.

    Raises:
        ModelError: the name does not exist, or there are several and none was chosen.
    """
    if wanted in named:
        return str(wanted)
    if len(named) == 1 and wanted is None:
        return named[0]
    listed = ", ".join(named) or "none"
    raise ModelError(
        f"The SavedModel {folder.name} has these {option}s: {listed}. Specify one, such as "
        f"{remedies.argument(option, named[0] if named else 'serve')}.",
        field=option,
    )


def with_shapes(build: Build, shapes: dict[str, tuple[int, ...]]) -> tuple[Any, Any]:
    """Build a graph whose output consists of several outputs side by side, with these shapes."""
    images, flat = build()
    return images, Several(flat, shapes)


def choose_signature(names: Sequence[str], wanted: str | None, folder: Path) -> str:
    """Return the name of the signature to call: the wanted one, the usual one or the only one."""
    usual = next((name for name in DEFAULT_SIGNATURES if name in names), None)
    return choose([name for name in names if not name.startswith("__")], wanted or usual, "signature", folder)


def chosen_tensor(described: Any, output: int | str | None, folder: Path) -> str:
    """Return the name of the tensor of one of the outputs of a signature.

    Args:
        described: the signature.
        output: the name or position of the output, or None for the only one.
        folder: the folder of the SavedModel, for messages.

    Raises:
        ModelError: the output does not exist or is ambiguous.
    """
    names = sorted(described.outputs)
    outputs = {name: tf.TensorShape(described.outputs[name].tensor_shape) for name in names}
    chosen = names[choose_output(outputs, output, f"The SavedModel {folder.name}")]
    return str(described.outputs[chosen].name)


def check_one_input(names: Sequence[str], folder: Path) -> None:
    """Raise a ModelError unless there is exactly one input."""
    if len(names) != 1:
        raise ModelError(
            f"The SavedModel {folder.name} has {len(names)} inputs ({', '.join(names)}). Picasso supports only models "
            "with one image input."
        )
