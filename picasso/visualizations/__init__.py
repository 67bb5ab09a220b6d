"""The visualizations, one module each; a class in a module added here appears on the page.

Custom visualizations import everything that they need from here.
"""

from picasso.models.info import Capability
from picasso.visualizations.base import BaseVisualization, Input, Task
from picasso.visualizations.panel import Panel
from picasso.visualizations.settings import VisualizationSettings, choice, layer, number, slider, text, toggle

__all__ = [
    "BaseVisualization",
    "Capability",
    "Input",
    "Panel",
    "Task",
    "VisualizationSettings",
    "base",
    "choice",
    "layer",
    "number",
    "panel",
    "settings",
    "slider",
    "text",
    "toggle",
]
