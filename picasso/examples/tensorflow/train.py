"""Train the bundled TensorFlow digit classifier as a TensorFlow 1 graph and save it as a checkpoint.

    python -m picasso.examples.tensorflow.train --mnist FOLDER [--download]

The result is what a TensorFlow 1 project has on disk: ``.meta``, ``.index`` and ``.data`` files, a
placeholder for the images and a softmax at the end. Picasso itself never runs this file.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from picasso.examples import mnist

TARGET = Path(__file__).parent / "data" / "mnist.ckpt"
tf1 = tf.compat.v1


def convolution(inputs: Any, width: int, channels: int, name: str) -> Any:
    """A ``width`` by ``width`` convolution, rectified and halved in both directions."""
    with tf1.variable_scope(name):
        shape = [width, width, inputs.shape[-1], channels]
        weights = tf1.get_variable("weights", shape, initializer=tf1.initializers.he_normal(seed=7))
        bias = tf1.get_variable("bias", [channels], initializer=tf1.zeros_initializer())
        outputs = tf1.nn.relu(tf1.nn.conv2d(inputs, weights, 1, "SAME") + bias)
        return tf1.nn.max_pool2d(outputs, 2, 2, "SAME")


def dense(inputs: Any, units: int, name: str) -> Any:
    """A fully connected layer without activation."""
    with tf1.variable_scope(name):
        shape = [inputs.shape[-1], units]
        weights = tf1.get_variable("weights", shape, initializer=tf1.initializers.he_normal(seed=7))
        bias = tf1.get_variable("bias", [units], initializer=tf1.zeros_initializer())
        return tf1.matmul(inputs, weights) + bias


def build() -> tuple[Any, Any, Any]:
    """Return the tensors ``pictures:0`` ``(N, 28, 28, 1)``, ``keep_prob:0`` (1 when omitted) and the logits."""
    images = tf1.placeholder(tf.float32, [None, 28, 28, 1], "pictures")
    keep = tf1.placeholder_with_default(1.0, [], "keep_prob")
    features = convolution(convolution(images, 5, 16, "conv1"), 5, 32, "conv2")
    flat = tf1.reshape(features, [-1, 7 * 7 * 32])
    hidden = tf1.nn.relu(dense(flat, 128, "hidden"))
    logits = dense(tf1.nn.dropout(hidden, rate=1 - keep, seed=7), 10, "logits")
    tf1.nn.softmax(logits, name="probabilities")
    return images, keep, logits


def train(folder: Path, epochs: int, target: Path) -> None:
    """Train on the 60,000 training digits, print the test accuracy and save the checkpoint."""
    digits, tests = mnist.load(folder, "train"), mnist.load(folder, "t10k")
    inputs = digits.images[..., None].astype("float32") / 255
    labels = digits.labels.astype("int64")
    shuffle = np.random.default_rng(7)
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(7)
        images, keep, logits = build()
        truth = tf1.placeholder(tf.int64, [None], "truth")
        rate = tf1.placeholder(tf.float32, [], "learning_rate")
        loss = tf1.losses.sparse_softmax_cross_entropy(truth, logits)
        weights = tf1.trainable_variables()
        step = tf1.train.AdamOptimizer(rate).minimize(loss)
        session.run(tf1.global_variables_initializer())
        for epoch in range(epochs):
            order = shuffle.permutation(len(inputs)).reshape(-1, 100)
            for batch in order:
                feeds = {images: inputs[batch], truth: labels[batch], keep: 0.5, rate: 1e-3 * 0.7**epoch}
                session.run(step, feeds)
            print(f"epoch {epoch + 1} of {epochs}", flush=True)
        unseen = tests.images[..., None].astype("float32") / 255
        guesses = np.concatenate([session.run(logits, {images: part}).argmax(1) for part in np.split(unseen, 20)])
        print(f"test accuracy {np.mean(guesses == tests.labels):.4f}")
        target.parent.mkdir(exist_ok=True)
        # Only the weights: the optimizer's state would triple the size.
        tf1.train.Saver(weights).save(session, str(target), write_state=False)


def main() -> None:
    """Read the command line, train, and save the checkpoint beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, required=True, help="folder of the four MNIST .gz files")
    parser.add_argument("--download", action="store_true", help="fetch missing files into that folder first")
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    if arguments.download:
        mnist.download(arguments.mnist)
    train(arguments.mnist, arguments.epochs, TARGET)
    print(f"saved {TARGET}")


if __name__ == "__main__":
    main()
