"""The simplest visualization: the model's predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from picasso.visualizations import BaseVisualization, Panel, Task, VisualizationSettings


class ClassProbabilities(BaseVisualization[VisualizationSettings]):
    """Show the predictions; every result includes them, so there is nothing to compute."""

    FAMILY = "Answers"
    DESCRIPTION = "The predictions for each image: the most probable classes, or whatever else the model predicts."

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        """Yield no panels: the template draws the predictions."""
        for _ in task.inputs:
            yield []
