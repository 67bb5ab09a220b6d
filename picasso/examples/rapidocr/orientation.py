"""Is this line of text upside down? make run EXAMPLE=rapidocr-orientation."""

MODEL = "data/ch_ppocr_mobile_v2.0_cls_infer.onnx"
MODEL_LOAD_ARGS = {"input_shape": [48, 192, 3]}
LABELS = "labels/orientation.txt"
PREPROCESS = "-1..1 bgr bilinear noantialias"
SAMPLES_DIR = "samples/lines"
