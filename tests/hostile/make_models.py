"""Writes every hostile model file of :mod:`tests.hostile.models`: ``python -m tests.hostile.make_models FOLDER``."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

from tests.hostile import models
from tests.hostile.models import Hostile


def every() -> list[Hostile]:
    """Return all hostile files, of every format."""
    modules = [
        importlib.import_module(f"{models.__name__}.{one.name}") for one in pkgutil.iter_modules(models.__path__)
    ]
    return [hostile for module in modules for hostile in getattr(module, "FILES", ())]


def write(hostile: Hostile, folder: Path, outside: Path) -> Path:
    """Write one hostile file into a folder of its own, and return its path."""
    place = folder / hostile.name.replace(".", "_")
    place.mkdir(parents=True)
    hostile.write(place, outside)
    return place / hostile.name


def main() -> None:
    """Write all of them."""
    folder = Path(sys.argv[1])
    outside = folder / "outside"
    outside.mkdir(parents=True)
    (outside / "secret.txt").write_text("marker\n" * 100)
    for hostile in every():
        print(write(hostile, folder, outside / "secret.txt"))


if __name__ == "__main__":
    main()
