"""The numbers of inputs and outputs of TFLite operations, which runtimes read without a check.

The numbers are those of the kernels in ``tensorflow/lite/kernels`` of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from picasso.models.scan.flatbuffer import Table
from picasso.models.scan.shapes import product
from picasso.models.scan.tflite_sizes import Tensor
from picasso.models.scan.wire import Broken

# Each line: the allowed numbers of inputs, of outputs, the inputs that may be omitted, and the operations.
LINES = """
    0 | 0 | | CALL_ONCE
    0 | 1 | | VAR_HANDLE
    2 | 0 | | ASSIGN_VARIABLE
    1 | 1 | | ABS AVERAGE_POOL_2D BITCAST BUCKETIZE CAST CEIL COMPLEX_ABS COS DENSIFY DEPTH_TO_SPACE DEQUANTIZE ELU EXP
    1 | 1 | | FAKE_QUANT FLOOR GELU HARD_SWISH IMAG L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LOCAL_RESPONSE_NORMALIZATION
    1 | 1 | | LOG LOGICAL_NOT LOGISTIC LOG_SOFTMAX MATRIX_DIAG MAX_POOL_2D NEG QUANTIZE RANDOM_STANDARD_NORMAL
    1 | 1 | | RANDOM_UNIFORM RANK READ_VARIABLE REAL RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 ROUND RSQRT SHAPE SIGN SIN
    1 | 1 | | SOFTMAX SPACE_TO_DEPTH SQRT SQUARE SQUEEZE TANH WHERE ZEROS_LIKE
    1 | 2 | | UNIQUE
    1 | 1+ | | UNPACK
    1-2 | 1 | | RESHAPE
    2 | 1 | | ADD ARG_MAX ARG_MIN ATAN2 BATCH_MATMUL BITWISE_XOR BROADCAST_ARGS BROADCAST_TO CUMSUM DIV EMBEDDING_LOOKUP
    2 | 1 | | EQUAL EXPAND_DIMS FILL FLOOR_DIV FLOOR_MOD GATHER GATHER_ND GREATER GREATER_EQUAL LESS LESS_EQUAL
    2 | 1 | | LOGICAL_AND LOGICAL_OR MATRIX_SET_DIAG MAXIMUM MEAN MINIMUM MIRROR_PAD MUL MULTINOMIAL NOT_EQUAL PAD POW
    2 | 1 | | PRELU REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR
    2 | 1 | | REVERSE_SEQUENCE REVERSE_V2 RFFT2D RIGHT_SHIFT SEGMENT_SUM SQUARED_DIFFERENCE SUB SUM TILE TRANSPOSE
    2 | 2 | | TOPK_V2
    2 | 1+ | | SPLIT
    3 | 1 | | BATCH_TO_SPACE_ND DYNAMIC_UPDATE_SLICE PADV2 RANGE SCATTER_ND SELECT SELECT_V2 SLICE SPACE_TO_BATCH_ND
    3 | 1 | | UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM
    3 | 1+ | | SPLIT_V
    4 | 1 | | ONE_HOT SPARSE_TO_DENSE STRIDED_SLICE
    2-3 | 1 | 2 | CONV_2D CONV_3D DEPTHWISE_CONV_2D
    2-3 | 1-2 | 2 | FULLY_CONNECTED
    3-4 | 1 | 3 | CONV_3D_TRANSPOSE TRANSPOSE_CONV
    1+ | 1 | | ADD_N CONCATENATION PACK
    1+ | 0+ | | IF WHILE
    5 | 2 | | NON_MAX_SUPPRESSION_V4
    6 | 3 | | NON_MAX_SUPPRESSION_V5
    5 | 1 | | RNN UNIDIRECTIONAL_SEQUENCE_RNN
    5 | 1 | 3 | SVDF
    12 | 1-2 | 9 10 11 | BIDIRECTIONAL_SEQUENCE_RNN
    5-24 | 1-4 | 1 5 9 10 11 12 16 17 20 21 22 23 | LSTM
    20-24 | 1 | 1 5 9 10 11 12 16 17 20 21 22 23 | UNIDIRECTIONAL_SEQUENCE_LSTM
    48 | 1-2 | 1 5 9 10 11 12 16 17 18 22 26 27 28 29 33 34 39 40 41 42 43 44 45 46 47 | BIDIRECTIONAL_SEQUENCE_LSTM
