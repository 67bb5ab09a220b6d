"""Images sorted by where a model looks in them, so that a strategy which only some of them show comes to light."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.cluster.vq import kmeans2

from picasso.audit.properties import Maps
from picasso.audit.reporting.mean_attention import cells

# Each map is joined to so many times the square root of their number, and its own scale is the distance of this one.
NEIGHBOURS, SCALE = 1.5, 7
# More kinds of maps than this are not told apart.
MAX_CLUSTERS = 6
# Maps, as vectors of length 1, whose distances are all below this are one.
TOLERANCE = 1e-3


def clusters(maps: Maps, most: int = MAX_CLUSTERS) -> list[NDArray[np.intp]]:
    """Return the numbers of the maps of each cluster, the largest cluster first, and in it the most typical map first.

    Spectral clustering as in SpRAy (Lapuschkin et al., 2019, arXiv 1902.10178): coarse maps are joined to their nearest
    neighbours, and the largest gap between the first eigenvalues of the normalized Laplacian says how many clusters
    there are. Affinities have local scales (Zelnik-Manor & Perona, 2004), so that small and tight clusters are seen
    beside large ones. Nothing in it is drawn at random.

    Args:
        maps: where the model looks, ``(n, H, W)``; only the shape of a map counts, not its sum.
        most: more clusters are not told apart.
    """
    coarse = cells(maps).reshape(len(maps), -1)
    vectors = coarse / np.linalg.norm(coarse, axis=1, keepdims=True)
    distances = apart(vectors)
    if len(maps) < 4 or distances[np.isfinite(distances)].max() < TOLERANCE:
        return [np.arange(len(maps))]
    values, directions = linalg.eigh(laplacian(affinities(distances)), subset_by_index=(0, min(most, len(maps) - 1)))
    count = int(np.argmax(np.diff(values))) + 1
    labels = grouped(directions[:, :count])
    found = [np.flatnonzero(labels == label) for label in range(count)]
    found = [typical(vectors, members) for members in found if len(members)]
    return sorted(found, key=lambda members: (-len(members), int(members.min())))


def apart(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances of vectors of length 1, ``(n, n)``; of each from itself, infinite."""
    found = np.sqrt(np.maximum(0, 2 - 2 * vectors @ vectors.T))
    np.fill_diagonal(found, np.inf)
    return np.asarray(found)


def affinities(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how strongly nearest neighbours are joined, from 0 to 1, symmetric, ``(n, n)``."""
    count = len(distances)
    order = np.argsort(distances, axis=1, kind="stable")
    neighbours = min(count - 1, max(3, round(NEIGHBOURS * count**0.5)))
    joined = np.zeros((count, count), np.bool_)
    np.put_along_axis(joined, order[:, :neighbours], True, axis=1)
    near = order[:, min(SCALE, count - 1) - 1]
    scale = np.maximum(TOLERANCE, distances[np.arange(count), near])
    return np.where(joined | joined.T, np.exp(-(distances**2) / np.outer(scale, scale)), 0.0)


def laplacian(joined: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``1 - D^-1/2 A D^-1/2`` of affinities; it has as many zero eigenvalues as there are separate parts."""
    root = np.sqrt(joined.sum(axis=1) + 1e-12)
    return np.asarray(np.eye(len(joined)) - joined / np.outer(root, root))


def grouped(directions: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the number of the group of each row of eigenvectors ``(n, k)``: k-means of their directions.

    The rows are brought to length 1 (Ng, Jordan & Weiss, 2002), and the first centres are rows that lie farthest from
    each other, so that the result does not depend on chance.
    """
    rows = directions / (np.linalg.norm(directions, axis=1, keepdims=True) + 1e-12)
    chosen = [0]
    while len(chosen) < rows.shape[1]:
        far = np.min([((rows - rows[one]) ** 2).sum(axis=1) for one in chosen], axis=0)
        chosen.append(int(far.argmax()))
    with warnings.catch_warnings():
        # A group that loses its last member is left out by the caller.
        warnings.simplefilter("ignore", UserWarning)
        _, labels = kmeans2(rows, rows[chosen], minit="matrix")
    return np.asarray(labels, np.intp)


def typical(vectors: NDArray[np.float64], members: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the members of a cluster, those nearest to their mean first."""
    far = ((vectors[members] - vectors[members].mean(axis=0)) ** 2).sum(axis=1)
    return np.asarray(members[np.argsort(np.round(far, 9), kind="stable")])
