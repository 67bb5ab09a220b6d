"""The regression example: make run EXAMPLE=scenes-regression."""

MODEL = "data/regression.keras"
TASK = "regression"
UNIT = "points"
LABELS = "data/values.txt"
PREPROCESS = "0..255"
SAMPLES_DIR = "samples/scenes/images"
