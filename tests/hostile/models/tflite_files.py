"""Hostile TFLite files: custom operations, offsets that lead out of the file, and graphs that cost far too much."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.hostile.models import Hostile

BUILTIN, TYPES = schema.BuiltinOperator, schema.TensorType
BIG = 1 << 20


def tensor(name: str, shape: tuple[int, ...], kind: int = TYPES.FLOAT32, buffer: int = 0) -> Any:
    """Return a tensor."""
    one = schema.TensorT()
    one.name, one.shape, one.type, one.buffer = name, list(shape), kind, buffer
    return one


def buffer(values: Any = ()) -> Any:
    """Return the values of a tensor."""
    one = schema.BufferT()
    content = np.asarray(values).tobytes() if len(values) else b""
    one.data = np.frombuffer(content, np.uint8) if content else None
    return one


def operation(code: int, inputs: list[int], outputs: list[int], options: Any = None, kind: int = 0) -> Any:
    """Return an operation."""
    one = schema.OperatorT()
    one.opcodeIndex, one.inputs, one.outputs = code, inputs, outputs
    one.builtinOptions, one.builtinOptionsType = options, kind
    return one


def code(number: int, custom: str = "") -> Any:
    """Return a kind of operation."""
    one = schema.OperatorCodeT()
    one.builtinCode, one.deprecatedBuiltinCode, one.version = number, min(number, 127), 1
    one.customCode = custom or None
    return one


def graph(tensors: list[Any], operations: list[Any], inputs: list[int], outputs: list[int]) -> Any:
    """Return a graph."""
    one = schema.SubGraphT()
    one.tensors, one.operators, one.inputs, one.outputs = tensors, operations, inputs, outputs
    return one


def softmax() -> Any:
    """Return a harmless model: the softmax of ten numbers, in two tensors."""
    one = schema.ModelT()
    one.version, one.operatorCodes = 3, [code(BUILTIN.SOFTMAX), code(BUILTIN.FILL)]
    one.buffers = [buffer(), buffer(np.full(2, BIG, np.int32))]
    tensors = [tensor("x", (1, 10)), tensor("y", (1, 10)), tensor("sides", (2,), TYPES.INT32, 1)]
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    steps = [operation(0, [0], [1], options, schema.BuiltinOptions.SoftmaxOptions)]
    one.subgraphs = [graph(tensors, steps, [0], [1])]
    return one


def packed(model: Any) -> bytes:
    """Return a model as the bytes of a file."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def changed(change: Callable[[Any], object]) -> Callable[[Path, Path], None]:
    """Return what writes the harmless model after a change; ``change`` may give other bytes."""

    def write(folder: Path, _: Path) -> None:
        model = softmax()
        made = change(model)
        content = made if isinstance(made, bytes) else packed(model)
        (folder / f"{folder.name.removesuffix('_tflite')}.tflite").write_bytes(content)

    return write


def with_code(number: int, custom: str = "") -> Callable[[Any], None]:
    """Return what adds a kind of operation, and an operation of that kind."""

    def change(model: Any) -> None:
        model.operatorCodes.append(code(number, custom))
        model.subgraphs[0].operators.append(operation(2, [0], [1]))

    return change


def filled(model: Any) -> None:
    """Fill a tensor of 10^12 values with one."""
    model.subgraphs[0].operators.append(operation(1, [2, 0], [1]))


def constants(
    model: Any, number: int, *inputs: tuple[tuple[int, ...], Any], options: Any = None, kind: int = 0
) -> None:
    """Add an operation on constants of shapes and values."""
    main = model.subgraphs[0]
    places = []
    for shape, values in inputs:
        model.buffers.append(buffer(values))
        types = {"int32": TYPES.INT32, "int8": TYPES.INT8}
        kind_of = types.get(np.asarray(values).dtype.name, TYPES.FLOAT32)
        main.tensors.append(tensor("c", shape, kind_of, len(model.buffers) - 1))
        places.append(len(main.tensors) - 1)
    model.operatorCodes.append(code(number))
    main.operators.append(operation(len(model.operatorCodes) - 1, places, [1]))


def line(*shape: int) -> tuple[tuple[int, ...], Any]:
    """Return a constant of bytes."""
    return shape, np.zeros(int(np.prod(shape)), np.int8)


def numbers(*values: int) -> tuple[tuple[int, ...], Any]:
    """Return a constant of integers."""
    return (len(values),), np.asarray(values, np.int32)


def looping(model: Any, condition: Any, body: Any) -> None:
    """Add a loop over two graphs."""
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    model.operatorCodes.append(code(BUILTIN.WHILE))
    model.subgraphs[0].operators.append(operation(2, [0], [1], options, schema.BuiltinOptions.WhileOptions))
    model.subgraphs += [condition, body]


def endless(model: Any) -> None:
    """Loop while a constant is true."""
    model.buffers.append(buffer(np.ones(1, np.int8)))
    condition = graph([tensor("x", (1, 10)), tensor("go", (1,), TYPES.BOOL, 2)], [], [0], [1])
    looping(model, condition, graph([tensor("x", (1, 10))], [], [0], [0]))


