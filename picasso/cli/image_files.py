"""The image files that a command is given: which of them can be read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picasso.errors import PicassoError

if TYPE_CHECKING:
    from picasso.config import Settings


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
