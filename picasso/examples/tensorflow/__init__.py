"""The bundled TensorFlow 1 example."""
