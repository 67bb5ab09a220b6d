"""Labeled folders of images: accuracy, the order of classes, and the check of a loaded model."""

__all__ = ["labeled_folder", "model_check"]
