"""The interface of interventions: a change that makes images of one class like those of another in one respect."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from picasso.audit.extent import covers, softened
from picasso.audit.interventions.matching import Generator
from picasso.audit.properties import Images, Maps

# Which pixels of each image, ``(n, H, W)``.
Regions = NDArray[np.bool_]

# The smallest effect of an alarm, unless the intervention requires more.
FLOOR = 0.10
# From the most specific to the least.
KINDS = ("mark", "property", "object", "region", "edge", "broad")


class Turnable(Protocol):
    """Something that was found in the images of two classes."""

    def turned(self) -> Self:
        """Return the same with the roles of the classes exchanged."""
        ...


Found = TypeVar("Found", bound=Turnable)


@dataclass(frozen=True)
class ImagePair:
    """Images of two classes; those of the first are to be changed.

    Attributes:
        ours: ``(n, H, W, C)`` from 0 to 1.
        theirs: images of the other class, ``(m, H, W, C)``.
        attention: returns the attribution maps, ``(n, H, W)`` and ``(m, H, W)``; each map sums to 1. Computed on
            demand. Where the images have masks, the maps are those of the object instead.
        masks: the pixels of the object in the images of both classes, ``(n, H, W)`` and ``(m, H, W)``, if the images
            have masks.
        memory: what :meth:`once` found; the same dictionary for both directions of a pair.
        reverse: whether this is the second direction of a pair.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.interventions import ImagePair
        >>> dark, bright = np.zeros((3, 8, 6, 1), np.float32), np.ones((4, 8, 6, 1), np.float32)
        >>> even = np.full((4, 8, 6), 1 / 48, np.float32)
        >>> ImagePair(dark, bright, attention=lambda: (even[:3], even)).size
        (8, 6)
    """

    ours: Images
    theirs: Images
    attention: Callable[[], tuple[Maps, Maps]]
    masks: tuple[Regions, Regions] | None = None
    memory: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    reverse: bool = False

    def once(self, search: Callable[[ImagePair], list[Found]]) -> list[Found]:
        """Return what a search finds in the images of both classes, which is searched once for both directions."""
        if search not in self.memory:
            self.memory[search] = self.reverse, search(self)
        reverse, found = self.memory[search]
        return found if reverse == self.reverse else [one.turned() for one in found]

    def objects(self, share: float) -> tuple[Images, Images]:
        """Return soft masks of the object in the images of both classes, ``(n, H, W, 1)`` from 0 to 1.

        Args:
            share: the most attended share of each image, which is taken for the object if the images have no masks.
        """
        if self.masks is not None:
            return softened(self.masks[0]), softened(self.masks[1])
        ours, theirs = (covers(maps, share) for maps in self.attention())
        return ours, theirs

    @property
    def size(self) -> tuple[int, int]:
        """Return the height and width of the images."""
        return self.ours.shape[1], self.ours.shape[2]


@dataclass(frozen=True)
class InterventionResult:
    """Images of one class after a change.

    Attributes:
        towards: changed to be like images of the other class.
        control: changed in the same way and by the same amount, but not towards the other class.
        words: a description, if only the change itself knows it; otherwise :meth:`Intervention.words` gives it.
        region: the pixels that ``towards`` is about, ``(n, H, W)``, which the report outlines; None if it is about
            whole images.
        region_after: the same in ``towards``, if the change moves it; by default, it stays in place.
        separation: how well what is changed separates the two classes, if it is measured as one value of each image:
            the probability that a value of theirs is larger than one of ours, 0..1.
        informative: whether what is changed may be the object itself, so that a finding raises no alarm.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.interventions import InterventionResult
        >>> images = np.zeros((3, 8, 8, 1), np.float32)
        >>> result = InterventionResult(towards=images + 0.5, control=images, words="making {a} images brighter")
        >>> result.words
        'making {a} images brighter'
    """

    towards: Images
    control: Images
    words: str = ""
    region: Regions | None = None
    region_after: Regions | None = None
    separation: float = 0.5
    informative: bool = False


class Intervention(ABC):
    """A change of images in one respect.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.interventions import ImagePair, Intervention, InterventionResult
        >>> class LastRow(Intervention):
        ...     kind, name = "region", "the last row"
        ...
        ...     def change(self, case, generator):
        ...         def with_rows_of(others):
        ...             changed = case.ours.copy()
        ...             changed[:, -1] = others[generator.integers(len(others), size=len(changed)), -1]
        ...             return changed
        ...         return InterventionResult(with_rows_of(case.theirs), with_rows_of(case.ours))
        ...
        ...     def words(self, case):
        ...         return "giving {a} images the last row of {b} images"
        >>> dark, bright = np.zeros((3, 8, 8, 1), np.float32), np.ones((4, 8, 8, 1), np.float32)
        >>> even = np.full((4, 8, 8), 1 / 64, np.float32)
        >>> case = ImagePair(dark, bright, attention=lambda: (even[:3], even))
        >>> result = LastRow().change(case, np.random.default_rng(0))
        >>> float(result.towards.mean()), float(result.control.mean())
        (0.125, 0.0)
    """

    #: One of :data:`KINDS`.
    kind: str
    #: A short and unique name.
    name: str
    #: Whether a finding raises no alarm, because it may be the object itself.
    informative: bool = False
    #: Whether it changes fine detail or shape. Where the object fills the images, these may be the object itself, as
    #: those of a texture are, so a finding is informative.
    detail: bool = False
    #: Whether it changes colour or light of whole images. Where that of the object alone has an effect, it may be what
    #: the object looks like, so a finding is informative.
    appearance: bool = False
    #: The smallest effect, in both directions, that raises an alarm.
    floor: float = FLOOR

    def fits(self, images: Images) -> bool:
        """Tell whether the intervention applies to these images."""
        return True

    @abstractmethod
    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Change ``case.ours`` to be like ``case.theirs``; return None if there is nothing to change."""

    @abstractmethod
    def words(self, case: ImagePair) -> str:
        """Describe the change, as in "giving {a} images the brightness of {b} images", with both placeholders."""
