"""ONNX files that PyTorch exports, explained by Picasso and by PyTorch itself; here is what both sides share."""

EXPORTERS = ("script", "dynamo")
IMAGES = 6
WINDOW, STEP, SIDE = 64, 16, 224


def positions() -> list[tuple[int, int, int, int]]:
    """Return the windows of an occlusion map as ``(left, top, right, bottom)``, row by row."""
    starts = range(0, SIDE - WINDOW + 1, STEP)
    return [(left, top, left + WINDOW, top + WINDOW) for top in starts for left in starts]
