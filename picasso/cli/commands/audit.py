"""The command ``picasso audit``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picasso import fileio
from picasso.cli.build_result import BuildResult, build_options
from picasso.cli.options import (
    BUDGET,
    ENGINE,
    JSON,
    MASKS,
    PAIRS,
    SEED,
    configured,
    engine,
    gate,
    loading_in_time,
    parse_time,
    progress_bar,
)
from picasso.errors import PicassoError

if TYPE_CHECKING:
    from picasso.config import Settings


@click.command()
@click.argument("folder", type=Path)
@click.option("--out", type=Path, default=Path("picasso-audit"), show_default=True, help="Output folder.")
@BUDGET
@PAIRS
@MASKS
@SEED
@ENGINE
@JSON
@configured
@gate
@build_options
def audit(
    settings: Settings,
    folder: Path,
    out: Path,
    budget: str,
    pairs: int,
    masks: Path | None,
    seed: int,
    as_json: bool,
    build: BuildResult,
) -> None:
    """Look for spurious features that the model relies on.

    FOLDER has one subfolder of images per class. The audit looks for features that the model relies on rather than on
    the object.

    Exits with status 0 if nothing was found, 1 if something was found that fails, and 2 if the audit could not run or
    could not judge anything.
    """
    from picasso import models
    from picasso.audit import audit, object_masks
    from picasso.audit.catalogue import catalogue
    from picasso.audit.dataset import require_classifier
    from picasso.audit.reading import read
    from picasso.audit.reporting import report
    from picasso.audit.trial import TrialContext
    from picasso.evaluation import labeled_folder
    from picasso.jobs.audit_documents import AuditRequest

    seconds, interventions = parse_time(budget), catalogue(settings.intervention_files())
    with loading_in_time():
        model = models.load_configured(settings)
    require_classifier(model)
    names = [str(name) for name in model.class_names()]
    build.require_classes(names)
    with progress_bar("reading") as progress:
        drawn = object_masks.folder_of(folder, masks)
        found_images = labeled_folder.find(model, folder)
        images = read(model, found_images, progress, masks=drawn, seed=seed, pairs=pairs)
    if images.left_out:
        click.secho(images.left_out, fg="yellow", err=as_json)
    bench = TrialContext(model, images, seed, interventions)
    plan = audit.plan(bench, pairs)
    click.echo(plan.sentence(), err=as_json)
    fileio.make_folder(out)
    with engine(settings, model) as workers, progress_bar("changing images") as progress:
        if workers:
            asked = AuditRequest(
                workers.configured, pairs, seed, seconds, masks=None if drawn is None else str(drawn.absolute())
            )
            counts = {target: len(files) for target, files in found_images.by_class.items()}
            seconds -= workers.test_pairs(model, folder, counts, asked, len(plan.pairs), out / "trials", progress)
        audited = audit.run(bench, plan, keep=out / "trials", budget=seconds, progress=progress)
    written = report.write(audited, out, build.rule)
    click.secho(audited.sentence(), bold=True, err=as_json)
    for group in audited.verdict.groups:
        if group.tier != "informative":
            click.echo(group.sentence(names, images.classes), err=as_json)
    fails = build.tell(written, names, sum(map(len, found_images.by_class.values())), err=as_json)
    click.echo(f"-> {out / 'report.html'}", err=as_json)
    if as_json:
        click.echo(json.dumps({"folder": str(out), "fails": fails, **written}, indent=1, allow_nan=False))
    build.publish(written, folder, out)
    if fails:
        sys.exit(1)
    if not audited.coverage.judged or audited.coverage.swapped:
        why = "folders seem to be swapped" if audited.coverage.swapped else "the model separates none of the classes"
        raise PicassoError(f"This audit is no pass, because {why}.")
