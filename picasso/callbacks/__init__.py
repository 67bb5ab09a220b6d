"""Callbacks for Keras ``fit`` that record what a model looks at, and what it relies on, after each epoch.

Importing this package is cheap. The first access to ``Explain`` or ``Audit`` imports Keras and TensorFlow, because the
classes derive from ``keras.callbacks.Callback``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picasso.callbacks.audit import Audit
    from picasso.callbacks.explain import Explain

__all__ = ["Audit", "Explain"]

# The modules of the names that are imported on first use.
LAZY = {"Audit": "audit", "Explain": "explain"}


def __getattr__(name: str) -> Any:
    """Import a callback from its module on first use."""
    if name not in LAZY:
        raise AttributeError(f"module 'picasso.callbacks' has no attribute {name!r}")
    return getattr(importlib.import_module(f"picasso.callbacks.{LAZY[name]}"), name)
