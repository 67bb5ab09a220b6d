"""Shared options, error handling and progress bars of the subcommands; imports nothing slow."""

from __future__ import annotations

import math
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picasso.cli.model_arguments import ModelSettings, main_and_others, to_compare
from picasso.errors import BadRequest, PicassoError
from picasso.fileio import is_full

if TYPE_CHECKING:
    from picasso.config import Settings
    from picasso.jobs.batch import Batch
    from picasso.models.base import Model

Command = Callable[..., Any]

CONFIG = click.option("--config", type=Path, help="Settings file; default: $PICASSO_SETTINGS or ./config.py.")
BUDGET = click.option("--budget", default="", metavar="TIME", help="Time after which to start no new test, such as 5m.")
PAIRS = click.option(
    "--pairs",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Number of class pairs, most suspicious first; 0 for all.",
)
MASKS = click.option("--masks", type=Path, help="Folder of masks of the object; by default, masks beside FOLDER.")
SEED = click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Random seed.")
ENGINE = click.option(
    "--engine", metavar="NAME", help="Workers to compute with, such as processes:2 or folder:PATH; default: none."
)
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON; whatever else is said goes to stderr."
)
COMPARE = click.option(
    "--compare",
    multiple=True,
    metavar="[NAME=]PATH",
    help="Model to compare with: a file, a folder of checkpoints, or a name in the setting COMPARE; can be repeated.",
)


