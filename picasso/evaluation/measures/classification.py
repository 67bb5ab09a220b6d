"""Classification: the accuracy on folders named after the classes, and what may be wrong if it is low."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from picasso import remedies
from picasso.evaluation import class_order, labeled_folder
from picasso.evaluation.labeled_folder import Accuracy, ClassAccuracy
from picasso.evaluation.measured import MeasuredClasses, Row, Score
from picasso.evaluation.outputs import Progress
from picasso.models.base import Model


def measure(model: Model, folder: Path, progress: Progress) -> MeasuredClasses:
    """Return the accuracy of a classifier."""
    found = labeled_folder.find(model, folder)
    accuracy = labeled_folder.measure(model, found, progress)
    order, warnings = folder_warnings(model, found, accuracy)
    right = f"{accuracy.right} of {accuracy.images} images are answered right"
    return MeasuredClasses(
        task=model.spec.task,
        images=accuracy.images,
        scores=(Score("accuracy", accuracy.fraction, detail=right),),
        rows=tuple(map(row, accuracy.classes)),
        warnings=tuple(warnings),
        unreadable=accuracy.unreadable,
        accuracy=accuracy,
        label_order=order.names if order else (),
    )


def row(share: ClassAccuracy) -> Row:
    """Return the row of a class."""
    mistaken = f", mostly taken for {share.mistaken_for}" if share.mistaken_for else ""
    fraction = share.right / share.images if share.images else None
    return Row(share.name, (Score("accuracy", fraction),), f"{share.right} of {share.images}{mistaken}")


def folder_warnings(
    model: Model, images: Sequence[labeled_folder.LabeledImage], accuracy: Accuracy
) -> tuple[class_order.Reordering | None, list[str]]:
    """Return warnings from a labelled folder: labels in another order, a better value range, or accuracy near chance.

    If either another order or another value range helps, the one with the higher accuracy is suggested. If neither
    does alone, their combinations are tried.
    """
    names = [str(name) for name in model.class_names()]
    near_chance = accuracy.near_chance(model.num_classes)
    order = class_order.find(names, accuracy.answered)
    tried = labeled_folder.by_values(model, images) if near_chance or not model.preprocessing.values else {}
    better = labeled_folder.better_values(tried)
    values = ""
    if near_chance and not order and not better:
        orders = {value: class_order.find(names, one.answered) for value, one in tried.items()}
        fitting = {value: found for value, found in orders.items() if found}
        if fitting:
            values = max(fitting, key=lambda value: fitting[value].fraction)
            order = fitting[values]
    elif order and better and order.fraction > better[1]:
        better = None
    elif better:
        order = None
    found = []
    if order:
        condition = f"With values {values} ({remedies.setting('PREPROCESS', values)}): " if values else ""
        found.append(condition + order.sentence())
    elif near_chance:
        found.append(
            f"{accuracy.right} of {accuracy.images} right is what guessing among {model.num_classes} classes gives: "
            "the order of the labels, the value range or the order of the channels may be wrong."
        )
    if better:
        found.append(
            f"With values {better[0]}, {better[1]:.0%} of the images tried are right, instead of {better[2]:.0%}: "
            f"try {remedies.setting('PREPROCESS', better[0])}."
        )
    return order, found
