"""The bundled Keras example."""
