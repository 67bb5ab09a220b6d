"""Which shortcut a model has learned: images are changed, and the effect on predictions is measured."""
