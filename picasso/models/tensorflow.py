"""TensorFlow 1 models: checkpoints (``.meta``, ``.index`` and ``.data`` files) and frozen graphs (``.pb``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picasso.errors import ModelError, reason
from picasso.models import recognition
from picasso.models.newest import beside
from picasso.models.recognition import Format
from picasso.models.scan import require
from picasso.models.tf.frozen_graph import find_tensor, guess_input, guess_output, importer, operations_of, with_values
from picasso.models.tf.graph import Graph
from picasso.models.tf.graph_model import GraphModel
from picasso.models.tf.runtime import tf, tf1


class TFModel(GraphModel):
    """A classifier saved by a TensorFlow 1 ``Saver``, or as a frozen graph."""

    framework = "tensorflow"

    def load(
        self,
        data_dir: str | None = None,
        tf_input_var: str = "",
        tf_predict_var: str = "",
        path: str | None = None,
        input_shape: Sequence[int] | None = None,
        constant_feeds: Mapping[str, Any] | None = None,
        trust_model: bool = False,
        output_kind: str = "",
    ) -> None:
        """Load the newest checkpoint in ``data_dir``, or the checkpoint or frozen graph ``path``.

        Args:
            data_dir: the folder of a checkpoint's three files.
            tf_input_var: the name of the input tensor, such as ``"pictures:0"``; optional if the graph has only one
                placeholder.
            tf_predict_var: the name of the output tensor, such as ``"probabilities:0"``; optional if
                the graph ends in one softmax or sigmoid.
            path: a ``.pb`` file, or a checkpoint's prefix (the path without ``.meta``), instead of ``data_dir``.
            input_shape: ``(H, W, C)``, for graphs whose placeholder does not define it; by default the shape of the
                arrays from :meth:`preprocess`, if a class overrides it.
            constant_feeds: values of further placeholders, such as ``{"keep_prob:0": 1.0}``.
            trust_model: if True, operations that access files or call Python may run.
            output_kind: the kind of the output values, such as ``"logits"``; detected by default.

        Raises:
            ModelError: the files are missing or broken, or a tensor name is not in the graph.
        """
        self.output_kind = output_kind or self.output_kind
        found = recognition.tensorflow_1(path, data_dir)
        self.format = found.format
        if found.format is Format.CHECKPOINT:
            need_files(found.path)
        require(found, trust_model, self.limits)
        if found.format is Format.FROZEN_GRAPH:
            file, name = found.path, found.path.name
            files: tuple[Path, ...] = (file,)
            definition = read_frozen(file)
        else:
            file, name = Path(f"{found.path}.index"), found.path.name
            files = beside(found.path, (".meta", ".index", ".data-*-of-*"))
            definition = freeze(found.path, tf_input_var, tf_predict_var, tuple(constant_feeds or ()), trust_model)
        learned = None if input_shape else self.shape_of_preprocess()
        feeds = constant_feeds
        build = importer(definition, tf_input_var, tf_predict_var, name, input_shape, learned, feeds, trust_model)
        self.adopt(Graph(build, name, said=self.said()), file)
        self.checkpoint, self.files = name, files


def read_frozen(file: Path) -> Any:
    """Return the GraphDef in a ``.pb`` file.

    Raises:
        ModelError: the file is missing, is no GraphDef, is empty, or is not frozen.
    """
    definition = tf1.GraphDef()
    try:
        definition.ParseFromString(file.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"There is no model file {file}.") from None
    except Exception as error:
        raise ModelError(f"{file.name} is not a frozen TensorFlow graph: {reason(error)}.") from error
    if not definition.node:
        raise ModelError(f"{file.name} is empty; a frozen graph has operations.")
    if any("Variable" in kind or kind == "VarHandleOp" for kind in operations_of(definition)):
        raise ModelError(f"{file.name} is not frozen: it has variables without values. Load the checkpoint instead.")
    return definition


def need_files(prefix: Path) -> None:
    """Raise a ModelError unless the ``.meta`` and ``.index`` files of a checkpoint exist."""
    for ending in (".meta", ".index"):
        if not Path(f"{prefix}{ending}").is_file():
            raise ModelError(
                f"There is no {prefix.name}{ending} in {prefix.parent}; a checkpoint has .meta, .index and .data files."
            )


def freeze(prefix: Path, input_name: str, output_name: str, feeds: Sequence[str], trust: bool) -> Any:
    """Return a checkpoint's GraphDef with its variables replaced by constants.

    This is necessary, because a graph with TensorFlow 1 reference variables can't be cut into functions.
    """
    meta = prefix.with_name(prefix.name + ".meta")
    try:
        document = tf1.MetaGraphDef.FromString(meta.read_bytes())
        with tf.Graph().as_default() as graph:
            tf1.import_graph_def(document.graph_def, name="")
            chosen = input_name or guess_input(graph, dict.fromkeys(feeds), prefix.name)
            source = find_tensor(graph, "tf_input_var", chosen)
            output = find_tensor(graph, "tf_predict_var", output_name or guess_output(graph, prefix.name))
        return with_values(document, output.name, prefix, prefix.name, source, trust=trust)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"TensorFlow could not load the checkpoint {prefix.name}: {reason(error)}.") from error