def unchanged(model: Any) -> None:
    """Loop while the input is true, which nothing changes."""
    parts = [graph([tensor("go", (1,), TYPES.BOOL)], [], [0], [0]) for _ in range(2)]
    looping(model, *parts)


def idle(model: Any) -> None:
    """Loop while a comparison of two constants is true."""
    model.buffers.append(buffer(np.ones(1, np.float32)))
    model.operatorCodes += [code(BUILTIN.WHILE), code(BUILTIN.EQUAL), code(BUILTIN.ABS)]
    tensors = [tensor("x", (1, 10)), tensor("one", (1,), TYPES.FLOAT32, 2), tensor("go", (1,), TYPES.BOOL)]
    condition = graph(tensors, [operation(3, [1, 1], [2])], [0], [2])
    body = graph([tensor("x", (1, 10)), tensor("y", (1, 10))], [operation(4, [0], [1])], [0], [1])
    looping(model, condition, body)


def joined(model: Any) -> None:
    """Fill a tensor with sides that another operation joins."""
    constants(model, BUILTIN.CONCATENATION, numbers(BIG), numbers(BIG))
    main = model.subgraphs[0]
    main.tensors.append(tensor("joined", (2,), TYPES.INT32))
    main.operators[-1].outputs = [len(main.tensors) - 1]
    main.operators.append(operation(1, [len(main.tensors) - 1, 0], [1]))


def with_operation(number: int, inputs: list[int], outputs: list[int], options: Any = None) -> Callable[[Any], None]:
    """Return what adds an operation."""

    def change(model: Any) -> None:
        model.operatorCodes.append(code(number))
        kind = getattr(schema.BuiltinOptions, type(options).__name__[:-1]) if options else 0
        model.subgraphs[0].operators.append(operation(2, inputs, outputs, options, kind))

    return change


def parts(count: int) -> Any:
    """Return the options of a split."""
    one = schema.SplitOptionsT()
    one.numSplits = count
    return one


def signed(model: Any) -> None:
    """Let a signature name a tensor that does not exist."""
    one, output = schema.SignatureDefT(), schema.TensorMapT()
    one.signatureKey, output.name, output.tensorIndex = "serving", "y", 99
    one.inputs, one.outputs = [], [output]
    model.signatureDefs = [one]


def itself(model: Any) -> None:
    """Let a graph run itself."""
    options = schema.IfOptionsT()
    model.operatorCodes.append(code(BUILTIN.IF))
    model.subgraphs[0].operators.append(operation(2, [0], [1], options, schema.BuiltinOptions.IfOptions))


def elsewhere(model: Any) -> None:
    """Let the values of a tensor lie in another file."""
    group, one = schema.ExternalBufferGroupT(), schema.ExternalBufferT()
    group.name, one.id, one.length = "/etc/passwd", 1, 40
    model.externalBufferGroups, model.externalBuffers = [group], [one]
    model.subgraphs[0].tensors[0].externalBuffer = 1


def offset(change: Callable[[bytes], bytes]) -> Callable[[Any], bytes]:
    """Return what changes the finished file."""
    return lambda model: change(packed(model))


def put(content: bytes, at: int, value: int) -> bytes:
    """Return bytes with another number of 32 bits at a place."""
    return content[:at] + struct.pack("<I", value) + content[at + 4 :]


def set_first(**values: Any) -> Callable[[Any], None]:
    """Return what sets attributes of the first tensor."""
    return lambda model: vars(model.subgraphs[0].tensors[0]).update(values)


def set_operation(**values: Any) -> Callable[[Any], None]:
    """Return what sets attributes of the first operation."""
    return lambda model: vars(model.subgraphs[0].operators[0]).update(values)


MADE = r"it makes \S+ values, and 4000 MB are allowed"
THERE = "that does not exist|missing values"

