"""Models: one interface, one file for each framework that implements it, and the way to load one."""

from picasso.models.loading import load_configured, load_model

__all__ = ["load_configured", "load_model"]
