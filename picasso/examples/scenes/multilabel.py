"""The multi-label example: make run EXAMPLE=scenes-multilabel."""

MODEL = "data/multilabel.keras"
TASK = "multi-label"
LABELS = "data/digits.txt"
PREPROCESS = "0..255"
SAMPLES_DIR = "samples/scenes/images"
