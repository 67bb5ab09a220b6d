"""Prints the oldest versions that ``pyproject.toml`` allows, as constraints: ``python -m tests.floors [EXTRA]``.

Without an extra, they are those of the dependencies and of :data:`EXTRAS`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
# The extras that model files, the widget, a cluster, monitoring, TensorBoard and concepts need.
EXTRAS = ("keras2", "onnx", "tflite", "notebook", "dask", "metrics", "tensorboard", "concepts")
BOUND = re.compile(r"(?P<name>[\w-]+)>=(?P<oldest>[\d.]+)")


def floors(*extras: str) -> dict[str, str]:
    """Return the oldest version of each package that is allowed: of some extras, or as :mod:`tests.floors` says."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    bounds = [] if extras else list(project["dependencies"])
    bounds += [one for extra in extras or EXTRAS for one in project["optional-dependencies"][extra]]
    matches = [BOUND.match(one) for one in bounds]
    return {found["name"]: found["oldest"] for found in matches if found}


if __name__ == "__main__":
    print("\n".join(f"{name}=={oldest}" for name, oldest in floors(*sys.argv[1:]).items()))
