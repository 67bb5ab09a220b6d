"""How far a map can be trusted: deletion and insertion curves with controls, random weights, fills, flipped images."""

__all__ = ["curves", "grade", "maps", "methods", "questions", "ranking"]
