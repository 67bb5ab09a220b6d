"""Draw the images of this example; does nothing where they are there.

    python picasso/examples/tanks/prepare_model.py

``make run EXAMPLE=tanks`` runs it first.
"""

from __future__ import annotations

from pathlib import Path

import click

from picasso.cli.options import friendly
from picasso.examples.tanks.scenes import save, scenes

IMAGES = Path(__file__).resolve().parent / "images"
# Of each class.
COUNT = 60


@click.command()
@friendly
def main() -> None:
    """Draw the images of this example; does nothing where they are there."""
    if not IMAGES.is_dir():
        # As whoever believed the first detector would have them: all tanks under clouds.
        save(IMAGES, *scenes(COUNT, 1.0, seed=2))
        click.echo(f"wrote {2 * COUNT} images to {IMAGES}")


if __name__ == "__main__":
    main()
