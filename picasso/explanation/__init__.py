"""Explanations of a model's predictions: the pipeline, its inputs, rendering, and the cost model."""

__all__ = [
    "comparison",
    "cost_model",
    "display_options",
    "guide",
    "inputs",
    "legend",
    "notebook",
    "pipeline",
    "preprocessing_trial",
    "questions",
    "registry",
    "render",
    "result",
    "walk",
]
