"""Models that run on TensorFlow: Keras files, SavedModels, checkpoints, frozen graphs, ONNX and TFLite files."""

__all__ = [
    "built_graph",
    "feature_layers",
    "frozen_graph",
    "graph",
    "graph_model",
    "incremental",
    "keras_files",
    "keras_head",
    "onnx",
    "runtime",
    "tflite",
    "training_loss",
    "translation",
    "variables",
]
