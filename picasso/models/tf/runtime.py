"""Import TensorFlow and Keras after setting the environment that Picasso needs."""

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
# oneDNN is disabled by default on many CPUs, but it is always faster here.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Other programs may use the same GPU; by default TensorFlow takes all of its memory at once.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def held_back() -> Iterator[None]:
    """Suppress standard error, and print it only if an exception ends the block.

    TensorFlow's C++ code reports missing GPUs and build options at every start, regardless of the log level. Users can
    do nothing about them.
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
    """Use the default settings of ``library``, Keras or tf_keras, in a block, and restore the previous ones after it.

    A file defines the data type and the data format of each layer. ``keras.json`` or the calling program may set
    others, which did not apply when the model was trained.
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
        unusable = f"Keras does not accept the settings in its file keras.json: {reason(error)}."
    else:
        import tensorflow as tf
        from tensorflow.core.protobuf import rewriter_config_pb2, saved_model_pb2
        from tensorflow.python.eager import context as eager_context
        from tensorflow.python.framework import convert_to_constants
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
        from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def
        from tensorflow.python.framework.ops import gradient_registry

        # The first search for devices writes messages too.
        tf.config.list_physical_devices()
if unusable:
    raise ModelError(unusable)

tf1 = tf.compat.v1
# Suppresses the deprecation warnings of the TensorFlow 1 functions that old checkpoints need.
tf.get_logger().setLevel("ERROR")

__all__ = [
    "convert_to_constants",
    "convert_variables_to_constants_v2",
    "eager_context",
    "function_def_to_graph_def",
    "gradient_registry",
    "keras",
    "rewriter_config_pb2",
    "saved_model_pb2",
    "standard",
    "tf",
    "tf1",
]
