"""The web server: pages for people, an API for programs, and the security checks in front of both."""

__all__ = ["server"]