@contextmanager
def room() -> Iterator[None]:
    """Turn "no space left" into an error that states it in one line.

    Raises:
        PicassoError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise PicassoError(
                "The disk is full, so not everything could be written. Make room or choose another output folder."
            ) from error
        raise


def friendly(command: Command) -> Command:
    """End a command with a one-line message and status 2 on a PicassoError, or if the disk is full."""

    @wraps(command)
    def guarded(*arguments: Any, **options: Any) -> Any:
        try:
            with room():
                return command(*arguments, **options)
        except PicassoError as error:
            click.secho(f"picasso: {error.message}", fg="red", err=True)
            sys.exit(2)

    return guarded


def gate(command: Command) -> Command:
    """End a command whose status 1 is a result with status 2 on any unexpected error."""

    @wraps(command)
    def guarded(*arguments: Any, **options: Any) -> Any:
        try:
            with room():
                return command(*arguments, **options)
        # The reader of the output may close the pipe.
        except (PicassoError, BrokenPipeError):
            raise
        # Click would end with 1. As shells do: 128 and the number of the signal.
        except KeyboardInterrupt:
            click.echo("picasso: interrupted.", err=True)
            sys.exit(130)
        except Exception:
            traceback.print_exc()
            sys.exit(2)

    return guarded


def configured(command: Command) -> Command:
    """Add the options that determine the settings to a command, and call it with ``settings``."""

    @CONFIG
    @click.option("--model", type=Path, help="Model file, instead of the model in the settings.")
    @click.option("--labels", type=Path, help="File with class names: .txt, .json, .yaml or .csv.")
    @click.option("--load-arg", "load_args", multiple=True, metavar="NAME=VALUE", help="Argument for loading --model.")
    @click.option("--samples", type=Path, help="Folder of sample images.")
    @click.option("--trust-model", is_flag=True, default=None, help="Allow code in the model file to run.")
    @click.option("--model-mb", type=click.IntRange(1), help="Maximum size of the tensors in megabytes (MODEL_MB).")
    @click.option(
        "--preprocess", metavar="WORDS", help='Preprocessing, such as "torch bilinear crop 256", or module:function.'
    )
    @click.option("--task", metavar="WORD", help="What the model was trained to do, such as segmentation (TASK).")
    @click.option("--unit", metavar="WORD", help="Unit of the values of a regression, such as years (UNIT).")
    @click.option("--output-kind", metavar="WORDS", help="Kind of output, such as logits, sigmoid or percent.")
    @friendly
    @wraps(command)
    def with_settings(
        config: Path | None,
        model: Path | None,
        labels: Path | None,
        preprocess: str | None,
        task: str | None,
        unit: str | None,
        output_kind: str | None,
        samples: Path | None,
        trust_model: bool | None,
        model_mb: int | None,
        load_args: tuple[str, ...],
        **options: Any,
    ) -> Any:
        from picasso.config import load

        # Paths on a command line are relative to the current folder, not to the settings file.
        if preprocess and preprocess.partition(":")[0].endswith(".py"):
            preprocess = str(Path(preprocess).resolve())
        engine: str | None = options.pop("engine", None)
        if engine and (place := engine.removeprefix("folder:")) not in ("", engine):
            engine = f"folder:{Path(place).resolve()}"
        # Only some commands take several models.
        models: tuple[Path, ...] = options.pop("models", ())
        compare: tuple[str, ...] | None = options.pop("compare", None)
        if models and model:
            raise BadRequest(f"Specify the model once: either {models[0]} or --model {model}.", field="model")
        if load_args and not (models or model):
            raise BadRequest("--load-arg requires --model; without it, set MODEL_LOAD_ARGS in the settings file.")
        pairs = parse_pairs(load_args, "--load-arg", "output=1")
        arguments = {key: yaml_value(value) for key, value in pairs.items()}
        main: ModelSettings = {}
        others: dict[Path, ModelSettings] = {}
        if models:
            main, others = main_and_others(models, arguments)
        elif model:
            # Ignore the arguments in the settings file: they are for another model.
            main = {"MODEL": str(model.resolve()), "MODEL_LOAD_ARGS": arguments}
        chosen = {
            **main,
            "SAMPLES_DIR": str(samples.resolve()) if samples else None,
            "LABELS": str(labels.resolve()) if labels else None,
            "PREPROCESS": preprocess,
            "TASK": task,
            "UNIT": unit,
            "OUTPUT": output_kind,
            "TRUST_MODEL": trust_model,
            "MODEL_MB": model_mb,
            "HOST": options.pop("host", None),
            "PORT": options.pop("port", None),
            "PREFIX": options.pop("prefix", None),
            "ENGINE": engine,
            "PASSWORD_FILE": str(secret.resolve()) if (secret := options.pop("password_file", None)) else None,
        }
        overrides = {key: value for key, value in chosen.items() if value is not None}
        settings = load(config, overrides, "command line" if main or compare else "settings")
        if compare is not None:
            compared = to_compare(compare, settings, others, arguments)
            settings = settings.comparing(compared) if compared else settings
            options |= {"compare": tuple(compared)}
        return command(settings=settings, **options)

    return with_settings


@contextmanager
def engine(settings: Settings, model: Model) -> Iterator[Batch | None]:
    """Yield the workers of the option ``--engine``, or None without it; the setting ``ENGINE`` is for the server."""
    if settings.overrides.get("ENGINE", "local") == "local":
        yield None
        return
    from picasso.jobs.batch import batch

    with batch(settings, model) as workers:
        yield workers


@contextmanager
def progress_bar(label: str, *, hidden: bool = False) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on standard error if it is a terminal; yield a function that takes the progress, 0..1."""
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
    """Parse a value as YAML: ``1``, ``true``, ``[224, 224, 3]``, ``{keep_prob: 1.0}`` or plain text."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def require_folder(file: Path, option: str) -> None:
    """Raise an error before the work if a file can't be written because its folder does not exist, or it is one.

    Raises:
        BadRequest: there is no such folder, or the file is a folder.
    """
    if file.is_dir() or not file.parent.is_dir():
        wrong = f"{file} is a folder" if file.is_dir() else f"there is no folder {file.parent}"
        raise BadRequest(
            f"{option} must be a file in a folder that exists, but {wrong}. Create the folder or name another file.",
            field=option.strip("-"),
        )


def parse_time(text: str, option: str = "--budget") -> float:
    """Return a time such as ``90s``, ``5m`` or ``1h`` in seconds; infinity for an empty text.

    Raises:
        BadRequest: the text is not a time.
    """
    if not text:
        return math.inf
    units = {"s": 1, "m": 60, "h": 3600}
    try:
        seconds = float(text[:-1]) * units[text[-1]]
    except (KeyError, ValueError):
        raise BadRequest(
            f"{option} must be a time such as 90s, 5m or 1h, not {text[:20]!r}.", field=option.strip("-")
        ) from None
    return seconds


def parse_share(text: str, option: str) -> float:
    """Return a share from 0 to 1; 0 for an empty text.

    Raises:
        BadRequest: the text is not such a number.
    """
    try:
        share = float(text or 0)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise BadRequest(
            f"{option} must be a number from 0 to 1, such as 0.3 for 30%, not {text[:20]!r}.", field=option.strip("-")
        )
    return share


@contextmanager
def loading_in_time() -> Iterator[None]:
    """End the process with a message if a model is not loaded in time, because loading can't be interrupted.

    The server does the same with its worker.
    """
    from picasso.jobs.engine import LOAD_SECONDS

    def give_up() -> None:
        minutes = LOAD_SECONDS / 60
        message = f"Loading the model timed out after {minutes:g} minutes. The file may be damaged."
        click.secho(f"picasso: {message}", fg="red", err=True)
        os._exit(2)

    timer = threading.Timer(LOAD_SECONDS, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
