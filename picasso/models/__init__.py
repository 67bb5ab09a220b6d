"""Models: one interface, one file per format that implements it, and the way to load one.

Names are imported when first used, so that a file can be scanned at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picasso.models.loading import load_configured, load_model

__all__ = [
    "arrays",
    "base",
    "contrast",
    "info",
    "keras",
    "labels",
    "load_configured",
    "load_model",
    "loading",
    "occlusion",
    "outputs",
    "preprocessing",
    "scan",
    "tensorflow",
    "tf",
    "user_code",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module it lives in."""
    if name not in ("load_configured", "load_model"):
        raise AttributeError(f"module 'picasso.models' has no attribute {name!r}")
    from picasso.models import loading

    return getattr(loading, name)
