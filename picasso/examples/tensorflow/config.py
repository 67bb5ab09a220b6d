# The bundled TensorFlow example: PICASSO_SETTINGS=picasso/examples/tensorflow/config.py picasso serve
MODEL_CLS_PATH = "model.py"
MODEL_CLS_NAME = "TensorFlowMNISTModel"
MODEL_LOAD_ARGS = {
    "data_dir": "data",
    "tf_input_var": "pictures:0",
    "tf_predict_var": "probabilities:0",
}
