"""Plugins with templates: one that takes every macro there is, one that fails."""

from collections.abc import Iterator, Sequence

import numpy as np

from picasso.visualizations import BaseVisualization, Panel, Task, VisualizationSettings


class EveryMacro(BaseVisualization[VisualizationSettings]):
    """Its template imports all macros by their names."""

    DESCRIPTION = "A map of zeros."

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        """Yield a map and an image."""
        for image in task.inputs:
            yield [
                Panel(title="zeros", array=np.zeros((2, 3), np.float32), quantity="nothing", value_range=(0.0, 1.0)),
                Panel(title="itself", array=np.asarray(image.view)),
            ]


class BrokenTemplate(EveryMacro):
    """Its template fails."""

    DESCRIPTION = "A map of zeros, if its template did not fail."
