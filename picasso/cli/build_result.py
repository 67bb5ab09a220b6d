"""The options of ``picasso audit`` for a build: what fails it, and files that tell it; imports nothing slow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picasso.cli.options import Command, parse_share, require_folder
from picasso.cli.sarif_file import SarifFile, model_path
from picasso.cli.trackers import LOG_TO, log, require_trackers
from picasso.errors import BadRequest

if TYPE_CHECKING:
    from picasso.audit.reporting.failures import FailureRule
    from picasso.audit.reporting.reliance import Document
    from picasso.config import Settings


@dataclass(frozen=True)
class BuildResult:
    """Decides whether an audit fails a build, and tells it.

    Attributes:
        rule: decides which findings fail.
        summary: the file of the summary, if one is wanted.
        annotated: whether annotations of GitHub Actions are printed.
        sarif: the SARIF file.
        trackers: the names of experiment trackers.
        card: the file of the model card, if one is wanted.
    """

    rule: FailureRule
    summary: Path | None
    annotated: bool
    sarif: SarifFile
    trackers: tuple[str, ...] = ()
    card: Path | None = None

    def require_classes(self, names: Sequence[str]) -> None:
        """Raise an error if the baseline is of other classes than these.

        Raises:
            BadRequest: it is.
        """
        if self.rule.baseline:
            self.rule.baseline.require_classes(names)

    def tell(self, written: Document, names: Sequence[str], images: int, *, err: bool = False) -> bool:
        """Print why findings fail or not, write the summary, fill the SARIF file, and return whether the build fails.

        Args:
            written: the content of ``audit.json``.
            names: the names of the model's classes.
            images: the number of images in the folder.
            err: print to standard error, because standard output is JSON.

        Raises:
            BadRequest: the summary can't be written.
        """
        from picasso.audit.reporting.alerts import audit_alerts
        from picasso.audit.reporting.annotations import github_annotations
        from picasso.audit.reporting.summary import write_summary

        judged = self.rule.judge(written)
        missing = self.rule.baseline.missing(written, names) if self.rule.baseline else []
        for line in [*(one.sentence() for one in judged if one.why), *missing]:
            click.echo(line, err=err)
        for line in github_annotations(written, judged, missing) if self.annotated else ():
            click.echo(line, err=err)
        self.sarif.alerts += audit_alerts(written, judged, missing, self.sarif.path)
        if self.summary:
            typed = ["picasso", *sys.argv[1:]]
            write_summary(self.summary, written, judged, missing, images=images, command=typed)
        return any(one.fails for one in judged)

    def publish(self, written: Document, folder: Path, out: Path) -> None:
        """Write the model card, and log the numbers and the files to the trackers.

        Args:
            written: the content of ``audit.json``.
            folder: the folder of images.
            out: the folder of the report.

        Raises:
            BadRequest: the card can't be written, or a tracker refuses.
        """
        if self.card:
            from picasso.audit.reporting.model_card import write_model_card

            write_model_card(self.card, written, folder, out)
        if not self.trackers:
            return
        from picasso.audit.reporting.numbers import numbers

        model = written["model"]
        texts = {
            "version": written["picasso"],
            "model": model["checkpoint"] or model["name"],
            "sha256": model["fingerprint"],
            "images": str(folder),
            "verdict": written["verdict"],
        }
        files = [out / name for name in ("report.html", "audit.json", "junit.xml")]
        files += [self.card] if self.card else []
        log(self.trackers, "audit", numbers(written), texts, files)


def build_options(command: Command) -> Command:
    """Add the options for a build to a command, and call it with ``build``, their :class:`BuildResult`."""

    @click.option(
        "--fail-on", default="", metavar="SHARE", help="Smallest reliance that fails, 0..1; default: any alarm."
    )
    @click.option(
        "--baseline", type=Path, help="audit.json of an earlier audit, whose findings are known and do not fail."
    )
    @click.option("--summary", type=Path, metavar="FILE.md", help="File for a summary in Markdown, for a pull request.")
    @click.option("--annotations", type=click.Choice(["github"]), help="Print annotations for GitHub Actions.")
    @click.option("--sarif", type=Path, metavar="FILE", help="File for the findings as SARIF.")
    @click.option(
        "--model-card", type=Path, metavar="FILE.md", help="File for a model card in Markdown; must not exist."
    )
    @LOG_TO
    @wraps(command)
    def with_build(
        settings: Settings,
        fail_on: str,
        baseline: Path | None,
        summary: Path | None,
        annotations: str | None,
        sarif: Path | None,
        trackers: tuple[str, ...],
        model_card: Path | None,
        **options: Any,
    ) -> Any:
        from picasso.audit.reporting.alerts import FAILED
        from picasso.audit.reporting.baseline import read_baseline
        from picasso.audit.reporting.failures import FailureRule

        for file, option in ((summary, "--summary"), (sarif, "--sarif"), (model_card, "--model-card")):
            if file:
                require_folder(file, option)
        with SarifFile(sarif, FAILED, model_path(settings)) as alerts:
            if model_card and model_card.exists():
                raise BadRequest(
                    f"The model card {model_card} exists, and its author may have filled it in. Name another file, and "
                    "copy what has changed.",
                    field="model-card",
                )
            require_trackers(trackers)
            # Before the work; the new audit may replace the baseline.
            rule = FailureRule(parse_share(fail_on, "--fail-on"), read_baseline(baseline) if baseline else None)
            build = BuildResult(rule, summary, annotations is not None, alerts, trackers, model_card)
            return command(settings=settings, build=build, **options)

    return with_build
