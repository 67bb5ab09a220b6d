"""Hostile ONNX files: custom operations, values elsewhere, and graphs that cost far more than their bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from tests.hostile.models import Hostile
from tests.hostile.models.protobuf import field

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def integers(name: str, *values: int) -> Any:
    """Return a tensor of integers."""
    return helper.make_tensor(name, INT64, [len(values)], values)


def value(name: str, shape: Sequence[int | str] = (1, 3)) -> Any:
    """Return an input or output."""
    return helper.make_tensor_value_info(name, FLOAT, shape)


def model(nodes: Sequence[Any], tensors: Sequence[Any] = (), **more: Any) -> Any:
    """Return a model whose graph takes x and gives y."""
    graph = helper.make_graph(list(nodes), "g", [value("x", [1, 3, 8, 8])], [value("y")], list(tensors))
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)], **more)


def body(nodes: Sequence[Any], name: str = "b") -> Any:
    """Return the graph of a branch."""
    return helper.make_graph(list(nodes), name, [], [value("inner")])


def writing(make: Callable[[], Any]) -> Callable[[Path, Path], None]:
    """Return what writes the one model, or the bytes, that ``make`` makes."""

    def write(folder: Path, _: Path) -> None:
        made = make()
        content = made if isinstance(made, bytes) else made.SerializeToString()
        (folder / f"{folder.name.removesuffix('_onnx')}.onnx").write_bytes(content)

    return write


def outside(
    location: Callable[[Path], str], prepare: Callable[[Path, Path], object] = lambda *_: None, **said: str
) -> Callable[[Path, Path], None]:
    """Return what writes a model with values elsewhere, after it has prepared the folder."""

    def write(folder: Path, mark: Path) -> None:
        prepare(folder, mark)
        weights = TensorProto(name="w", data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
        for key, text in {"location": location(mark), "length": "16", **said}.items():
            weights.external_data.add(key=key, value=text)
        made = model([helper.make_node("Add", ["x", "w"], ["y"], "add")], [weights])
        (folder / f"{folder.name.removesuffix('_onnx')}.onnx").write_bytes(made.SerializeToString())

    return write


def custom(operation: str = "Evil", domain: str = "evil.domain") -> Any:
    """Return an operation that the file does not hold."""
    return helper.make_node(operation, ["x"], ["inner"], "custom", domain=domain)


def last(name: str) -> Any:
    """Return what makes the output of a tensor."""
    return helper.make_node("ReduceSum", [name], ["y"], "last")


def calling(functions: Sequence[Any], first: str) -> Any:
    """Return a model that calls the first of its functions."""
    node = helper.make_node(first, ["x"], ["y"], "call", domain="own")
    return model([node], functions=list(functions))


def function(name: str, nodes: Sequence[Any], domain: str = "own", made_in: str = "own") -> Any:
    """Return a function of the file from a to b, whose operations are of a domain, and itself of another."""
    return helper.make_function(made_in, name, ["a"], ["b"], list(nodes), [helper.make_opsetid(domain, 13)])


def doubling(levels: int) -> Any:
    """Return a model whose functions each call the next one twice."""
    made = []
    for level in range(levels):
        called = ["Identity", ""] if level == levels - 1 else [f"f{level + 1}", "own"]
        nodes = [
            helper.make_node(called[0], [one], [other], domain=called[1]) for one, other in (("a", "c"), ("c", "b"))
        ]
        made.append(function(f"f{level}", nodes))
    return calling(made, "f0")


def nested(levels: int) -> Any:
    """Return a model with branches in branches."""
    inner = helper.make_node("Identity", ["x"], ["inner"])
    for _ in range(levels):
        inner = helper.make_node("If", ["c"], ["inner"], then_branch=body([inner]), else_branch=body([inner], "e"))
        inner.attribute[1].g.Clear()
    return model([inner, last("inner")])


def looping(times: str, inside: Sequence[Any] = (), state: str = "") -> Any:
    """Return a loop that runs so often, and keeps a tensor as its state."""
    condition = helper.make_tensor_value_info("k", TensorProto.BOOL, [])
    count = helper.make_tensor_value_info("i", INT64, [])
    kept = [helper.make_node("Identity", ["k"], ["kept"]), *inside]
    inputs, outputs = [count, condition], [helper.make_tensor_value_info("kept", TensorProto.BOOL, [])]
    if state:
        kept.append(helper.make_node("Identity", ["s"], ["t"]))
        inputs.append(helper.make_tensor_value_info("s", FLOAT, None))
        outputs.append(helper.make_tensor_value_info("t", FLOAT, None))
    graph = helper.make_graph(kept, "body", inputs, outputs)
    names = ([times, "", state], [f"{state}_out"]) if state else ([times, ""], [])
    return helper.make_node("Loop", *names, "loop", body=graph)


def with_tensor(change: Callable[[Any], object]) -> Any:
    """Return a model with a tensor that is changed after it was made."""
    made = model([helper.make_node("Add", ["x", "w"], ["y"])], [helper.make_tensor("w", FLOAT, [4], [0.0] * 4)])
    change(made.graph.initializer[0])
    return made


def truncated_choice() -> bytes:
    """Return a model that says where values lie by a number whose last 32 bits are those of another file."""
    whole: bytes = with_tensor(lambda one: setattr(one, "doc_string", "abcd")).SerializeToString()
    return whole.replace(field(12, "abcd"), field(14, (1 << 32) + TensorProto.EXTERNAL))


def opaque() -> Any:
    """Return a model with an input of a type of somebody's own."""
    made = model([last("x")])
    made.graph.input.add(name="o").type.opaque_type.name = "evil"
    return made


