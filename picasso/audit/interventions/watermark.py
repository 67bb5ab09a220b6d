"""A mark that moves: the same small thing, pixel by pixel, at different places of many images of one class only.

No natural thing looks twice the same; what does was put there, by a stamp, a watermark, a tool or a hand. The search
looks at the images alone, in places that the model looks at; whether the mark moves predictions is asked afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from picasso.audit.interventions.base import Generator, ImagePair, Intervention, InterventionResult
from picasso.audit.properties import Images, Maps

# Images are reduced until their shorter side has at most so many pixels; a mark is an eighth of it.
REDUCED, PART = 64, 8
# In smaller images a mark of four pixels would be most of them.
MIN_SIDE = 16
# How many images, and places in each, are searched for candidates.
SEARCHED, PLACES = 12, 6
# How much contrast a mark must have, as a standard deviation, and how far copies may be beside it, in root mean square.
CONTRAST, ALIKE = 0.10, 0.4
# In how many more images of the one class than of the other it must be.
EXCESS = 0.25
# A mark whose places spread by less than this part of the side does not move; regions tell of it.
STILL = 0.06
# How many images are compared with all candidates at once, to bound the memory.
BATCH_SIZE = 16

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Mark:
    """A mark that was found.

    Attributes:
        patch: what it looks like, ``(side, side, C)``.
        excess: in how much larger a share of theirs than of ours it is; negative where it is in ours.
        places: where it is in each of ours, ``(n, 2)`` as row and column, and of theirs.
        present: whether it is in each of ours.
    """

    patch: Images
    excess: float
    places: Places
    present: NDArray[np.bool_]


class MovingMark(Intervention):
    """Put a mark that recurs in theirs into ours, at places drawn at random; or take one that recurs in ours away."""

    kind, name = "mark", "a mark that moves"

    def fits(self, images: Images) -> bool:
        """Tell whether there is room for a mark."""
        return bool(min(images.shape[1:3]) >= MIN_SIDE)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        """Find the mark; the control puts a piece of another image there, or takes another piece away."""
        mark = found(case)
        if mark is None:
            return None
        ours, side = case.ours, len(mark.patch)
        rows, columns = (generator.integers(0, length - side + 1, len(ours)) for length in case.size)
        elsewhere = np.stack([rows, columns], axis=1)
        if mark.excess > 0:
            order = generator.permutation(len(ours))
            pieces = np.stack([patch_at(ours[index], elsewhere[index], side) for index in order])
            return InterventionResult(
                pasted(ours, elsewhere, np.broadcast_to(mark.patch, pieces.shape)),
                pasted(ours, elsewhere, pieces),
                "putting a mark that recurs in {b} images somewhere in {a} images",
            )
        where = np.where(mark.present[:, None], mark.places, elsewhere)
        return InterventionResult(mended(ours, where, side), mended(ours, elsewhere, side), self.words(case))

    def words(self, case: ImagePair) -> str:
        """Say that it is taken out; where it is put in, the change itself says so."""
        return "taking a mark that recurs in {a} images away, as in {b} images,"


def found(case: ImagePair) -> Mark | None:
    """Return the mark that recurs most in one class rather than the other; None where nothing does, or it stays."""
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
        return None
    excess_, patch, full_patch, in_theirs = best
    far, at = nearest(both, patch[None])
    present = far[:, 0] <= ALIKE * contrasts(patch[None])
    if at[present, 0].std(axis=0).max() < STILL * min(case.size) / step:
        return None
    count = len(ours)
    return Mark(full_patch, excess_ if in_theirs else -excess_, at[:count, 0] * step, present[:count])


def reduced(images: Images, step: int) -> Images:
    """Return images with every ``step`` pixels of both sides averaged."""
    count, height, width, channels = images.shape
    cut = images[:, : height // step * step, : width // step * step]
    parts = cut.reshape(count, height // step, step, width // step, step, channels)
    return np.asarray(parts.mean(axis=(2, 4)), np.float32)


def candidates(small: Images, full: Images, maps: Maps, step: int, side: int) -> tuple[Images, Images]:
    """Return pieces of contrast from where the model looks, ``(k, side, side, C)``, and the same at full size."""
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
    """Return how far pieces are from being of one colour, ``(k,)``, in root mean square."""
    return np.asarray(np.sqrt(patches.var(axis=(1, 2)).mean(axis=-1)), np.float32)


def nearest(images: Images, patches: Images) -> tuple[NDArray[np.float32], Places]:
    """Return for each image and patch its nearest piece: how far, ``(n, k)``, in root mean square, and where."""
    side, size = patches.shape[1], patches[0].size
    flat = patches.reshape(len(patches), size)
    distances, places = [], []
    for start in range(0, len(images), BATCH_SIZE):
        windows = sliding_window_view(images[start : start + BATCH_SIZE], (side, side), axis=(1, 2))
        count, rows, columns = windows.shape[:3]
        pieces = windows.transpose(0, 1, 2, 4, 5, 3).reshape(count, rows * columns, size)
        squares = (pieces**2).sum(axis=2)[..., None] - 2 * pieces @ flat.T + (flat**2).sum(axis=1)
        best = squares.argmin(axis=1)
        distances.append(np.sqrt(np.maximum(0, np.take_along_axis(squares, best[:, None], axis=1)[:, 0]) / size))
        places.append(np.stack([best // columns, best % columns], axis=-1))
    return np.concatenate(distances), np.concatenate(places)


def patch_at(image: Images, place: NDArray[np.intp], side: int) -> Images:
    """Return a piece ``(side, side, C)``."""
    return image[place[0] : place[0] + side, place[1] : place[1] + side]


def pasted(images: Images, places: Places, pieces: Images) -> Images:
    """Return images with a piece each."""
    found = images.copy()
    for image, (top, left), piece in zip(found, places, pieces, strict=True):
        image[top : top + len(piece), left : left + len(piece)] = piece
    return found


def mended(images: Images, places: Places, side: int) -> Images:
    """Return images with a square each, a little wider than a piece, covered by its mirrored surroundings."""
    rim = max(1, side // 4)
    found = images.copy()
    height, width = images.shape[1:3]
    for image, (top, left) in zip(found, places, strict=True):
        rows = np.arange(max(0, top - rim), min(height, top + side + rim))
        columns = np.arange(max(0, left - rim), min(width, left + side + rim))
        away = len(columns) if columns[-1] + len(columns) < width else -len(columns)
        image[np.ix_(rows, columns)] = image[np.ix_(rows, columns + away)][:, ::-1]
    return found
