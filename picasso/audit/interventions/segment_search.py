"""Search for segments that recur by appearance in many images of one class: at any place, of any size.

A window of an image is described by its gradients and colours in a grid of cells, relative to its own size, after the
histograms of oriented gradients of Dalal and Triggs (2005). Two windows of different sizes can therefore be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from picasso.audit.interventions.base import ImagePair
from picasso.audit.interventions.watermark import reduced
from picasso.audit.properties import Images, Maps, light

# Images are reduced until their shorter side has at most so many pixels.
REDUCED = 48
# The sides of the windows, as fractions of the shorter side; each is a quarter larger than the one before.
SIDES = (0.15, 0.19, 0.235, 0.295, 0.37)
# The cells along each side of a window, and the directions of gradients.
CELLS, DIRECTIONS = 3, 8
# Windows are this many times farther apart than the side of a cell.
STRIDE = 0.6
# The weight of colours relative to gradients, and the gradient of a window below which it counts as plain.
COLOUR, PLAIN = 0.5, 0.25
# The smallest squared length of the gradients of a window that is searched for; it is at most 1.
STRUCTURED = 0.25
# The number of images, and of places in each for each size, that are searched for candidates.
SEARCHED, PLACES = 16, 2
# The number of images of each class that are compared with all candidates; the others only with those that recur.
SCREENED = 20
# The number of candidates that recur less exactly and are compared with all images: there can be many.
FEW = 6
# The smallest difference of the shares of images with the segment in the two classes, and its significance after
# correction for the number of candidates.
EXCESS, LEVEL = 0.25, 0.01
# The largest distance of a copy, relative to that of the most similar windows of images without one. Parts of natural
# objects of one class are less alike. With masks of the object, others up to the second limit can be told from it.
ALIKE, SIMILAR = 0.6, 0.85
# The number of images that are described at once, to bound the memory.
BATCH_SIZE = 16

Features = NDArray[np.floating[Any]]
# Row, column and side in pixels of the image, ``(n, 3)``.
Windows = NDArray[np.intp]


@dataclass(frozen=True)
class Recurring:
    """A segment that recurs in one class.

    Attributes:
        in_theirs: whether it recurs in images of the other class rather than in those that are to be changed.
        excess: the share of the images of its class that have it less the share of the others.
        limit: the distance of descriptors within which a window is a copy.
        exact: whether the copies are more alike than parts of natural objects.
        ours: the most similar window of each of our images.
        theirs: the same of the images of the other class.
        present: whether each of our images has the segment.
        present_there: the same for the images of the other class.
    """

    in_theirs: bool
    excess: float
    limit: float
    exact: bool
    ours: Windows
    theirs: Windows
    present: NDArray[np.bool_]
    present_there: NDArray[np.bool_]

    @property
    def copies(self) -> tuple[Windows, NDArray[np.bool_]]:
        """The most similar window of each image of the class in which it recurs, and which of these have it."""
        return (self.theirs, self.present_there) if self.in_theirs else (self.ours, self.present)

    def turned(self) -> Recurring:
        """Return the same with the roles of the classes exchanged."""
        return replace(
            self,
            in_theirs=not self.in_theirs,
            ours=self.theirs,
            theirs=self.ours,
            present=self.present_there,
            present_there=self.present,
        )


def recurring(case: ImagePair) -> list[Recurring]:
    """Return the segments that recur in one class only, those with the largest excess first."""
    most = ALIKE if case.masks is None else SIMILAR
    step = max(1, -(-min(case.size) // REDUCED))
    ours, theirs = (reduced(some, step) for some in (case.ours, case.theirs))
    looks = [reduced(some[..., None], step)[..., 0] for some in case.attention()]
    found = [candidates(some, maps) for some, maps in zip((ours, theirs), looks, strict=True)]
    wanted = np.concatenate([descriptors for descriptors, _ in found])
    source = np.concatenate([found[0][1], len(ours) + found[1][1]])
    images, first = np.concatenate([ours, theirs]), np.arange(len(ours) + len(theirs)) < len(ours)
    # Few candidates of a folder without marks pass the first images.
    some = np.concatenate([spread(np.flatnonzero(each), SCREENED) for each in (first, ~first)])
    for chosen, level in ((some, 1.0), (np.arange(len(images)), LEVEL / max(1, len(wanted)))):
        if not len(wanted):
            return []
        distances, windows = nearest(images[chosen], wanted)
        limits = [
            excess_of(distances[:, one], first[chosen] == first[image], chosen == image, level, most)
            for one, image in enumerate(source)
        ]
        passed = np.array([excess >= EXCESS for excess, *_ in limits], np.bool_)
        similar = sorted((-limits[one][0], one) for one in np.flatnonzero(passed) if not limits[one][2])
        passed[[one for _, one in similar[FEW:]]] = False
        wanted, source = wanted[passed], source[passed]
    clusters = []
    for one, image in zip(np.flatnonzero(passed), source, strict=True):
        excess, limit, exact = limits[one]
        present = distances[:, one] <= limit
        at = windows[:, one] * step
        parts = at[first], at[~first], present[first], present[~first]
        clusters.append(Recurring(not first[image], excess, limit, exact, *parts))
    return sorted(clusters, key=lambda some: (-round(some.excess, 2), some.limit))


def spread(places: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return at most so many of some indices, evenly spaced."""
    return np.asarray(places[np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(np.intp)])


