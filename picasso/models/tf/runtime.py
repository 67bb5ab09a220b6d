"""TensorFlow and Keras, imported the way Picasso needs them: the environment is set before, once, here."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from picasso.errors import ModelError, reason
from picasso.models.environment import choose_tensorflow, require_versions

require_versions("tensorflow", "keras", "h5py")
choose_tensorflow()
# oneDNN is off by default on many CPUs and always faster here.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def held_back() -> Iterator[None]:
    """Hold back what is written to standard error, and show it only if an exception ends the block.

    TensorFlow's C++ reports absent GPUs and its own build options at every start, whatever the log level;
    a user who only wants to see where a model looks can do nothing about them.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def standard(library: Any) -> Iterator[None]:
    """Read and build models of ``library``, Keras or tf_keras, under its own defaults, and restore what was set.

    A file says the type and the order of channels of each layer; ``keras.json`` or the program around may say others,
    which were not in force where the model was trained.
    """
    backend, precision = library.backend, library.mixed_precision
    policy, kept = precision.global_policy(), (backend.floatx(), backend.epsilon(), backend.image_data_format())

    def use(values: tuple[str, float, str]) -> None:
        backend.set_floatx(values[0])
        backend.set_epsilon(values[1])
        backend.set_image_data_format(values[2])

    use(("float32", 1e-7, "channels_last"))
    precision.set_global_policy("float32")
    try:
        yield
    finally:
        use(kept)
        precision.set_global_policy(policy)


unusable = None
with held_back():
    try:
        import keras
    except ValueError as error:
        unusable = f"Keras refuses the settings in its file keras.json: {reason(error)}."
    else:
        import tensorflow as tf
        from tensorflow.core.protobuf import saved_model_pb2
        from tensorflow.python.framework import convert_to_constants
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
        from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

        # The first look for devices is reported too.
        tf.config.list_physical_devices()
if unusable:
    raise ModelError(unusable)

tf1 = tf.compat.v1
# The TensorFlow 1 calls that old checkpoints need are deprecated on purpose.
tf.get_logger().setLevel("ERROR")

__all__ = [
    "convert_to_constants",
    "convert_variables_to_constants_v2",
    "function_def_to_graph_def",
    "keras",
    "saved_model_pb2",
    "standard",
    "tf",
    "tf1",
]
