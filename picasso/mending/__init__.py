"""Mend a model that an audit found to rely on a shortcut, and audit the mended copy."""

__all__ = ["document", "mend", "start"]
