"""The base class of visualizations, which turn a task into panels, image by image."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.attribution.covering import Covering
from picasso.errors import BadRequest
from picasso.imaging.masking import filling, painted
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability
from picasso.targets import ClassLogit, Detection, Embedding, OutputTask, Prediction, Target
from picasso.visualizations.panel import Panel
from picasso.visualizations.settings import VisualizationSettings

# A word in the name of a class: "Grad" and "CAM" in "GradCAM".
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

SettingsT = TypeVar("SettingsT", bound=VisualizationSettings)


class Input:
    """One preprocessed image, and the targets to explain.

    Args:
        name: its file name.
        image: the upright image as uploaded.
        view: the image as the model sees it; maps are drawn over it.
        array: the model's input ``(H, W, C)`` float32.
        predictions: the classes to explain: the most probable, best first, or those that the user chose.
        exact_view: False if preprocessing the view does not reproduce ``array``. Then ``view`` is only a
            rendering of ``array``, and painting on it has no effect on the model.
        best: the predictions of the model, the most important first, whatever is explained.
        notes: notes for the user about how it was read and preprocessed.
        targets: what to explain; by default the logits of the classes in ``predictions``.
        output: the output of the model for it, ``spec.shape``, if it is known.

    Examples:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from picasso.models.info import Prediction
        >>> from picasso.visualizations import Input
        >>> view = Image.new("L", (8, 8), 204)
        >>> best = Prediction(index=1, name="bright", prob=0.8)
        >>> image = Input("a.png", view, view, np.full((8, 8, 1), 0.8, np.float32), predictions=(best,))
        >>> image.classes, image.targets[0].name
        ([1], 'bright')
    """

    def __init__(
        self,
        name: str,
        image: Image.Image,
        view: Image.Image,
        array: Array,
        predictions: Sequence[Prediction] = (),
        exact_view: bool = True,
        best: Sequence[Prediction] = (),
        notes: Sequence[str] = (),
        targets: Sequence[Target] = (),
        output: Array | None = None,
    ) -> None:
        self.name, self.image, self.view, self.array = name, image, view, array
        self.exact_view, self.best, self.notes, self.output = exact_view, tuple(best), tuple(notes), output
        self._predictions = tuple(predictions)
        self.targets = tuple(targets) or tuple(
            ClassLogit(str(one["index"]), one["name"], one["index"]) for one in predictions
        )

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """The classes to explain, with their probabilities.

        Raises:
            BadRequest: a target is not a class, so a visualization that reads only classes can't explain it.
        """
        other = next((target for target in self.targets if not isinstance(target, ClassLogit)), None)
        if other:
            raise BadRequest(
                f"This visualization explains classes only, and {other.name!r} is not a class. Choose another "
                "visualization, or ask about a class.",
                field="target",
            )
        return self._predictions or tuple(
            Prediction(index=one.index, name=one.name, prob=self.value(one))
            for one in self.targets
            if isinstance(one, ClassLogit)
        )

    @property
    def classes(self) -> list[int]:
        """The indices of the classes to explain; see :attr:`predictions`."""
        return [prediction["index"] for prediction in self.predictions]

    def value(self, target: Target) -> float:
        """Return the value of a target for this image, such as the probability of a class."""
        if self.output is not None:
            return float(target.value(self.output[None])[0])
        return next(
            one["prob"] for one in self._predictions if isinstance(target, ClassLogit) and one["index"] == target.index
        )

    def panel(self, target: Target, array: NDArray[Any], **attributes: Any) -> Panel:
        """Return the map of a target, with its name and its value for this image.

        Args:
            target: one of :attr:`targets`.
            array: the map ``(h, w)``.
            attributes: other attributes of the :class:`Panel`.
        """
        value = self.value(target)
        return Panel(
            title=target.name,
            array=array,
            target=target.text,
            class_index=target.index if isinstance(target, ClassLogit) else None,
            probability=value if target.quantity == "probability" else None,
            value=value,
            unit=target.quantity,
            **attributes,
        )

    def filled(self, model: Model, fill: str, seed: int = 0) -> Array:
        """Return the model's input ``(H, W, C)`` for the image replaced entirely by a fill.

        Args:
            model: the model.
            fill: one of :data:`picasso.imaging.masking.FILLS` except "image".
            seed: the seed of the fill "noise".
        """
        # If the view is only a rendering, average or blur the array itself. If the model class opens images itself,
        # a view can't be turned into an input.
        if model.opens_images() or (fill in ("mean", "blur") and not self.exact_view):
            return painted(self.array, fill, seed)
        return np.asarray(model.encode([filling(self.view, fill, seed=seed)])[0], np.float32)

    def covering(self, model: Model, fill: str, seed: int = 0) -> Covering:
        """Return an object that covers parts of this image before preprocessing; arguments as in :meth:`filled`."""
        if not self.exact_view or model.encodes_by_pixel():
            return Covering(model, self.array, self.filled(model, fill, seed))
        try:
            plain = self.filled(model, fill, seed)
        except Exception:
            # Custom preprocessing may divide by the contrast, which is 0 for a plain fill. Painted images work.
            plain = np.full_like(self.array, np.nan)
        return Covering(model, self.array, plain, self.view, filling(self.view, fill, seed=seed))


@dataclass(frozen=True)
class Task(Generic[SettingsT]):
    """Everything a visualization is given for one run.

    Attributes:
        model: the model, which returns NumPy arrays; see :class:`picasso.models.base.Model`.
        inputs: the images, in the order in which panels are expected.
        settings: the validated settings, an instance of the visualization's ``ALLOWED_SETTINGS``.
        progress: call ``progress(done, total)`` for the current image as often as you like. It reports the
            progress and raises an exception if the run was cancelled.
        preview: call it with a function that returns preliminary panels of the current image. While a user
            watches the run, they are shown from time to time.

    Examples:
        Call a visualization with a task to test it without the pipeline:

        >>> import numpy as np
        >>> from PIL import Image
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.models.info import Prediction
        >>> from picasso.visualizations import Input, Task
        >>> from picasso.visualizations.saliency_maps import SaliencyMaps
        >>> model = BrightnessModel()
        >>> model.load()
        >>> view = Image.new("L", (8, 8), 204)
        >>> bright = Prediction(index=1, name="bright", prob=0.92)
        >>> image = Input("a.png", view, view, model.preprocess([view])[0], predictions=(bright,))
        >>> task = Task(model, [image], SaliencyMaps.ALLOWED_SETTINGS(), progress=lambda done, total: None)
        >>> [[panel.title for panel in panels] for panels in SaliencyMaps().make_visualization(task)]
        [['bright']]
    """

    model: Model
    inputs: Sequence[Input]
    settings: SettingsT
    progress: Callable[[int, int], None]
    preview: Callable[[Callable[[], Sequence[Panel]]], None] = lambda make: None


def targets_of(model: Model) -> int:
    """Return the maximum number of targets of an image if the user names none."""
    if isinstance(model.spec, Embedding):
        return 1
    return model.top_probs if isinstance(model.spec, Detection) else min(model.top_probs, model.num_classes)


class BaseVisualization(ABC, Generic[SettingsT]):
    """Base class of all visualizations.

    Derive from it. If the default template is not enough, put a template with the name of the class beside the
    module. Each run gets a new instance, so runs can't affect each other.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.visualizations import BaseVisualization, Panel, VisualizationSettings
        >>> class Contrast(BaseVisualization[VisualizationSettings]):
        ...     DESCRIPTION = "How far each pixel is from the mean of the image."
        ...
        ...     def make_visualization(self, task):
        ...         for image in task.inputs:
        ...             yield [Panel("contrast", image.array[..., 0] - image.array.mean(), signed=True)]
        >>> model = BrightnessModel()
        >>> model.load()
        >>> (result,) = picasso.explain(model, np.eye(8), Contrast)
        >>> result.panels[0].array[0, :2].tolist()
        [0.875, -0.125]
    """

    #: The usual name of the method, such as "Grad-CAM", not inherited; "" is the name of the class, split into words.
    TITLE: ClassVar[str] = ""
    #: One sentence on what the visualization shows.
    DESCRIPTION: ClassVar[str] = ""
    #: One sentence on when the map misleads, or "".
    MISLEADS: ClassVar[str] = ""
    #: A link to a description of the method, or "".
    REFERENCE_LINK: ClassVar[str] = ""
    #: Its section of Picasso's documentation, such as "visualizations/class-activation#gradcam", or "".
    DOCUMENTATION: ClassVar[str] = ""
    #: A frozen dataclass of settings fields, derived from VisualizationSettings.
    ALLOWED_SETTINGS: ClassVar[type[VisualizationSettings]] = VisualizationSettings
    #: True if the panels depend only on the task and on the code of this file, so that they may be reused for the same
    #: image and settings; not inherited.
    REPEATABLE: ClassVar[bool] = False
    #: The heading under which its card is shown.
    FAMILY: ClassVar[str] = "Others"
    #: The extra that it requires: the name of one of Picasso's extras and a module that it installs; or None.
    EXTRA: ClassVar[tuple[str, str] | None] = None
    #: The tasks of models that it can explain; others are greyed out.
    TASKS: ClassVar[frozenset[OutputTask]] = frozenset(OutputTask)
    #: False if its panels are no maps of the image, so that they can't be graded.
    MAPS: ClassVar[bool] = True
    #: The capabilities that it requires of a model; if one is missing, the card is greyed out.
    NEEDS: ClassVar[frozenset[Capability]] = frozenset({Capability.PREDICTIONS})

    @classmethod
    def title(cls) -> str:
        """Return the name for people: ``TITLE``, or the name of the class split into words."""
        own = vars(cls).get("TITLE")
        if own:
            return str(own)
        first, *others = WORD.findall(cls.__name__) or [cls.__name__]
        return " ".join([first, *(word if word.isupper() else word.lower() for word in others)])

    @classmethod
    def passes(cls, model: Model, settings: Any) -> float:
        """Return about how many images ``model`` must process for the panels of one image.

        Pages estimate the time of a run from this and from the speed of the model. A gradient counts as two images.

        Args:
            model: the model.
            settings: the validated settings, an instance of ``ALLOWED_SETTINGS``.
        """
        return 1.0

    @classmethod
    def stops_early(cls, settings: Any) -> bool:
        """Return whether a map may be complete before all :meth:`passes`, when its error is small enough.

        Pages then say "at most" before the estimated time.

        Args:
            settings: the validated settings, an instance of ``ALLOWED_SETTINGS``.
        """
        return False

    @classmethod
    def unsuitable(cls, model: Model) -> str:
        """Return why it can't be used with this model although all ``NEEDS`` are met; "" if it can.

        It is called when the model is loaded, for the card, and before a run. The text continues a sentence that
        begins with the visualization's name: "needs a ...".
        """
        return ""

    @classmethod
    def describe(cls, settings: Any) -> str:
        """Return the text above the maps of a run: what they show and how to read them.

        Override it if the text depends on the settings. The default is ``DESCRIPTION``.

        Args:
            settings: the validated settings, an instance of ``ALLOWED_SETTINGS``.
        """
        return cls.DESCRIPTION

    @classmethod
    def settings_to_compare(cls, settings: Any) -> Mapping[str, object]:
        """Return the settings, by public name, that make the maps of several models comparable.

        Override it if the quantity that a map shows depends on the model's predictions.

        Args:
            settings: the validated settings, an instance of ``ALLOWED_SETTINGS``.
        """
        values: Mapping[str, object] = settings.as_dict()
        return values

    @classmethod
    def settings_to_grade(cls, settings: Any) -> Mapping[str, object]:
        """Return the settings, by public name, of maps that are only compared with each other by a grade.

        Override it if a coarser map takes much less time.

        Args:
            settings: the validated settings, an instance of ``ALLOWED_SETTINGS``.
        """
        values: Mapping[str, object] = settings.as_dict()
        return values

    @abstractmethod
    def make_visualization(self, task: Task[SettingsT]) -> Iterator[Sequence[Panel]]:
        """Yield the panels of each image of ``task.inputs``, in order.

        Yield the panels of an image as soon as they are done: its row appears at once, and a cancelled run keeps it.
        """
