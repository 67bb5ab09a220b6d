"""Cluster images by their attribution maps, to reveal strategies that apply to some of the images only."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.cluster.vq import kmeans2

from picasso.audit.properties import Maps
from picasso.audit.reporting.mean_attention import cells

# The number of neighbours, in units of the square root of the number of maps; and the neighbour that sets the scale.
NEIGHBOURS, SCALE = 1.5, 7
# The largest number of clusters.
MAX_CLUSTERS = 6
# Maps, as vectors of length 1, are equal if their distances are all below this.
TOLERANCE = 1e-3


def clusters(maps: Maps, most: int = MAX_CLUSTERS) -> list[NDArray[np.intp]]:
    """Return the indices of the maps of each cluster: the largest cluster first, and its most typical map first.

    Spectral clustering as in SpRAy (Lapuschkin et al., 2019, arXiv 1902.10178): coarse maps are connected to their
    nearest neighbours, and the largest gap between the first eigenvalues of the normalised Laplacian determines the
    number of clusters. Affinities have local scales (Zelnik-Manor & Perona, 2004), so that small and tight clusters are
    found next to large ones. The result is deterministic.

    Args:
        maps: attribution maps, ``(n, H, W)``; their sums don't matter.
        most: the largest number of clusters.
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
    """Return the distances between vectors of length 1, ``(n, n)``, with infinity on the diagonal."""
    found = np.sqrt(np.maximum(0, 2 - 2 * vectors @ vectors.T))
    np.fill_diagonal(found, np.inf)
    return np.asarray(found)


def affinities(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric affinities of nearest neighbours, from 0 to 1, ``(n, n)``."""
    count = len(distances)
    order = np.argsort(distances, axis=1, kind="stable")
    neighbours = min(count - 1, max(3, round(NEIGHBOURS * count**0.5)))
    joined = np.zeros((count, count), np.bool_)
    np.put_along_axis(joined, order[:, :neighbours], True, axis=1)
    near = order[:, min(SCALE, count - 1) - 1]
    scale = np.maximum(TOLERANCE, distances[np.arange(count), near])
    return np.where(joined | joined.T, np.exp(-(distances**2) / np.outer(scale, scale)), 0.0)


def laplacian(joined: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``1 - D^-1/2 A D^-1/2`` of affinities; it has one zero eigenvalue per connected component."""
    root = np.sqrt(joined.sum(axis=1) + 1e-12)
    return np.asarray(np.eye(len(joined)) - joined / np.outer(root, root))


def grouped(directions: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the cluster of each row of eigenvectors ``(n, k)``, by k-means of their directions.

    The rows are normalised (Ng, Jordan & Weiss, 2002), and the initial centres are rows that are farthest from each
    other, so the result is deterministic.
    """
    rows = directions / (np.linalg.norm(directions, axis=1, keepdims=True) + 1e-12)
    chosen = [0]
    while len(chosen) < rows.shape[1]:
        far = np.min([((rows - rows[one]) ** 2).sum(axis=1) for one in chosen], axis=0)
        chosen.append(int(far.argmax()))
    with warnings.catch_warnings():
        # The caller drops empty clusters.
        warnings.simplefilter("ignore", UserWarning)
        _, labels = kmeans2(rows, rows[chosen], minit="matrix")
    return np.asarray(labels, np.intp)


def typical(vectors: NDArray[np.float64], members: NDArray[np.intp]) -> NDArray[np.intp]:
    """Sort the members of a cluster by their distance from the mean."""
    far = ((vectors[members] - vectors[members].mean(axis=0)) ** 2).sum(axis=1)
    return np.asarray(members[np.argsort(np.round(far, 9), kind="stable")])
