"""The task of a model and the shape of its output, from the shapes of its output tensors and the user's settings."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from picasso import remedies
from picasso.errors import ConfigurationError, ModelError
from picasso.models.arrays import Shape
from picasso.models.outputs.decision import Decision
from picasso.models.outputs.kinds import OutputKind
from picasso.models.outputs.shapes import class_count
from picasso.targets import (
    Classification,
    Detection,
    Embedding,
    MultiLabel,
    OutputSpec,
    OutputTask,
    Regression,
    Segmentation,
    decoders,
)

#: The shape of an output, batch axis first; unknown lengths are None or a name.
OutputShape = Sequence[int | str | None]

INDEPENDENT = (
    "The probabilities of the classes of a pixel are independent (a sigmoid for each). The mask shows the most "
    "probable class of each pixel, even if its probability is low."
)
# The tasks whose output is a vector of numbers that no activation changes.
MEASURED = (OutputTask.REGRESSION, OutputTask.EMBEDDING)


@dataclass(frozen=True)
class Layout:
    """The arrangement of the values of one image.

    Attributes:
        shape: ``(K,)`` for a vector, ``(h, w, K)`` for a map.
        channels_first: True if the model returns a map as ``(K, h, w)``.
        note: what is assumed, or "".
    """

    shape: tuple[int, ...]
    channels_first: bool = False
    note: str = ""

    @property
    def count(self) -> int:
        """K, the number of values of a vector or of a pixel."""
        return self.shape[-1]

    @property
    def is_map(self) -> bool:
        """Whether the output has a position in the image."""
        return len(self.shape) == 3


def parse_task(text: str) -> OutputTask | None:
    """Return the task that a text names, in any case, with spaces, hyphens or underscores; None for "".

    Raises:
        ConfigurationError: there is no such task.
    """
    words = "-".join(text.lower().replace("_", " ").replace("-", " ").split())
    words = "detection" if words.startswith("detection-") else words
    known = {"multilabel": OutputTask.MULTI_LABEL, **{str(task): task for task in OutputTask}}
    if not words or words in known:
        return known.get(words)
    near = difflib.get_close_matches(words, known, n=1)
    hint = f" Did you mean {str(known[near[0]])!r}?" if near else ""
    raise ConfigurationError(
        f"There is no task {text!r}; {remedies.called('TASK')} is one of {', '.join(OutputTask)}.{hint}", field="TASK"
    )


def layout_of(
    shape: OutputShape, size: Shape, fixed_batch: int | None, said: OutputTask | None, label: str, dtype: str = ""
) -> Layout:
    """Return the arrangement of an output.

    Args:
        shape: the shape of the output.
        size: the shape ``(H, W, C)`` of an input.
        fixed_batch: the fixed batch size of the model, or None.
        said: the task that the user configured, if any.
        label: the name of the model in errors.
        dtype: the type of the values if they are not floating-point numbers, else "".

    Raises:
        ModelError: the shape fits no task, or not the one that the user configured.
    """
    count = class_count(shape, fixed_batch)
    if count is not None and not dtype and said is not OutputTask.SEGMENTATION:
        return Layout((count,))
    known = [side if isinstance(side, int) else 0 for side in shape[1:]]
    if len(known) == 2 and 0 not in known and same_form(known, size):
        known.append(1)
    if not dtype and len(known) == 3 and 0 not in known and said in (None, OutputTask.SEGMENTATION):
        exact = known[1:] == list(size[:2]) != known[:2]
        first = exact or (same_form(known[1:], size) and not same_form(known[:2], size))
        sides = (known[1], known[2], known[0]) if first else (known[0], known[1], known[2])
        note = (
            ""
            if said
            else (
                f"The output has class scores for {sides[0]} x {sides[1]} positions, so the task is assumed to be "
                f"segmentation. To confirm: {setting(OutputTask.SEGMENTATION)}."
            )
        )
        return Layout(sides, first, note)
    kind = f" of type {dtype}" if dtype else ""
    expected = EXPECTED[said or OutputTask.CLASSIFICATION]
    shown = f"({', '.join('N' if not at else str(side) for at, side in enumerate(shape))})" if shape else "one number"
    tasks = "" if said else f" Picasso supports {', '.join(OutputTask)}; {remedies.called('TASK')} names one."
    raise ModelError(f"{label} must return {expected}, but returns {shown}{kind}.{tasks}")


EXPECTED = {
    OutputTask.CLASSIFICATION: "class scores of shape (N, K)",
    OutputTask.MULTI_LABEL: "scores of labels of shape (N, K)",
    OutputTask.REGRESSION: "numbers of shape (N, M)",
    OutputTask.EMBEDDING: "vectors of shape (N, D)",
    OutputTask.SEGMENTATION: "class scores of shape (N, h, w, K)",
    OutputTask.DETECTION: "boxes and their scores",
}


def same_form(sides: Sequence[int], size: Shape) -> bool:
    """Tell whether a map of this height and width may lie over an image: both scales are equal up to rounding."""
    height, width = sides
    scales = sorted((size[0] / height, size[1] / width))
    return height > 1 and width > 1 and scales[1] <= scales[0] * 1.2


def parse_decoder(text: str) -> str:
    """Return the decoder that a text such as "detection yolo" names after the task, or "".

    Raises:
        ConfigurationError: there is no such decoder.
    """
    _, _, name = text.strip().lower().replace("-", " ").replace("_", " ").partition(" ")
    # Only this task has decoders; the second word of another is part of its name.
    if parse_task(text) is not OutputTask.DETECTION:
        return ""
    if name and name not in decoders.DECODERS:
        raise ConfigurationError(
            f"There is no decoder {name!r} of detections; the decoders are {', '.join(decoders.DECODERS)}.",
            field="TASK",
        )
    return name


def is_detection(shapes: Mapping[str, tuple[int, ...]], size: Shape, said: OutputTask | None) -> bool:
    """Tell whether outputs are those of an object detector: as the user says, or else by their names and shapes."""
    if said:
        return said is OutputTask.DETECTION
    return bool(decoders.recognize(shapes, size[:2]).name)


def detection(
    shapes: Mapping[str, tuple[int, ...]],
    size: Shape,
    label: str,
    *,
    decoder: str = "",
    classes: int | None = None,
    decode_boxes: decoders.DecodeBoxes | None = None,
    said: bool = False,
) -> Detection:
    """Return the specification of a detector.

    Args:
        shapes: the shapes of its outputs without the batch axis, by name.
        size: the shape ``(H, W, C)`` of an input.
        label: the name of the model in errors.
        decoder: the name of the decoder, or "" for the one that fits.
        classes: the number of classes, if it is known.
        decode_boxes: the function of the model's class, which takes precedence.
        said: whether the user configured the task.

    Raises:
        ModelError: no decoder fits, or the named one does not fit.
    """
    if unknown := [name for name, shape in shapes.items() if 0 in shape]:
        raise ModelError(f"The shape of the output {unknown[0]} of {label} is not known, which detection requires.")
    found = decoders.recognize(shapes, size[:2])
    name = "custom" if decode_boxes else decoder or found.name
    if not name:
        raise ModelError(
            f"{label}: {found.reason} Name a decoder, such as {remedies.setting('TASK', 'detection yolo')} (they are "
            f"{', '.join(decoders.DECODERS)}), or write decode_boxes() in a model class.",
            field="TASK",
        )
    total = sum(prod(shape) for shape in shapes.values())
    spec = Detection(
        (total,),
        activation=name,
        outputs=tuple((key, tuple(shape)) for key, shape in shapes.items()),
        size=(size[0], size[1]),
        decoder=name,
        classes=classes,
        decode_boxes=decode_boxes,
    )
    try:
        notes = spec.made.notes
    except ModelError as error:
        raise ModelError(f"{label}: {error.message}", field="TASK") from error
    assumed = () if said else (f"{found.reason} To confirm: {setting(OutputTask.DETECTION)}.",)
    return replace(spec, classes=spec.made.classes or classes, note=" ".join((*assumed, *notes)))


def setting(task: OutputTask) -> str:
    """Return how to configure a task in every interface, because notes are saved with results and read elsewhere."""
    return f'TASK = "{task}" (--task, or task in Python)'


def task_of(layout: Layout, decision: Decision, said: OutputTask | None) -> OutputTask:
    """Return the task of a model from the user's setting, or else from its output."""
    if said:
        return said
    if layout.is_map:
        return OutputTask.SEGMENTATION
    if decision.kind is OutputKind.VALUES:
        return decision.task or OutputTask.REGRESSION
    labels = decision.kind in (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS) and layout.count > 1
    return OutputTask.MULTI_LABEL if labels else OutputTask.CLASSIFICATION


