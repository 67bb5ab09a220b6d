"""The HTML pages, and the files that they show or offer for download."""

__all__ = ["audits", "downloads", "files", "home", "jobs", "reset", "sessions"]
