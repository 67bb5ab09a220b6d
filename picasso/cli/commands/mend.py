"""The command ``picasso mend``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picasso.cli.options import (
    BUDGET,
    JSON,
    MASKS,
    PAIRS,
    SEED,
    configured,
    gate,
    loading_in_time,
    parse_time,
    progress_bar,
)
from picasso.errors import BadRequest

if TYPE_CHECKING:
    from picasso.config import Settings


@click.command()
@click.argument("folder", type=Path)
@click.option("--out", type=Path, required=True, help="File for the mended copy (.keras); must not exist.")
@click.option("--audit", "earlier", type=Path, help="Output folder of an earlier audit, whose tests are not repeated.")
@click.option("--fair", type=Path, help="Folder of images without the shortcut; the accuracy on them is measured.")
@click.option("--deep", is_flag=True, help="Train the whole network, too, and take the better copy.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Maximum number of repetitions.")
@BUDGET
@PAIRS
@MASKS
@SEED
@JSON
@configured
@gate
def mend(
    settings: Settings,
    folder: Path,
    out: Path,
    earlier: Path | None,
    fair: Path | None,
    deep: bool,
    rounds: int,
    budget: str,
    pairs: int,
    masks: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Write a copy of the model that no longer relies on a spurious feature.

    FOLDER has one subfolder of images per class. The model is audited, its last layer is retrained on images with the
    spurious features exchanged, and the copy is audited too. The model file stays the same.

    Exits with status 0 if the model was mended or nothing was found, 1 if it could not be mended, and 2 if the command
    could not run.
    """
    from picasso import models
    from picasso.audit.catalogue import catalogue
    from picasso.mending import document
    from picasso.mending.mend import check
    from picasso.mending.start import mend_model

    check(out)
    if earlier and not any((earlier / name).exists() for name in ("audit.json", "trials")):
        raise BadRequest(f"{earlier} is not the output folder of an audit: it has no audit.json.", field="audit")
    seconds, interventions = parse_time(budget), catalogue(settings.intervention_files())
    with loading_in_time():
        model = models.load_configured(settings)
    with progress_bar("mending") as show:
        done = mend_model(
            model,
            folder,
            out,
            audit=earlier,
            fair=fair,
            deep=deep,
            rounds=rounds,
            pairs=pairs,
            budget=seconds,
            seed=seed,
            interventions=interventions,
            masks=masks,
            progress=lambda fraction, what: show(fraction),
        )
    if as_json:
        click.echo(json.dumps(document.document(done), indent=1))
    click.secho(done.sentence, bold=True, err=as_json)
    if done.effects:
        click.echo("\n".join(document.lines(document.rows(done))), err=as_json)
    if done.advice:
        click.echo(f"\n{done.advice}", err=as_json)
    if done.file:
        click.echo(f"-> {done.file}", err=as_json)
    if done.effects and not done.mended:
        sys.exit(1)
