"""Where is text? make run EXAMPLE=rapidocr-detector."""

MODEL = "data/ch_PP-OCRv4_det_infer.onnx"
# The network takes images of any size whose sides are multiples of 32.
MODEL_LOAD_ARGS = {"input_shape": [320, 320, 3]}
TASK = "segmentation"
LABELS = "labels/detector.txt"
PREPROCESS = "-1..1 bgr bilinear noantialias"
SAMPLES_DIR = "samples/pages"
