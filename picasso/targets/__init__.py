"""What the output of a model means, and what one can ask about it: one module for each kind of output."""

__all__ = ["boxes"]