def sparse() -> Any:
    """Return a model with a sparse tensor of few values and a huge shape."""
    made = model([last("x")])
    values, places = helper.make_tensor("s", FLOAT, [1], [1.0]), helper.make_tensor("p", INT64, [1], [0])
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [1 << 20, 1 << 20]))
    return made


def many_outside() -> Callable[[Path, Path], None]:
    """Return what writes a model that reads one file again and again."""

    def write(folder: Path, _: Path) -> None:
        (folder / "values.bin").write_bytes(bytes(4_000_000))
        tensors = []
        for index in range(1100):
            one = TensorProto(name=f"w{index}", data_type=FLOAT, dims=[1_000_000], data_location=TensorProto.EXTERNAL)
            one.external_data.add(key="location", value="values.bin")
            tensors.append(one)
        (folder / "onnx_many_outside.onnx").write_bytes(model([last("x")], tensors).SerializeToString())

    return write


def too_new() -> Any:
    """Return a model of a version that nobody knows yet."""
    made = model([last("x")])
    made.ir_version = 99
    return made


def link(folder: Path, mark: Path) -> None:
    (folder / "values.bin").symlink_to(mark)


def fifo(folder: Path, _: Path) -> None:
    os.mkfifo(folder / "values.bin")


def hard_link(folder: Path, mark: Path) -> None:
    (folder / "values.bin").hardlink_to(mark)


def linked_folder(folder: Path, mark: Path) -> None:
    (folder / "sub").symlink_to(mark.parent)


def plain(folder: Path, _: Path) -> None:
    (folder / "values.bin").write_bytes(bytes(16))


def beside(_: Path) -> str:
    return "values.bin"


ELSEWHERE = 'its values are in .*, which is not the name of a file beside the model; initializer "w"'
SIZE = "the size of a tensor does not match its shape"
BIG = 1 << 20
MADE = r"it makes \S+ values, and 4000 MB are allowed"


def bomb(operation: str, *tensors: Any, inputs: Sequence[str] = (), **attributes: Any) -> Callable[[], Any]:
    """Return what makes a model with an operation that makes a huge tensor of nothing."""
    names = list(inputs) or [one.name for one in tensors]
    return lambda: model([helper.make_node(operation, names, ["big"], "bomb", **attributes), last("big")], tensors)


