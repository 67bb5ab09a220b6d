"""What becomes of TensorFlow's files when they are loaded: hostile ones, and harmless ones of every kind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from picasso.errors import ModelError
from picasso.models import load_model
from picasso.models.scan import scan
from tests.hostile.make_models import write
from tests.hostile.models import Hostile, tensorflow_files
from tests.hostile.models.tensorflow_graphs import (
    CLASSES,
    FLOAT,
    INT32,
    SERVING,
    SIDE,
    STRING,
    call,
    checkpoint,
    classifier,
    constant,
    function,
    graph,
    integers,
    kind,
    kinds,
    meta_graph,
    node,
    saved,
    saver,
    scalar,
    string,
    tensor,
    variable,
)  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (SIDE, SIDE, 3)
IMAGES = np.random.default_rng(4).random((3, *SHAPE), np.float32)
FACTORS = np.random.default_rng(5).normal(size=(3, CLASSES)).astype(np.float32)
# What these leave behind where they are trusted shows that they would have left it otherwise.
EFFECTIVE = ("tf_write.pb", "tf_record.pb")


@pytest.fixture(scope="module")
def tf() -> Any:
    from picasso.models.tf.runtime import tf

    return tf


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a file outside of the model's folder, which hostile files name."""
    (tmp_path / "outside").mkdir()
    file = tmp_path / "outside" / "secret.txt"
    file.write_text("marker\n" * 100)
    return file


def softmax(scores: Any) -> Any:
    """Return probabilities."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("hostile", tensorflow_files.FILES, ids=lambda one: one.name)
def test_hostile_files_are_not_loaded(hostile: Hostile, tf: Any, tmp_path: Path, outside: Path) -> None:
    file = write(hostile, tmp_path, outside)
    with pytest.raises(ModelError, match=f"{hostile.name.removesuffix('.meta')} was not loaded: ") as caught:
        load_model(file)
    assert str(tmp_path) not in caught.value.message
    assert "marker" not in caught.value.message
    assert sorted(outside.parent.iterdir()) == [outside]


@pytest.mark.parametrize("name", EFFECTIVE)
def test_hostile_files_run_if_they_are_trusted(name: str, tf: Any, tmp_path: Path, outside: Path) -> None:
    (hostile,) = (one for one in tensorflow_files.FILES if one.name == name)
    file = write(hostile, tmp_path, outside)
    load_model(file, trust_model=True)
    assert (outside.parent / "written").exists()


def test_the_contents_of_a_file_are_no_answer(tf: Any, tmp_path: Path, outside: Path) -> None:
    for name in ("tf_read.pb", "tf_region.pb"):
        (hostile,) = (one for one in tensorflow_files.FILES if one.name == name)
        file = write(hostile, tmp_path, outside)
        with pytest.raises(ModelError, match="reads files"):
            load_model(file)
        scores = IMAGES.mean(axis=(1, 2)) + np.frombuffer(b"mar", np.uint8)
        np.testing.assert_allclose(load_model(file, trust_model=True).predict(IMAGES), softmax(scores), atol=1e-6)


TRACED = """
import sys
from picasso.errors import ModelError
from picasso.models import load_model
for file in sys.argv[1:]:
    try:
        load_model(file)
    except ModelError:
        print("refused")
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_no_path_of_a_hostile_file_is_opened(tmp_path: Path, outside: Path) -> None:
    """As the system sees it, which C++ can't get around."""
    files = [str(write(one, tmp_path, outside)) for one in tensorflow_files.FILES]
    trace = tmp_path / "trace"
    # Questions about a file, such as where a link leads, do not open it.
    watched = "trace=open,openat,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,connect"
    command = ["strace", "-f", "-e", watched, "-o", str(trace), sys.executable, "-c", TRACED, *files]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ptrace" in made.stderr.lower():
        pytest.skip("processes may not be traced here")
    assert made.stdout.split() == ["refused"] * len(files), made.stderr
    calls = trace.read_text(errors="replace").splitlines()
    assert not [
        one for one in calls for name in ("secret.txt", "written", "words.txt", "sa_family=AF_INET") if name in one
    ]
    assert any("tf_write.pb" in one for one in calls)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux only")
def test_a_size_that_a_graph_computes(tf: Any, tmp_path: Path) -> None:
    """No scan sees it; it ends in a sentence all the same."""
    nodes = [
        integers("sides", 1 << 16, 1 << 16),
        node("dims", "Mul", "sides", "axes", T=kind(INT32)),
        node("huge", "RandomUniform", "dims", T=kind(INT32), dtype=kind(FLOAT)),
        integers("both", 0, 1),
        node("small", "Max", "huge", "both", T=kind(FLOAT), Tidx=kind(INT32)),
    ]
    (tmp_path / "a.pb").write_bytes(graph(classifier(*nodes, extra="small")))
    assert scan(tmp_path / "a.pb").is_data
    with pytest.raises(ModelError, match="needs more memory than is available|OOM when allocating"):
        load_model(tmp_path / "a.pb", model_mb=100)


