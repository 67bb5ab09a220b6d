"""Scan a model file before a framework reads it: detect code, files and addresses, broken and too large files.

This package does not import TensorFlow, Keras, ONNX Runtime or LiteRT. Each format has a module whose ``scan`` yields
findings.
"""

from picasso.models.scan.checking import require, scan
from picasso.models.scan.findings import Finding, Report
from picasso.models.scan.limits import Limits

__all__ = [
    "Finding",
    "Limits",
    "Report",
    "graph_operations",
    "json_reading",
    "keras_symbols",
    "reporting",
    "require",
    "scan",
]
