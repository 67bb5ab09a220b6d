"""The subcommands of ``picasso``, one module each; slow modules are imported only when a subcommand runs."""

__all__ = [
    "audit",
    "check",
    "explain",
    "inside",
    "mcp",
    "mend",
    "scan",
    "serve",
    "tensorboard",
    "visualizations",
    "work",
]
