"""The command ``picasso tensorboard``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from picasso.cli.options import JSON, friendly


@click.command()
@click.argument("source", type=Path)
@click.option("--logdir", type=Path, required=True, help="Folder for the event file.")
@click.option("--link", default="", metavar="URL", help="Web address of the HTML report, to link it.")
@JSON
@friendly
def tensorboard(source: Path, logdir: Path, link: str, as_json: bool) -> None:
    """Write results or an audit as an event file for TensorBoard.

    SOURCE is the output folder of picasso explain or picasso audit, what they print with --json, or a training recorded
    by a callback.
    """
    from picasso.summaries.existing import write_existing

    written = write_existing(source, logdir, link)
    found = json.dumps({"written": written, "logdir": str(logdir)}, indent=1)
    click.echo(found if as_json else f"wrote {written} -> {logdir}")
