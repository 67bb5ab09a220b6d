"""Picasso shows where a trained image classifier looks.

``picasso.load_model``, ``picasso.explain``, ``picasso.widget``, ``picasso.channel_effects``, ``picasso.channel_card``,
``picasso.channel_cards``, ``picasso.concepts``, ``picasso.grade``, ``picasso.audit_model`` and
``picasso.mend_model`` serve notebooks; ``picasso.create_app`` makes the web application.
Names are imported when first used, so that the command line answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picasso.audit.start import audit_model
    from picasso.explanation.pipeline import explain
    from picasso.explanation.result import Result
    from picasso.explanation.widget import widget
    from picasso.grading.grade import grade
    from picasso.grading.outcome import Grade
    from picasso.inside.card import ChannelCard
    from picasso.inside.channel import channel_card, channel_cards
    from picasso.inside.concept_card import Concepts
    from picasso.inside.concepts import concepts
    from picasso.inside.effects import ChannelEffects, channel_effects
    from picasso.mending.start import mend_model
    from picasso.models.loading import load_model
    from picasso.visualizations.panel import Panel
    from picasso.web.app import create_app

__version__ = "1.0.0rc1"
__all__ = [
    "ChannelCard",
    "ChannelEffects",
    "Concepts",
    "Grade",
    "Panel",
    "Result",
    "__version__",
    "audit_model",
    "channel_card",
    "channel_cards",
    "channel_effects",
    "concepts",
    "create_app",
    "explain",
    "grade",
    "load_model",
    "mend_model",
    "widget",
]

HOMES = {
    "audit_model": "picasso.audit.start",
    "channel_card": "picasso.inside.channel",
    "channel_cards": "picasso.inside.channel",
    "ChannelCard": "picasso.inside.card",
    "channel_effects": "picasso.inside.effects",
    "ChannelEffects": "picasso.inside.effects",
    "concepts": "picasso.inside.concepts",
    "Concepts": "picasso.inside.concept_card",
    "create_app": "picasso.web.app",
    "explain": "picasso.explanation.pipeline",
    "grade": "picasso.grading.grade",
    "Grade": "picasso.grading.outcome",
    "Panel": "picasso.visualizations.panel",
    "Result": "picasso.explanation.result",
    "load_model": "picasso.models.loading",
    "mend_model": "picasso.mending.start",
    "widget": "picasso.explanation.widget",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module it lives in."""
    import importlib

    if name not in HOMES:
        raise AttributeError(f"module 'picasso' has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)
