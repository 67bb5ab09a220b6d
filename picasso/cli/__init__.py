"""The command line: ``picasso serve``, ``check``, ``scan``, ``explain``, ``audit`` and ``new``."""
