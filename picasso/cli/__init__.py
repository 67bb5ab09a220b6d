"""The command line: ``picasso serve``, ``explain``, ``check``, ``audit``, ``scan`` and others."""

__all__ = ["command", "options"]
