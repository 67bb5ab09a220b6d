"""The embedding example: make run EXAMPLE=scenes-embedding."""

MODEL = "data/embedding.keras"
TASK = "embedding"
PREPROCESS = "0..255"
SAMPLES_DIR = "samples/like"
