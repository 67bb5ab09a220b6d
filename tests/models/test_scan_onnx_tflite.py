"""ONNX and TFLite files are read as data first: hostile ones are refused, by the scan and by what loads models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from picasso.errors import ModelError
from picasso.models.onnx import ONNXModel
from picasso.models.scan import Limits, scan
from picasso.models.tflite import TFLiteModel
from tests.hostile.make_models import write
from tests.hostile.models import Hostile, onnx_files, tflite_files
from tests.hostile.models.onnx_files import calling, custom, function, integers, last, looping, model, value
from tests.hostile.opened import opened
from tests.zoo.make_files import FOLDER

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a file outside of the model's folder, which hostile files name."""
    (tmp_path / "outside").mkdir()
    file = tmp_path / "outside" / "secret.txt"
    file.write_text("marker\n" * 100)
    return file


@pytest.mark.parametrize("hostile", [*onnx_files.FILES, *tflite_files.FILES], ids=lambda one: one.name)
def test_hostile_files_are_refused(hostile: Hostile, tmp_path: Path, outside: Path) -> None:
    file = write(hostile, tmp_path, outside)
    with opened() as paths:
        report = scan(file)
    assert {one for one in paths if not one.endswith((".py", ".pyc"))} <= {str(file)}
    assert [one.kind for one in report][:1] == [hostile.kind]
    said = [f"{one.what}; {one.where}" for one in report]
    assert any(re.search(hostile.said, one) for one in said), said
    with pytest.raises(ModelError, match=f"{hostile.name} was not loaded: ") as caught:
        (ONNXModel() if file.suffix == ".onnx" else TFLiteModel()).load(path=str(file))
    assert str(tmp_path) not in caught.value.message
    assert "marker" not in caught.value.message