FILES = [
    Hostile(
        "tflite_custom.tflite", "code", 'a custom operation.*; operation "Evil"',
        changed(with_code(BUILTIN.CUSTOM, "Evil")),
    ),
    Hostile(
        "tflite_flex.tflite", "code", "TensorFlow .Flex.*FlexReadFile",
        changed(with_code(BUILTIN.CUSTOM, "FlexReadFile")),
    ),
    Hostile("tflite_delegate.tflite", "code", '"DELEGATE" is not among', changed(with_code(BUILTIN.DELEGATE))),
    Hostile("tflite_call.tflite", "code", '"STABLEHLO|number 173', changed(with_code(BUILTIN.STABLEHLO_CUSTOM_CALL))),
    Hostile("tflite_unknown.tflite", "code", '"number 9999" is not among', changed(with_code(9999))),
    Hostile("tflite_table.tflite", "code", '"HASHTABLE_IMPORT" is not', changed(with_code(BUILTIN.HASHTABLE_IMPORT))),
    Hostile("tflite_fill.tflite", "limit", MADE, changed(filled)),
    Hostile(
        "tflite_broadcast.tflite", "limit", MADE,
        changed(lambda model: constants(model, BUILTIN.BROADCAST_TO, line(1), numbers(BIG, BIG))),
    ),
    Hostile(
        "tflite_tile.tflite", "limit", MADE,
        changed(lambda model: constants(model, BUILTIN.TILE, line(1, 1), numbers(BIG, BIG))),
    ),
    Hostile(
        "tflite_pad.tflite", "limit", MADE,
        changed(lambda model: constants(model, BUILTIN.PAD, line(1, 1), numbers(BIG, 0, BIG, 0))),
    ),
    Hostile(
        "tflite_outer_product.tflite", "limit", MADE,
        changed(lambda model: constants(model, BUILTIN.ADD, line(100_000, 1), line(1, 100_000))),
    ),
    Hostile(
        "tflite_linear.tflite", "limit", MADE,
        changed(lambda model: constants(model, BUILTIN.FULLY_CONNECTED, line(100_000, 1), line(100_000, 1))),
    ),
    Hostile(
        "tflite_range.tflite", "limit", MADE,
        changed(lambda model: constants(model, BUILTIN.RANGE, numbers(0), numbers((1 << 31) - 1), numbers(1))),
    ),
    Hostile("tflite_huge.tflite", "limit", "MB are allowed", changed(set_first(shape=[BIG, BIG]))),
    Hostile("tflite_endless.tflite", "code", "never ends", changed(endless)),
    Hostile("tflite_unchanged.tflite", "code", "never ends", changed(unchanged)),
    Hostile("tflite_idle.tflite", "code", "never ends", changed(idle)),
    Hostile("tflite_joined.tflite", "limit", MADE, changed(joined)),
    Hostile(
        "tflite_omitted.tflite", "broken", "CONV_2D requires its input 1, which is omitted",
        changed(with_operation(BUILTIN.CONV_2D, [0, -1, -1], [1])),
    ),
    Hostile(
        "tflite_few.tflite", "broken", "ADD with 1 inputs does not exist",
        changed(with_operation(BUILTIN.ADD, [0], [1])),
    ),
    Hostile(
        "tflite_no_output.tflite", "broken", "ABS with 0 outputs does not exist",
        changed(with_operation(BUILTIN.ABS, [0], [])),
    ),
    Hostile(
        "tflite_parts.tflite", "broken", "SPLIT has 1 outputs, and its options say 9",
        changed(with_operation(BUILTIN.SPLIT, [2, 0], [1], parts(9))),
    ),
    Hostile(
        "tflite_axes.tflite", "broken", "SPLIT requires one number as its input 0",
        changed(with_operation(BUILTIN.SPLIT, [2, 0], [1], parts(1))),
    ),
    Hostile(
        "tflite_sparse.tflite", "code", "its values are sparse",
        changed(set_first(sparsity=schema.SparsityParametersT())),
    ),
    Hostile("tflite_name.tflite", "limit", "its name has 300000 characters", changed(set_first(name="a/" * 150_000))),
    Hostile("tflite_order.tflite", "broken", "no operation before it computes", changed(set_operation(inputs=[1]))),
    Hostile("tflite_signature.tflite", "broken", "a signature refers to a tensor", changed(signed)),
    Hostile("tflite_empty.tflite", "broken", "its input has a side of length 0", changed(set_first(shape=[0, 10]))),
    Hostile("tflite_itself.tflite", "broken", "calls itself", changed(itself)),
    Hostile("tflite_size.tflite", "broken", "its shape requires", changed(set_first(buffer=1))),
    Hostile("tflite_negative.tflite", "broken", "invalid shape", changed(set_first(shape=[-5, 10]))),
    Hostile("tflite_buffer.tflite", "broken", THERE, changed(set_first(buffer=99))),
    Hostile("tflite_type.tflite", "broken", "unknown type", changed(set_first(type=99))),
    Hostile("tflite_input.tflite", "broken", THERE, changed(set_operation(inputs=[12345]))),
    Hostile("tflite_output.tflite", "broken", THERE, changed(set_operation(outputs=[-1]))),
    Hostile("tflite_code.tflite", "broken", THERE, changed(set_operation(opcodeIndex=7))),
    Hostile("tflite_root.tflite", "broken", "outside the file", changed(offset(lambda body: put(body, 0, 1 << 30)))),
    Hostile("tflite_cut.tflite", "broken", "", changed(offset(lambda body: body[: len(body) // 2]))),
    Hostile("tflite_short.tflite", "broken", "", changed(offset(lambda body: body[:8]))),
    Hostile(
        "tflite_text.tflite", "broken", "the content is not in the format TFLite",
        changed(lambda _: b"no model at all"),
    ),
    Hostile(
        "tflite_version.tflite", "broken", "version 9",
        changed(lambda model: vars(model).update(version=9)),
    ),
]  # fmt: skip

# The oldest runtime that is allowed does not know of them yet.
if hasattr(schema, "ExternalBufferGroupT"):
    FILES.append(Hostile("tflite_elsewhere.tflite", "code", "are in other files", changed(elsewhere)))
