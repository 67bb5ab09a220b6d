"""The command ``picasso scan``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from picasso.cli.options import JSON, friendly, gate


@click.command()
@click.argument("files", nargs=-1, required=True, type=Path)
@JSON
@click.option(
    "--model-mb", type=click.IntRange(1), help="Maximum size of a file's tensors in megabytes; default: 4000."
)
@friendly
@gate
def scan(files: tuple[Path, ...], as_json: bool, model_mb: int | None) -> None:
    """Check whether the model FILES contain only data.

    The files are not loaded: no framework is imported and no code in them runs.

    Exits with status 0 if all files are data only, 1 if one would be refused, and 2 if one can't be read.
    """
    from picasso import remedies
    from picasso.models.scan import Limits, reporting

    remedies.set_interface(remedies.Interface.COMMAND_LINE)
    scanned = []
    for one in reporting.scan_each(files, Limits.of(model_mb) if model_mb else Limits()):
        scanned.append(one)
        if not as_json:
            click.echo("\n".join(one.lines()))
    if as_json:
        click.echo(json.dumps([one.as_dict() for one in scanned], indent=1))
    sys.exit(max(one.verdict for one in scanned))
