"""Scaffolding for a new visualization: a working class and its template."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from picasso import fileio
from picasso.errors import BadRequest

CLASS = Template('''\
"""$name: describe here what it shows, and link to the method."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.visualizations import BaseVisualization, Panel, Task, VisualizationSettings, slider


@dataclass(frozen=True)
class ${name}Settings(VisualizationSettings):
    """The settings; each field becomes a control on the page."""

    patch: int = slider(8, minimum=2, maximum=64, step=1, help="Side of the patches, in pixels.")


class $name(BaseVisualization[${name}Settings]):
    """Blacken each patch of the image in turn and map the drop of the best class's probability."""

    DESCRIPTION = "How much the probability of the best class drops without each patch."
    REFERENCE_LINK = ""
    ALLOWED_SETTINGS = ${name}Settings

    def make_visualization(self, task: Task[${name}Settings]) -> Iterator[Sequence[Panel]]:
        """Yield the panels of each image, in order."""
        side = task.settings.patch
        for image in task.inputs:
            best = image.predictions[0]
            height, width, _ = image.array.shape
            rows, columns = -(-height // side), -(-width // side)
            drops = np.zeros((rows, columns), np.float32)
            for row in range(rows):
                # Reports the progress, and ends the run here if it was cancelled.
                task.progress(row, rows)
                changed = np.repeat(image.array[None], columns, axis=0)
                for column in range(columns):
                    changed[column, row * side : (row + 1) * side, column * side : (column + 1) * side] = 0
                drops[row] = best["prob"] - task.model.predict(changed)[:, best["index"]]
            yield [Panel.of_class(best, array=drops, quantity="drop of the probability", signed=True)]
''')

TEMPLATE = Template("""\
{% extends "result.html" %}
{% from "macros.html" import rows %}
{% block vis %}
<p>Explain here how to read the maps of $name.</p>
{{ rows(results) }}
{% endblock %}
""")


def texts(name: str) -> dict[str, str]:
    """Return the file names and texts of the visualization ``name`` and its template, in that order.

    Raises:
        BadRequest: the name is not a CamelCase class name.
    """
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{1,60}", name):
        raise BadRequest(
            f"{name!r} is not a valid class name. Use letters and digits, with a capital first, such as FunViz."
        )
    module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return {f"{module}.py": CLASS.substitute(name=name), f"{name}.html": TEMPLATE.substitute(name=name)}


def write(name: str, folder: Path) -> list[Path]:
    """Write the files of :func:`texts` into ``folder`` and return them.

    Raises:
        BadRequest: the name is not a class name, one of the files exists, or the folder can't be created.
    """
    files = {folder / file: text for file, text in texts(name).items()}
    for file in files:
        if file.exists():
            raise BadRequest(f"{file} already exists; nothing was written. Choose another name or --dir.")
    fileio.make_folder(folder)
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
    return list(files)
