"""FunViz: which rows, or which columns, of the image the model needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picasso.visualizations import (
    BaseVisualization,
    Capability,
    Panel,
    Task,
    VisualizationSettings,
    choice,
    number,
)


@dataclass(frozen=True)
class FunVizSettings(VisualizationSettings):
    """The settings; each field becomes a control on the page."""

    direction: str = choice("rows", "columns", help="Whether the bands are rows or columns.")
    bands: int = number(7, minimum=2, maximum=50, help="The number of bands.")


class FunViz(BaseVisualization[FunVizSettings]):
    """Hide one band at a time and map how far the score of the first target drops."""

    DESCRIPTION = "How far the score drops without each band; for a class, its logit."
    ALLOWED_SETTINGS = FunVizSettings
    NEEDS = frozenset({Capability.PREDICTIONS, Capability.GRADIENTS})

    def make_visualization(self, task: Task[FunVizSettings]) -> Iterator[Sequence[Panel]]:
        """Yield one signed map for each image."""
        axis = 0 if task.settings.direction == "rows" else 1
        for image in task.inputs:
            target = image.targets[0]
            score = task.model.scores(image.array[None], [target])[0, 0]
            drops = np.zeros(image.array.shape[:2], np.float32)
            bands = np.array_split(np.arange(drops.shape[axis]), task.settings.bands)
            for done, band in enumerate(bands):
                task.progress(done, len(bands))
                changed = image.array.copy()
                np.moveaxis(changed, axis, 0)[band] = image.array.mean(axis=(0, 1))
                lost = score - task.model.scores(changed[None], [target])[0, 0]
                np.moveaxis(drops, axis, 0)[band] = lost
            yield [image.panel(target, drops, quantity=f"drop of the {target.score_quantity}", signed=True)]
