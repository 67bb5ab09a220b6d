"""Hostile Keras files, written without Keras: of its versions 1, 2 and 3, as archive, HDF5 and JSON."""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.hostile.models import Hostile

Json = dict[str, Any]
Make = Callable[[Path], Json]
TENSOR = {
    "class_name": "__keras_tensor__",
    "config": {"shape": [None, 8, 8, 3], "dtype": "float32", "keras_history": ["i", 0, 0]},
}
# Bytes that Python's marshal would read as code; nothing ever gets that far.
CODE = "4wEAAAAAAAAAAAAAAAIAAABDAAAAcwgAAAB8AGQBFABTAA=="


def layer(kind: str, module: str | None = "keras.layers", call: Json | None = None, **config: Any) -> Json:
    """Return one layer of a Keras 3 model, called with a tensor or with what is given."""
    calls = [call or {"args": [TENSOR], "kwargs": {}}]
    name = {"name": "x"} | config
    found: Json = {"class_name": kind, "config": name, "registered_name": None, "name": "x", "inbound_nodes": calls}
    return found if module is None else {"module": module, **found}


def model(inner: Json, **more: Any) -> Json:
    """Return a Keras 3 model with an input, a layer and a pooling layer."""
    first = {**layer("InputLayer", batch_shape=[None, 8, 8, 3], name="i"), "name": "i", "inbound_nodes": []}
    last = {**layer("GlobalAveragePooling2D", name="g"), "name": "g"}
    config = {"name": "m", "layers": [first, inner, last], "input_layers": ["i", 0, 0], "output_layers": ["g", 0, 0]}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config, **more}


def sequential(*layers: Json, version: str = "2.15.0") -> Json:
    """Return a model of Keras 2."""
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 8, 8, 3], "name": "i"}}
    return {"class_name": "Sequential", "config": {"name": "m", "layers": [first, *layers]}, "keras_version": version}


def function(module: str, name: str) -> Json:
    """Return a function by its name."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def weights(fill: Callable[[h5py.File], object] = lambda file: None) -> bytes:
    """Return a file of weights."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("layers")
        fill(file)
    return buffer.getvalue()


