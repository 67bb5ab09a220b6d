"""From a model and images to results: the pipeline, its inputs, rendering, and what it costs."""
