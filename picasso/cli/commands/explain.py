"""The command ``picasso explain``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picasso import fileio
from picasso.cli.grading import GRADE, grade_all, require_one_target
from picasso.cli.image_files import readable
from picasso.cli.options import COMPARE, ENGINE, JSON, configured, engine, loading_in_time, parse_pairs, progress_bar
from picasso.cli.tracked_results import TrackedResults
from picasso.cli.trackers import LOG_TO, require_trackers

if TYPE_CHECKING:
    from picasso.config import Settings
    from picasso.explanation.result import Result
    from picasso.jobs.batch import Batch
    from picasso.models.base import Model


@click.command()
@click.argument("images", nargs=-1, required=True, type=Path)
@click.option(
    "--visualization",
    "-v",
    "names",
    multiple=True,
    metavar="NAME",
    help="Visualization to run; can be repeated. Default: PartialOcclusion.",
)
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Setting for the visualizations that have it."
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="TEXT",
    help='What to explain: a class, "a vs b", "person@120,80", "value:age", "box:0" or "like:other.png".',
)
@click.option("--class", "classes", multiple=True, metavar="NAME", help="Class to explain, by name or index.")
@COMPARE
@click.option("--out", type=Path, default=Path("picasso-results"), show_default=True, help="Output folder.")
@GRADE
@LOG_TO
@ENGINE
@JSON
@configured
def explain(
    settings: Settings,
    images: tuple[Path, ...],
    names: tuple[str, ...],
    pairs: tuple[str, ...],
    targets: tuple[str, ...],
    classes: tuple[str, ...],
    compare: tuple[str, ...],
    out: Path,
    grade: bool,
    trackers: tuple[str, ...],
    as_json: bool,
) -> None:
    """Explain IMAGES and write the results to a folder.

    Writes PNG, JSON and npz files, one folder per image and visualization.

    Exits with status 2 if an image could not be read or a visualization not be graded; all others still are.
    """
    from picasso import models
    from picasso.evaluation.model_check import Answer
    from picasso.explanation.inputs import expand
    from picasso.explanation.registry import Registry
    from picasso.imaging import decode

    chosen = parse_pairs(pairs, "--set", "Window=0.1")
    if grade:
        require_one_target((*targets, *classes))
    # Check all arguments before the model is loaded, which takes seconds.
    require_trackers(trackers)
    wanted = Registry(settings.plugin_dirs()).with_settings(names or ("PartialOcclusion",), chosen)
    files = list(expand(images))
    good = readable(files, settings)
    with loading_in_time():
        loaded = {name: models.load_configured(settings.compared(name)) for name in ("", *compare)}
    notes: dict[str, None] = {}
    written: list[dict[str, object]] = []
    tracked = TrackedResults(trackers)
    chosen_targets = (*targets, *classes)
    with engine(settings, loaded[""]) as workers:
        for name, own in wanted.items():
            with progress_bar(name) as progress:
                asked = (loaded, good, name, own, chosen_targets, progress)
                results = computed(workers, *asked) if workers else explained(settings, *asked)
                for result, save in results:
                    called = decode.without_ending(result.image).replace("/", "-")
                    folder = fileio.free_path(out, f"{called}-{name}")
                    save(folder)
                    tracked.add(result, folder)
                    written.append({"folder": str(folder), **result.as_dict()})
                    best = Answer(result.image, result.predictions[:1]).text
                    click.echo(f"{result.image}: {best} -> {folder}", err=as_json)
                    notes |= dict.fromkeys((*result.model.notes, *result.notes))
    grades = {}
    if grade:
        grades = grade_all(loaded[""], good, wanted, settings.plugin_dirs(), chosen_targets, out, aside=as_json)
    for note in notes:
        click.secho(f"note: {note}", fg="yellow", err=True)
    if as_json:
        click.echo(json.dumps(written, indent=1, allow_nan=False))
    tracked.publish(grades)
    if len(good) < len(files) or (grade and len(grades) < len(wanted)):
        sys.exit(2)


def explained(
    settings: Settings,
    loaded: Mapping[str, Model],
    images: list[Path],
    name: str,
    own: dict[str, object],
    targets: tuple[str, ...],
    progress: Callable[[float], None],
) -> Iterator[tuple[Result, Callable[[Path], object]]]:
    """Yield the result of each image, computed in this process, with the function that saves it in a folder."""
    from picasso.explanation import comparison

    dirs = settings.plugin_dirs()
    for result in comparison.explain_each(
        loaded, images, name, plugin_dirs=dirs, progress=progress, targets=targets, **own
    ):
        yield result, result.save


def computed(
    workers: Batch,
    loaded: Mapping[str, Model],
    images: list[Path],
    name: str,
    own: dict[str, object],
    targets: tuple[str, ...],
    progress: Callable[[float], None],
) -> Iterator[tuple[Result, Callable[[Path], object]]]:
    """Yield the result of each image, computed by workers, with the function that saves it in a folder."""
    from picasso.explanation.inputs import names_of
    from picasso.explanation.result import Result

    model, *_ = loaded.values()
    named = list(zip(names_of(images), images, strict=True))
    for folder in workers.explain(model, named, name, own, targets, [*loaded][1:], progress):
        yield Result.load(folder), partial(shutil.move, folder)
