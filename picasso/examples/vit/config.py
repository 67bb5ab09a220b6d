# The bundled vision transformer: PICASSO_SETTINGS=picasso/examples/vit/config.py picasso serve
MODEL_CLS_PATH = "model.py"
MODEL_CLS_NAME = "ViTMNISTModel"
MODEL_LOAD_ARGS = {"data_dir": "data"}
