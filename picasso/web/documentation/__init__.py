"""The documentation, as the server shows it: the Markdown of ``docs/``, read by Sphinx and MyST elsewhere."""

__all__ = ["library"]
