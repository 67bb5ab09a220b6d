# The tank detector example: make run EXAMPLE=tanks
MODEL = "data/cloudy.keras"
LABELS = "data/labels.txt"
PREPROCESS = "0..255"
SAMPLES_DIR = "images"
COMPARE = {"trained right": {"MODEL": "data/right.keras"}}
