"""TensorFlow and Keras, imported the way Picasso needs them: the environment is set before, once, here."""

from __future__ import annotations

import os

# oneDNN is off by default on many CPUs and always faster here. The log level hides messages about absent GPUs.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

tf1 = tf.compat.v1
# The TensorFlow 1 calls that old checkpoints need are deprecated on purpose; users can do nothing about it.
tf.get_logger().setLevel("ERROR")

__all__ = ["keras", "tf", "tf1"]
