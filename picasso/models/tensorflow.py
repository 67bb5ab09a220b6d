"""TensorFlow 1 checkpoints: ``.meta``, ``.index`` and ``.data`` files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picasso.errors import ModelError, reason
from picasso.models.backend import tf, tf1
from picasso.models.checkpoints import newest
from picasso.models.graph import Graph
from picasso.models.graph_model import GraphModel


class TFModel(GraphModel):
    """A classifier saved by a TensorFlow 1 ``Saver``."""

    framework = "tensorflow"

    def load(  # type: ignore[override]
        self,
        data_dir: str | None = None,
        tf_input_var: str = "",
        tf_predict_var: str = "",
        path: str | None = None,
        input_shape: Sequence[int] | None = None,
        constant_feeds: Mapping[str, Any] | None = None,
    ) -> None:
        """Load the newest checkpoint in ``data_dir``, or the one whose prefix is ``path``.

        Args:
            data_dir: the folder of the three files.
            tf_input_var: the name of the tensor that takes the pictures, such as ``"pictures:0"``.
            tf_predict_var: the name of the tensor of class probabilities, such as ``"probabilities:0"``.
            path: the checkpoint's prefix (the path without ``.meta``), instead of ``data_dir``.
            input_shape: ``(H, W, C)``, for graphs whose placeholder does not say.
            constant_feeds: values of further placeholders, such as ``{"keep_prob:0": 1.0}``.

        Raises:
            ModelError: the files are missing or broken, or a tensor name is not in the graph.
        """
        index = Path(path + ".index") if path else newest(data_dir, ("*.index",), "TensorFlow checkpoint")
        prefix = index.with_suffix("")
        meta = prefix.with_name(prefix.name + ".meta")
        if not meta.is_file():
            raise ModelError(
                f"There is no {meta.name} in {meta.parent}; a checkpoint needs its .meta, .index and .data files."
            )
        definition = freeze(prefix, tf_input_var, tf_predict_var)
        build = importer(definition, tf_input_var, tf_predict_var, input_shape, constant_feeds or {})
        self.adopt(Graph(build, f"The checkpoint {prefix.name}"), index)
        self.checkpoint = prefix.name


def freeze(prefix: Path, input_name: str, output_name: str) -> Any:
    """Return the checkpoint's graph with its variables turned into constants.

    A graph with TensorFlow 1 reference variables can't be cut into functions otherwise.
    """
    try:
        with tf.Graph().as_default() as graph, tf1.Session() as session:
            saver = tf1.train.import_meta_graph(f"{prefix}.meta", clear_devices=True)
            for key, name in (("tf_input_var", input_name), ("tf_predict_var", output_name)):
                check_tensor(graph, key, name)
            saver.restore(session, str(prefix))
            output = output_name.partition(":")[0]
            return tf1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), [output])
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"TensorFlow could not load the checkpoint {prefix}: {reason(error)}.") from error


def check_tensor(graph: Any, key: str, name: str) -> None:
    """Raise a ModelError that lists likely tensors unless ``name`` is one of the graph's."""
    try:
        graph.get_tensor_by_name(name)
    except (KeyError, ValueError, TypeError) as error:
        kinds = ("Placeholder", "PlaceholderWithDefault") if key == "tf_input_var" else ("Softmax", "Sigmoid")
        likely = [f"{operation.name}:0" for operation in graph.get_operations() if operation.type in kinds]
        hint = f"likely ones are {', '.join(likely)}" if likely else "name it as operation:0"
        raise ModelError(f"{key} = {name!r} is no tensor of this graph; {hint}.", field=key) from error


def importer(
    definition: Any,
    input_name: str,
    output_name: str,
    input_shape: Sequence[int] | None,
    constant_feeds: Mapping[str, Any],
) -> Any:
    """Return a function that builds the frozen graph in the default graph and gives its input and output."""

    def build() -> tuple[Any, Any]:
        feeds = {name: tf.constant(value) for name, value in constant_feeds.items()}
        if input_shape:
            feeds[input_name] = tf1.placeholder(tf.float32, [None, *input_shape], "picasso_input")
        for node in definition.node:
            learning_phase = node.op.startswith("Placeholder") and "learning_phase" in node.name
            if learning_phase and f"{node.name}:0" not in feeds:
                feeds[f"{node.name}:0"] = tf.constant(0, tf.as_dtype(node.attr["dtype"].type))
        wanted = [output_name] if input_shape else [input_name, output_name]
        tensors = tf1.import_graph_def(definition, input_map=feeds, return_elements=wanted, name="")
        return feeds.get(input_name, tensors[0]), tensors[-1]

    return build
