"""The command ``picasso``, with the subcommands of :mod:`picasso.cli.commands`."""

from __future__ import annotations

import click

from picasso import __version__
from picasso.cli.commands import (
    audit,
    check,
    explain,
    inside,
    mcp,
    mend,
    scan,
    serve,
    tensorboard,
    visualizations,
    work,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="picasso")
def main() -> None:
    """Show where a trained image classifier looks."""


for command in (
    audit.audit,
    check.check,
    explain.explain,
    inside.inside,
    mcp.mcp,
    mend.mend,
    scan.scan,
    serve.serve,
    tensorboard.tensorboard,
    visualizations.new_visualization,
    visualizations.visualizations,
    work.work,
):
    main.add_command(command)
