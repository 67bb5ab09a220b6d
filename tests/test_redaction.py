"""Messages of libraries, as they came, and what a visitor reads of them."""

from __future__ import annotations

import traceback

import pytest

from picasso.errors import reason
from picasso.redaction import redact

FOLDER = "/home/ada/secret-folder"
KERAS = (
    "<class 'keras.src.models.sequential.Sequential'> could not be deserialized properly. Please ensure that "
    "components that are Python object instances (layers, models, etc.) returned by `get_config()` are explicitly "
    "deserialized in the model's `from_config()` method.\n\nconfig={'module': 'keras', 'class_name': 'Sequential', "
    "'config': {'name': 's', 'layers': [{'module': 'keras.layers', 'class_name': 'Dense', 'config': {'units': "
    "'/etc/passwd'}}]}, 'registered_name': None}.\n\nException encountered: "
)
CALL = (
    "\n\nArguments received by Sequential.call():\n  • inputs=tf.Tensor(shape=(1, 4, 4, 2), dtype=float32)\n"
    "  • training=False\n  • mask=None\n  • kwargs=<class 'inspect._empty'>"
)
GRAPH = (
    "Graph execution error:\n\nDetected at node {} defined at (most recent call last):\n"
    '  File "/home/ada/app.py", line 63, in <module>\n\n  File "/home/ada/app.py", line 62, in g\n\n'
)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        # HDF5
        (
            f"[Errno 2] Unable to synchronously open file (unable to open file: name = '{FOLDER}/none.h5', errno = 2, "
            "error message = 'No such file or directory', flags = 0, o_flags = 0)",
            "[Errno 2] Unable to synchronously open file (unable to open file: name = 'none.h5', errno = 2, "
            "error message = 'No such file or directory', flags = 0, o_flags = 0)",
        ),
        (
            "'Unable to synchronously open object (file signature not found)'",
            "Unable to synchronously open object (file signature not found)",
        ),
        # ONNX Runtime and ONNX
        (
            f"[ONNXRuntimeError] : 3 : NO_SUCHFILE : Load model from {FOLDER}/none.onnx failed:Load model "
            f"{FOLDER}/none.onnx failed. File doesn't exist",
            "Load model from none.onnx failed:Load model none.onnx failed. File doesn't exist",
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : External data path validation failed for initializer: w. Error: External "
            'data path escapes model directory. External data path: "../../etc/passwd" resolved path: '
            f'"/home/etc/passwd" allowed directory: "{FOLDER}"',
            "External data path validation failed for initializer: w. Error: External data path escapes model "
            'directory. External data path: "passwd" resolved path: "passwd" allowed directory: "secret-folder"',
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Error: tensorprotoutils.cc:619 ValidatePath External data path does not "
            f'exist: "{FOLDER}/none.bin"',
            'Error: ValidatePath External data path does not exist: "none.bin"',
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Node () Op (MatMul) [ShapeInferenceError] Incompatible dimensions for "
            "matrix multiplication",
            "Node () Op (MatMul) [ShapeInferenceError] Incompatible dimensions for matrix multiplication",
        ),
        (
            "Error parsing message with type 'onnx.ModelProto': Wire format was corrupt",
            "Error parsing message with type 'onnx.ModelProto': Wire format was corrupt",
        ),
        # Keras
        (
            f"File not found: filepath={FOLDER}/none.keras. Please ensure the file is an accessible `.keras` zip file.",
            "File not found: filepath=none.keras. Please ensure the file is an accessible `.keras` zip file.",
        ),
        (
            f"{KERAS}{KERAS}Received an invalid value for `units`, expected a positive integer. Received: "
            "units=/etc/passwd",
            "Received an invalid value for `units`, expected a positive integer. Received: units=passwd",
        ),
        (
            f"{KERAS}Could not locate class 'Foo'. Make sure custom classes and functions are decorated. Full object "
            "config: {'module': None, 'class_name': 'Foo', 'config': {'secret': 'TOP-SECRET'}}",
            "Could not locate class 'Foo'. Make sure custom classes and functions are decorated.",
        ),
        (
            "Exception encountered when calling Sequential.call().\n\n\x1b[1mInput 0 with name 'None' of layer "
            "'conv2d' is incompatible with the layer: expected axis -1 of input shape to have value 3, but received "
            f"input with shape (1, 4, 4, 2)\x1b[0m{CALL}",
            "Input 0 with name 'None' of layer 'conv2d' is incompatible with the layer: expected axis -1 of input "
            "shape to have value 3, but received input with shape (1, 4, 4, 2)",
        ),
        # TensorFlow
        (
            f"{GRAPH.format('ReadFile')}{FOLDER}/none.txt; No such file or directory\n"
            "\t [[{{node ReadFile}}]] [Op:__inference_g_110]",
            "none.txt; No such file or directory",
        ),
        (
            f"{GRAPH.format('StringToNumber')}StringToNumberOp could not correctly convert string: TOP-SECRET-LINE-1\n"
            "TOP-SECRET-LINE-2\n\n\t [[{{node StringToNumber}}]] [Op:__inference_g2_117]",
            "StringToNumberOp could not correctly convert string",
        ),
        (
            "{{function_node __wrapped__Fill_device_/job:localhost/replica:0/task:0/device:CPU:0}} OOM when allocating "
            "tensor with shape[1048576,1048576] and type float on /job:localhost/replica:0/task:0/device:CPU:0 by "
            "allocator cpu [Op:Fill] name: ",
            "OOM when allocating tensor with shape[1048576,1048576] and type float by allocator cpu",
        ),
        (
            f"Cannot parse file b'{FOLDER}/saved_model.pb': Error parsing message with type 'tensorflow.SavedModel'.",
            "Cannot parse file 'saved_model.pb': Error parsing message with type 'tensorflow.SavedModel'.",
        ),
        (
            "Op type not registered 'EvilOp' in binary running on ada-laptop. Make sure the Op is registered.",
            "Op type not registered 'EvilOp' Make sure the Op is registered.",
        ),
        # LiteRT
        (
            "Encountered unresolved custom op: Evil.\nSee instructions: https://www.tensorflow.org/lite/guide/ops "
            "Node number 1 (Evil) failed to prepare.",
            "Encountered unresolved custom op: Evil. See instructions: … Node number 1 (Evil) failed to prepare.",
        ),
        # Python and its libraries
        (f"[Errno 2] No such file or directory: '{FOLDER}/my photographs/secret.txt'", None),
        (f"cannot identify image file '{FOLDER}/secret.png'", "cannot identify image file 'secret.png'"),
        ("could not convert string to float: 'TOP-SECRET-LINE'", "could not convert string"),
        ("invalid literal for int() with base 10: 'TOP-SECRET'", "invalid literal for"),
        (
            "while parsing a flow node\nexpected the node content, but found '}'\n  in \"<unicode string>\", line 1, "
            "column 17:\n    a: [TOP-SECRET: }\n                    ^",
            "while parsing a flow node expected the node content, but found '}' in \"<unicode string>\", line 1, "
            "column 17",
        ),
        ("cannot reshape array of size 3 into shape (2,2)", "cannot reshape array of size 3 into shape (2,2)"),
        # Made up: what else may come.
        (r"can't open C:\Users\ada\secret-folder\model.h5", "can't open model.h5"),
        ("see ~/secret-folder/model.h5 and ../up/model.h5", "see model.h5 and model.h5"),
        ("data/secret-folder/model.h5 is broken", "model.h5 is broken"),
        ("connect to 10.1.2.3:8080 failed", "connect to … failed"),
        ("s3://bucket/secret-folder/key refused", "… refused"),
        ("<function f at 0x7f0123456789> failed", "<function f> failed"),
        ("found b'TOP-SECRET\\n' at the start", "found … at the start"),
        ("starts with \\x89\\x48\\x44\\x46 now", "starts with … now"),
        ("dump 89 48 44 46 0d 0a 1a 0a 00 follows", "dump …follows"),
        (f"values {list(range(100))} are wrong", "values […] are wrong"),
        ("word " * 100, "word " * 60 + "…"),
        ("layer model/block_1/conv2d has no weights", "layer model/block_1/conv2d has no weights"),
        ("1/2 and and/or stay", "1/2 and and/or stay"),
        ("'str' object has no attribute 'is_dir'", "'str' object has no attribute 'is_dir'"),
        ('"a" is not "b"', '"a" is not "b"'),
        ("'one text'", "one text"),
        ("bell\x07 and\x1b[31m colour\x00", "bell and colour"),
        ("", ""),
    ],
)
def test_what_is_left_of_messages(message: str, said: str | None) -> None:
    left = redact(message)
    assert said is None or left == said
    for hidden in ("TOP-SECRET", "/home", "ada", "/etc", "Traceback", "\n", "\x1b", "secret-folder/"):
        assert hidden not in left


def test_a_traceback_in_a_message_becomes_its_last_line() -> None:
    try:
        int("TOP")
    except ValueError:
        text = traceback.format_exc()
    assert redact(text.replace("invalid literal", "a wrong literal")) == (
        "ValueError: a wrong literal for int() with base 10: 'TOP'"
    )


def test_the_last_line_is_taken_where_all_are_too_long() -> None:
    assert redact("first " * 100 + "\nwhy it failed") == "why it failed"
    assert redact("first\nwhy it failed") == "first why it failed"
    assert redact("first line\nwhy it failed", 15) == "why it failed"


def test_long_messages_take_no_longer_than_short_ones() -> None:
    """No pattern goes back and forth over a long text."""
    for part in ("[", "{", "'", "/", "a/", "../", "\\x41", "ab ", "Exception encountered: ", "0x", "b'", "\n ^"):
        assert len(redact(part * 200_000)) <= 301


def test_the_kind_of_an_error_is_kept() -> None:
    assert reason(FileNotFoundError(2, "No such file or directory", f"{FOLDER}/a.h5")) == (
        "FileNotFoundError: [Errno 2] No such file or directory: 'a.h5'"
    )
    assert reason(ValueError("")) == "ValueError"
