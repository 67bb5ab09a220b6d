"""The commands ``picasso visualizations`` and ``picasso new-visualization``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from picasso.cli.options import CONFIG, JSON, friendly


@click.command()
@JSON
@CONFIG
@friendly
def visualizations(config: Path | None, as_json: bool) -> None:
    """List the visualizations and their settings."""
    from picasso.config import load
    from picasso.explanation.registry import Registry

    found = [entry.as_dict() for entry in Registry(load(config).plugin_dirs()).entries()]
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for one in found:
        if one["error"]:
            click.secho(f"{one['name']}: can't be used: {one['error']}", fg="red")
            continue
        click.secho(one["name"], bold=True)
        click.echo(f"  {one['description']}")
        for setting in one["settings"]:
            click.echo(f"  {setting['name']}={setting['default']}  {setting['help']} ({setting['allowed']})")


@click.command("new-visualization")
@click.argument("name")
@click.option("--dir", "folder", type=Path, default=Path("plugins"), show_default=True, help="Output folder.")
@JSON
@friendly
def new_visualization(name: str, folder: Path, as_json: bool) -> None:
    """Create a new visualization from a template.

    Writes a working visualization NAME, such as FunViz, and its template as a starting point.
    """
    from picasso.cli import scaffold

    written = [str(file) for file in scaffold.write(name, folder)]
    if as_json:
        click.echo(json.dumps({"files": written}, indent=1))
        return
    for file in written:
        click.echo(f"wrote {file}")
    click.echo(f'Add the folder to your settings: PLUGIN_DIRS = ["{folder}"]')
