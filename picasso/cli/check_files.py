"""The pre-commit hook: ``python -m picasso.cli.check_files OPTIONS... FILES...`` checks each of several model files.

pre-commit passes the changed files last, several at once, and ``picasso check`` is about one model.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from picasso.cli.command import main
from picasso.cli.sarif_file import Collected
from picasso.errors import BadRequest

# A .json or .pb file may be something else.
SUFFIXES = (".keras", ".h5", ".hdf5", ".onnx", ".tflite")


def check_files(words: Sequence[str]) -> int:
    """Check model files with the same options, and return the largest of the statuses.

    The file of ``--sarif`` has the alerts of all models. With ``--json``, the names of the files go to standard error.

    Args:
        words: options of ``picasso check``, then the files; these are all last words that are names of files in
            a format of the hook.
    """
    options, files = list(words), []
    while options and Path(options[-1]).suffix.lower() in SUFFIXES:
        files.append(options.pop())
    worst, collected = 0, Collected()
    for file in reversed(files):
        click.secho(file, bold=True, err="--json" in options)
        try:
            main(["check", *options, "--model", file], prog_name="picasso", obj=collected)
        except SystemExit as ended:
            worst = max(worst, ended.code if isinstance(ended.code, int) else 2)
    try:
        collected.write()
    except BadRequest as error:
        click.secho(f"picasso: {error.message}", fg="red", err=True)
        return 2
    return worst


if __name__ == "__main__":
    sys.exit(check_files(sys.argv[1:]))
