"""Prints the oldest versions that ``pyproject.toml`` allows, as constraints for pip: ``python -m tests.floors``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
# The extras that model files, the widget, a cluster, monitoring, TensorBoard and concepts need.
EXTRAS = ("keras2", "onnx", "tflite", "notebook", "dask", "metrics", "tensorboard", "concepts")
BOUND = re.compile(r"(?P<name>[\w-]+)>=(?P<oldest>[\d.]+)")


def floors() -> dict[str, str]:
    """Return the oldest version of each package that is allowed."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    bounds = [*project["dependencies"], *(one for extra in EXTRAS for one in project["optional-dependencies"][extra])]
    matches = [BOUND.match(one) for one in bounds]
    return {found["name"]: found["oldest"] for found in matches if found}


if __name__ == "__main__":
    print("\n".join(f"{name}=={oldest}" for name, oldest in floors().items()))
