"""What lies under or behind the thing: the large-scale light and colour, and the background."""

from __future__ import annotations

import numpy as np

from picasso.audit.interventions.base import Generator, ImagePair, Intervention, InterventionResult, another, any_of
from picasso.audit.properties import Images, Maps, blurred

# Light that is not divided by: where there is next to none, a ratio says nothing.
DARK = 0.02
# How much of an image, of what the model looks at most, is taken for the thing, so that the rest is background for
# sure: of a cup that fills the image, what lies outside the quarter that is looked at most is still the cup.
THING = 0.6


class ColourLayout(Intervention):
    """Give images the large-scale light and colour of another image, and keep what is finer.

    As light does, it multiplies: what a place is made of stays, and how much light falls on it changes.
    """

    kind, name = "broad", "the large-scale light and colour"

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Take what a blur of a sixth of the side leaves from an image of the other class, or of their own."""
        ours, theirs = case.ours, case.theirs
        sigma = min(case.size) / 6
        coarse, of_theirs = blurred(ours, sigma), blurred(theirs, sigma)
        fine = ours / (coarse + DARK)
        return InterventionResult(
            np.clip(fine * of_theirs[any_of(len(theirs), len(ours), generator)], 0, 1),
            np.clip(fine * coarse[another(len(ours), generator)], 0, 1),
        )

    def words(self, case: ImagePair) -> str:
        """Say what is exchanged."""
        return "giving {a} images the large-scale light and colour of {b} images"


class Background(Intervention):
    """Show what the model looks at most before the rest of another image.

    The other image's own thing is covered by its mirrored surroundings.
    """

    kind, name = "broad", "the background"

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Take the background from an image of the other class; for the control, from another one of their own."""
        ours, theirs = case.ours, case.theirs
        mine, other = (covers(maps, THING) for maps in case.attention())
        behind, their_behind = emptied(ours, mine), emptied(theirs, other)
        return InterventionResult(
            mine * ours + (1 - mine) * their_behind[any_of(len(theirs), len(ours), generator)],
            mine * ours + (1 - mine) * behind[another(len(ours), generator)],
        )

    def words(self, case: ImagePair) -> str:
        """Say what is exchanged."""
        return "putting what the model looks at in {a} images before the background of {b} images"


def covers(maps: Maps, share: float) -> Images:
    """Return soft masks ``(n, H, W, 1)`` of a share of the image, that which is looked at most; from 0 to 1."""
    least = np.quantile(maps, 1 - share, axis=(1, 2), keepdims=True)
    wide = blurred((maps >= least).astype(np.float32)[..., None], min(maps.shape[1:]) / 32)
    return np.clip(wide, 0, 1)


def emptied(images: Images, cover: Images) -> Images:
    """Return images whose thing is covered by what lies opposite, turned by half a circle."""
    return images * (1 - cover) + cover * images[:, ::-1, ::-1]
