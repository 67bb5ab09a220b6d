"""The interpretation of a model's output values, and the choice among several outputs."""

from picasso.models.outputs.choice import choose_output
from picasso.models.outputs.decision import Decision, Training, contradictions, decide, needed
from picasso.models.outputs.kinds import OutputKind, parse, to_probabilities
from picasso.models.outputs.layout import (
    INDEPENDENT,
    MEASURED,
    Layout,
    detection,
    for_task,
    independent,
    is_detection,
    layout_of,
    parse_decoder,
    parse_task,
    spec_of,
)
from picasso.models.outputs.probes import probes
from picasso.models.outputs.ranges import Analysis, Operation, Range, Reader
from picasso.models.outputs.shapes import class_count

__all__ = [
    "INDEPENDENT",
    "MEASURED",
    "Analysis",
    "Decision",
    "Layout",
    "Operation",
    "OutputKind",
    "Range",
    "Reader",
    "Training",
    "choose_output",
    "class_count",
    "contradictions",
    "decide",
    "detection",
    "for_task",
    "independent",
    "is_detection",
    "layout_of",
    "needed",
    "onnx_graph",
    "parse",
    "parse_decoder",
    "parse_task",
    "probes",
    "spec_of",
    "tensorflow_graph",
    "tflite_graph",
    "to_probabilities",
]