# ---- harmless files, made from nothing -----------------------------------------------------------------------------

EXTRA = np.array([0.5, -1, 2], np.float32)


def in_function() -> bytes:
    """Return a graph that adds a constant in a function of a function."""
    content = tensor(FLOAT, (CLASSES,), EXTRA.tobytes())
    inner = function("inner", {"a": FLOAT}, {"b": (FLOAT, "s:z:0")}, constant("c", content, FLOAT),
                     node("s", "AddV2", "a", "c:output:0", T=kind(FLOAT)))  # fmt: skip
    outer = function("outer", {"a": FLOAT}, {"b": (FLOAT, "c:output:0")}, call("c", "inner", "a", takes=[FLOAT]))
    return graph(classifier(call("found", "outer", "zero", takes=[FLOAT]), extra="found"), [inner, outer])


def test_a_frozen_graph_with_functions(tf: Any, tmp_path: Path) -> None:
    (tmp_path / "a.pb").write_bytes(in_function())
    # Twice, and beside another model with functions of the same names.
    (tmp_path / "b.pb").write_bytes(in_function().replace(EXTRA.tobytes(), (2 * EXTRA).tobytes()))
    for name, factor in (("a", 1), ("b", 2), ("a", 1)):
        expected = softmax(IMAGES.mean(axis=(1, 2)) + factor * EXTRA)
        np.testing.assert_allclose(load_model(tmp_path / f"{name}.pb").predict(IMAGES), expected, atol=1e-6)


def restored_by(operation: str, *more: bytes) -> bytes:
    """Return a MetaGraphDef with a variable that an operation restores."""
    saving = saver("save/Const:0", "save/Const:0", operation)
    return meta_graph(graph(classifier(*variable(), *more, extra="w/read")), saving=saving, signatures=SERVING)


@pytest.mark.parametrize("operation", ["save/restore_all", "", "absent"])
def test_a_checkpoint_restored_by_name(operation: str, tf: Any, tmp_path: Path) -> None:
    checkpoint(tmp_path / "m.ckpt", restored_by(operation), data=EXTRA.tobytes())
    expected = softmax(IMAGES.mean(axis=(1, 2)) + EXTRA)
    np.testing.assert_allclose(load_model(tmp_path / "m.ckpt.meta").predict(IMAGES), expected, atol=1e-6)


def test_what_saves_may_lie_in_a_file(tf: Any, tmp_path: Path) -> None:
    """Saving, training and summing up may lie beside the answer, in its own graph, and does not run."""
    target = tmp_path / "saved"
    beside = [
        string("target", str(target)),
        node("save/SaveV2", "SaveV2", "target", "save/names", "save/slices", "w", dtypes=kinds(FLOAT)),
        node("save/control", "Identity", "save/Const", "^save/SaveV2", T=kind(STRING)),
        scalar("rate", 0.1),
        node("descend", "ApplyGradientDescent", "w", "rate", "w/read", T=kind(FLOAT)),
        node("summary", "ScalarSummary", "target", "rate", T=kind(FLOAT)),
    ]
    checkpoint(tmp_path / "m.ckpt", restored_by("save/restore_all", *beside), data=EXTRA.tobytes())
    expected = softmax(IMAGES.mean(axis=(1, 2)) + EXTRA)
    for _ in range(2):
        model = load_model(tmp_path / "m.ckpt.meta", tf_predict_var="p:0")
        np.testing.assert_allclose(model.predict(IMAGES), expected, atol=1e-6)
    assert not target.exists()
    with pytest.raises(ModelError, match="SaveV2 writes files, and the output depends on it"):
        load_model(tmp_path / "m.ckpt.meta", tf_input_var="x:0", tf_predict_var="save/control:0")


def test_a_variable_without_a_value(tf: Any, tmp_path: Path) -> None:
    checkpoint(tmp_path / "m.ckpt", restored_by("save/restore_all"), entries={})
    with pytest.raises(ModelError, match=r"The checkpoint of m.ckpt contains no value for the variable w\."):
        load_model(tmp_path / "m.ckpt.meta")


def test_a_saved_model_of_either_kind(tf: Any, tmp_path: Path) -> None:
    for name, content in (("one", restored_by("save/restore_all")), ("two", saved(in_function())[2:])):
        folder = tmp_path / name
        (folder / "variables").mkdir(parents=True)
        document = b"\x08\x01" + (b"\x12" + _length(content) + content if name == "one" else content)
        (folder / "saved_model.pb").write_bytes(document)
        checkpoint(folder / "variables" / "variables", b"", data=EXTRA.tobytes())
        expected = softmax(IMAGES.mean(axis=(1, 2)) + EXTRA)
        np.testing.assert_allclose(load_model(folder).predict(IMAGES), expected, atol=1e-6)


def _length(content: bytes) -> bytes:
    from tests.hostile.models.protobuf import varint

    return varint(len(content))
