"""Models that TensorFlow computes: Keras files, SavedModels, checkpoints and frozen graphs."""