def packed(members: list[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, body in members:
            archive.writestr(name, body, method)
    return buffer.getvalue()


def members(config: Json | bytes, stored: bytes | None = None) -> list[tuple[str | zipfile.ZipInfo, bytes]]:
    """Return the members of a Keras archive."""
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    body = weights() if stored is None else stored
    return [("config.json", text), ("metadata.json", b'{"keras_version": "3.15.1"}'), ("model.weights.h5", body)]


def hostile(name: str, kind: str, said: str, make: Callable[[Path], bytes]) -> Hostile:
    """Return a hostile file from what gives its bytes, beside which lie weights for an architecture."""

    def write(folder: Path, outside: Path) -> None:
        (folder / name).write_bytes(make(outside))
        if name.endswith(".json"):
            (folder / "weights.h5").write_bytes(weights())

    return Hostile(name, kind, said, write)


def archive(name: str, said: str, make: Make, kind: str = "code") -> Hostile:
    """Return a Keras archive with a hostile configuration."""
    return hostile(f"{name}.keras", kind, said, lambda outside: packed(members(make(outside))))


def zipped(name: str, kind: str, said: str, make: Callable[[Path], bytes]) -> Hostile:
    """Return a hostile archive with a harmless configuration."""
    return hostile(f"{name}.keras", kind, said, make)


def legacy(name: str, said: str, make: Make, attribute: str = "model_config", kind: str = "code") -> Hostile:
    """Return a file in HDF5 with a hostile configuration."""

    def write(outside: Path) -> bytes:
        def fill(file: h5py.File) -> None:
            file.attrs["model_config"] = json.dumps(HARMLESS)
            file.attrs[attribute] = json.dumps(make(outside))

        return weights(fill)

    return hostile(f"{name}.h5", kind, said, write)


def stored(name: str, kind: str, said: str, fill: Callable[[h5py.File, Path], object]) -> Hostile:
    """Return a file in HDF5 with a harmless configuration and hostile weights."""

    def write(outside: Path) -> bytes:
        def all_of(file: h5py.File) -> None:
            file.attrs["model_config"] = json.dumps(HARMLESS)
            fill(file, outside)

        return weights(all_of)

    return hostile(f"{name}.h5", kind, said, write)


def architecture(name: str, said: str, make: Make, kind: str = "code", *, twice: bool = False) -> Hostile:
    """Return a hostile architecture as JSON; Keras 1 encoded it twice."""

    def write(outside: Path) -> bytes:
        text = json.dumps(make(outside))
        return (json.dumps(text) if twice else text).encode()

    return hostile(f"{name}.json", kind, said, write)


HARMLESS = sequential({"class_name": "Flatten", "config": {"name": "f"}})
FINE = model(layer("ReLU"))
LAMBDA = {"class_name": "__lambda__", "config": {"code": CODE, "defaults": None, "closure": None}}


def applying(module: str, name: str, argument: Callable[[Path], Any]) -> Make:
    """Return what makes a model with a Lambda that calls a function of Keras with an argument while it is built."""

    def make(outside: Path) -> Json:
        call = {"args": [], "kwargs": {"inputs": argument(outside)}}
        return model(layer("Lambda", function=function(module, name), arguments={}, call=call))

    return make


def nested(inner: Make) -> Make:
    """Return what makes a model whose layer is wrapped in another."""
    return lambda outside: model(layer("TimeDistributed", layer=inner(outside)))


CONFIGURATIONS = [
    archive("lambda_python", "layer Lambda runs Python code", lambda _: model(layer("Lambda", function=LAMBDA))),
    archive("lambda_saved_model", "layer Lambda", applying("keras.layers", "TFSMLayer", str)),
    archive("lambda_setting", "layer Lambda", applying("keras.config", "set_image_data_format", lambda _: "x")),
    archive("lambda_download", "layer Lambda", applying("keras.utils", "get_file", lambda _: "http://127.0.0.1:9/x")),
    archive("lambda_harmless", "layer Lambda", applying("keras.ops", "relu", lambda _: 1.0)),
    archive(
        "lambda_by_module",
        'layer Lambda.*layer "x" \\(Lambda\\), config.json, config.layers\\[1\\]',
        lambda _: model(layer("Lambda", "keras.src.layers.core.lambda_layer", function=LAMBDA)),
    ),
    archive("lambda_nested", r"config\.layers\[1\]\.config\.layer", nested(lambda _: layer("Lambda", function=LAMBDA))),
    archive("lambda_activation", "Python code", lambda _: model(layer("Activation", activation=LAMBDA))),
    archive("saved_model", "loads a SavedModel", lambda outside: model(layer("TFSMLayer", filepath=str(outside)))),
    archive("torch", "pickled PyTorch", lambda _: model(layer("TorchModuleWrapper", module="gASVAAAA"))),
    archive("jax", "layer JaxLayer", lambda _: model(layer("JaxLayer", call_fn=function("os", "system")))),
    archive(
        "download",
        '"keras.utils.get_file"',
        lambda _: model(layer("ReLU", max_value=function("keras.utils", "get_file"))),
    ),
    archive("system", 'module "os"', lambda _: model(layer("Activation", activation=function("os", "system")))),
    archive(
        "eval", '"eval" is a Python function', lambda _: model(layer("Dense", activation=function("builtins", "eval")))
    ),
    archive(
        "process", 'module "subprocess"', lambda outside: model(layer("Popen", "subprocess", args=f"touch {outside}"))
    ),
    archive("own_code", 'module "picasso', lambda _: model(layer("Process", "picasso.jobs.worker_process", name="x"))),
    archive("alias", "is registered as", lambda _: model({**layer("Dense"), "registered_name": "os>system"})),
    archive("words", "vocabulary", lambda outside: model(layer("StringLookup", vocabulary=str(outside)))),
    archive("relative_words", "vocabulary", lambda _: model(layer("TextVectorization", vocabulary="words.txt"))),
    archive(
        "path_in_call",
        r"is a path.*inbound_nodes\[0\]\.args\[0\]",
        lambda outside: model(
            layer("ConvertToTensor", "keras.src.ops.core", call={"args": [str(outside)], "kwargs": {}})
        ),
    ),
    archive("address", "is a path or an address", lambda _: model(layer("Dense", handle="https://127.0.0.1:9/model"))),
    archive(
        "at_once",
        "no tensor among",
        lambda _: model(layer("Tile", "keras.src.ops.numpy", call={"args": [[1.0], [10**11]]})),
    ),
    archive(
        "hidden_in_a_tensor",
        "a type that the file names",
        lambda _: model(
            layer(
                "ReLU",
                call={
                    "args": [
                        {**TENSOR, "config": {"shape": {"class_name": "TypeSpec", "type_spec": "x", "serialized": []}}}
                    ]
                },
            )
        ),
    ),
    archive(
        "map", "ops.core.Map", lambda _: model(layer("Map", "keras.src.ops.core", function=function("os", "system")))
    ),
    archive("operation", "function.Function", lambda _: model(layer("Function", "keras.src.ops.function"))),
    archive(
        "callback", "CSVLogger", lambda outside: model(layer("CSVLogger", "keras.callbacks", filename=str(outside)))
    ),
    archive(
        "loss",
        "load_model",
        lambda _: model(layer("ReLU"), compile_config={"loss": function("keras.saving", "load_model")}),
    ),
    archive(
        "inner_loss",
        r"config\.layers\[1\]\.config\.layer\.compile_config\.loss",
        nested(lambda _: model(layer("ReLU"), compile_config={"loss": function("keras.utils", "get_file")})),
    ),
    archive(
        "type",
        "a type that the file names",
        lambda _: model(
            layer(
                "InputLayer",
                type_spec={
                    "class_name": "__typespec__",
                    "spec_name": "Popen",
                    "module": "subprocess",
                    "config": [],
                    "registered_name": None,
                },
            )
        ),
    ),
    archive(
        "initializer",
        "set_floatx",
        lambda _: model(layer("Dense", kernel_initializer=function("keras.config", "set_floatx"))),
    ),
    archive(
        "objects",
        'type "object"',
        lambda _: model(
            layer("Rescaling", scale={"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}})
        ),
    ),
    archive("repeated", r"1,000,000,000,000 values", lambda _: model(layer("RepeatVector", n=10**12)), kind="limit"),
    archive(
        "wide_input",
        "describes a tensor of",
        lambda _: model(layer("InputLayer", batch_shape=[None, 10**6, 10**6, 3])),
        kind="limit",
    ),
    legacy(
        "lambda_2",
        "layer Lambda",
        lambda _: sequential(
            {"class_name": "Lambda", "config": {"name": "x", "function": [CODE, None, None], "function_type": "lambda"}}
        ),
    ),
    legacy("lambda_3", "layer Lambda", lambda _: sequential(layer("Lambda", None, function=LAMBDA))),
    legacy(
        "write_file",
        "io.write_file",
        lambda outside: sequential(
            {
                "class_name": "TFOpLambda",
                "config": {"name": "x", "function": "io.write_file"},
                "inbound_nodes": [[str(outside), 0, 0, {}]],
            }
        ),
    ),
    legacy(
        "graph",
        "TensorFlowOpLayer",
        lambda _: sequential({"class_name": "TensorFlowOpLayer", "config": {"name": "x", "node_def": "WriteFile"}}),
    ),
    legacy(
        "property",
        "InstanceProperty",
        lambda _: sequential({"class_name": "InstanceProperty", "config": {"name": "x", "attr_name": "__class__"}}),
    ),
    legacy("how_trained", "get_file", lambda _: {"loss": function("keras.utils", "get_file")}, "training_config"),
    architecture("lambda_as_json", "layer Lambda", lambda _: model(layer("Lambda", function=LAMBDA))),
    architecture(
        "lambda_of_keras_2", "layer Lambda", lambda _: sequential(layer("Lambda", None, function=[CODE, None, None]))
    ),
    architecture(
        "lambda_of_keras_1",
        "layer Lambda",
        lambda _: {
            "class_name": "Sequential",
            "config": [{"class_name": "Lambda", "config": {"name": "x", "function": CODE}}],
        },
        twice=True,
    ),
    architecture("system_as_json", 'module "os"', lambda _: layer("system", "os", command="touch x")),
    architecture("no_model", "does not describe a Keras model", lambda _: {"class_name": "Dense"}, "broken"),
]


def member(name: str, mode: int = 0, **more: Any) -> zipfile.ZipInfo:
    """Return what an archive says of a member."""
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    for key, value in more.items():
        setattr(info, key, value)
    return info


def with_member(name: str, mode: int = 0) -> Callable[[Path], bytes]:
    """Return what makes an archive with one member more, which holds the path outside."""
    return lambda outside: packed([*members(FINE), (member(name, mode), str(outside).encode())])


def patched(body: bytes, signature: bytes, at: int, change: bytes) -> bytes:
    """Return a body with some bytes after its last signature changed."""
    place = body.rindex(signature) + at
    return body[:place] + change + body[place + len(change) :]


def overlapping(_: Path) -> bytes:
    """Return an archive with a member that reaches into the next one, which says its size only behind itself."""
    body = packed([*members(FINE), ("assets/a", b"x" * 1000), ("assets/b", b"x" * 1000)])
    local, central = body.index(b"assets/a") - 30, body.rindex(b"assets/a") - 46
    for at, change in (
        (local + 6, b"\x08\0"),
        (central + 8, b"\x08\0"),
        (central + 20, struct.pack("<LL", 1500, 1500)),
    ):
        body = body[:at] + change + body[at + len(change) :]
    return body


def npz(body: bytes) -> Callable[[Path], bytes]:
    """Return what makes an archive with weights in NumPy's format."""
    inside = packed([("layers/x.npy", body)])
    return lambda _: packed([*members(FINE)[:2], ("model.weights.npz", inside)])


def npy(described: str, values: bytes = b"") -> bytes:
    """Return an array of NumPy with a header of its own."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(described)) + described.encode() + values


ZEROS = bytes(60_000_000)
ARCHIVES = [
    zipped("member_outside", "code", "is a path outside the archive", with_member("assets/../../escaped")),
    zipped("member_absolute", "code", "is a path outside the archive", with_member("/escaped")),
    zipped("member_backslash", "code", "is a path outside the archive", with_member("assets\\..\\..\\escaped")),
    zipped("member_drive", "code", "is a path outside the archive", with_member("assets/C:escaped")),
    zipped("member_link", "code", "a link or a device", with_member("assets/vocabulary.txt", stat.S_IFLNK | 0o777)),
    zipped("member_code", "code", "does not belong to a Keras archive", with_member("sitecustomize.py")),
    zipped(
        "member_twice",
        "broken",
        "two members with the same name",
        lambda _: packed([*members(FINE), ("Config.json", b"{}")]),
    ),
    zipped(
        "member_encrypted", "broken", "encrypted", lambda _: patched(packed(members(FINE)), b"PK\x01\x02", 8, b"\1\0")
    ),
    zipped(
        "member_packed_oddly",
        "broken",
        "by a method that Keras does not use",
        lambda _: packed(members(FINE), zipfile.ZIP_LZMA),
    ),
    zipped(
        "member_lies", "broken", "contradicts", lambda _: patched(packed(members(FINE)), b"PK\x01\x02", 24, b"\1\0\0\0")
    ),
    zipped("members_overlap", "broken", "overlaps another", overlapping),
    zipped("no_weights", "broken", "contains config.json and either", lambda _: packed(members(FINE)[:2])),
    zipped("bomb", "limit", "60,000,000", lambda _: packed(members(FINE, ZEROS), zipfile.ZIP_DEFLATED)),
    zipped(
        "bomb_of_json",
        "limit",
        "reading it may take",
        lambda _: packed(members(b"[" + b"[]," * 2_000_000 + b"0]"), zipfile.ZIP_DEFLATED),
    ),
    zipped("deep_json", "limit", "levels deep", lambda _: packed(members(b"[" * 100_000 + b"]" * 100_000))),
    zipped(
        "key_twice",
        "broken",
        'key "config" twice',
        lambda _: packed(members(b'{"class_name": "Model", "config": {}, "config": {}}')),
    ),
    zipped("no_number", "broken", "NaN", lambda _: packed(members(b'{"class_name": "Model", "config": {"x": NaN}}'))),
    zipped(
        "long_number",
        "broken",
        "64 bits",
        lambda _: packed(members(b'{"class_name": "Model", "config": {"x": ' + b"9" * 100_000 + b"}}")),
    ),
    zipped("no_json", "broken", "can't be read", lambda _: packed(members(b"\xff\xfe{\0}\0"))),
    zipped(
        "pickled",
        "code",
        "not numbers",
        npz(npy("{'descr': '|O', 'fortran_order': False, 'shape': ()}", b"cos\nsystem\n(Vtouch x\ntR.")),
    ),
    zipped(
        "npz_bomb",
        "broken",
        "declares 4,000,000,000,000 bytes",
        npz(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}")),
    ),
]


def external(file: h5py.File, outside: Path) -> None:
    """Let the values of a dataset lie in another file."""
    file.create_dataset("kernel", (4,), "f4", external=[(str(outside), 0, 16)])


def virtual(file: h5py.File, outside: Path) -> None:
    """Let the values of a dataset lie in a dataset of another file."""
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(outside), "kernel", (4,))
    file.create_virtual_dataset("kernel", layout)


def chunk_bomb(file: h5py.File, _: Path) -> None:
    """Store a chunk that unpacks to more than a chunk."""
    dataset = file.create_dataset("kernel", (100,), "f4", chunks=(100,), compression="gzip")
    dataset.id.write_direct_chunk((0,), zlib.compress(bytes(2_000_000), 9))


def packed_twice(file: h5py.File, _: Path) -> None:
    """Store a chunk that is packed twice, which hides how much it unpacks to."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((100,))
    plan.set_deflate(9)
    plan.set_deflate(9)
    dataset = h5py.h5d.create(file.id, b"kernel", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((100,)), plan)
    dataset.write_direct_chunk((0,), zlib.compress(zlib.compress(bytes(2_000_000), 9), 9))


def unmasked(file: h5py.File, _: Path) -> None:
    """Store a chunk that says that it leaves out one filter, and holds a bomb for the other."""
    dataset = file.create_dataset("kernel", (100,), "f4", chunks=(100,), compression="gzip", shuffle=True)
    dataset.id.write_direct_chunk((0,), zlib.compress(bytes(2_000_000), 9), filter_mask=1)


def pair(file: h5py.File, _: Path) -> None:
    """Let a group hold itself, and a dataset that is one of texts."""
    file["layers/again"] = file["layers"]
    file.create_dataset("words", data=["a", "b"], dtype=h5py.string_dtype())


def plugged(file: h5py.File, _: Path) -> None:
    """Name a filter that is loaded from a shared library."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4,))
    plan.set_filter(h5py.h5z.FILTER_SCALEOFFSET, 0, (2, 0))
    h5py.h5d.create(file.id, b"kernel", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((4,)), plan)


def reference(file: h5py.File, _: Path) -> None:
    """Store references to objects."""
    file.create_dataset("kernel", data=np.array([file["layers"].ref], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)


def shared_texts(_: Path) -> bytes:
    """Return a file whose 3,000 names of layers are one and the same megabyte."""

    def fill(file: h5py.File) -> None:
        file.attrs["model_config"] = json.dumps(HARMLESS)
        file.attrs["long"] = "x" * 1_000_000
        file.attrs["layer_names"] = [f"{number:07}" for number in range(3000)]

    body = weights(fill)
    long, first = reference_to(body, 1_000_000), reference_to(body, 7)
    return body[:first] + body[long : long + 16] * 3000 + body[first + 16 * 3000 :]


def reference_to(body: bytes, length: int) -> int:
    """Return where a file first refers to a text of a length, which lies in one of its heaps."""
    at = body.index(struct.pack("<I", length))
    while body[(heap := int.from_bytes(body[at + 4 : at + 12], "little")) : heap + 4] != b"GCOL":
        at = body.index(struct.pack("<I", length), at + 1)
    return at


def inside(fill: Callable[[h5py.File, Path], object]) -> Callable[[Path], bytes]:
    """Return what makes an archive with hostile weights."""
    return lambda outside: packed(members(FINE, weights(lambda file: fill(file, outside))))


WEIGHTS = [
    stored("external_storage", "code", "external storage", external),
    stored(
        "external_link",
        "code",
        "link to another file",
        lambda file, outside: file.__setitem__("kernel", h5py.ExternalLink(str(outside), "/")),
    ),
    stored("soft_link", "code", "soft link", lambda file, _: file.__setitem__("kernel", h5py.SoftLink("/layers"))),
    stored("virtual", "code", "virtual dataset", virtual),
    stored("texts", "code", "not numbers", pair),
    stored("references", "code", "not numbers", reference),
    stored(
        "named_type", "code", "neither a group nor a dataset", lambda file, _: file.__setitem__("kind", np.dtype("f4"))
    ),
    stored("filter", "code", "compressed by the filters", plugged),
    stored(
        "shape_bomb",
        "limit",
        "takes 4,000,000,000,000 bytes",
        lambda file, _: file.create_dataset("kernel", (10**12,), "f4", chunks=(10**8,)),
    ),
    stored(
        "fill_bomb",
        "limit",
        "datasets take 400,000,000 bytes and store 0",
        lambda file, _: file.create_dataset("kernel", (10**8,), "f4", chunks=(10**6,)),
    ),
    stored(
        "crumbs",
        "limit",
        "consists of 10,000,000 chunks",
        lambda file, _: file.create_dataset("kernel", (10**7,), "i1", chunks=(1,)),
    ),
    stored("packed_twice", "code", "compressed by the filters", packed_twice),
    stored("mask_bomb", "broken", "skips a filter", unmasked),
    stored("chunk_bomb", "limit", "unpacks to more than 400", chunk_bomb),
    hostile("shared_texts.h5", "limit", "strings of its attributes take 3,0", shared_texts),
    hostile("cut_off.h5", "broken", "it is truncated", lambda _: weights()[:300]),
    zipped("weights_external_storage", "code", "external storage.*model.weights.h5", inside(external)),
    zipped("weights_virtual", "code", "virtual dataset.*model.weights.h5", inside(virtual)),
    zipped("weights_chunk_bomb", "limit", "unpacks to more than 400", inside(chunk_bomb)),
]
FILES = [*CONFIGURATIONS, *ARCHIVES, *WEIGHTS]
