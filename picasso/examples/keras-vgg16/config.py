# Keras' VGG16, trained on ImageNet: make run EXAMPLE=keras-vgg16
MODEL = "data/vgg16.keras"
LABELS = "../imagenet_labels/names.txt"
PREPROCESS = "caffe crop"
SAMPLES_DIR = "../samples/photographs"
