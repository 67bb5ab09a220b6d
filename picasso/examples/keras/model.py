"""The bundled digit classifier in Keras."""

from PIL import Image

from picasso.examples.digits import as_mnist
from picasso.models.keras import KerasModel
from picasso.models.preprocessing import Preprocessing


class KerasMNISTModel(KerasModel):
    """A convolutional network trained on MNIST by ``train.py``."""

    preprocessing = Preprocessing("0..1")

    def view(self, image: Image.Image) -> Image.Image:
        """Show any digit to the network as white ink on black, 28 by 28 pixels."""
        return as_mnist(image)
