"""Explanations of a model's predictions: the pipeline, its inputs, rendering, and the cost model."""

__all__ = [
    "comparison",
    "cost_model",
    "guide",
    "inputs",
    "legend",
    "look",
    "pipeline",
    "preprocessing_trial",
    "questions",
    "registry",
    "render",
    "result",
]
