"""The ``picasso`` command; what is slow to import is imported by the subcommand that needs it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picasso import __version__
from picasso.errors import BadRequest, PicassoError

if TYPE_CHECKING:
    from picasso.configuration import Settings

Command = Callable[..., Any]

CONFIG = click.option("--config", type=Path, help="Settings file; without it, $PICASSO_SETTINGS or ./config.py.")


def friendly(command: Command) -> Command:
    """End a command with one line and status 2 where an error of our own family comes up."""

    @wraps(command)
    def guarded(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except PicassoError as error:
            click.secho(f"picasso: {error.message}", fg="red", err=True)
            sys.exit(2)

    return guarded


def configured(command: Command) -> Command:
    """Give a command the options that make up its settings, and call it with ``settings``."""

    @CONFIG
    @click.option("--model", type=Path, help="Model file, instead of the settings' model.")
    @click.option("--labels", type=Path, help="File with the class names: .txt, .json, .yaml or .csv.")
    @click.option("--load-arg", "load_args", multiple=True, metavar="NAME=VALUE", help="How to load --model.")
    @click.option("--samples", type=Path, help="Folder of pictures to offer as samples.")
    @click.option("--trust-model", is_flag=True, default=None, help="Let code inside the model file run.")
    @click.option("--preprocess", metavar="WORDS", help='Such as "-1..1 crop", or module:function.')
    @friendly
    @wraps(command)
    def with_settings(
        config: Path | None,
        model: Path | None,
        labels: Path | None,
        preprocess: str | None,
        samples: Path | None,
        trust_model: bool | None,
        load_args: tuple[str, ...],
        **options: Any,
    ) -> Any:
        from picasso import configuration

        # Paths on a command line are relative to where it is typed, not to the settings file.
        if preprocess and preprocess.partition(":")[0].endswith(".py"):
            preprocess = str(Path(preprocess).resolve())
        if load_args and not model:
            raise BadRequest("--load-arg goes with --model; write MODEL_LOAD_ARGS into the settings file instead.")
        arguments = parse_pairs(load_args, "--load-arg", "output=1")
        chosen = {
            "MODEL": str(model.resolve()) if model else None,
            # Not those of the settings file: they are for another model.
            "MODEL_LOAD_ARGS": {key: yaml_value(value) for key, value in arguments.items()} if model else None,
            "SAMPLES_DIR": str(samples.resolve()) if samples else None,
            "LABELS": str(labels.resolve()) if labels else None,
            "PREPROCESS": preprocess,
            "TRUST_MODEL": trust_model,
            "HOST": options.pop("host", None),
            "PORT": options.pop("port", None),
        }
        overrides = {key: value for key, value in chosen.items() if value is not None}
        return command(settings=configuration.load(config, overrides), **options)

    return with_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="picasso")
def main() -> None:
    """See where a trained image classifier looks."""


@main.command()
@click.option("--host", help="Address to listen on (setting HOST).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (setting PORT).")
@configured
def serve(settings: Settings) -> None:
    """Serve the pages and the API until Ctrl-C."""
    from picasso import server

    click.echo(f"Picasso {__version__}, {settings.describe_source()}")
    server.serve(settings, click.echo)


@main.command()
@click.argument("pictures", nargs=-1, required=True, type=Path)
@click.option("--visualization", "-v", default="PartialOcclusion", show_default=True, help="Which one to run.")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting of it, such as Window=0.1.")
@click.option("--out", type=Path, default=Path("picasso-results"), show_default=True, help="Where to write.")
@configured
def explain(
    settings: Settings, pictures: tuple[Path, ...], visualization: str, pairs: tuple[str, ...], out: Path
) -> None:
    """Visualize PICTURES and write PNG, JSON and npz files, one folder for each picture."""
    from picasso import models, pipeline
    from picasso.registry import Registry

    chosen = parse_pairs(pairs, "--set", "Window=0.1")
    # Whatever can be wrong is found before the model takes its seconds to load.
    Registry(settings.plugin_dirs()).get(visualization).require().ALLOWED_SETTINGS.parse(chosen)
    for file in pictures:
        pipeline.picture_from(file, 0)
    model = models.load_configured(settings)
    notes: dict[str, None] = {}
    with progress_bar(visualization) as progress:
        for result in pipeline.explain_each(
            model, pictures, visualization, plugin_dirs=settings.plugin_dirs(), progress=progress, **chosen
        ):
            folder = free_folder(out, f"{Path(result.picture).stem}-{visualization}")
            result.save(folder)
            best = result.predictions[0]
            click.echo(f"{result.picture}: {best['name']} {best['prob']:.3f} -> {folder}")
            notes |= dict.fromkeys((*result.model.notes, *result.notes))
    for note in notes:
        click.secho(f"note: {note}", fg="yellow", err=True)


@contextmanager
def progress_bar(label: str, *, hidden: bool = False) -> Iterator[Callable[[float], None]]:
    """Show how far something is, 0..1, on the terminal; nothing where standard error is no terminal."""
    hidden = hidden or not sys.stderr.isatty()
    with click.progressbar(length=1000, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield lambda fraction: bar.update(round(fraction * 1000) - bar.pos)


def parse_pairs(pairs: tuple[str, ...], option: str, example: str) -> dict[str, str]:
    """Turn the ``NAME=VALUE`` values of an option into a dictionary."""
    chosen = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadRequest(f"{option} takes NAME=VALUE, such as {example}, not {pair!r}.", field=option)
        chosen[name] = value
    return chosen


def yaml_value(text: str) -> Any:
    """Return what a value means in YAML: ``1``, ``true``, ``[224, 224, 3]``, ``{keep_prob: 1.0}`` or plain text."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def free_folder(out: Path, name: str) -> Path:
    """Return ``out/name``, or a numbered variant where that is taken, so that nothing is overwritten."""
    out.mkdir(parents=True, exist_ok=True)
    candidate = out / name
    for number in itertools.count(1):
        if not candidate.exists():
            break
        candidate = out / f"{name}-{number}"
    return candidate


