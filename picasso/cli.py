"""The ``picasso`` command; what is slow to import is imported by the subcommand that needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from picasso import __version__
from picasso.errors import BadRequest, PicassoError

PICTURES = click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
CONFIG = click.option("--config", type=click.Path(path_type=Path), help="Settings file; see the documentation.")
MODEL = click.option("--model", type=click.Path(path_type=Path), help="Model file, instead of the settings' model.")


def friendly(command: Callable[..., Any]) -> Callable[..., Any]:
    """End a command with one line and status 2 where an error of our own family comes up."""

    @wraps(command)
    def guarded(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except PicassoError as error:
            click.secho(f"picasso: {error.message}", fg="red", err=True)
            sys.exit(2)

    return guarded


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="picasso")
def main() -> None:
    """See where a trained image classifier looks."""


@main.command()
@CONFIG
@click.option("--host", help="Address to listen on (setting HOST).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (setting PORT).")
@friendly
def serve(config: Path | None, host: str | None, port: int | None) -> None:
    """Serve the pages and the API until Ctrl-C."""
    from picasso import configuration, server

    chosen = {key: value for key, value in (("HOST", host), ("PORT", port)) if value is not None}
    settings = configuration.load(config, chosen)
    click.echo(f"Picasso {__version__}, {settings.describe_source()}")
    server.serve(settings, click.echo)


@main.command()
@PICTURES
@CONFIG
@MODEL
@click.option("--visualization", "-v", default="PartialOcclusion", show_default=True, help="Which one to run.")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting of it, such as Window=0.1.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("picasso-results"), show_default=True)
@friendly
def explain(
    pictures: tuple[Path, ...],
    config: Path | None,
    model: Path | None,
    visualization: str,
    pairs: tuple[str, ...],
    out: Path,
) -> None:
    """Visualize PICTURES and write PNG, JSON and npz files, one folder for each picture."""
    from picasso import configuration, pipeline

    settings = configuration.load(config)
    plugin_dirs = [settings.path(folder) for folder in settings.PLUGIN_DIRS]
    chosen = parse_pairs(pairs)
    loaded = load(config, model)
    with click.progressbar(length=1000, label=visualization, file=sys.stderr) as bar:

        def progress(fraction: float) -> None:
            bar.update(round(fraction * 1000) - bar.pos)

        results = pipeline.explain(
            loaded, pictures, visualization, plugin_dirs=plugin_dirs, progress=progress, **chosen
        )
    for index, result in enumerate(results):
        folder = free_folder(out, f"{Path(result.picture).stem}-{visualization}", index)
        result.save(folder)
        best = result.predictions[0]
        click.echo(f"{result.picture}: {best['name']} {best['prob']:.3f} -> {folder}")
    for note in dict.fromkeys(note for result in results for note in result.notes):
        click.secho(f"note: {note}", fg="yellow", err=True)


def parse_pairs(pairs: tuple[str, ...]) -> dict[str, object]:
    """Turn ``NAME=VALUE`` options into settings."""
    chosen: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadRequest(f"--set takes NAME=VALUE, such as Window=0.1, not {pair!r}.", field="set")
        chosen[name] = value
    return chosen


def free_folder(out: Path, name: str, index: int) -> Path:
    """Return ``out/name``, or a numbered variant where that is taken, so that nothing is overwritten."""
    out.mkdir(parents=True, exist_ok=True)
    candidate = out / name
    while candidate.exists():
        index += 1
        candidate = out / f"{name}-{index}"
    return candidate


def load(config: Path | None, model: Path | None) -> Any:
    """Load the model file named on the command line, else the settings' model."""
    from picasso import configuration, models

    return models.load_model(model) if model else models.load_configured(configuration.load(config))


@main.command()
@CONFIG
@MODEL
@friendly
def check(config: Path | None, model: Path | None) -> None:
    """Load the model and say what Picasso understood of it."""
    card = load(config, model).card()
    height, width, channels = card.input_shape
    lines = {
        "model": f"{card.name} ({card.framework})",
        "checkpoint": f"{card.checkpoint}, written {card.checkpoint_time}",
        "input": f"{height} x {width} pixels, {channels} channel{'s' if channels > 1 else ''}",
        "classes": card.classes,
        "logits": card.logits,
        "can give": ", ".join(card.capabilities),
    }
    for name, value in lines.items():
        click.echo(f"{name:>12}  {value}")
    for note in card.notes:
        click.secho(f"        note  {note}", fg="yellow")


@main.command()
@CONFIG
@friendly
def visualizations(config: Path | None) -> None:
    """List the visualizations and their settings."""
    from picasso import configuration
    from picasso.registry import Registry

    settings = configuration.load(config)
    for entry in Registry([settings.path(folder) for folder in settings.PLUGIN_DIRS]).entries():
        if entry.cls is None:
            click.secho(f"{entry.name}: can't be used: {entry.reason}", fg="red")
            continue
        click.secho(entry.name, bold=True)
        click.echo(f"  {entry.description}")
        for name, control in entry.cls.ALLOWED_SETTINGS.controls().items():
            click.echo(f"  {name}={control.show(control.default)}  {control.help} ({control.allowed()})")


@main.command("new-visualization")
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=Path("plugins"), show_default=True)
@friendly
def new_visualization(name: str, folder: Path) -> None:
    """Write a working visualization NAME (such as FunViz) and its template to start from."""
    from picasso import scaffold

    for file in scaffold.write(name, folder):
        click.echo(f"wrote {file}")
    click.echo(f'Add the folder to your settings: PLUGIN_DIRS = ["{folder}"]')
