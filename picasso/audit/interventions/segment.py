"""A segment that recurs by appearance: logos of any size, captions, companions of the object."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.matching import Generator
from picasso.audit.interventions.segment_extent import CONTEXT, GRID, Likeness, extent, likeness
from picasso.audit.interventions.segment_paste import CHOICES, as_much, cut, elsewhere, filled, place, scaled, square
from picasso.audit.interventions.segment_search import Recurring, Windows, recurring, spread
from picasso.audit.properties import Images

# The number of clusters whose extent is determined, and by how much their excess may be smaller than the largest.
EXAMINED, NEAR = 24, 0.1
# The largest area of a segment, as a fraction of the image. What is larger may be the object.
MAX_AREA = 0.15
# A removed segment is covered with a rim of this fraction of its window.
RIM = 5
# Pixels that are covered at least so much are outlined in the report.
SHOWN = 0.25
# Images have a plain ground if more than this share of all pixels has the same colour, to within this distance.
GROUND, SAME = 0.4, 0.02
# A segment is beside the object if masks of the object cover at most this share of it.
BESIDE = 0.25


@dataclass(frozen=True)
class Segment:
    """A recurring segment and its shape.

    Attributes:
        cluster: its windows.
        mask: which part of the square around a window it covers, from 0 to 1, ``(GRID, GRID)``.
    """

    cluster: Recurring
    mask: Likeness

    def turned(self) -> Segment:
        """Return the same with the roles of the classes exchanged."""
        return Segment(self.cluster.turned(), self.mask)


class RecurringSegment(Intervention):
    """Transplant a segment that recurs in the other class, or remove one that recurs in this class.

    Unlike :class:`picasso.audit.interventions.watermark.MovingMark`, it recurs by appearance: its size, colours and
    details may vary.
    """

    kind, name = "mark", "a recurring segment"

    def fits(self, images: Images) -> bool:
        """Tell whether the images are large enough for segments."""
        return bool(min(images.shape[1:3]) >= 24)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Find the segment; the control pastes another part of an image of this class, or covers another place.

        Returns None if no segment recurs in one class only.
        """
        segments = case.once(found)
        if not segments:
            return None
        if segments[0].cluster.in_theirs:
            return self.transplanted(case, segments, generator)
        return self.removed(case, segments, generator)

    def transplanted(self, case: ImagePair, segments: list[Segment], generator: Generator) -> InterventionResult:
        """Paste the segment of a random image of the other class at a random place of each image."""
        ours, first = case.ours, segments[0].cluster
        towards, control, region = ours.copy(), ours.copy(), np.zeros(ours.shape[:3], np.bool_)
        donors = np.flatnonzero(first.present_there)
        for index in range(len(ours)):
            donor = donors[generator.integers(len(donors))]
            piece, cover = cut(case.theirs[donor], covered(case.size, segments, int(donor)))
            top, left = place(case.size, cover.shape, generator)
            spot = (index, slice(top, top + len(cover)), slice(left, left + cover.shape[1]))
            towards[spot] += cover[..., None] * (piece - towards[spot])
            region[spot] = cover > SHOWN
            others = self.others(ours, index, cover, generator)
            control[spot] = as_much(
                [ours[spot] + cover[..., None] * (some - ours[spot]) for some in others], ours[spot], towards[spot]
            )
        words = "pasting a segment that recurs in {b} images into {a} images"
        return InterventionResult(towards, control, words, region, informative=may_be_object(case, segments))

    def others(self, ours: Images, index: int, cover: NDArray[np.float32], generator: Generator) -> list[Images]:
        """Return parts of other images of the same class, of the size of a cover."""
        found = []
        for _ in range(CHOICES):
            other = (index + generator.integers(1, max(2, len(ours)))) % len(ours)
            top, left = place(ours.shape[1:3], cover.shape, generator)
            found.append(ours[other, top : top + len(cover), left : left + cover.shape[1]])
        return found

    def removed(self, case: ImagePair, segments: list[Segment], generator: Generator) -> InterventionResult:
        """Cover the segment in the images that have it; the control covers another place of the same size."""
        ours, first = case.ours, segments[0].cluster
        towards, control, region = ours.copy(), ours.copy(), np.zeros(ours.shape[:3], np.bool_)
        for index in np.flatnonzero(first.present):
            cover = covered(case.size, segments, int(index))
            rim = max(1, int(first.ours[index, 2]) // RIM)
            cover = np.asarray(ndimage.grey_dilation(cover, size=2 * rim + 1))
            towards[index], region[index] = filled(ours[index], cover), cover > SHOWN
            places = [elsewhere(first.ours[index], case.size, generator) for _ in range(CHOICES // 2)]
            covers = [np.roll(cover, shift, axis=(0, 1)) for shift in places]
            control[index] = as_much([filled(ours[index], some) for some in covers], ours[index], towards[index])
        return InterventionResult(towards, control, self.words(case), region, informative=may_be_object(case, segments))

    def words(self, case: ImagePair) -> str:
        """Describe the removal; where a segment is pasted, the result describes it."""
        return "removing a segment that recurs in {a} images"


def found(case: ImagePair) -> list[Segment]:
    """Return the segments that recur in one class only, the largest first; they may be parts of each other.

    If no copies are exact and the images have masks, it is the windows that are most often similar.
    """
    if plain(case.ours) or plain(case.theirs):
        return []
    clusters = recurring(case)
    similar = [Segment(one, whole_window()) for one in clusters if not one.exact]
    small = (one for one in similar if is_small(case, one))
    return shaped(case, [one for one in clusters if one.exact]) or list(islice(small, 1))


def shaped(case: ImagePair, clusters: list[Recurring]) -> list[Segment]:
    """Return the segments of clusters, the largest first.

    Segments that don't end, since their surroundings are alike too, and large ones may be the object.
    """
    made = []
    close = [
        one for one in clusters if one.in_theirs == clusters[0].in_theirs and one.excess >= clusters[0].excess - NEAR
    ]
    for index in spread(np.arange(len(close)), EXAMINED):
        cluster = close[index]
        images, windows, present = holders(case, cluster)
        alike = likeness(images[present], windows[present], np.random.default_rng(0))
        mask = extent(alike)
        if mask is None:
            continue
        one = Segment(cluster, mask)
        if is_small(case, one):
            made.append((float((mask * np.nan_to_num(alike)).sum() * np.median(windows[present, 2]) ** 2), one))
    made.sort(key=lambda some: -some[0])
    return [segment for _, segment in made]


def is_small(case: ImagePair, segment: Segment) -> bool:
    """Tell whether a segment covers a small part of the images; otherwise it may be the object."""
    _, windows, present = holders(case, segment.cluster)
    pixel = (float(np.median(windows[present, 2])) * CONTEXT / GRID) ** 2
    return float(segment.mask.sum()) * pixel <= MAX_AREA * case.size[0] * case.size[1]


def whole_window() -> Likeness:
    """Return the soft mask of a window, with a rim of a quarter of its side, in the square around it, ``(GRID, GRID)``.

    Where similar segments end can't be told from pixels, which vary within them.
    """
    mask, inset = np.zeros((GRID, GRID)), GRID // CONTEXT * 3 // 4
    mask[inset:-inset, inset:-inset] = 1
    return np.asarray(ndimage.gaussian_filter(mask, 1.0))


def holders(case: ImagePair, cluster: Recurring) -> tuple[Images, Windows, NDArray[np.bool_]]:
    """Return the images of the class that has a segment, its window in each, and which have it."""
    return (case.theirs if cluster.in_theirs else case.ours, *cluster.copies)


def may_be_object(case: ImagePair, segments: list[Segment]) -> bool:
    """Tell whether segments may be the object: copies aren't exact, and masks don't show that they are beside it."""
    first = segments[0].cluster
    if first.exact or case.masks is None:
        return False
    _, _, present = holders(case, first)
    objects, shares = case.masks[first.in_theirs], []
    for index in np.flatnonzero(present):
        cover = covered(case.size, segments, int(index))
        shares.append(float((cover * objects[index]).sum() / max(cover.sum(), 1e-9)))
    return float(np.median(shares)) > BESIDE


def plain(images: Images) -> bool:
    """Tell whether the ground of the images has one colour, the same in all; then any part of an object ends."""
    colours = images[:, ::2, ::2].reshape(-1, images.shape[-1])
    near = np.abs(colours - np.median(colours, axis=0)).max(axis=1) < SAME
    return float(near.mean()) > GROUND


def covered(size: tuple[int, int], segments: list[Segment], index: int) -> NDArray[np.float32]:
    """Return which pixels of an image segments cover together, from 0 to 1, ``(H, W)``.

    A window may be smaller than its segment, or cover a part of it; windows of several sizes cover it all.
    """
    found = np.zeros(size, np.float32)
    for one in segments:
        windows, present = one.cluster.copies
        if present[index]:
            top, left, side = square(windows[index])
            sheet = np.zeros((size[0] + 2 * side, size[1] + 2 * side), np.float32)
            sheet[top + side : top + 2 * side, left + side : left + 2 * side] = scaled(one.mask, side)
            found = np.maximum(found, sheet[side : side + size[0], side : side + size[1]])
    return found
