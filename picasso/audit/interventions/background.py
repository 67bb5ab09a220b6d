"""Interventions on what surrounds the object: large-scale light and colour, and the background."""

from __future__ import annotations

import numpy as np

from picasso.audit.extent import ATTENDED_SHARE
from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.matching import Generator, another, any_of, stepped
from picasso.audit.properties import Images, blurred

# Added to the divisor, since ratios of very dark values are meaningless.
DARK = 0.02


class ColourLayout(Intervention):
    """Give images the large-scale light and colour of another image, and keep the finer detail.

    The change multiplies, as light does: surfaces stay the same, and the light on them changes.
    """

    kind, name, appearance = "broad", "large-scale light and colour", True

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Take the image blurred by a sixth of its side from the other class; the control is the opposite change."""
        ours, theirs = case.ours, case.theirs
        sigma = min(case.size) / 6
        coarse, of_theirs = blurred(ours, sigma), blurred(theirs, sigma)
        ratio = (of_theirs[any_of(len(theirs), len(ours), generator)] + DARK) / (coarse + DARK)
        towards, control = (np.asarray(np.clip(ours * factor, 0, 1), np.float32) for factor in (ratio, 1 / ratio))
        return InterventionResult(towards, control)

    def words(self, case: ImagePair) -> str:
        """Describe the change."""
        return "giving {a} images the large-scale light and colour of {b} images"


class Background(Intervention):
    """Put the most attended region of an image on the background of another image.

    The object of the other image is covered by the opposite part of that image.
    """

    kind, name = "broad", "the background"

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Take the background from an image of the other class; the control differs within the class as much."""
        ours, theirs = case.ours, case.theirs
        mine, other = case.objects(ATTENDED_SHARE)
        behind = emptied(theirs, other)[any_of(len(theirs), len(ours), generator)]
        towards = np.asarray(mine * ours + (1 - mine) * behind, np.float32)
        own = emptied(ours, mine)[another(len(ours), generator)]
        control = stepped(ours, np.asarray((1 - mine) * (own - ours), np.float32), towards)
        return InterventionResult(towards, control, region=mine[..., 0] < 0.5)

    def words(self, case: ImagePair) -> str:
        """Describe the change."""
        return "putting the most attended region of {a} images on backgrounds of {b} images"


def emptied(images: Images, cover: Images) -> Images:
    """Return images whose object is covered by the opposite part of the image, rotated by 180 degrees."""
    return images * (1 - cover) + cover * images[:, ::-1, ::-1]
