"""Other methods that name what a model relies on, on the same models and folders as the audit.

    python -m benchmarks.audit.rivals FOLDER --half test [--method mine.py:method]

A method is a function from a model and its folder to the names of what the model seems to rely on, the most likely
first; an empty list is no alarm. A name is right if it is among the ``names`` of the planted proxy, which are names of
interventions of the audit. The results are stored in ``rivals-HALF.json``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit.audits import opened
from benchmarks.audit.entries import entries
from picasso import fileio
from picasso.audit.confounders import confounded
from picasso.audit.dataset import Folder
from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.reporting.clustering import clusters
from picasso.audit.reporting.mean_attention import mean_attention
from picasso.audit.trial import TrialContext
from picasso.models.base import Model

Method = Callable[[Model, Folder], Sequence[str]]

IMAGES = 50
# The threshold of the attention on the outermost eighths of each side.
BORDER = 0.35


def guess(model: Model, folder: Folder) -> list[str]:
    """Name a random intervention for half of the folders."""
    first = next(iter(folder.views.values()))
    generator = np.random.default_rng(zlib.crc32(first.tobytes()))
    names = [one.name for one in INTERVENTIONS if not one.informative]
    return [names[generator.integers(len(names))]] if generator.random() < 0.5 else []


def data_alone(model: Model, folder: Folder) -> list[str]:
    """Name the properties that separate classes of the folder, whatever the model, as data-centric tools do."""
    return list(dict.fromkeys(one.name for one in confounded(folder.views)))


def border(model: Model, folder: Folder) -> list[str]:
    """Name the frame if the mean attention of a class is on the border."""
    context = TrialContext(model, folder)
    on_border = any(mean_attention(context.attention(target)).border > BORDER for target in folder.views)
    return ["the frame"] if on_border else []


def clustered(model: Model, folder: Folder) -> list[str]:
    """Report more than one cluster of attribution maps in a class, as in SpRAy (Lapuschkin et al., 2019)."""
    context = TrialContext(model, folder)
    several = any(len(clusters(context.attention(target))) > 1 for target in folder.views)
    return ["a cluster of attribution maps"] if several else []


METHODS: dict[str, Method] = {
    "a random guess": guess,
    "data: a property separates the classes": data_alone,
    f"maps: over {BORDER:.0%} on the border": border,
    "maps: more than one cluster in a class": clustered,
}


def read_method(text: str) -> Method:
    """Return the function ``name`` of a Python file, given as ``file.py:name``."""
    path, _, name = text.rpartition(":")
    spec = importlib.util.spec_from_file_location("method", path)
    if not spec or not spec.loader:
        raise SystemExit(f"{path} is no Python file; give a method as file.py:name.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Method = getattr(module, name)
    return found


def main() -> None:
    """Run all methods on all models of a half; stored results are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("tuning", "test"), default="test")
    parser.add_argument("--images", type=int, default=IMAGES, help="of each class")
    parser.add_argument("--method", action="append", default=[], help="file.py:name of a function of your own")
    options = parser.parse_args()
    methods = METHODS | {text.rpartition(":")[2]: read_method(text) for text in options.method}
    file = options.folder / f"rivals-{options.half}.json"
    said: dict[str, dict[str, Any]] = fileio.read_json(file) or {}
    for entry in entries(options.half):
        missing = [name for name in methods if name not in said.get(entry.name, {})]
        if not missing or not (options.folder / f"{entry.name}.json").exists():
            continue
        model, images = opened(entry, options.folder, options.images)
        for name in missing:
            started = time.process_time()
            names = list(methods[name](model, images))
            result = {"names": names, "seconds": time.process_time() - started}
            said.setdefault(entry.name, {})[name] = result
        fileio.write_json(file, said)
        print(entry.name, json.dumps({name: said[entry.name][name]["names"] for name in missing}), flush=True)


if __name__ == "__main__":
    main()
