"""The detection example: make run EXAMPLE=scenes-detection."""

MODEL = "data/detection.keras"
TASK = "detection"
LABELS = "data/digits.txt"
PREPROCESS = "0..255"
SAMPLES_DIR = "samples/scenes/images"
