"""Visualizations, one file each; a class in a file dropped in here appears on the page.

What a visualization of your own needs can be imported from here.
"""

from picasso.models.info import Capability
from picasso.visualizations.base import BaseVisualization, Input, Task
from picasso.visualizations.panel import Panel
from picasso.visualizations.settings import VisualizationSettings, choice, layer, number, slider, toggle

__all__ = [
    "BaseVisualization",
    "Capability",
    "Input",
    "Panel",
    "Task",
    "VisualizationSettings",
    "choice",
    "layer",
    "number",
    "slider",
    "toggle",
]
