"""The ``picasso`` command. Each subcommand imports slow modules only when it runs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picasso import __version__, fileio
from picasso.cli.build_result import BuildResult, build_options
from picasso.cli.check_result import CheckResult, check_options
from picasso.cli.grading import GRADE, grade_all, require_one_target
from picasso.cli.mcp_command import mcp
from picasso.cli.options import (
    BUDGET,
    COMPARE,
    CONFIG,
    ENGINE,
    JSON,
    MASKS,
    PAIRS,
    SEED,
    configured,
    engine,
    friendly,
    gate,
    loading_in_time,
    parse_pairs,
    parse_time,
    progress_bar,
)
from picasso.cli.tracked_results import TrackedResults
from picasso.cli.trackers import LOG_TO, require_trackers
from picasso.errors import BadRequest, PicassoError

if TYPE_CHECKING:
    from PIL import Image

    from picasso.config import Settings
    from picasso.explanation.result import Result
    from picasso.inside.card import ChannelCard
    from picasso.inside.concept_card import Concepts
    from picasso.inside.effects import ChannelEffects
    from picasso.jobs.batch import Batch
    from picasso.models.base import Model

# The number of channels that are printed.
SHOWN = 10


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="picasso")
def main() -> None:
    """Show where a trained image classifier looks."""


main.add_command(mcp)


@main.command()
@click.argument("models", nargs=-1, type=Path)
@COMPARE
@click.option("--host", help="Address to listen on (setting HOST).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (setting PORT).")
@click.option("--password-file", type=Path, help="File with the password (setting PASSWORD_FILE).")
@click.option("--prefix", metavar="PATH", help="Path prefix of the server, such as /picasso (setting PREFIX).")
@click.option("--engine", metavar="NAME", help="Where to compute, such as processes:3 (setting ENGINE).")
@configured
def serve(settings: Settings, compare: tuple[str, ...]) -> None:
    """Serve the web pages and the REST API until Ctrl-C.

    MODELS are model files, or folders of checkpoints. The first one, or the newest checkpoint of the first folder, is
    explained, and the others are compared with it. Without MODELS, the settings specify the model.
    """
    from picasso.web import server

    click.echo(f"Picasso {__version__}, {settings.describe_source()}")
    if compare:
        click.echo(f"compares {settings.model_name()} with {', '.join(compare)}")
    server.serve(settings, click.echo)


@main.command()
@click.argument("folder", type=Path)
@click.option("--idle", default="", metavar="TIME", help="Time without a task after which to end, such as 10m.")
@friendly
def work(folder: Path, idle: str) -> None:
    """Compute what servers and commands with the engine folder:FOLDER have to compute.

    Start it as often as there are processors or machines to use, before or after the server; all must see FOLDER at the
    same path. It ends with Ctrl-C or a signal TERM, at which another worker continues its task, or after --idle.
    """
    import logging
    import signal

    from picasso.jobs.folder_worker import FolderWorker

    seconds = parse_time(idle, "--idle")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    worker = FolderWorker(folder.resolve(), seconds)
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: worker.stop())
    worker.run()


@main.command()
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


def print_error(file: Path, message: str) -> None:
    """Print an error about a file, which the message names."""
    click.secho(f"picasso: {message}", fg="red", err=True)


def readable(files: Sequence[Path], settings: Settings, tell: Callable[[Path, str], None] = print_error) -> list[Path]:
    """Return the files that can be read as images, and tell an error for each of the others.

    This runs before the model is loaded, which takes seconds. If the model class opens images itself, all files are
    returned. If there are files but none can be read, the command ends.
    """
    from picasso.explanation.inputs import image_from
    from picasso.imaging.decode import display_name
    from picasso.models.user_code import opens_images

    good: list[Path] = []
    for file in files:
        try:
            image_from(file, 0)
            good.append(file)
        except PicassoError as error:
            if file.is_file() and opens_images(settings):
                return list(files)
            # Several folders may have files of the same name.
            rest = error.message.removeprefix(display_name(file.name))
            message = f"{file}{rest}" if rest != error.message else rest
            tell(file, message)
    if files and not good:
        sys.exit(2)
    return good


@main.command()
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


@main.command()
@click.option("--layer", help="Layer with feature maps; default: the last one before the head.")
@click.option("--channel", type=click.IntRange(0), help="Index of the channel, from 0; without it, all are compared.")
@click.option(
    "--concepts", type=click.IntRange(1, 10), help="Number of concepts to find, instead of looking at channels."
)
@click.option("--class", "target", help="Name or index of a class whose concepts to find; default: all images.")
@click.option("--audit", type=Path, help="audit.json of an audit, to say which concept each finding is about.")
@click.option("--folder", type=Path, required=True, help="Folder of images to look at.")
@click.option("--scale", type=float, help="Factor of the channel; default: 0, which switches it off.")
@click.option("--value", type=float, help="Value of the channel everywhere, instead of a factor.")
@click.option(
    "--steps",
    type=click.IntRange(0),
    default=64,
    show_default=True,
    help="Number of steps of the search for the preferred input; 0 for none.",
)
@SEED
@click.option(
    "--out",
    type=Path,
    help="Output folder of --channel and --concepts; default: picasso-card or picasso-concepts.",
)
@JSON
@configured
def inside(
    settings: Settings,
    layer: str | None,
    channel: int | None,
    concepts: int | None,
    target: str | None,
    audit: Path | None,
    folder: Path,
    scale: float | None,
    value: float | None,
    steps: int,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show what the channels of a layer respond to, and what happens without them.

    Compares by how much the predictions for the images of FOLDER change without each channel. With --channel, finds
    the images in which it is largest, and counts the predictions that change. With --concepts, finds directions of
    the channels that explain the feature maps, and measures how much the predictions depend on each.
    """
    from picasso import models
    from picasso.inside.channel import channel_card
    from picasso.inside.concepts import concepts as find_concepts
    from picasso.inside.effects import channel_effects

    if concepts and not (channel is None and scale is None and value is None):
        raise BadRequest("--concepts can't be combined with --channel, --scale or --value.")
    if not concepts and (target is not None or audit is not None):
        raise BadRequest("--class and --audit are about concepts; add --concepts with their number, such as 5.")
    if channel is None and not concepts and out is not None:
        raise BadRequest(
            "The effects of all channels are only printed; leave --out out, or give --channel or --concepts."
        )
    out = out or Path("picasso-concepts" if concepts else "picasso-card")
    # Before the work, which would be lost if there were no place for its result.
    place = None if channel is None and not concepts else fileio.free_path(out.parent, out.name)
    with loading_in_time():
        model = models.load_configured(settings)
    found: ChannelCard | ChannelEffects | Concepts
    with progress_bar("looking") as progress:
        if place is None:
            found = channel_effects(model, layer, folder, scale=scale, value=value, progress=progress)
            lines = found.lines(SHOWN)
        elif channel is None:
            found = find_concepts(
                model, layer, folder, target=target, count=concepts or 0, audit=audit, seed=seed, progress=progress
            )
            found.save(place)
            lines = [*found.sentences(), f"-> {place}"]
        else:
            found = channel_card(
                model, layer, channel, folder, scale=scale, value=value, steps=steps, seed=seed, progress=progress
            )
            found.save(place)
            lines = [*found.sentences(), f"-> {place}"]
    click.echo(json.dumps(found.as_dict(), indent=1) if as_json else "\n".join(lines))
    for message in found.unreadable:
        click.secho(f"picasso: {message}", fg="red", err=True)
    if found.unreadable:
        sys.exit(2)


