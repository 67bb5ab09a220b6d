"""A recurring mark: the same small patch, pixel by pixel, at different positions in many images of one class only.

Natural objects never look exactly the same twice. A patch that does was added, such as a stamp or a watermark. The
search uses the images alone, at positions that the model attends to. Whether the mark moves predictions is tested
afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult, Regions
from picasso.audit.interventions.matching import Generator, nearest_in_size
from picasso.audit.properties import Images, Maps

# Images are reduced until their shorter side has at most 64 pixels; the side of a mark is an eighth of it.
REDUCED, PART = 64, 8
# In smaller images, a mark of four pixels would cover too much.
MIN_SIDE = 16
# The number of images, and of positions in each, that are searched for candidates.
SEARCHED, PLACES = 12, 6
# The smallest contrast of a mark (standard deviation), and the largest root mean square distance of a copy relative to
# that contrast.
CONTRAST, ALIKE = 0.10, 0.4
# The smallest difference of the shares of images with the mark in the two classes.
EXCESS = 0.25
# A mark whose positions spread by less than this fraction of the side is fixed; region swaps detect it.
STILL = 0.06
# The number of images that are compared with all candidates at once, to bound the memory.
BATCH_SIZE = 16
# The number of patches that the control of a pasted mark is chosen from.
DRAWN = 8

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Mark:
    """A mark that was found.

    Attributes:
        patch: its pixels, ``(side, side, C)``.
        excess: the share of their images with the mark less the share of ours; negative if it recurs in ours.
        places: its position in each of our and of their images, ``(n, 2)`` as row and column.
        present: whether each of our and of their images has it.
    """

    patch: Images
    excess: float
    places: tuple[Places, Places]
    present: tuple[NDArray[np.bool_], NDArray[np.bool_]]

    def turned(self) -> Mark:
        """Return the same with the roles of the classes exchanged."""
        return Mark(self.patch, -self.excess, self.places[::-1], self.present[::-1])


class MovingMark(Intervention):
    """Paste a mark that recurs in the other class at random positions, or remove one that recurs in this class."""

    kind, name = "mark", "a recurring mark"

    def fits(self, images: Images) -> bool:
        """Tell whether the images are large enough for a mark."""
        return bool(min(images.shape[1:3]) >= MIN_SIDE)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Find the mark; the control pastes a patch of another image instead, or removes another patch."""
        marks = case.once(found)
        if not marks:
            return None
        (mark,) = marks
        ours, side = case.ours, len(mark.patch)
        rows, columns = (generator.integers(0, length - side + 1, len(ours)) for length in case.size)
        elsewhere = np.stack([rows, columns], axis=1)
        if mark.excess > 0:
            covered = np.stack([patch_at(image, place, side) for image, place in zip(ours, elsewhere, strict=True)])
            pieces = patches_like(ours, covered, mark.patch, generator)
            return InterventionResult(
                pasted(ours, elsewhere, np.broadcast_to(mark.patch, pieces.shape)),
                pasted(ours, elsewhere, pieces),
                "pasting a mark that recurs in {b} images into {a} images",
                squares(ours.shape[:3], elsewhere, side),
            )
        where = np.where(mark.present[0][:, None], mark.places[0], elsewhere)
        region = squares(ours.shape[:3], where, side)
        return InterventionResult(mended(ours, where, side), mended(ours, elsewhere, side), self.words(case), region)

    def words(self, case: ImagePair) -> str:
        """Describe the removal; where a mark is pasted, the result describes it."""
        return "removing a mark that recurs in {a} images"


