"""Labeled folders of images: accuracy and its interval, the order of classes, and the check of a loaded model."""

__all__ = ["image_files", "intervals", "labeled_folder", "model_check"]
