"""Text in images: a detector and a classifier of orientation, both networks in ONNX files."""
