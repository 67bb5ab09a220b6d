"""Explanations of a model's predictions: the pipeline, its inputs, rendering, and the cost model."""
