"""Models that take images: the interface of models, one implementation per file format, and loading.

``load_model``, ``load_configured`` and ``Edit`` are imported on first use, so that scanning a file needs no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picasso.models.edits import Edit
    from picasso.models.loading import load_configured, load_model

__all__ = [
    "Edit",
    "arrays",
    "base",
    "checkpoints",
    "edits",
    "head",
    "info",
    "keras",
    "load_configured",
    "load_model",
    "loading",
    "occlusion",
    "outputs",
    "preprocessing",
    "random_weights",
    "scan",
    "tensorflow",
    "tf",
    "tokens",
    "user_code",
]


# The modules of the names that are imported on first use.
LAZY = {"Edit": "edits", "load_configured": "loading", "load_model": "loading"}


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use."""
    if name not in LAZY:
        raise AttributeError(f"module 'picasso.models' has no attribute {name!r}")
    return getattr(importlib.import_module(f"picasso.models.{LAZY[name]}"), name)