def excess_of(
    distances: Features, same: NDArray[np.bool_], own: NDArray[np.bool_], level: float, most: float
) -> tuple[float, float, bool]:
    """Return the largest excess of the share of images within a distance, this distance, and whether copies are exact.

    Both are 0 if the candidate does not recur.

    Args:
        distances: the distance of the candidate from the most similar window of each image, ``(n,)``.
        same: which images are of the candidate's class.
        own: which is the image that it was taken from; it does not count.
        level: the significance that is required of the excess (one-sided test of Kolmogorov and Smirnov).
        most: the largest distance of copies, relative to that of the most similar windows of images without one.
    """
    inside, outside = np.sort(distances[same & ~own]), np.sort(distances[~same])
    shares = np.arange(1, len(inside) + 1) / len(inside) - np.searchsorted(outside, inside, "right") / len(outside)
    best = int(np.argmax(shares))
    excess, beyond = float(shares[best]), outside[outside > inside[best]]
    p = np.exp(-2 * excess**2 * len(inside) * len(outside) / (len(inside) + len(outside)))
    if p > level or not len(beyond):
        return 0.0, 0.0, False
    ratio = float(np.median(inside[: best + 1]) / np.median(beyond))
    return (excess, float(inside[best]), ratio <= ALIKE) if ratio <= most else (0.0, 0.0, False)


def sides(size: tuple[int, int]) -> list[int]:
    """Return the sides of the windows in pixels of the reduced images."""
    return sorted({max(CELLS, round(one * min(size))) for one in SIDES})


def channels(images: Images) -> Features:
    """Return the sums of 8 gradients by direction, 2 differences of colours and the luminance.

    Each is the sum over all pixels above and to the left, ``(n, H + 1, W + 1, 11)``.
    """
    seen = light(images)
    down, right = np.gradient(seen, axis=(1, 2))
    angle = (np.arctan2(down, right) / (2 * np.pi) * DIRECTIONS) % DIRECTIONS
    length = np.hypot(down, right)
    found = np.zeros((*seen.shape, DIRECTIONS + 3), np.float32)
    lower = np.floor(angle).astype(np.intp) % DIRECTIONS
    share = (angle - np.floor(angle)) * length
    np.put_along_axis(found, lower[..., None], (length - share)[..., None], axis=-1)
    np.put_along_axis(found, (lower[..., None] + 1) % DIRECTIONS, share[..., None], axis=-1)
    if images.shape[-1] == 3:
        red, green, blue = np.moveaxis(images, -1, 0)
        found[..., -3], found[..., -2] = red - green, (red + green) / 2 - blue
    found[..., -1] = seen
    padded = np.pad(found, ((0, 0), (1, 0), (1, 0), (0, 0)))
    return np.asarray(padded.cumsum(axis=1, dtype=np.float64).cumsum(axis=2))


