"""Extract the two networks of this example from a wheel; does nothing where both are there.

    python picasso/examples/rapidocr/prepare_model.py [--wheel FILE]

``make run EXAMPLE=rapidocr-detector`` and ``make run EXAMPLE=rapidocr-orientation`` run it first.
"""

from __future__ import annotations

from pathlib import Path

import click

from picasso.cli.options import friendly
from picasso.examples.wheels import Source, fetch

DATA = Path(__file__).resolve().parent / "data"
WHEEL = "rapidocr_onnxruntime-1.4.4-py3-none-any.whl"
FILES = {
    "ch_PP-OCRv4_det_infer.onnx": "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    "ch_ppocr_mobile_v2.0_cls_infer.onnx": "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
}


@click.command()
@click.option("--wheel", "wheels", type=Path, multiple=True, help=f"A copy of {WHEEL} that is here already.")
@friendly
def main(wheels: tuple[Path, ...]) -> None:
    """Extract the two networks of this example from a wheel; does nothing where both are there."""
    sources = {
        DATA / name: Source(WHEEL, f"rapidocr_onnxruntime/models/{name}", checksum) for name, checksum in FILES.items()
    }
    for file in fetch(sources, DATA, wheels):
        click.echo(f"wrote {file} ({file.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
