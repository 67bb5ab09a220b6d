# EfficientNet-Lite0, trained on ImageNet: make run EXAMPLE=keras-efficientnet-lite
MODEL_CLS_PATH = "model.py"
MODEL_CLS_NAME = "EfficientNetLite0"
MODEL_LOAD_ARGS = {"path": "data/efficientnet_lite0.keras"}
LABELS = "../imagenet_labels/names.txt"
SAMPLES_DIR = "../samples/photographs"
