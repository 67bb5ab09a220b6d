# The bundled Keras example: PICASSO_SETTINGS=picasso/examples/keras/config.py picasso serve
MODEL_CLS_PATH = "model.py"
MODEL_CLS_NAME = "KerasMNISTModel"
MODEL_LOAD_ARGS = {"data_dir": "data"}