def classifier(nodes: list[Any], *tensors: Any, **more: Any) -> Any:
    """Return a model of images of 8 x 8 that ends in three classes."""
    mean = helper.make_node("ReduceMean", ["t"], ["m"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph(
        [*nodes, mean, helper.make_node("Softmax", ["m"], ["y"])],
        "g", [value("x", ["n", 3, 8, 8])], [value("y", ["n", 3])], list(tensors),
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, ir_version=8, opset_imports=opsets, **more)


def branches() -> Any:
    """Return a choice between two branches."""
    parts = {
        name: helper.make_graph([helper.make_node(kind, ["x"], [name])], name, [], [value(name, ["n", 3, 8, 8])])
        for name, kind in (("then_branch", "Relu"), ("else_branch", "Identity"))
    }
    return helper.make_node("If", ["go"], ["t"], **parts)


HARMLESS = {
    "plain": lambda: classifier([helper.make_node("Relu", ["x"], ["t"])]),
    "runtime's own": lambda: classifier([helper.make_node("QuickGelu", ["x"], ["t"], domain="com.microsoft")]),
    "function": lambda: classifier(
        [helper.make_node("f", ["x"], ["t"], domain="own")],
        functions=[function("f", [helper.make_node("Abs", ["a"], ["b"])], "")],
    ),
    "branches": lambda: classifier([branches()], helper.make_tensor("go", TensorProto.BOOL, [], [True])),
    "loop": lambda: classifier([looping("n", state="x"), helper.make_node("Relu", ["x_out"], ["t"])], integers("n", 3)),
    "constants": lambda: classifier(
        [helper.make_node("ConstantOfShape", ["s"], ["c"]), helper.make_node("Add", ["x", "c"], ["t"])],
        integers("s", 1, 3, 8, 8),
    ),
    "every type": lambda: classifier(
        [helper.make_node("Relu", ["x"], ["t"])],
        *(
            helper.make_tensor(f"{kind}{raw}", kind, [3], [1, 0, 1] if not raw else np.zeros(3, dtype).tobytes(), raw)
            for kind, dtype in (
                (TensorProto.FLOAT, "f4"), (TensorProto.UINT8, "u1"), (TensorProto.INT8, "i1"),
                (TensorProto.INT32, "i4"), (TensorProto.INT64, "i8"), (TensorProto.BOOL, "?"),
                (TensorProto.DOUBLE, "f8"), (TensorProto.UINT64, "u8"),
            )
            for raw in (False, True)
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_files_load(name: str, tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(HARMLESS[name]().SerializeToString())
    assert list(scan(file)) == []
    loaded = ONNXModel()
    loaded.load(path=str(file))
    assert loaded.num_classes == 3


@pytest.mark.parametrize("linked", [False, True])
def test_values_beside_the_model_are_read(tmp_path: Path, linked: bool) -> None:
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3, 1, 1], data_location=TensorProto.EXTERNAL)
    for key, text in {"location": "a.onnx.data", "offset": "4", "length": "12", "checksum": "0" * 40}.items():
        weights.external_data.add(key=key, value=text)
    store = tmp_path / "store"
    store.mkdir()
    (store / "a.onnx").write_bytes(
        classifier([helper.make_node("Add", ["x", "w"], ["t"])], weights).SerializeToString()
    )
    (store / "a.onnx.data").write_bytes(np.array([9, 1, 2, 3], np.float32).tobytes())
    if linked:
        # As caches of downloaded models lay them out: links in one folder to files in another.
        for name in ("a.onnx", "a.onnx.data"):
            (tmp_path / name).symlink_to(store / name)
    assert list(scan((tmp_path if linked else store) / "a.onnx")) == []
    loaded = ONNXModel()
    loaded.load(path=str(store / "a.onnx"))
    answer = loaded.predict(np.zeros((1, 8, 8, 3), np.float32))
    np.testing.assert_allclose(answer, [np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()], rtol=1e-5)


@pytest.mark.parametrize("name", ["logits.onnx", "fixed_batch.onnx", "float.tflite", "quantized.tflite"])
def test_the_zoo_is_data(name: str) -> None:
    report = scan(FOLDER / name)
    assert report.is_data
    assert report.format == ("ONNX" if name.endswith("onnx") else "TFLite")


def test_trust_lifts_code_only(tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(model([custom(), last("inner")]).SerializeToString())
    with pytest.raises(ModelError, match=r"Evil.*; node \"custom\".* If you trust the file: trust_model=True"):
        ONNXModel().load(path=str(file))
    # The runtime does not know the operation either.
    with pytest.raises(ModelError, match="can't be read as ONNX"):
        ONNXModel().load(path=str(file), trust_model=True)
    file.write_bytes(
        calling([function("f", [helper.make_node("f", ["a"], ["b"], domain="own")])], "f").SerializeToString()
    )
    with pytest.raises(ModelError, match="calls itself"):
        ONNXModel().load(path=str(file), trust_model=True)


def test_the_limits_are_those_of_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1_000_000], bytes(4_000_000), raw=True)
    file.write_bytes(classifier([helper.make_node("Relu", ["x"], ["t"])], weights).SerializeToString())
    assert scan(file).is_data
    (finding,) = scan(file, Limits.of(3))
    assert (finding.kind, finding.what) == ("limit", "it has 4 MB, and 3 MB are allowed")
    loaded = ONNXModel()
    loaded.limits = Limits.of(3)
    with pytest.raises(ModelError, match=r"3 MB are allowed. To allow more: model_mb=8000"):
        loaded.load(path=str(file))


def test_many_fields_end_the_reading(tmp_path: Path) -> None:
    """A file of millions of tiny fields is not read to its end."""
    file = tmp_path / "a.onnx"
    node = b"\x0a\x00" * 1_000_000
    content = b"\x08\x08" + b"\x3a" + bytes([len(node) & 127 | 128, len(node) >> 7 & 127 | 128, len(node) >> 14]) + node
    file.write_bytes(content)
    (finding,) = scan(file, Limits(members=1000))
    assert (finding.kind, finding.what) == ("limit", "it contains more than 10000 entries")


def test_names_of_a_file_do_not_control_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b[2J\n" + "y" * 20_000
    file = tmp_path / "a.onnx"
    made = model([last("x"), helper.make_node("Identity", ["y"], [evil])])
    made.graph.output.append(value(evil))
    file.write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match="has 2 outputs") as caught:
        ONNXModel().load(path=str(file))
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 3_000
