"""The questions that people ask about an image, and the visualizations that answer them, the quickest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from picasso.targets import OutputTask

CLASSES = frozenset({OutputTask.CLASSIFICATION, OutputTask.MULTI_LABEL})


@dataclass(frozen=True)
class Question:
    """A question about where a model looks.

    Attributes:
        name: its name in addresses.
        text: the question.
        help: what the answer shows.
        steps: the names of visualizations. The first step answers quickly, and each further step replaces that answer
            by a better one. A step lists alternatives; the first that the model supports is used.
        tasks: the tasks of models that it can be asked about.
        contrast: whether it is about one class rather than another.
        open: whether any method may answer it, so that one that is preferred replaces the last step.

    Examples:
        >>> from picasso.explanation.guide import QUESTIONS
        >>> QUESTIONS["look"].methods(lambda name: name != "GradCAM")
        ['SaliencyMaps', 'PartialOcclusion']
        >>> QUESTIONS["look"].methods(lambda name: True, preferred="RISE")
        ['GradCAM', 'RISE']
    """

    name: str
    text: str
    help: str
    steps: tuple[tuple[str, ...], ...]
    tasks: frozenset[OutputTask] = frozenset(OutputTask)
    contrast: bool = False
    open: bool = False

    def methods(self, usable: Callable[[str], bool], preferred: str = "") -> list[str]:
        """Return one visualization for each step, without steps that have no usable one.

        Args:
            usable: tells whether the model supports the visualization of a name.
            preferred: the name of the visualization that is preferred for the model, or "".
        """
        first = (preferred,) if preferred and self.open else ()
        steps = (*self.steps[:-1], (*first, *self.steps[-1]))
        found = (next((name for name in step if usable(name)), None) for step in steps)
        return list(dict.fromkeys(name for name in found if name))


QUICK = ("GradCAM", "SaliencyMaps")
QUESTIONS = {
    question.name: question
    for question in (
        Question(
            "look",
            "What does it look at?",
            "A quick map first, then an exact one: the parts of the image that the prediction depends on.",
            (QUICK, ("PartialOcclusion",)),
            open=True,
        ),
        Question(
            "parts",
            "Which parts matter if hidden?",
            "Covers each part of the image in turn and measures how much the prediction changes.",
            (("PartialOcclusion",),),
        ),
        Question(
            "detail",
            "Fine detail",
            "The single pixels that the prediction responds to.",
            (("SaliencyMaps",), ("IntegratedGradients",)),
        ),
        Question(
            "why",
            "Why this and not that?",
            "The evidence for one class rather than another.",
            (QUICK, ("PartialOcclusion",)),
            tasks=CLASSES,
            contrast=True,
        ),
    )
}
DEFAULT = "look"
#: The visualization that answers it, unless a ranking prefers another.
USUAL = QUESTIONS[DEFAULT].steps[-1][0]