@main.command()
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


@main.command()
@click.argument("source", type=Path)
@click.option("--logdir", type=Path, required=True, help="Folder for the event file.")
@click.option("--link", default="", metavar="URL", help="Web address of the HTML report, to link it.")
@JSON
@friendly
def tensorboard(source: Path, logdir: Path, link: str, as_json: bool) -> None:
    """Write results or an audit as an event file for TensorBoard.

    SOURCE is the output folder of picasso explain or picasso audit, what they print with --json, or a training recorded
    by a callback.
    """
    from picasso.summaries.existing import write_existing

    written = write_existing(source, logdir, link)
    found = json.dumps({"written": written, "logdir": str(logdir)}, indent=1)
    click.echo(found if as_json else f"wrote {written} -> {logdir}")


@main.command()
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


@main.command()
@click.argument("files", nargs=-1, required=True, type=Path)
@JSON
@click.option(
    "--model-mb", type=click.IntRange(1), help="Maximum size of a file's tensors in megabytes; default: 4000."
)
@friendly
@gate
def scan(files: tuple[Path, ...], as_json: bool, model_mb: int | None) -> None:
    """Check whether the model FILES contain only data.

    The files are not loaded: no framework is imported and no code in them runs.

    Exits with status 0 if all files are data only, 1 if one would be refused, and 2 if one can't be read.
    """
    from picasso import remedies
    from picasso.models.scan import Limits, reporting

    remedies.set_interface(remedies.Interface.COMMAND_LINE)
    scanned = []
    for one in reporting.scan_each(files, Limits.of(model_mb) if model_mb else Limits()):
        scanned.append(one)
        if not as_json:
            click.echo("\n".join(one.lines()))
    if as_json:
        click.echo(json.dumps([one.as_dict() for one in scanned], indent=1))
    sys.exit(max(one.verdict for one in scanned))


@main.command()
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


@main.command("new-visualization")
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
