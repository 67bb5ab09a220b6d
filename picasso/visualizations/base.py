"""What a visualization is: one class that turns a task into panels, image by image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from PIL import Image

from picasso.attribution.covering import Covering
from picasso.imaging.masking import filling, painted
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.info import Capability, Prediction
from picasso.visualizations.panel import Panel
from picasso.visualizations.settings import VisualizationSettings

SettingsT = TypeVar("SettingsT", bound=VisualizationSettings)


@dataclass(frozen=True)
class Input:
    """One image, prepared.

    Attributes:
        name: what the user called it.
        image: the upright image as uploaded.
        view: the image as the model sees it; maps are drawn over it.
        array: the model's input ``(H, W, C)`` float32.
        predictions: the classes to look at: the most probable, best first, or those that the user chose.
        exact_view: False if preprocessing the view does not give ``array`` again; then ``view`` is only
            ``array`` made visible, and painting on it means nothing to the model.
        best: the most probable classes, best first, whichever are looked at.
        notes: what the reader should know of how it was read and preprocessed.
    """

    name: str
    image: Image.Image
    view: Image.Image
    array: Array
    predictions: tuple[Prediction, ...]
    exact_view: bool = True
    best: tuple[Prediction, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> list[int]:
        """The numbers of the classes to look at."""
        return [prediction["index"] for prediction in self.predictions]

    def filled(self, model: Model, fill: str, seed: int = 0) -> Array:
        """Return the model's input ``(H, W, C)`` where nothing is seen of the image but one of the fills.

        Args:
            model: the model.
            fill: one of :data:`picasso.imaging.masking.FILLS` but "image".
            seed: for the fill "noise".
        """
        # Where the view is only the numbers made visible, the numbers themselves are averaged or blurred; and where the
        # model class opens images itself, no view becomes an input.
        if model.opens_images() or (fill in ("mean", "blur") and not self.exact_view):
            return painted(self.array, fill, seed)
        return np.asarray(model.encode([filling(self.view, fill, seed=seed)])[0], np.float32)

    def covering(self, model: Model, fill: str, seed: int = 0) -> Covering:
        """Return what covers parts of this image as the model would see them covered; arguments as :meth:`filled`."""
        if not self.exact_view or model.encodes_by_pixel():
            return Covering(model, self.array, self.filled(model, fill, seed))
        try:
            plain = self.filled(model, fill, seed)
        except Exception:
            # Own code may divide by the contrast, of which plain paint has none. Painted images will do.
            plain = np.full_like(self.array, np.nan)
        return Covering(model, self.array, plain, self.view, filling(self.view, fill, seed=seed))


@dataclass(frozen=True)
class Task(Generic[SettingsT]):
    """Everything a visualization is given for one run.

    Attributes:
        model: answers with NumPy arrays; see :class:`picasso.models.base.Model`.
        inputs: the images, in the order in which panels are expected.
        settings: checked values, an instance of the visualization's ``ALLOWED_SETTINGS``.
        progress: call ``progress(done, total)`` for the image at work, as often as you like; it shows the
            progress and ends the run, by an exception, if it was cancelled.
        preview: call it with a function that makes the panels of the image at work as far as they are known;
            where somebody watches, they are shown now and then.
    """

    model: Model
    inputs: Sequence[Input]
    settings: SettingsT
    progress: Callable[[int, int], None]
    preview: Callable[[Callable[[], Sequence[Panel]]], None] = lambda make: None


class BaseVisualization(ABC, Generic[SettingsT]):
    """Derive from this class, and put a template of the class's name beside it if the default is not enough.

    A fresh instance is made for each run, so nothing that one run sets can disturb another.
    """

    #: One line that says what the visualization shows.
    DESCRIPTION: ClassVar[str] = ""
    #: Where the method is described, or "".
    REFERENCE_LINK: ClassVar[str] = ""
    #: A frozen dataclass of settings fields, derived from VisualizationSettings.
    ALLOWED_SETTINGS: ClassVar[type[VisualizationSettings]] = VisualizationSettings
    #: The group of cards that it is shown in.
    FAMILY: ClassVar[str] = "Others"
    #: What must be installed for it: the name of one of Picasso's extras, and the module that it brings; or nothing.
    EXTRA: ClassVar[tuple[str, str] | None] = None
    #: What it needs of a model; where the model can't give it, it is shown greyed out.
    NEEDS: ClassVar[frozenset[Capability]] = frozenset({Capability.PREDICTIONS})

    @classmethod
    def passes(cls, model: Model, settings: Any) -> float:
        """Return about how many images must go through ``model`` for the panels of one image.

        From this and from how fast the model is, pages say how long a run will take. A gradient counts as two.

        Args:
            model: the model.
            settings: checked values, an instance of ``ALLOWED_SETTINGS``.
        """
        return 1.0

    @classmethod
    def unsuitable(cls, model: Model) -> str:
        """Say why it does not fit this very model, which gives all that it needs; "" if it does.

        This is asked when the model is loaded, for its card, and before a run. The words follow the visualization's
        name: "needs a ...".
        """
        return ""

    @classmethod
    def describe(cls, settings: Any) -> str:
        """Say, above the maps of a run, what they show and how to read them.

        Override it where that depends on the settings; otherwise it is the description.

        Args:
            settings: checked values, an instance of ``ALLOWED_SETTINGS``.
        """
        return cls.DESCRIPTION

    @classmethod
    def settings_to_compare(cls, settings: Any) -> Mapping[str, object]:
        """Return the settings, by public name, with which several models make maps that can be compared.

        Override it where what a map shows depends on the model's answers.

        Args:
            settings: checked values, an instance of ``ALLOWED_SETTINGS``.
        """
        values: Mapping[str, object] = settings.as_dict()
        return values

    @abstractmethod
    def make_visualization(self, task: Task[SettingsT]) -> Iterator[Sequence[Panel]]:
        """Yield the panels of each image of ``task.inputs``, in order.

        Yield as soon as an image is done: its row appears at once, and a cancelled run keeps it.
        """
