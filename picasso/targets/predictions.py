"""What a model predicts for one image, for each task: documents that results, pages and the API share."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Prediction(TypedDict):
    """One entry of what a model predicts for an image; the last keys depend on the task.

    Attributes:
        index: the index of the class, label or value in the output.
        name: its name.
        prob: the probability of a class or label, or the score of a detected object, 0..1.
        value: the number, for a regression.
        unit: the unit of the number, or "".
        share: for a segmentation, the share of the pixels for which the class is the most probable one, 0..1.
        box: for a detected object, left, top, right and bottom in pixels of the image as the model sees it.
        length: the Euclidean length of an embedding.

    Examples:
        >>> from picasso.models.info import Prediction
        >>> Prediction(index=4, name="four", prob=0.97)
        {'index': 4, 'name': 'four', 'prob': 0.97}
    """

    index: int
    name: str
    prob: NotRequired[float]
    value: NotRequired[float]
    unit: NotRequired[str]
    share: NotRequired[float]
    box: NotRequired[list[float]]
    length: NotRequired[float]


def phrase(entry: Prediction) -> str:
    """Return a prediction as text, such as "cat 0.973" or "age 34.2 years".

    Examples:
        >>> from picasso.targets.predictions import Prediction, phrase
        >>> phrase(Prediction(index=0, name="age", value=34.21, unit="years"))
        'age 34.21 years'
    """
    return f"{entry['name']} {amount(entry)}".strip()


def amount(entry: Prediction) -> str:
    """Return the number of a prediction as text, such as "0.973" or "34.2 years"."""
    if "box" in entry:
        return f"{entry['prob']:.3f} at {', '.join(f'{side:.0f}' for side in entry['box'])}"
    if "prob" in entry:
        return f"{entry['prob']:.3f}"
    if "value" in entry:
        return f"{entry['value']:.4g} {entry['unit']}".strip()
    if "share" in entry:
        return f"{entry['share']:.1%} of the pixels"
    return f"of length {entry['length']:.3g}"


def as_prediction(entry: Any) -> Prediction:
    """Return one entry of decode_prob() with its numbers as numbers, also where they were written as text."""
    return Prediction(index=int(entry["index"]), name=str(entry["name"]), prob=float(entry["prob"]))
