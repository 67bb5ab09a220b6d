"""The command ``picasso serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from picasso import __version__
from picasso.cli.options import COMPARE, configured

if TYPE_CHECKING:
    from picasso.config import Settings


@click.command()
@click.argument("models", nargs=-1, type=Path)
@COMPARE
@click.option("--host", help="Address to listen on (setting HOST).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (setting PORT).")
@click.option("--password-file", type=Path, help="File with the password (setting PASSWORD_FILE).")
@click.option("--prefix", metavar="PATH", help="Path prefix of the server, such as /picasso (setting PREFIX).")
@click.option("--engine", metavar="NAME", help="Where to compute, such as processes:3 (setting ENGINE).")
@configured
def serve(settings: Settings, compare: tuple[str, ...]) -> None:
    """Serve the web pages and the REST API until Ctrl-C.

    MODELS are model files, or folders of checkpoints. The first one, or the newest checkpoint of the first folder, is
    explained, and the others are compared with it. Without MODELS, the settings specify the model.
    """
    from picasso.web import server

    click.echo(f"Picasso {__version__}, {settings.describe_source()}")
    if compare:
        click.echo(f"compares {settings.model_name()} with {', '.join(compare)}")
    server.serve(settings, click.echo)
