"""Judging what a configuration of Keras names, without Keras."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from picasso.models.scan import scan
from picasso.models.scan.findings import Context, Kind
from picasso.models.scan.keras_config import judge

FOLDER = Path(__file__).parent.parent / "zoo"
FUNCTION = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}
TENSOR = {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "keras_history": ["/layer", 0, 0]}}
HARMLESS: list[dict[str, Any]] = [
    {"class_name": "Dense", "config": {"activation": "relu", "kernel_initializer": "glorot_uniform"}},
    {"module": "keras.layers", "class_name": "Dense", "config": {"activation": FUNCTION}, "registered_name": None},
    {"module": "keras.src.ops.numpy", "class_name": "Add", "config": {"name": "add"}, "registered_name": "Add"},
    {"module": "tf_keras.src.engine.functional", "class_name": "Functional", "config": {"layers": []}},
    {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {},
        "registered_name": "Functional",
    },
    {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}, "registered_name": None},
    FUNCTION,
    {**FUNCTION, "module": "keras.ops", "config": "gelu", "registered_name": "gelu"},
    {"class_name": "TFOpLambda", "config": {"function": "math.multiply"}},
    {"class_name": "SlicingOpLambda", "config": {"function": "__operators__.getitem"}},
    {"class_name": "StringLookup", "config": {"vocabulary": ["a/b", "http://c", "/etc/passwd"]}},
    {"class_name": "Own", "config": {"activation": "of_my_own"}},
    {"module": "os", "class_name": "Dense", "config": {}, "registered_name": "flowers>Scale"},
    {"module": "builtins", "class_name": "function", "config": "Scale", "registered_name": "flowers>Scale"},
    {"inbound_nodes": [{"args": [TENSOR, "bij,bjk->bik", "channels_last"], "kwargs": {"axis": -1}}]},
    {"inbound_nodes": [["_CONSTANT_VALUE", -1, 0.5, {"y": ["c/d", 0, 0]}]]},
    {"inbound_nodes": [[["a/b", 0, 0, {"y": ["c/d", 0, 0], "name": "e/f"}]]]},
    {"value": {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}}},
]


@pytest.mark.parametrize("part", HARMLESS)
def test_what_computes_only_is_not_found(part: dict[str, Any]) -> None:
    assert list(judge(around(part), Context(known=frozenset({"Own", "flowers>Scale"})), "x")) == []


def around(part: dict[str, Any]) -> dict[str, Any]:
    """Return a model with a layer that holds something."""
    layer = {"class_name": "TimeDistributed", "config": {"name": "t", "layer": part}}
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}


CODE: list[tuple[dict[str, Any], str]] = [
    ({"class_name": "Lambda", "config": {"function": ["4wEA", None, None]}}, "a layer Lambda runs"),
    ({"class_name": "TFSMLayer", "config": {"filepath": "x"}}, "loads a SavedModel from a path"),
    ({"class_name": "TFOpLambda", "config": {"function": "io.write_file"}}, '"io.write_file" of TensorFlow'),
    ({"class_name": "TFOpLambda", "config": {"function": "numpy_function"}}, '"numpy_function" of TensorFlow'),
    ({"class_name": "TFOpLambda", "config": {}}, "of TensorFlow is not known to compute only"),
    ({"class_name": "TensorFlowOpLayer", "config": {"node_def": ""}}, "runs an operation"),
    ({"class_name": "StringLookup", "config": {"vocabulary": "words.txt"}}, "may be the name of a file"),
    (
        {"class_name": "StringLookup", "config": {"vocabulary": {"class_name": "__bytes__"}}},
        "may be the name of a file",
    ),
    ({"class_name": "Dense", "config": {"units": "/etc/passwd"}}, '"…/passwd" is a path or an address'),
    ({"class_name": "Dense", "config": {"units": "hf://somebody/x"}}, "is a path or an address"),
    ({"module": "os", "class_name": "Dense", "config": {}}, 'is imported from the module "os"'),
    ({"module": "os", "class_name": "popen", "config": {}}, 'is imported from the module "os"'),
    ({"module": "picasso.models", "class_name": "load_model", "config": {}}, "is imported from the module"),
    ({"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": "system"}, "is registered as"),
    ({"module": "keras.utils", "class_name": "get_file", "config": {}}, '"keras.utils.get_file" is not a layer'),
    ({"module": "keras.src.ops.core", "class_name": "Map", "config": {}}, '"keras.src.ops.core.Map" is not a layer'),
    ({**FUNCTION, "config": "eval"}, '"eval" is a Python function'),
    ({**FUNCTION, "module": "os", "config": "system"}, 'is imported from the module "os"'),
    ({**FUNCTION, "module": "keras.config", "config": "set_floatx"}, '"keras.config.set_floatx" is not known'),
    ({**FUNCTION, "module": "keras.ops", "config": "convert_to_numpy"}, "is not known to compute only"),
    ({"class_name": "__lambda__", "config": {}}, "Python code"),
    ({"class_name": ["Dense"], "config": {}}, "the name of a class is not a string"),
    ({"value": {"class_name": "__numpy__", "config": {"value": [], "dtype": "object"}}}, "has the non-numeric type"),
    ({"inbound_nodes": [{"args": [TENSOR, "secrets/key"], "kwargs": {}}]}, "which may be a path"),
]


@pytest.mark.parametrize(("part", "what"), CODE)
def test_code_files_and_addresses_are_found_with_their_place(part: dict[str, Any], what: str) -> None:
    (found,) = judge(around(part), Context(), "config.json")
    assert (found.kind, found.name) == (Kind.CODE, "")
    assert what in found.what
    assert "config.json, config.layers[0].config.layer" in found.where


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ({"class_name": "Own", "config": {}}, "Own"),
        ({"class_name": "flowers>Scale", "config": {}}, "flowers>Scale"),
        ({"module": "m", "class_name": "Scale", "config": {}, "registered_name": "flowers>Scale"}, "flowers>Scale"),
        ({"module": None, "class_name": "Scale", "config": {}, "registered_name": "flowers>Scale"}, "flowers>Scale"),
        ({**FUNCTION, "config": "of_my_own"}, "of_my_own"),
        ({"class_name": "Dense", "config": {"activation": "of_my_own"}}, "of_my_own"),
        ({"class_name": "Dense", "config": {"kernel_initializer": "of_my_own"}}, "of_my_own"),
        ({"class_name": "deserialize", "config": {}}, "deserialize"),
    ],
)
def test_classes_of_somebodys_own_are_asked_for(part: dict[str, Any], name: str) -> None:
    (found,) = judge(around(part), Context(), "config.json")
    assert (found.kind, found.name) == (Kind.CUSTOM, name)
    # How the outermost model was trained is not read by Keras: code in there is refused, what is missing is not.
    assert list(judge({**around({}), "compile_config": {"loss": part}}, Context(), "config.json")) == []


@pytest.mark.parametrize("said", [1 << 30, [2, 1 << 30], 1e12])
@pytest.mark.parametrize("setting", ["num_oov_indices", "ngrams"])
def test_layers_that_make_too_many_objects(setting: str, said: Any) -> None:
    layer = {"class_name": "StringLookup", "config": {"name": "s", "vocabulary": ["a"], setting: said}}
    (finding,) = judge(around(layer), Context(), "x")
    assert finding.kind is Kind.LIMIT
    assert f"the setting {setting} is 1," in finding.what


def test_operations_in_a_format_that_has_none() -> None:
    (finding,) = judge(around({"class_name": "GetItem", "config": {"name": "g"}}), Context(), "x")
    assert finding.kind is Kind.BROKEN
    assert "save the whole model as .keras" in finding.what


def test_the_files_of_earlier_keras_are_data() -> None:
    for pattern in ("*.h5", "*.keras", "*/*.json", "*/*5"):
        for file in FOLDER.glob(pattern):
            assert scan(file).is_data, file


def test_what_keras_writes_is_read_without_the_hdf5_library_and_in_the_same_way() -> None:
    from picasso.models.scan import hdf5_library
    from picasso.models.scan.hdf5_plain import PlainFile

    for pattern in ("*.h5", "*/*5"):
        for file in FOLDER.glob(pattern):
            size, names = file.stat().st_size, ("model_config", "training_config")
            with file.open("rb") as stream:
                plain = PlainFile(stream, size, Context(), file.name)
                found = list(plain.faults()), {name: plain.text(name) for name in names if name in plain.attributes}
                assert found == hdf5_library.read(stream, size, Context(), file.name, names)
    code = "import sys; from pathlib import Path; from picasso.models.scan import scan\n"
    code += "print(scan(Path(sys.argv[1])).is_data, {'h5py', 'numpy', 'keras'} & set(sys.modules))"
    file = FOLDER / "keras2_zip.keras"
    ended = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert ended.stdout == "True set()\n"


def test_other_programs_may_pack_what_they_store(tmp_path: Path) -> None:
    import h5py

    for version in ("earliest", "latest"):
        with h5py.File(tmp_path / "weights.h5", "w", libver=version) as file:
            file.attrs["layer_names"] = ["dense"]
            options = {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": (10, 10)}
            file.create_dataset("dense/kernel", data=[[float(number) for number in range(25)]] * 25, **options)
        assert scan(tmp_path / "weights.h5").findings == (), version


def test_a_finding_names_layer_file_and_path(tmp_path: Path) -> None:
    part = {"class_name": "Lambda", "config": {"name": "double", "function": []}}
    (tmp_path / "m.json").write_text(json.dumps({"class_name": "Sequential", "config": {"layers": [part]}}))
    (found,) = scan(tmp_path / "m.json")
    assert found.where == 'layer "double" (Lambda), m.json, config.layers[0]'
