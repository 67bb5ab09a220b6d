"""The simplest visualization: the model's predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from picasso.visualizations import BaseVisualization, Panel, Task, VisualizationSettings


class ClassProbabilities(BaseVisualization[VisualizationSettings]):
    """Show the predictions; every result includes them, so there is nothing to compute."""

    FAMILY = "Answers"
    MAPS = False
    TITLE = "Predictions"
    DESCRIPTION = "The predictions for each image: the most probable classes, or whatever else the model predicts."
    MISLEADS = "A high probability does not mean that the answer is right: modern networks are often far too confident."
    DOCUMENTATION = "visualizations/occlusion#classprobabilities"

    def make_visualization(self, task: Task[VisualizationSettings]) -> Iterator[Sequence[Panel]]:
        """Yield no panels: the template draws the predictions."""
        for _ in task.inputs:
            yield []
