"""SavedModel folders: written by Keras' ``export``, ``tf.saved_model.save``, tf_keras, or TensorFlow 1."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from picasso import remedies
from picasso.errors import ModelError, reason
from picasso.models.backend import convert_to_constants, saved_model_pb2, tf, tf1
from picasso.models.checkpoints import newest
from picasso.models.frozen import importer, operations_of, refuse_code
from picasso.models.graph import Graph
from picasso.models.graph_model import GraphModel
from picasso.models.outputs import choose_output, parse

DEFAULT_SIGNATURES = ("serving_default", "serve")
FILE = "saved_model.pb"
READ = (FILE, "variables", "assets")
# Operations that change a variable and give nothing.
ASSIGNMENTS = {"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "ResourceScatterUpdate"}
CHANGES = (
    "The model changes variables of its own as it answers, such as the seed of an augmentation, the state of a dropout "
    "or moving averages. That is left out: each answer is that of the model as it was saved."
)
LIVE = (
    "The model keeps state that can't be made constant, such as a generator of random numbers. So it is called as it "
    "is: its layers are not seen, and its answers may differ from one time to the next."
)

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
            signature: which of its functions to call; by default ``serving_default``, ``serve`` or the only one.
            output: which of several outputs holds the class scores: its name, or its position among the names in
                alphabetical order.
            input_shape: ``(H, W, C)``, where the signature does not say.
            trust_model: whether operations that touch files or call Python may run.
            output_kind: what the values of the output are, such as ``"logits"``; by default it is found out.

        Raises:
            ModelError: the folder is broken, a choice has to be made, or it contains code and is not trusted.
        """
        self.output_kind = output_kind or self.output_kind
        folder = Path(path) if path else newest(data_dir, (f"*/{FILE}",), "SavedModel").parent
        document = read(folder)
        graph = document.meta_graphs[0]
        # Before anything is loaded: loading already runs the initializer.
        refuse_code(operations_of(graph.graph_def), folder.name, trust_model, saving=True)
        try:
            modern = graph.HasField("object_graph_def")
            self.format = f"SavedModel of TensorFlow {2 if modern else 1}"
            if modern:
                build = self._modern(folder, signature, output, input_shape, trust_model)
            else:
                definition, input_name, output_name = freeze_tensorflow_1(folder, graph, signature, output)
                refuse_code(operations_of(definition), folder.name, trust_model)
                learned = None if input_shape else self.shape_of_preprocess()
                build = importer(definition, input_name, output_name, folder.name, input_shape, learned)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"TensorFlow could not load the SavedModel {folder.name}: {reason(error)}.") from error
        self.adopt(Graph(build, folder.name, said=parse(self.output_kind)), folder / FILE)
        # The number of a version says nothing without the folder that it lies in.
        self.checkpoint = f"{folder.parent.name}/{folder.name}" if folder.name.isdecimal() else folder.name
        # What TensorFlow reads of it; other things may lie there too.
        self.files = tuple(folder / name for name in READ if (folder / name).exists())

    def _modern(
        self,
        folder: Path,
        signature: str | None,
        output: int | str | None,
        input_shape: Sequence[int] | None,
        trust: bool,
    ) -> Callable[[], tuple[Any, Any]]:
        """Return what builds a TensorFlow 2 signature: from constants where possible, else by calling it."""
        # Kept alive until the variables are copied: functions refer to them weakly.
        loaded = tf.saved_model.load(str(folder))
        function = loaded.signatures[choose_signature(list(loaded.signatures), signature, folder)]
        names = sorted(function.structured_outputs)
        shapes = {name: function.structured_outputs[name].shape for name in names}
        name = names[choose_output(shapes, output, f"The SavedModel {folder.name}")]
        refuse_code(operations_of(function.graph.as_graph_def()), folder.name, trust)
        captured = {id(tensor) for tensor in function.graph.internal_captures}
        inputs = [tensor for tensor in function.inputs if id(tensor) not in captured]
        check_one_input([tensor.name for tensor in inputs], folder)
        learned = None if input_shape else self.shape_of_preprocess()
        try:
            definition, changing = freeze(function)
            output_name = function.outputs[names.index(name)].name
            build = importer(definition, inputs[0].name, output_name, folder.name, input_shape, learned)
            build_alone(build)
        except ModelError:
            raise
        except Exception:
            log.info("the SavedModel %s can't be frozen and is called as it is", folder.name, exc_info=True)
            self.notes += (LIVE,)
            return partial(called, loaded, function, name, input_shape or learned)
        self.notes += (CHANGES,) if changing else ()
        return build


