"""What attention weights tell about the tokens of a transformer, and which tokens stand out by their norm.

Rollout: Abnar & Zuidema, *Quantifying attention flow in transformers*, arXiv 2005.00928. Gradient x attention: Chefer,
Gur & Wolf, *Generic attention-model explainability*, arXiv 2103.15679. Tokens that stand out: Darcet et al., *Vision
transformers need registers*, arXiv 2309.16588.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from picasso.models.arrays import Array
from picasso.models.tokens import TokenGrid

#: A token stands out if its norm is larger than this many times the median of those on the grid ...
STANDS_OUT = 3.0
#: ... and few tokens stand out: at most this share.
FEW = 0.1

Floats = NDArray[np.float64]


def rollout(weights: Sequence[Array], readers: Sequence[int]) -> Floats:
    """Return how much of each token reaches the tokens that are read, ``(T,)``, if values were only mixed; sum 1.

    In each block, a token is half itself and half the mean over the heads of what it attends to.

    Args:
        weights: the attention weights of each block for one image, first to last, ``(heads, T, T)``; those of a head
            that pools all tokens, which may follow, are ``(heads, 1, T)``.
        readers: the indices of the tokens that the scores are computed from.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.attention import rollout
        >>> looks_right = np.array([[[0, 1], [0, 1]]], np.float32)
        >>> rollout([looks_right, looks_right], readers=[0]).tolist()
        [0.25, 0.75]
    """
    flow = np.eye(weights[0].shape[-1])
    for block in weights:
        mean = block.mean(axis=0, dtype=np.float64)
        flow = mean @ flow if pools(block) else (mean @ flow + flow) / 2
    return read(flow, readers)


def gradient_attention(weights: Sequence[Array], gradients: Sequence[Array], readers: Sequence[int]) -> Floats:
    """Return the relevance of each token, ``(T,)``: equations 5 and 6 of Chefer et al., without the initial identity.

    Args:
        weights: as for :func:`rollout`.
        gradients: the gradients of a score with respect to these, of the same shapes.
        readers: the indices of the tokens that the scores are computed from.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.attention import gradient_attention
        >>> weights = np.array([[[0.1, 0.2, 0.7], [0, 1, 0], [0, 0, 1]]], np.float32)
        >>> gradients = np.array([[[0, 2, -1], [0, 0, 0], [0, 0, 0]]], np.float32)
        >>> np.round(gradient_attention([weights], [gradients], readers=[0]), 3).tolist()
        [0.0, 0.4, 0.0]
    """
    relevance = np.eye(weights[0].shape[-1])
    pooled = False
    for block, gradient in zip(weights, gradients, strict=True):
        mean = np.maximum(np.asarray(gradient, np.float64) * block, 0).mean(axis=0)
        pooled = pools(block)
        relevance = mean @ relevance + (0 if pooled else relevance)
    return read(relevance if pooled else relevance - np.eye(len(relevance)), readers)


def pools(block: Array) -> bool:
    """Tell whether attention weights are those of a single query."""
    return bool(block.shape[-2] == 1 < block.shape[-1])


def read(rows: Floats, readers: Sequence[int]) -> Floats:
    """Return the mean of the rows of tokens that are read."""
    return np.asarray(rows[0] if len(rows) == 1 else rows[list(readers)].mean(axis=0))


def standing_out(maps: Array) -> int:
    """Return how many tokens of a grid stand out by their norm; 0 if these are more than a few.

    Args:
        maps: the tokens of one image, ``(h, w, c)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.attribution.attention import standing_out
        >>> maps = np.ones((4, 5, 8), np.float32)
        >>> maps[1, 2] *= 10
        >>> standing_out(maps)
        1
    """
    norms = np.linalg.norm(maps, axis=-1)
    count = int((norms > STANDS_OUT * np.median(norms)).sum())
    return count if count <= FEW * norms.size else 0


def by_cell(pixels: Array, grid: TokenGrid) -> Array:
    """Return the sums of values of pixels ``(H, W)`` over the cells of a grid, ``(h, w)``; the total is the same.

    Pixels beyond the grid count for the nearest cell.

    Raises:
        ValueError: the place of the grid is not known.
    """
    if grid.place is None:
        raise ValueError("The place of the grid is not known.")
    counts = (grid.width, grid.height) if grid.place.transposed else (grid.height, grid.width)
    down, right = (
        np.clip(np.floor((np.arange(length) + 0.5 - start) / step + 0.5), 0, count - 1).astype(np.int64)
        for length, start, step, count in zip(pixels.shape, grid.place.start, grid.place.step, counts, strict=True)
    )
    sums = np.zeros(counts)
    np.add.at(sums, (down[:, None], right), pixels)
    return np.asarray(sums.T if grid.place.transposed else sums, np.float32)
