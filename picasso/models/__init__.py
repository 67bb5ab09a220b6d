"""Models that take images: the interface of models, one implementation per file format, and loading.

``load_model`` and ``load_configured`` are imported on first use, so that scanning a file needs no framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picasso.models.loading import load_configured, load_model

__all__ = [
    "arrays",
    "base",
    "checkpoints",
    "head",
    "info",
    "keras",
    "load_configured",
    "load_model",
    "loading",
    "occlusion",
    "outputs",
    "preprocessing",
    "scan",
    "tensorflow",
    "tf",
    "tokens",
    "user_code",
]


def __getattr__(name: str) -> Any:
    """Import a public function from its module on first use."""
    if name not in ("load_configured", "load_model"):
        raise AttributeError(f"module 'picasso.models' has no attribute {name!r}")
    from picasso.models import loading

    return getattr(loading, name)
