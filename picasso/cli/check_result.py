"""The options of ``picasso check`` for a build: what fails it, and a SARIF file; imports nothing slow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picasso.cli.options import Command, require_folder
from picasso.cli.sarif_file import Collected, SarifFile, model_path
from picasso.evaluation.sarif import Alert, Level, Rule

if TYPE_CHECKING:
    from picasso.config import Settings
    from picasso.evaluation.model_check import Report

FAILED = Rule(
    "check-failed",
    "The model can't be checked",
    "The model can't be loaded, it fails on an image, or an option or a setting is wrong. The message states what is "
    "valid and what to do.",
)
UNREADABLE = Rule(
    "unreadable-image",
    "An image can't be read",
    "The file is no image, or it is damaged or too large. Replace it or leave it out.",
)
#: The rules of warnings, by :class:`picasso.evaluation.model_check.Source`.
WARNINGS = {
    "model": Rule(
        "model-assumption",
        "Something about the model is assumed",
        "Neither the file of the model nor the settings state it, or the model was read differently from how it was "
        "written. A wrong assumption makes all maps and scores wrong without an error. State it in the settings or by "
        "an option, such as --preprocess, --task or --output-kind.",
    ),
    "image": Rule(
        "image-note",
        "An image was not read exactly",
        "The image was converted or changed when it was read. Look at it as the model sees it, with picasso check "
        "--out.",
    ),
    "output": Rule(
        "suspicious-output",
        "The predictions look wrong",
        "The predictions are the same for all images, or are not what the kind of output promises. Often the value "
        "range of the input or the kind of output is wrong: compare --preprocess and --output-kind with the training.",
    ),
    "truth": Rule(
        "suspicious-score",
        "The scores or the images with truth look wrong",
        "Images could not be read or have no truth, the scores are at the level of chance, or the labels are in "
        "another order than the outputs. Check --folder and --labels.",
    ),
}


@dataclass(frozen=True)
class CheckResult:
    """Decides whether a check fails a build, and tells it.

    Attributes:
        least: the least severe level that fails.
        sarif: the SARIF file; alerts that it already has are errors.
    """

    least: Level
    sarif: SarifFile

    def unreadable(self, file: Path, message: str) -> None:
        """Tell that a file could not be read."""
        click.secho(f"picasso: {message}", fg="red", err=True)
        self.sarif.alerts.append(Alert(UNREADABLE, Level.ERROR, message, file))

    def tell(self, report: Report, images: dict[str, Path], folder: Path | None) -> int:
        """Add the warnings to the SARIF file, say whether they fail, and return the status of the command.

        Args:
            report: the outcome of the check.
            images: the file of each image by its name.
            folder: the images with truth, if there are any.
        """
        unreadable = bool(self.sarif.alerts)
        for one in report.problems:
            path = images.get(one.image) or (folder if one.source == "truth" else None) or self.sarif.path
            self.sarif.alerts.append(Alert(WARNINGS[one.source], Level.WARNING, one.text, path))
        if unreadable:
            return 2
        if self.least is Level.WARNING and report.problems:
            count = len(report.problems)
            click.echo(f"{count} warning{'s' if count > 1 else ''}, so the check fails.", err=True)
            return 1
        return 0


def check_options(command: Command) -> Command:
    """Add the options for a build to a command, and call it with ``build``, its :class:`CheckResult`."""

    @click.option(
        "--fail-on",
        type=click.Choice(["warning", "error"]),
        default="error",
        show_default=True,
        help="What fails: errors only, with status 2, or warnings, too, with status 1.",
    )
    @click.option("--sarif", type=Path, metavar="FILE", help="File for warnings and errors as SARIF.")
    @wraps(command)
    def with_build(settings: Settings, fail_on: str, sarif: Path | None, **options: Any) -> Any:
        if sarif:
            require_folder(sarif, "--sarif")
        shared = click.get_current_context().find_object(Collected)
        with SarifFile(sarif, FAILED, model_path(settings), shared=shared) as written:
            return command(settings=settings, build=CheckResult(Level(fail_on), written), **options)

    return with_build
