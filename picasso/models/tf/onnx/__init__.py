"""ONNX graphs as TensorFlow functions, which have gradients and feature maps."""

__all__: list[str] = []