FILES = [
    Hostile("onnx_absolute.onnx", "code", ELSEWHERE, outside(str)),
    Hostile("onnx_parent.onnx", "code", ELSEWHERE, outside(lambda mark: f"../{mark.name}")),
    Hostile("onnx_drive.onnx", "code", ELSEWHERE, outside(lambda mark: f"C:\\{mark.name}")),
    Hostile("onnx_subfolder.onnx", "code", ELSEWHERE, outside(lambda mark: f"sub/{mark.name}", linked_folder)),
    Hostile("onnx_memory.onnx", "code", ELSEWHERE, outside(lambda _: "*/_ORT_MEM_ADDR_/*", offset="4096")),
    Hostile("onnx_symlink.onnx", "code", "a link to a place outside the model's folder", outside(beside, link)),
    Hostile("onnx_fifo.onnx", "code", "which is not a regular file", outside(beside, fifo)),
    Hostile("onnx_hard_link.onnx", "code", "a hard link", outside(beside, hard_link)),
    Hostile("onnx_missing.onnx", "code", "which does not exist", outside(beside)),
    Hostile(
        "onnx_truncated_choice.onnx", "broken", "the unknown number 4294967297",
        writing(truncated_choice),
    ),
    Hostile(
        "onnx_function_of_the_runtime.onnx", "broken", "in a domain of ONNX or its runtime",
        writing(lambda: model([last("x")], functions=[function("EPContext", [], made_in="com.microsoft")])),
    ),
    Hostile("onnx_unknown_key.onnx", "code", 'as "basepath" specifies', outside(beside, plain, basepath="/")),
    Hostile("onnx_behind_the_end.onnx", "broken", "has 16 bytes", outside(beside, plain, offset="8")),
    Hostile("onnx_no_number.onnx", "broken", "is not a number", outside(beside, plain, offset="x")),
    Hostile("onnx_many_outside.onnx", "limit", "tensors take", many_outside()),
    Hostile(
        "onnx_custom.onnx", "code", 'the operation "Evil" of the domain "evil.domain" .*; node "custom"',
        writing(lambda: model([custom(), last("inner")])),
    ),
    Hostile(
        "onnx_context.onnx", "code", '"EPContext" is not among',
        writing(lambda: model([custom("EPContext", "com.microsoft"), last("inner")])),
    ),
    Hostile(
        "onnx_decoder.onnx", "code", '"ImageDecoder" is not among',
        writing(lambda: model([custom("ImageDecoder", ""), last("inner")])),
    ),
    Hostile(
        "onnx_custom_in_branch.onnx", "code", 'node "custom" .*, branch "then_branch" of node "if"',
        writing(
            lambda: model(
                [
                    helper.make_node("If", ["c"], ["inner"], "if", then_branch=body([custom()]), else_branch=body([])),
                    last("inner"),
                ]
            )
        ),
    ),
    Hostile(
        "onnx_custom_in_loop.onnx", "code", 'node "custom" .*, branch "body" of node "loop"',
        writing(lambda: model([looping("n", [custom()]), last("x")], [integers("n", 3)])),
    ),
    Hostile(
        "onnx_custom_in_function.onnx", "code", 'node "custom" .*, function "f"',
        writing(lambda: calling([function("f", [custom(), last("inner")])], "f")),
    ),
    Hostile(
        "onnx_recursion.onnx", "broken", "calls itself",
        writing(lambda: calling([function("f", [helper.make_node("f", ["a"], ["b"], domain="own")])], "f")),
    ),
    Hostile("onnx_doubling.onnx", "limit", "its functions expand to more than", writing(lambda: doubling(40))),
    Hostile("onnx_nested.onnx", "broken", "nested in more than 16", writing(lambda: nested(30))),
    Hostile("onnx_constant_of_shape.onnx", "limit", MADE, writing(bomb("ConstantOfShape", integers("s", BIG, BIG)))),
    Hostile("onnx_expand.onnx", "limit", MADE, writing(bomb("Expand", integers("s", BIG, BIG), inputs=["x", "s"]))),
    Hostile("onnx_tile.onnx", "limit", MADE, writing(bomb("Tile", integers("s", 1, 1, BIG, BIG), inputs=["x", "s"]))),
    Hostile(
        "onnx_pad.onnx", "limit", MADE,
        writing(bomb("Pad", integers("s", 0, 0, BIG, BIG, 0, 0, 0, 0), inputs=["x", "s"])),
    ),
    Hostile(
        "onnx_pooling.onnx", "limit", MADE,
        writing(bomb("MaxPool", inputs=["x"], kernel_shape=[1, 1], pads=[BIG] * 4)),
    ),
    Hostile(
        "onnx_resize.onnx", "limit", MADE,
        writing(bomb("Resize", helper.make_tensor("s", FLOAT, [4], [1, 1, 1e6, 1e6]), inputs=["x", "", "s"])),
    ),
    Hostile(
        "onnx_joined.onnx", "limit", MADE,
        writing(
            lambda: model(
                [
                    helper.make_node("Identity", ["s"], ["c0"]),
                    *(helper.make_node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(36)),
                    last("c36"),
                ],
                [integers("s", 1)],
            )
        ),
    ),
    Hostile(
        "onnx_spread.onnx", "limit", MADE,
        writing(
            bomb("ConvTranspose", helper.make_tensor("w", FLOAT, [3, 1, 1, 1], [1.0] * 3), inputs=["x", "w"],
                 strides=[BIG, BIG])
        ),
    ),
    Hostile(
        "onnx_einsum.onnx", "limit", MADE,
        writing(
            lambda: model(
                [
                    helper.make_node("ConstantOfShape", ["s"], ["long"]),
                    helper.make_node("Einsum", ["long", "long"], ["big"], "outer", equation="i,j->ij"),
                    last("big"),
                ],
                [integers("s", BIG)],
            )
        ),
    ),
    Hostile("onnx_random.onnx", "limit", MADE, writing(bomb("RandomNormal", shape=[BIG, BIG]))),
    Hostile(
        "onnx_range.onnx", "limit", MADE,
        writing(bomb("Range", integers("a", 0), integers("b", 1 << 40), integers("c", 1))),
    ),
    Hostile(
        "onnx_outer_product.onnx", "limit", MADE,
        writing(
            lambda: model(
                [
                    helper.make_node("ConstantOfShape", ["s"], ["column"]),
                    helper.make_node("Transpose", ["column"], ["row"]),
                    helper.make_node("Add", ["column", "row"], ["big"], "sum"),
                    last("big"),
                ],
                [integers("s", BIG, 1)],
            )
        ),
    ),
    Hostile(
        "onnx_computed_size.onnx", "limit", MADE,
        writing(
            lambda: model(
                [
                    helper.make_node("Mul", ["s", "s"], ["t"]),
                    helper.make_node("ConstantOfShape", ["t"], ["big"], "bomb"),
                    last("big"),
                ],
                [integers("s", BIG)],
            )
        ),
    ),
    Hostile("onnx_sparse.onnx", "limit", "tensors take", writing(sparse)),
    Hostile(
        "onnx_input.onnx", "limit", 'input "huge"',
        writing(
            lambda: helper.make_model(
                helper.make_graph([last("huge")], "g", [value("huge", [1, BIG, BIG, 3])], [value("y")]), ir_version=9
            )
        ),
    ),
    Hostile(
        "onnx_endless.onnx", "code", "more than 1,000,000 times",
        writing(lambda: model([looping(""), last("x")])),
    ),
    Hostile(
        "onnx_loops_in_loops.onnx", "code", "more than 1,000,000 times",
        writing(lambda: model([looping("n", [looping("n", [looping("n")])]), last("x")], [integers("n", 1000)])),
    ),
    Hostile("onnx_shape.onnx", "broken", SIZE, writing(lambda: with_tensor(lambda one: one.dims.append(BIG)))),
    Hostile(
        "onnx_negative.onnx", "broken", "negative dimension",
        writing(lambda: with_tensor(lambda one: one.dims.append(-1))),
    ),
    Hostile(
        "onnx_type.onnx", "broken", "unknown type",
        writing(lambda: with_tensor(lambda one: setattr(one, "data_type", 77))),
    ),
    Hostile("onnx_training.onnx", "code", "training graphs", writing(lambda: trained())),
    Hostile("onnx_opaque.onnx", "code", "opaque type", writing(opaque)),
    Hostile("onnx_version.onnx", "broken", "version 99", writing(too_new)),
    Hostile("onnx_cut.onnx", "broken", "it is truncated", writing(lambda: model([last("x")]).SerializeToString()[:-9])),
    Hostile(
        "onnx_unknown_field.onnx", "broken", "field number 99",
        writing(lambda: model([last("x")]).SerializeToString() + b"\x9a\x06\x00"),
    ),
    Hostile("onnx_two_graphs.onnx", "broken", "twice", writing(lambda: model([last("x")]).SerializeToString() * 2)),
    Hostile("onnx_text.onnx", "broken", "", writing(lambda: b"#!/bin/sh\necho no model\n" * 10)),
]  # fmt: skip


def trained() -> Any:
    """Return a model that says how to train it further."""
    made = model([last("x")])
    made.training_info.add().algorithm.CopyFrom(body([custom()]))
    return made
