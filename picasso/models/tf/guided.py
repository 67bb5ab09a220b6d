"""Guided backpropagation: ReLUs that propagate only positive gradients in the backward pass.

Springenberg, Dosovitskiy, Brox & Riedmiller, *Striving for simplicity: the all convolutional net*, arXiv 1412.6806.
"""

from __future__ import annotations

from typing import Any

from picasso.models.tf.runtime import tf

#: The guided operations, with the names of their registered gradients.
RECTIFIERS = {"Relu": "PicassoGuidedRelu", "Relu6": "PicassoGuidedRelu6"}


@tf.RegisterGradient(RECTIFIERS["Relu"])  # type: ignore[untyped-decorator]
def guided_relu(operation: Any, gradient: Any) -> Any:
    """Return the gradient where both it and the ReLU's output are positive, and 0 elsewhere."""
    return tf.where((operation.outputs[0] > 0) & (gradient > 0), gradient, tf.zeros_like(gradient))


@tf.RegisterGradient(RECTIFIERS["Relu6"])  # type: ignore[untyped-decorator]
def guided_relu6(operation: Any, gradient: Any) -> Any:
    """Return the guided gradient of a ReLU6, which is also 0 where the output is 6."""
    return tf.where(operation.outputs[0] < 6, guided_relu(operation, gradient), tf.zeros_like(gradient))