@main.command()
@click.argument("pictures", nargs=-1, type=Path)
@click.option("--folder", type=Path, help="Pictures in folders named after their classes, to measure accuracy on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@configured
def check(settings: Settings, pictures: tuple[Path, ...], folder: Path | None, as_json: bool) -> None:
    """Load the model and say what Picasso understood of it, and what it answers for PICTURES or the samples."""
    import json

    from picasso import checking, models
    from picasso.pipeline import picture_from

    shown = list(pictures) or list(settings.sample_files(10).values())
    for file in shown:
        # Before the model, which takes longer to load.
        picture_from(file, 0)
    model = models.load_configured(settings)
    with progress_bar("measuring", hidden=not folder) as progress:
        report = checking.check(model, map(picture_from, shown, itertools.count()), folder, progress)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=1))
        return
    for name, value in report.lines():
        click.echo(f"{name:>12}  {value}")
    for warning in report.warnings:
        click.secho(f"{'warning':>12}  {warning}", fg="yellow")


@main.command()
@CONFIG
@friendly
def visualizations(config: Path | None) -> None:
    """List the visualizations and their settings."""
    from picasso import configuration
    from picasso.registry import Registry

    for entry in Registry(configuration.load(config).plugin_dirs()).entries():
        if entry.cls is None:
            click.secho(f"{entry.name}: can't be used: {entry.reason}", fg="red")
            continue
        click.secho(entry.name, bold=True)
        click.echo(f"  {entry.description}")
        for name, control in entry.cls.ALLOWED_SETTINGS.controls().items():
            click.echo(f"  {name}={control.show(control.default)}  {control.help} ({control.allowed()})")


@main.command("new-visualization")
@click.argument("name")
@click.option("--dir", "folder", type=Path, default=Path("plugins"), show_default=True)
@friendly
def new_visualization(name: str, folder: Path) -> None:
    """Write a working visualization NAME (such as FunViz) and its template to start from."""
    from picasso import scaffold

    for file in scaffold.write(name, folder):
        click.echo(f"wrote {file}")
    click.echo(f'Add the folder to your settings: PLUGIN_DIRS = ["{folder}"]')
