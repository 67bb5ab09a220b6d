"""Models that run on TensorFlow: Keras files, SavedModels, checkpoints and frozen graphs."""

__all__ = [
    "feature_layers",
    "frozen_graph",
    "graph",
    "graph_model",
    "incremental",
    "keras_files",
    "keras_head",
    "runtime",
    "training_loss",
    "variables",
]