def freeze(function: Any) -> tuple[Any, bool]:
    """Return the graph of a function with its variables turned into constants, and whether it assigned to some.

    What assigns to a variable is left out. A variable that is a constant can't be assigned to, and an answer mostly
    does not depend on it: seeds, counters and moving averages are for the next one.
    """
    # TensorFlow's own function for this has no place for what is left out in between.
    data = convert_to_constants._FunctionConverterDataInEager(
        func=function, lower_control_flow=False, aggressive_inlining=False
    )
    graph = data.graph_def
    nodes = chain(graph.node, *(inner.node_def for inner in graph.library.function))
    changing = [node for node in nodes if node.op in ASSIGNMENTS]
    for node in changing:
        # It keeps its name, since others may wait for it.
        node.op = "NoOp"
        waits = [name for name in node.input if name.startswith("^")]
        del node.input[:]
        node.input.extend(waits)
        node.attr.clear()
    definition, _ = convert_to_constants._replace_variables_by_constants(data)
    return definition, bool(changing)


def build_alone(build: Callable[[], tuple[Any, Any]]) -> None:
    """Build a graph by itself, to see that it can be built."""
    with tf.Graph().as_default():
        build()


def called(loaded: Any, function: Any, output: str, input_shape: Sequence[int] | None) -> tuple[Any, Any]:
    """Build a call of a function, and return the tensors of its input and of one of its outputs.

    Args:
        loaded: the SavedModel that it belongs to, whose variables it refers to weakly: whoever may call keeps it alive.
        function: of its signatures.
        output: the name of the output.
        input_shape: ``(H, W, C)``, where the signature does not say.
    """
    ((argument, described),) = function.structured_input_signature[1].items()
    shape = [None, *input_shape] if input_shape else described.shape
    images = tf1.placeholder(tf.float32, shape, "picasso_input")
    return images, function(**{argument: tf.cast(images, described.dtype)})[output]


def read(folder: Path) -> Any:
    """Return the parsed ``saved_model.pb`` of a folder."""
    try:
        document = saved_model_pb2.SavedModel.FromString((folder / FILE).read_bytes())
    except FileNotFoundError:
        raise ModelError(f"There is no {FILE} in {folder}.") from None
    except Exception as error:
        raise ModelError(f"{folder / FILE} is no SavedModel: {reason(error)}.") from error
    if not document.meta_graphs:
        raise ModelError(f"{folder / FILE} holds no graph.")
    return document


def choose(named: Sequence[str], wanted: str | None, option: str, folder: Path) -> str:
    """Return the wanted name, or the only one there is.

    Raises:
        ModelError: it does not exist, or there are several and none was chosen.
    """
    if wanted in named:
        return str(wanted)
    if len(named) == 1 and wanted is None:
        return named[0]
    listed = ", ".join(named) or "none"
    raise ModelError(
        f"The SavedModel {folder.name} has these {option}s: {listed}. Say which one, such as "
        f"{remedies.argument(option, named[0] if named else 'serve')}.",
        field=option,
    )


def choose_signature(names: Sequence[str], wanted: str | None, folder: Path) -> str:
    """Return the name of the function to call."""
    usual = next((name for name in DEFAULT_SIGNATURES if name in names), None)
    return choose([name for name in names if not name.startswith("__")], wanted or usual, "signature", folder)


def freeze_tensorflow_1(
    folder: Path, graph: Any, signature: str | None, output: int | str | None
) -> tuple[Any, str, str]:
    """Return the frozen graph of a TensorFlow 1 signature, and the names of its input and output tensors."""
    described = graph.signature_def[choose_signature(sorted(graph.signature_def), signature, folder)]
    inputs = [tensor.name for tensor in described.inputs.values()]
    check_one_input(inputs, folder)
    names = sorted(described.outputs)
    outputs = {name: tf.TensorShape(described.outputs[name].tensor_shape) for name in names}
    tensor = described.outputs[names[choose_output(outputs, output, f"The SavedModel {folder.name}")]].name
    with tf.Graph().as_default() as imported, tf1.Session() as session:
        tf1.saved_model.loader.load(session, list(graph.meta_info_def.tags), str(folder))
        node = tensor.partition(":")[0]
        frozen = tf1.graph_util.convert_variables_to_constants(session, imported.as_graph_def(), [node])
    return frozen, inputs[0], tensor


def check_one_input(names: Sequence[str], folder: Path) -> None:
    """Raise a ModelError unless there is one input."""
    if len(names) != 1:
        raise ModelError(
            f"The SavedModel {folder.name} takes {len(names)} inputs ({', '.join(names)}); Picasso shows models of one "
            "picture."
        )