def spec_of(layout: Layout, decision: Decision, said: OutputTask | None, unit: str = "") -> OutputSpec:
    """Return the specification of an output; a single class score becomes two classes, "not" and "is"."""
    task = task_of(layout, decision, said)
    assumed = decision.notes if decision.basis == "guess" else ()
    if layout.is_map and independent(layout, decision):
        assumed = (*assumed, INDEPENDENT)
    about = {"activation": decision.kind, "note": " ".join(filter(None, (layout.note, *assumed)))}
    if task in MEASURED:
        measured = {OutputTask.REGRESSION: Regression, OutputTask.EMBEDDING: Embedding}[task]
        return measured(layout.shape, unit=unit, **about)
    shape = (*layout.shape[:-1], max(2, layout.count))
    classes = {
        OutputTask.CLASSIFICATION: Classification,
        OutputTask.MULTI_LABEL: MultiLabel,
        OutputTask.SEGMENTATION: Segmentation,
    }
    return classes[task](shape, **about)


def independent(layout: Layout, decision: Decision) -> bool:
    """Tell whether several classes may apply to one pixel."""
    return layout.count > 1 and decision.kind in (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS)


def for_task(decision: Decision, said: OutputTask | None, layout: Layout, label: str) -> Decision:
    """Return the interpretation of an output, corrected by the task that the user configured.

    Raises:
        ModelError: the output is a map of values that are no class scores, and the user did not say otherwise.
    """
    if layout.is_map and decision.kind is OutputKind.VALUES and said is None:
        height, width, count = layout.shape
        raise ModelError(
            f"{label} returns {count} map{'s' if count > 1 else ''} of {height} x {width} values that are no class "
            "scores: they are not probabilities and have no sign, or are normalized. Picasso supports maps of class "
            f"scores (segmentation). If these are class scores: {remedies.setting('TASK', 'segmentation')}.",
            field="TASK",
        )
    classes = (OutputTask.CLASSIFICATION, OutputTask.MULTI_LABEL, OutputTask.SEGMENTATION)
    if said is OutputTask.MULTI_LABEL and decision.kind in (OutputKind.LOGITS, OutputKind.VALUES):
        return Decision(OutputKind.SIGMOID_LOGITS, "said", decision.count)
    if said in classes and decision.kind is OutputKind.VALUES:
        return Decision(OutputKind.LOGITS, "said", decision.count)
    return decision
