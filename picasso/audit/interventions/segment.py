"""A segment that recurs by appearance: logos of any size, captions, companions of the object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.matching import Generator
from picasso.audit.interventions.segment_extent import CONTEXT, Likeness, extent, likeness
from picasso.audit.interventions.segment_search import Recurring, recurring, spread
from picasso.audit.properties import Images, blurred

# The number of clusters whose extent is determined, and by how much their excess may be smaller than the largest.
EXAMINED, NEAR = 24, 0.1
# The largest area of a segment, as a fraction of the image. What is larger may be the object.
MAX_AREA = 0.15
# The number of places among which the control is chosen.
CHOICES = 8
# A removed segment is covered with a rim of this fraction of its window.
RIM = 5
# Pixels that are covered at least so much are outlined in the report.
SHOWN = 0.25
# Images have a plain ground if more than this share of all pixels has the same colour, to within this distance.
GROUND, SAME = 0.4, 0.02
# The largest factor by which the control is amplified.
STRONGEST = 3.0


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
        return InterventionResult(
            towards, control, "pasting a segment that recurs in {b} images into {a} images", region
        )

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
        return InterventionResult(towards, control, self.words(case), region)

    def words(self, case: ImagePair) -> str:
        """Describe the removal; where a segment is pasted, the result describes it."""
        return "removing a segment that recurs in {a} images"


def found(case: ImagePair) -> list[Segment]:
    """Return the segments that recur in one class only, the largest first; they may be parts of each other.

    Segments that don't end, since their surroundings are alike too, and large ones may be the object.
    """
    if plain(case.ours) or plain(case.theirs):
        return []
    clusters, made = recurring(case), []
    close = [
        one for one in clusters if one.in_theirs == clusters[0].in_theirs and one.excess >= clusters[0].excess - NEAR
    ]
    for index in spread(np.arange(len(close)), EXAMINED):
        cluster = close[index]
        images, windows, present = (
            (case.theirs, cluster.theirs, cluster.present_there)
            if cluster.in_theirs
            else (case.ours, cluster.ours, cluster.present)
        )
        alike = likeness(images[present], windows[present], np.random.default_rng(0))
        mask = extent(alike)
        if mask is None:
            continue
        pixel = (float(np.median(windows[present, 2])) * CONTEXT / len(mask)) ** 2
        if float(mask.sum()) * pixel > MAX_AREA * case.size[0] * case.size[1]:
            continue
        made.append((float((mask * np.nan_to_num(alike)).sum()) * pixel, Segment(cluster, mask)))
    made.sort(key=lambda some: -some[0])
    return [segment for _, segment in made]


def plain(images: Images) -> bool:
    """Tell whether the ground of the images has one colour, the same in all; then any part of an object ends."""
    colours = images[:, ::2, ::2].reshape(-1, images.shape[-1])
    near = np.abs(colours - np.median(colours, axis=0)).max(axis=1) < SAME
    return float(near.mean()) > GROUND


def as_much(choices: list[Images], before: Images, after: Images) -> Images:
    """Return the image whose change is the most similar in size to another change, amplified if necessary."""
    wanted = float(np.abs(after - before).mean())
    sizes = [float(np.abs(some - before).mean()) for some in choices]
    best = int(np.argmin([abs(size - wanted) for size in sizes]))
    gain = np.clip(wanted / max(sizes[best], 1e-6), 1, STRONGEST)
    return np.asarray(np.clip(before + gain * (choices[best] - before), 0, 1), np.float32)


def square(window: NDArray[np.intp]) -> tuple[int, int, int]:
    """Return top, left and side of the square around a window."""
    top, left, side = map(int, window)
    whole = CONTEXT * side
    return top + side // 2 - whole // 2, left + side // 2 - whole // 2, whole


def scaled(mask: Likeness, side: int) -> NDArray[np.float32]:
    """Return a mask of another size."""
    return np.asarray(
        np.clip(ndimage.zoom(mask, side / len(mask), order=1, grid_mode=True, mode="nearest"), 0, 1), np.float32
    )


def covered(size: tuple[int, int], segments: list[Segment], index: int) -> NDArray[np.float32]:
    """Return which pixels of an image segments cover together, from 0 to 1, ``(H, W)``.

    A window may be smaller than its segment, or cover a part of it; windows of several sizes cover it all.
    """
    found = np.zeros(size, np.float32)
    for one in segments:
        cluster = one.cluster
        windows, present = (
            (cluster.theirs, cluster.present_there) if cluster.in_theirs else (cluster.ours, cluster.present)
        )
        if present[index]:
            top, left, side = square(windows[index])
            sheet = np.zeros((size[0] + 2 * side, size[1] + 2 * side), np.float32)
            sheet[top + side : top + 2 * side, left + side : left + 2 * side] = scaled(one.mask, side)
            found = np.maximum(found, sheet[side : side + size[0], side : side + size[1]])
    return found


def cut(image: Images, cover: NDArray[np.float32]) -> tuple[Images, NDArray[np.float32]]:
    """Return the smallest rectangle with what is covered, ``(h, w, C)``, and its cover, ``(h, w)``."""
    rows, columns = (np.flatnonzero((cover > 0.05).any(axis=axis)) for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return image[part], cover[part]


def place(size: tuple[int, int], part: tuple[int, ...], generator: Generator) -> tuple[int, int]:
    """Return a random top and left of a rectangle within an image."""
    top, left = (int(generator.integers(0, whole - own + 1)) for whole, own in zip(size, part, strict=False))
    return top, left


def elsewhere(window: NDArray[np.intp], size: tuple[int, int], generator: Generator) -> tuple[int, int]:
    """Return a shift of a window to another place within the image, twice its side away where that is possible."""
    best, farthest = (0, 0), -1
    for _ in range(CHOICES):
        top, left = place(size, (window[2], window[2]), generator)
        shift = top - int(window[0]), left - int(window[1])
        if max(map(abs, shift)) >= 2 * window[2]:
            return shift
        if max(map(abs, shift)) > farthest:
            best, farthest = shift, max(map(abs, shift))
    return best


def filled(image: Images, cover: NDArray[np.float32]) -> Images:
    """Return an image whose covered part continues its surroundings smoothly."""
    rows, columns = (np.flatnonzero((cover > 0.05).any(axis=axis)) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return image
    wide = max(2, (rows[-1] - rows[0] + 1) // 2)
    part = slice(max(0, rows[0] - wide), rows[-1] + 1 + wide), slice(max(0, columns[0] - wide), columns[-1] + 1 + wide)
    seen, keep = image[part], (cover[part] < 0.05).astype(np.float32)[..., None]
    # Each blur fills what the one before did not reach.
    known, weight = seen * keep, keep
    for sigma in (wide / 4, wide / 2, wide, 2 * wide):
        near, reach = blurred(known[None], sigma)[0], blurred(weight[None], sigma)[0]
        around = near / np.maximum(reach, 1e-6)
        missing = 1 - weight
        reached = missing * np.clip(10 * reach, 0, 1)
        known, weight = known + reached * around, weight + reached
    around = known / np.maximum(weight, 1e-6)
    found = image.copy()
    found[part] = np.clip(seen + cover[part][..., None] * (around - seen), 0, 1)
    return found
