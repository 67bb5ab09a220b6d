"""The command ``picasso check``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picasso import fileio
from picasso.cli.check_result import CheckResult, check_options
from picasso.cli.image_files import readable
from picasso.cli.options import JSON, configured, gate, loading_in_time, progress_bar

if TYPE_CHECKING:
    from PIL import Image

    from picasso.config import Settings


@click.command()
@click.argument("images", nargs=-1, type=Path)
@click.option("--folder", type=Path, help="Folder of images with truth; measures how well the model does.")
@click.option("--out", type=Path, help="Folder to write each image to as the model sees it, as PNG.")
@JSON
@configured
@gate
@check_options
def check(
    settings: Settings,
    images: tuple[Path, ...],
    folder: Path | None,
    out: Path | None,
    as_json: bool,
    build: CheckResult,
) -> None:
    """Print a summary of the model and its predictions.

    Loads the model and predicts IMAGES or the samples.

    Exits with status 0 if nothing fails, 1 if a warning fails by --fail-on, and 2 if the model could not be checked or
    an image could not be read; the other images are still predicted.
    """
    from picasso import models
    from picasso.evaluation import model_check
    from picasso.explanation.inputs import expand, image_from, names_of
    from picasso.imaging import decode

    shown = list(expand(images or list(settings.sample_files(10).values())))
    good = readable(shown, settings, build.unreadable)
    with loading_in_time():
        model = models.load_configured(settings)
    named = list(zip(names_of(good), good, strict=True))
    opened = (image_from(file, index, name, model) for index, (name, file) in enumerate(named))

    def show(name: str, view: Image.Image) -> None:
        if out:
            view.save(fileio.free_path(out, decode.without_ending(name).replace("/", "-"), ".png"))

    with progress_bar("measuring", hidden=not folder) as progress:
        report = model_check.check(model, opened, folder, progress, show)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=1))
    else:
        width = max(12, *(len(name) for name, _ in report.lines()))
        for name, value in report.lines():
            click.echo(f"{name:>{width}}  {value}")
        for warning in report.warnings:
            click.secho(f"{'warning':>{width}}  {warning}", fg="yellow")
    if status := build.tell(report, dict(named), folder):
        sys.exit(status)
