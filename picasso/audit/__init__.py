"""Find the shortcuts that a model has learned, by measuring how changes of images affect its predictions."""