def described(sums: Features, side: int) -> tuple[Features, Windows]:
    """Return the descriptors of all windows of a side, ``(n, P, D)``, and the windows, ``(P, 3)``.

    Args:
        sums: from :func:`channels`.
        side: in pixels.
    """
    height, width = sums.shape[1] - 1, sums.shape[2] - 1
    edges = np.linspace(0, side, CELLS + 1).round().astype(int)
    step = max(1, round(STRIDE * side / CELLS))
    tops, lefts = np.arange(0, height - side + 1, step), np.arange(0, width - side + 1, step)
    # The corners of all cells of all windows.
    rows, columns = tops[:, None] + edges, lefts[:, None] + edges
    corners = sums[:, rows[:, :, None, None], columns[None, None]]
    cells = np.diff(np.diff(corners, axis=2), axis=4).transpose(0, 1, 3, 2, 4, 5)
    count = len(tops) * len(lefts)
    cells = (cells / (side / CELLS) ** 2).reshape(len(sums), count, CELLS**2, -1).astype(np.float32)
    cells[..., -1] -= cells[..., -1].mean(axis=2, keepdims=True)
    # Gradients of a copy that is twice as large are half as steep.
    gradients = cells[..., :DIRECTIONS].reshape(len(sums), count, -1) * np.float32(side / CELLS)
    gradients /= PLAIN + np.sqrt((gradients**2).sum(axis=2, keepdims=True))
    colours = COLOUR * cells[..., DIRECTIONS:].reshape(len(sums), count, -1)
    windows = np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.concatenate([gradients, colours], axis=2), np.column_stack([windows, np.full(count, side)])


def candidates(images: Images, maps: Maps) -> tuple[Features, NDArray[np.intp]]:
    """Return descriptors of windows of each size that are attended to most, ``(k, D)``, and the images they are of."""
    chosen = spread(np.arange(len(images)), SEARCHED)
    sums, kept, source = channels(images[chosen]), [], []
    for side in sides(images.shape[1:3]):
        found, windows = described(sums, side)
        for row, index in enumerate(chosen):
            looks = sliding_window_view(maps[index], (side, side)).sum(axis=(2, 3))[windows[:, 0], windows[:, 1]]
            for _ in range(PLACES):
                best = int(np.argmax(looks))
                kept.append(found[row, best])
                source.append(index)
                near = np.abs(windows[:, :2] - windows[best, :2]).max(axis=1) < side / 2
                looks = np.where(near, -1, looks)
    every = np.stack(kept)
    # Plain windows recur everywhere.
    structured = (every[:, : CELLS**2 * DIRECTIONS] ** 2).sum(axis=1) >= STRUCTURED
    return every[structured], np.asarray(source, np.intp)[structured]


def nearest(images: Images, wanted: Features) -> tuple[Features, Windows]:
    """Return the distance of each descriptor from the most similar window of each image, ``(n, k)``, and this window.

    Args:
        images: ``(n, H, W, C)``.
        wanted: descriptors, ``(k, D)``.
    """
    distances = np.full((len(images), len(wanted)), np.inf, np.float32)
    windows = np.zeros((len(images), len(wanted), 3), np.intp)
    for start in range(0, len(images), BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        sums = channels(images[part])
        for side in sides(images.shape[1:3]):
            found, places = described(sums, side)
            squares = np.matmul(-2 * wanted, found.transpose(0, 2, 1)) + (found**2).sum(axis=2)[:, None]
            best = squares.argmin(axis=2)
            least = np.take_along_axis(squares, best[..., None], axis=2)[..., 0]
            closer = least < distances[part]
            distances[part] = np.where(closer, least, distances[part])
            windows[part] = np.where(closer[..., None], places[best], windows[part])
    return np.sqrt(np.maximum(0, distances + (wanted**2).sum(axis=1))), windows
