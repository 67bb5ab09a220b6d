"""Labeled folders of images: accuracy, its interval, the order of classes; the check of a model; findings as SARIF."""

__all__ = ["image_files", "intervals", "labeled_folder", "model_check", "sarif"]
