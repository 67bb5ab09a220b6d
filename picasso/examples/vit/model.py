"""The bundled digit classifier that is a vision transformer."""

from picasso.examples.keras.model import KerasMNISTModel


class ViTMNISTModel(KerasMNISTModel):
    """A vision transformer with a class token, trained on MNIST by ``train.py``."""
