"""The segmentation example: make run EXAMPLE=scenes-segmentation."""

MODEL = "data/segmentation.keras"
TASK = "segmentation"
LABELS = "data/classes.txt"
PREPROCESS = "0..255"
SAMPLES_DIR = "samples/scenes/images"
