"""Experiment trackers: numbers, texts and files of a command become a run of MLflow or Weights & Biases."""

from __future__ import annotations

import importlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from picasso.errors import BadRequest

LOG_TO = click.option(
    "--log-to",
    "trackers",
    multiple=True,
    type=click.Choice(["mlflow", "wandb"]),
    help="Experiment tracker for the report and its numbers; can be repeated.",
)
# What MLflow allows in the name of a number.
FORBIDDEN = re.compile(r"[^\w\-. :/]", re.ASCII)
# What MLflow allows as the length of a name, less the number after it; and the most numbers that it takes at once.
LONGEST, BATCH = 240, 1000


def require_trackers(names: Sequence[str]) -> None:
    """Raise an error before the work if a tracker is not installed.

    Raises:
        BadRequest: it is not, or it can't be imported.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise BadRequest(
                f"--log-to {name} needs the package {name}, which can't be imported: {error}. Install it with "
                f"pip install 'picasso-viz[{name}]', or leave the option out.",
                field="log-to",
            ) from error


def log(
    trackers: Sequence[str],
    kind: str,
    numbers: Mapping[str, float],
    texts: Mapping[str, str],
    files: Sequence[Path],
) -> None:
    """Log to all trackers that are named.

    Args:
        trackers: ``"mlflow"`` and ``"wandb"``.
        kind: what is logged, such as ``"audit"``: it begins the names of the numbers, and names a new run.
        numbers: the numbers by name.
        texts: what they are about, by name.
        files: files to keep with them, and folders, which keep their names.

    Raises:
        BadRequest: a tracker refuses, for example because its server can't be reached.
    """
    named = permitted(kind, numbers)
    for name in trackers:
        try:
            {"mlflow": to_mlflow, "wandb": to_wandb}[name](importlib.import_module(name), kind, named, texts, files)
        # Trackers have errors of many kinds, those of networks and databases included.
        except Exception as error:
            raise BadRequest(
                f"The result could not be logged to {name}: {type(error).__name__}: {error}. The files of the command "
                "are written. Check the variables of the environment that configure the tracker.",
                field="log-to",
            ) from error


def permitted(kind: str, numbers: Mapping[str, float]) -> dict[str, float]:
    """Return finite numbers under names that all trackers accept, and that are different if the original ones are.

    Examples:
        >>> from picasso.cli.trackers import permitted
        >>> permitted("explain", {"value/été": 0.5, "value/ùté": 0.25, "value//..": 1.0, "value": float("inf")})
        {'explain/value/_t_': 0.5, 'explain/value/_t_ 2': 0.25, 'explain/value/_/_': 1.0}
    """
    found: dict[str, float] = {}
    for name, value in numbers.items():
        if not math.isfinite(value):
            continue
        parts = [FORBIDDEN.sub("_", part) for part in name.split("/")]
        plain = "/".join([kind, *(part if part.strip(".") else "_" for part in parts)])[:LONGEST].rstrip("/")
        alike = (plain if number == 1 else f"{plain} {number}" for number in itertools.count(1))
        found[next(one for one in alike if one not in found)] = value
    return found


def to_mlflow(
    mlflow: Any, kind: str, numbers: Mapping[str, float], texts: Mapping[str, str], files: Sequence[Path]
) -> None:
    """Log to the run ``MLFLOW_RUN_ID``, or else to a new one of the experiment that the environment names."""
    with mlflow.start_run(run_name=f"picasso {kind}"):
        for start in range(0, len(numbers), BATCH):
            mlflow.log_metrics(dict([*numbers.items()][start : start + BATCH]))
        mlflow.set_tags({f"picasso.{name}": text for name, text in texts.items()})
        for file in files:
            if file.is_dir():
                mlflow.log_artifacts(str(file), f"picasso-{kind}/{file.name}")
            else:
                mlflow.log_artifact(str(file), f"picasso-{kind}")


def to_wandb(
    wandb: Any, kind: str, numbers: Mapping[str, float], texts: Mapping[str, str], files: Sequence[Path]
) -> None:
    """Log to the run ``WANDB_RUN_ID``, or else to a new one of the project that the environment names."""
    run = wandb.init(job_type=f"picasso-{kind}", config={"picasso": dict(texts)})
    try:
        # Not as a step of a history: a run of a training has its own.
        run.summary.update(dict(numbers))
        artifact = wandb.Artifact(f"picasso-{kind}", type=f"picasso-{kind}")
        for file in files:
            if file.is_dir():
                artifact.add_dir(str(file), name=file.name)
            else:
                artifact.add_file(str(file))
        run.log_artifact(artifact)
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()