def found(case: ImagePair) -> list[Mark]:
    """Return the mark that recurs most in one class only; none if there is none, or if its position is fixed."""
    step = max(1, -(-min(case.size) // REDUCED))
    side = max(4, min(case.size) // step // PART)
    ours, theirs = (reduced(some, step) for some in (case.ours, case.theirs))
    best: tuple[float, Images, Images, bool] | None = None
    both = np.concatenate([ours, theirs])
    ours_first, theirs_first = case.attention()
    for full, maps, in_theirs in ((case.theirs, theirs_first, True), (case.ours, ours_first, False)):
        small = theirs if in_theirs else ours
        patches, large = candidates(small, full, maps, step, side)
        if not len(patches):
            continue
        far, _ = nearest(both, patches)
        near = far <= ALIKE * contrasts(patches)
        shares = near[len(ours) :].mean(axis=0), near[: len(ours)].mean(axis=0)
        excess = shares[0] - shares[1] if in_theirs else shares[1] - shares[0]
        one = int(np.argmax(excess))
        if excess[one] >= EXCESS and (best is None or excess[one] > best[0]):
            best = float(excess[one]), patches[one], large[one], in_theirs
    if best is None:
        return []
    excess_, patch, full_patch, in_theirs = best
    far, at = nearest(both, patch[None])
    present = far[:, 0] <= ALIKE * contrasts(patch[None])
    if at[present, 0].std(axis=0).max() < STILL * min(case.size) / step:
        return []
    places, count = at[:, 0] * step, len(ours)
    parts = (places[:count], places[count:]), (present[:count], present[count:])
    return [Mark(full_patch, excess_ if in_theirs else -excess_, *parts)]


def reduced(images: Images, step: int) -> Images:
    """Return images with every ``step`` pixels of both sides averaged."""
    count, height, width, channels = images.shape
    cut = images[:, : height // step * step, : width // step * step]
    parts = cut.reshape(count, height // step, step, width // step, step, channels)
    return np.asarray(parts.mean(axis=(2, 4)), np.float32)


def candidates(small: Images, full: Images, maps: Maps, step: int, side: int) -> tuple[Images, Images]:
    """Return high-contrast patches from attended positions, ``(k, side, side, C)``, and the same at full size."""
    pieces, large = [], []
    chosen = np.linspace(0, len(small) - 1, min(SEARCHED, len(small))).round().astype(int)
    looks = reduced(maps[..., None], step)[..., 0]
    for index in chosen:
        sums = sliding_window_view(looks[index], (side, side)).sum(axis=(2, 3))
        for _ in range(PLACES):
            place = np.asarray(np.unravel_index(int(np.argmax(sums)), sums.shape))
            piece = patch_at(small[index], place, side)
            if contrasts(piece[None])[0] >= CONTRAST:
                pieces.append(piece)
                large.append(patch_at(full[index], place * step, side * step))
            top, left = np.maximum(0, place - side // 2)
            sums[top : place[0] + side // 2 + 1, left : place[1] + side // 2 + 1] = -1
    empty = np.empty((0, side, side, small.shape[-1]), np.float32)
    return (np.stack(pieces), np.stack(large)) if pieces else (empty, empty)


def contrasts(patches: Images) -> NDArray[np.float32]:
    """Return the root mean square deviation of patches from a single colour, ``(k,)``."""
    return np.asarray(np.sqrt(patches.var(axis=(1, 2)).mean(axis=-1)), np.float32)


def nearest(images: Images, patches: Images) -> tuple[NDArray[np.float32], Places]:
    """Return the best match of each patch in each image: its root mean square distance, ``(n, k)``, and position."""
    side, size = patches.shape[1], patches[0].size
    flat = patches.reshape(len(patches), size)
    distances, places = [], []
    for start in range(0, len(images), BATCH_SIZE):
        windows = sliding_window_view(images[start : start + BATCH_SIZE], (side, side), axis=(1, 2))
        count, rows, columns = windows.shape[:3]
        pieces = windows.transpose(0, 1, 2, 4, 5, 3).reshape(count, rows * columns, size)
        squares = np.einsum("npd,npd->np", pieces, pieces)[..., None] - 2 * pieces @ flat.T + (flat**2).sum(axis=1)
        best = squares.argmin(axis=1)
        distances.append(np.sqrt(np.maximum(0, np.take_along_axis(squares, best[:, None], axis=1)[:, 0]) / size))
        places.append(np.stack([best // columns, best % columns], axis=-1))
    return np.concatenate(distances), np.concatenate(places)


def patch_at(image: Images, place: NDArray[np.intp], side: int) -> Images:
    """Return a patch ``(side, side, C)`` of an image."""
    return image[place[0] : place[0] + side, place[1] : place[1] + side]


def patches_like(images: Images, covered: Images, patch: Images, generator: Generator) -> Images:
    """Return a patch of these images for each of those that a mark covers, which changes it about as much.

    Args:
        images: ``(n, H, W, C)``.
        covered: the patches that the mark covers, ``(n, side, side, C)``.
        patch: the mark, ``(side, side, C)``.
        generator: draws :data:`DRAWN` patches for each image, of which the closest is chosen.
    """
    side = len(patch)
    rows, columns = (generator.integers(0, length - side + 1, (len(images), DRAWN)) for length in images.shape[1:3])
    whose = generator.integers(0, len(images), (len(images), DRAWN))
    drawn = np.stack(
        [
            [patch_at(images[one], np.asarray([row, column]), side) for one, row, column in zip(*three, strict=True)]
            for three in zip(whose, rows, columns, strict=True)
        ]
    )
    change = np.sqrt(((patch - covered) ** 2).mean(axis=(1, 2, 3), dtype=np.float64))
    changes = np.sqrt(((drawn - covered[:, None]) ** 2).mean(axis=(2, 3, 4), dtype=np.float64))
    return np.asarray(drawn[np.arange(len(images)), nearest_in_size(change, changes)])


def squares(shape: tuple[int, ...], places: Places, side: int) -> Regions:
    """Return the pixels of one square in each image, ``(n, H, W)``."""
    found = np.zeros(shape, np.bool_)
    for region, (top, left) in zip(found, places, strict=True):
        region[top : top + side, left : left + side] = True
    return found


def pasted(images: Images, places: Places, pieces: Images) -> Images:
    """Return images with one patch pasted into each."""
    found = images.copy()
    for image, (top, left), piece in zip(found, places, pieces, strict=True):
        image[top : top + len(piece), left : left + len(piece)] = piece
    return found


def mended(images: Images, places: Places, side: int) -> Images:
    """Return images in which a square, slightly wider than a patch, is covered by its mirrored surroundings."""
    rim = max(1, side // 4)
    found = images.copy()
    height, width = images.shape[1:3]
    for image, (top, left) in zip(found, places, strict=True):
        rows = np.arange(max(0, top - rim), min(height, top + side + rim))
        columns = np.arange(max(0, left - rim), min(width, left + side + rim))
        away = len(columns) if columns[-1] + len(columns) < width else -len(columns)
        image[np.ix_(rows, columns)] = image[np.ix_(rows, columns + away)][:, ::-1]
    return found
