"""Guided backpropagation: rectifiers that let positive gradients pass only on the way back.

Springenberg, Dosovitskiy, Brox & Riedmiller, *Striving for simplicity: the all convolutional net*, arXiv 1412.6806.
"""

from __future__ import annotations

from typing import Any

from picasso.models.tf.runtime import tf

#: The operations that are guided, and the names under which their gradients are registered.
RECTIFIERS = {"Relu": "PicassoGuidedRelu", "Relu6": "PicassoGuidedRelu6"}


@tf.RegisterGradient(RECTIFIERS["Relu"])  # type: ignore[untyped-decorator]
def guided_relu(operation: Any, gradient: Any) -> Any:
    """Return the gradient where both it and the rectifier's output are positive, and 0 elsewhere."""
    return tf.where((operation.outputs[0] > 0) & (gradient > 0), gradient, tf.zeros_like(gradient))


@tf.RegisterGradient(RECTIFIERS["Relu6"])  # type: ignore[untyped-decorator]
def guided_relu6(operation: Any, gradient: Any) -> Any:
    """Do the same for a rectifier that is cut off at 6, where nothing passes either."""
    return tf.where(operation.outputs[0] < 6, guided_relu(operation, gradient), tf.zeros_like(gradient))
