"""The option ``--grade`` of ``picasso explain``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picasso import fileio
from picasso.cli.options import progress_bar
from picasso.errors import BadRequest, Cancelled, PicassoError

if TYPE_CHECKING:
    from picasso.grading.outcome import Grade
    from picasso.models.base import Model

GRADE = click.option("--grade", is_flag=True, help="Test how far the maps can be trusted, too; takes longer.")


def require_one_target(targets: Sequence[str]) -> None:
    """Raise BadRequest if a grade is about several targets."""
    if len(targets) > 1:
        raise BadRequest("--grade is about one target. Give one --target, or none for what the model predicts.")


def grade_all(
    model: Model,
    images: Sequence[Path],
    methods: Mapping[str, Mapping[str, Any]],
    plugin_dirs: Sequence[Path],
    targets: Sequence[str],
    out: Path,
    *,
    aside: bool,
) -> dict[Path, Grade]:
    """Grade visualizations, write a JSON file for each, and print their sentences and, for several, a ranking.

    A visualization that can't be graded, such as one without maps, is named with the reason, and the others are graded.
    Returns the grades by the files that they were written to.

    Args:
        model: the model.
        images: the images.
        methods: the settings of each visualization by its name.
        plugin_dirs: the folders with custom visualizations.
        targets: the target, or none.
        out: the folder for the files.
        aside: whether to print to standard error.
    """
    from picasso.grading import ranking
    from picasso.grading.grade import grade

    grades: dict[Path, Grade] = {}
    failed: dict[str, str] = {}
    for name, settings in methods.items():
        file = fileio.free_path(out, f"{name}-grade", ".json")
        with progress_bar(f"grading {name}") as progress:
            options: dict[str, Any] = {"targets": targets, "plugin_dirs": plugin_dirs, "progress": progress}
            try:
                graded = grade(model, name, list(images), **options, **settings)
            except Cancelled:
                raise
            except PicassoError as error:
                failed[name] = error.message
                continue
        file.write_text(json.dumps(graded.as_dict(), indent=1), encoding="utf-8")
        click.echo(f"{name}: {graded.sentence} -> {file}", err=aside)
        grades[file] = graded
    if len(grades) > 1:
        click.echo("\n".join(ranking.lines([*grades.values()])), err=aside)
    for name, message in failed.items():
        click.secho(f"{name} is not graded: {message}", fg="red", err=True)
    return grades