"""


class Slots(NamedTuple):
    """The least and the largest numbers of inputs and outputs, and the inputs that may be omitted."""

    inputs: tuple[int, float]
    outputs: tuple[int, float]
    optional: frozenset[int]


def bounds(text: str) -> tuple[int, float]:
    """Return the bounds of ``2``, ``2-3`` or ``2+``."""
    if text.endswith("+"):
        return int(text[:-1]), float("inf")
    least, _, most = text.partition("-")
    return int(least), int(most or least)


def slots() -> dict[str, Slots]:
    """Return the table."""
    found = {}
    for line in LINES.strip().splitlines():
        inputs, outputs, optional, names = (part.strip() for part in line.split("|"))
        one = Slots(bounds(inputs), bounds(outputs), frozenset(map(int, optional.split())))
        found.update(dict.fromkeys(names.split(), one))
    return found


SLOTS = slots()
# The operations whose options repeat the number of their outputs or inputs, in the field 4.
REPEATED = {"PACK": True, "SPLIT": False, "SPLIT_V": False, "UNPACK": False}
# The inputs that are one number, and those that are vectors.
SINGLE = {
    "ARG_MAX": (1,), "ARG_MIN": (1,), "CUMSUM": (1,), "EXPAND_DIMS": (1,), "ONE_HOT": (1,), "RANGE": (0, 1, 2),
    "SPLIT": (0,), "SPLIT_V": (2,), "TOPK_V2": (1,),
}  # fmt: skip
VECTOR = {
    "BROADCAST_TO": (1,), "FILL": (0,), "RESIZE_BILINEAR": (1,), "RESIZE_NEAREST_NEIGHBOR": (1,), "SLICE": (1, 2),
    "SPLIT_V": (1,), "STRIDED_SLICE": (1, 2, 3), "TILE": (1,), "TRANSPOSE": (1,), "TRANSPOSE_CONV": (0,),
}  # fmt: skip
# The basic kernel of LSTM has five inputs, of which none is optional.
BASIC = 5


def check(name: str, inputs: Sequence[Tensor | None], outputs: int, options: Table | None) -> None:
    """Check the inputs and the number of outputs of an operation.

    Args:
        name: the operation, for example ``CONV_2D``; others than those of the table are not checked.
        inputs: its inputs; None for those that are omitted.
        outputs: how many outputs it has.
        options: its options.

    Raises:
        Broken: it has too few or too many, it omits one that is required, or one has another rank than required.
    """
    if name not in SLOTS:
        return
    rule = SLOTS[name]
    for what, count, (least, most) in (("inputs", len(inputs), rule.inputs), ("outputs", outputs, rule.outputs)):
        if not least <= count <= most:
            raise Broken(f"{name} with {count} {what} does not exist")
    optional = rule.optional if len(inputs) > BASIC or name != "LSTM" else frozenset[int]()
    for at, one in enumerate(inputs):
        if one is None and at not in optional:
            raise Broken(f"{name} requires its input {at}, which is omitted")
    if name == "WHILE" and outputs != len(inputs):
        raise Broken(f"WHILE has {len(inputs)} inputs and {outputs} outputs; it requires as many outputs as inputs")
    if name in REPEATED:
        said, has = options.number(4, "<i") if options else 0, len(inputs) if REPEATED[name] else outputs
        if said != has:
            what = "inputs" if REPEATED[name] else "outputs"
            raise Broken(f"{name} has {has} {what}, and its options say {said}")
    ranks(name, inputs)


def ranks(name: str, inputs: Sequence[Tensor | None]) -> None:
    """Check the shapes of the inputs that are one number or a vector."""
    # The shapes of other tensors than constants may be unknown.
    for at in SINGLE.get(name, ()):
        one = inputs[at]
        if one is not None and one.constant and product(one.shape) != 1:
            raise Broken(f"{name} requires one number as its input {at}")
    for at in VECTOR.get(name, ()):
        one = inputs[at]
        if one is not None and one.constant and len(one.shape) != 1:
            raise Broken(f"{name} requires a vector as its input {at}")
