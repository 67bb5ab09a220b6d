"""Find the shortcuts that a model has learned, by measuring how changes of images affect its predictions."""

__all__ = [
    "audit",
    "catalogue",
    "checkpoint",
    "dataset",
    "interventions",
    "object_masks",
    "outcome",
    "properties",
    "reading",
    "reporting",
    "rule",
    "selection",
    "statistics",
    "trial",
]
