"""The HTML pages, and the files that they show or offer for download."""

__all__ = [
    "audits",
    "compare",
    "documentation",
    "downloads",
    "files",
    "gallery",
    "home",
    "inside",
    "jobs",
    "model",
    "rankings",
    "reset",
    "sessions",
]
