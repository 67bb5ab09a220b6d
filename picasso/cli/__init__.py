"""The command line: ``picasso serve``, ``explain``, ``check``, ``audit``, ``scan`` and others."""
