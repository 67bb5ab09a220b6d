"""Variables of TensorFlow's files are read by name, however they were saved; what the list of operations lets in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.errors import ModelError
from picasso.models import load_model
from picasso.models.scan import graph_operations, scan
from tests.hostile.models import tensorflow_graphs as graphs

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE, CLASSES = (8, 8, 3), 4
IMAGES = np.random.default_rng(6).random((3, *SHAPE), np.float32)
FACTORS = np.random.default_rng(7).normal(size=(3, CLASSES)).astype(np.float32)


@pytest.fixture(scope="module")
def tf() -> Any:
    from picasso.models.tf.runtime import tf

    return tf


def plain(tf1: Any) -> tuple[Any, Any]:
    """A reference variable."""
    return tf1.get_variable("factors", initializer=FACTORS, use_resource=False), tf1.train.Saver()


def resource(tf1: Any) -> tuple[Any, Any]:
    """A resource variable."""
    return tf1.get_variable("factors", initializer=FACTORS, use_resource=True), tf1.train.Saver()


def partitioned(tf1: Any) -> tuple[Any, Any]:
    """A variable in parts, of which each has its place in one tensor of the checkpoint."""
    parts = tf1.fixed_size_partitioner(2, axis=1)
    random = tf1.random_normal_initializer(seed=1)
    return tf1.get_variable("factors", FACTORS.shape, initializer=random, partitioner=parts), tf1.train.Saver()


def averaged(tf1: Any) -> tuple[Any, Any]:
    """A variable that takes the value of another name, as moving averages do."""
    variable = tf1.get_variable("factors", initializer=FACTORS)
    return variable, tf1.train.Saver({"factors/ExponentialMovingAverage": variable})


def sharded(tf1: Any) -> tuple[Any, Any]:
    """A variable whose saver names its files by their number."""
    return tf1.get_variable("factors", initializer=FACTORS), tf1.train.Saver(sharded=True)


@pytest.mark.parametrize("make", [plain, resource, partitioned, averaged, sharded], ids=lambda one: one.__name__)
def test_checkpoints_of_tensorflow_1(make: Callable[[Any], tuple[Any, Any]], tf: Any, tmp_path: Path) -> None:
    tf1 = tf.compat.v1
    with tf.Graph().as_default(), tf1.Session() as session:
        inputs = tf1.placeholder(tf.float32, [None, *SHAPE], "pictures")
        variable, saver = make(tf1)
        answer = tf1.nn.softmax(tf1.matmul(tf1.reduce_mean(inputs, [1, 2]), variable), name="answer")
        # What trains lies in the file, too.
        tf1.train.AdamOptimizer().minimize(tf1.reduce_sum(tf1.math.log(answer)))
        tf1.summary.histogram("answer", answer)
        session.run(tf1.global_variables_initializer())
        saver.save(session, str(tmp_path / "m.ckpt"), write_state=False)
        expected = session.run(answer, {inputs: IMAGES})
    assert scan(tmp_path / "m.ckpt.index").is_data
    model = load_model(tmp_path / "m.ckpt.index", tf_predict_var="answer:0")
    np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-6)


def test_a_saved_model_whose_other_output_looks_names_up(tf: Any, tmp_path: Path) -> None:
    """A table of class names, filled from a file of the model's own, lies beside the scores and is not loaded."""
    words = tmp_path / "words.txt"
    words.write_text("ant\nbee\ncat\ndog\n")

    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            kind = tf.lookup.TextFileInitializer(
                str(words), tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE
            )
            self.table = tf.lookup.StaticHashTable(kind, "none")
            self.factors = tf.Variable(FACTORS)

        @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, images: Any) -> Any:
            scores = tf.nn.softmax(tf.reduce_mean(images, [1, 2]) @ self.factors)
            return {"scores": scores, "names": self.table.lookup(tf.argmax(scores, axis=1))}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.__call__)
    expected = module(tf.constant(IMAGES))["scores"]
    assert scan(tmp_path / "m").is_data
    np.testing.assert_allclose(load_model(tmp_path / "m", output="scores").predict(IMAGES), expected, atol=1e-6)
    # Only an asset of the model may fill a table.
    asset = tmp_path / "m" / "assets" / "words.txt"
    asset.unlink()
    asset.symlink_to(words)
    with pytest.raises(ModelError, match=r"m was not loaded: it is a link to a place outside .*; asset \"words.txt\""):
        load_model(tmp_path / "m", output="scores")


# What no operation of the list may do, by words that TensorFlow's own names of such operations hold.
TELLING = (
    "File", "Dataset", "Iterator", "Save", "Restore", "Print", "PyFunc", "Rpc", "Recv", "Send", "Collective", "Remote",
    "Decode", "Encode", "Parse", "Serialize", "Deserialize", "Reader", "Record", "Summary", "Debug", "Immutable", "TPU",
    "Xla", "Queue", "Barrier", "Stage", "Session", "Server", "Custom", "Dump", "Checkpoint", "Timestamp", "Sleep",
    "Temporary", "Mutex", "Nccl", "DTensor", "BoostedTrees", "Accumulator", "Unicode", "Proto", "Vocab", "Sql", "Lmdb",
)  # fmt: skip


def test_the_list_of_operations_against_all_that_tensorflow_has(tf: Any) -> None:
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    known = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    names = {one.name for one in known.op}
    assert len(names) > 1000
    assert names >= graph_operations.ALLOWED | graph_operations.DORMANT
    assert graph_operations.ALLOWED.isdisjoint(graph_operations.DORMANT)
    telling = {name for name in graph_operations.ALLOWED if any(word in name for word in TELLING)}
    assert telling == set()
    # Less than a third of all is let in.
    assert len(graph_operations.ALLOWED) < len(names) / 3


def test_circles_in_what_restores_variables_end() -> None:
    from picasso.models.tf import variables
    from picasso.models.tf.runtime import tf1

    graph = tf1.GraphDef()
    for name, operation, *inputs in (
        ("a", "Identity", "b"), ("b", "Identity", "a"), ("empty", "Identity"), ("bare", "Assign"),
        ("first", "AssignVariableOp", "a", "b"), ("second", "Assign", "empty", "a"),
        ("all", "NoOp", "^first", "^second", "^bare"),
    ):  # fmt: skip
        graph.node.add(name=name, op=operation, input=inputs)
    assert variables.sources(graph, "all") == {}
    assert variables.origin("a", {node.name: node for node in graph.node}) in ("a", "b")


def test_values_without_an_index_are_not_looked_for(tmp_path: Path) -> None:
    from picasso.models.tf import variables
    from picasso.models.tf.runtime import tf1

    (tmp_path / "variables").write_bytes(b"a checkpoint of an older format")
    with pytest.raises(ModelError, match=r"of flowers are missing: there is no variables\.index"):
        variables.values(tf1.MetaGraphDef(), tmp_path / "variables", ["w"], "flowers")


def test_a_graph_that_tensorflow_can_not_build(tmp_path: Path) -> None:
    circle = [graphs.node(name, "Identity", other, T=graphs.kind(graphs.FLOAT)) for name, other in ("ab", "ba")]
    (tmp_path / "a.pb").write_bytes(graphs.graph(graphs.classifier(*circle)))
    with pytest.raises(
        ModelError, match=r"TensorFlow could not build the graph of a\.pb: ValueError: 2 nodes in a cycle"
    ):
        load_model(tmp_path / "a.pb")
