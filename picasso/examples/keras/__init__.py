"""The bundled Keras example."""

__all__ = ["model", "train"]
