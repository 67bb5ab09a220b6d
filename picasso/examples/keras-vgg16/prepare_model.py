"""Download the weights of VGG16 once, build the model file of this example, and fetch photographs.

    python picasso/examples/keras-vgg16/prepare_model.py [--weights FILE] [--wheel FILE ...]

``make run EXAMPLE=keras-vgg16`` runs it first; it does nothing where all is there.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from picasso.cli.options import friendly
from picasso.errors import ModelError
from picasso.examples import preparing

DATA = Path(__file__).resolve().parent / "data"
MODEL = DATA / "vgg16.keras"

ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
WEIGHTS = "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
MD5 = "64373286793e3c8b2b4e3219cbf3544b"


def find(given: Path | None) -> Path:
    """Return the file of weights: the given one, the one in ``data/``, Keras' own copy, or else a fresh download.

    Raises:
        ModelError: it is not there, can't be downloaded, or is broken.
    """
    if given and not given.is_file():
        raise ModelError(f"There is no file {given}.")
    cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models" / WEIGHTS
    file = given or next((file for file in (DATA / WEIGHTS, cache) if file.exists()), DATA / WEIGHTS)
    if not file.exists():
        preparing.download(ADDRESS + WEIGHTS, file)
    preparing.check(file, MD5)
    return file


@click.command()
@click.option("--weights", type=Path, help=f"A copy of {WEIGHTS} that is here already.")
@click.option(
    "--wheel", "wheels", type=Path, multiple=True, help="A wheel that is here already; may be given several times."
)
@friendly
def main(weights: Path | None, wheels: tuple[Path, ...]) -> None:
    """Download the weights of VGG16 once, build the model file of this example, and fetch photographs."""
    if not MODEL.exists():
        DATA.mkdir(exist_ok=True)
        file = find(weights)
        from picasso.models.tf.runtime import keras

        preparing.save(keras.applications.VGG16(weights=str(file)), MODEL)
    preparing.photographs(wheels)


if __name__ == "__main__":
    main()
