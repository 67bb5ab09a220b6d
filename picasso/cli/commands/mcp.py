"""The command ``picasso mcp``; imports nothing slow."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picasso.cli.options import configured, loading_in_time
from picasso.errors import ConfigurationError

if TYPE_CHECKING:
    from picasso.config import Settings
    from picasso.models.base import Model


@click.command()
@click.option(
    "--folder",
    "folders",
    multiple=True,
    required=True,
    type=Path,
    help="Folder whose images the agent may have read; can be repeated.",
)
@click.option("--out", type=Path, default=Path("picasso-results"), show_default=True, help="Output folder.")
@configured
def mcp(settings: Settings, folders: tuple[Path, ...], out: Path) -> None:
    """Offer the model to an agent as tools, by the Model Context Protocol.

    The agent's program starts this command and talks to it by standard input and output. It ends when its input ends.
    Nothing is sent to a network.
    """
    if importlib.util.find_spec("mcp") is None:
        raise ConfigurationError("picasso mcp needs another package: pip install 'picasso-viz[mcp]'.")
    from picasso import models
    from picasso.agents import server, tools

    def load() -> Model:
        with loading_in_time():
            return models.load_configured(settings)

    # Plugins are imported, and may print.
    with redirect_stdout(sys.stderr):
        made = tools.Tools(settings, load, folders, out)
    server.serve(made)
