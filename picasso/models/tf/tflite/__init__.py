"""TFLite graphs as TensorFlow operations, which have gradients and feature maps.

``translate`` goes through the operations of a file and is the entry point. ``table`` has a small function for each
kind, which the modules of operations register: ``convolutions``, ``elementwise``, ``reductions`` and ``shapes``.
``names`` finds the names of layers.
"""

__all__ = ["translate"]
