"""ONNX graphs as TensorFlow operations, which have gradients and feature maps.

``reading`` reads a file. ``translate`` goes through its nodes; ``table`` has a small function for each kind of
operation, which the modules of operations register: ``elementwise``, ``convolutions``, ``pools`` and so on.
``permuted`` keeps the channels of images last, as TensorFlow and the rest of Picasso expect them, where ONNX has them
first, and ``regrouping`` follows them through reshapes. ``names`` finds the names of layers. ``building`` is the entry
point.
"""

__all__ = ["building", "names", "reading", "translate"]
