"""The feature maps of a layer as products of a few directions with coefficients that are never negative."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ConfigurationError, ModelError, NotFound
from picasso.models.arrays import Array

# The maximum number of cells, and of their values, that are factorized.
CELLS, VALUES = 20_000, 8_000_000
# The maximum number of iterations of the factorization, and of the search for coefficients.
ITERATIONS = 400
# The time between two checkpoints during the factorization, in seconds.
CHECK_SECONDS = 0.1


def require_package() -> None:
    """Raise ConfigurationError if scikit-learn is missing."""
    if find_spec("sklearn") is None:
        raise ConfigurationError("Concepts need the package scikit-learn: pip install 'picasso-viz[concepts]'.")


@dataclass(frozen=True)
class Factors:
    """Directions of a layer's channels, as the factorization found them.

    Attributes:
        parts: the positive parts of the directions, and behind them the negative parts if the layer has negative
            values, ``(r, c)`` or ``(r, 2 c)``; none of them is negative.
        channels: the number of channels, c.
    """

    parts: Array
    channels: int

    @property
    def signed(self) -> bool:
        """Whether the layer has negative values."""
        return bool(self.parts.shape[1] > self.channels)

    @property
    def directions(self) -> Array:
        """The directions, each of length 1, ``(r, c)``."""
        positive, negative = self.parts[:, : self.channels], self.parts[:, self.channels :]
        return np.asarray(positive - negative if self.signed else positive, np.float32)

    def coefficients(self, maps: Array) -> Array:
        """Return the coefficients of each cell of feature maps ``(n, h, w, c)``, ``(n, h, w, r)``; none is negative.

        They are found image by image, so that they don't depend on the other images of a batch.
        """
        return np.stack([self._of_image(one) for one in maps])

    def save(self, file: Path) -> None:
        """Write them to a file, for :meth:`read`."""
        np.savez(file, parts=self.parts, channels=self.channels)

    @classmethod
    def read(cls, file: Path) -> Factors:
        """Return the factors in a file of :meth:`save`.

        Raises:
            NotFound: it does not exist any more.
        """
        try:
            with np.load(file) as stored:
                return cls(stored["parts"], int(stored["channels"]))
        except FileNotFoundError:
            raise NotFound("The concepts were deleted.") from None

    def _of_image(self, maps: Array) -> Array:
        from sklearn.decomposition import non_negative_factorization

        cells = split(maps.reshape(-1, self.channels), signed=self.signed)
        with warnings.catch_warnings():
            # More iterations would change the last digits.
            warnings.filterwarnings("ignore", "Maximum number of iterations")
            found, _, _ = non_negative_factorization(
                cells, H=self.parts, n_components=len(self.parts), update_H=False, tol=1e-5, max_iter=ITERATIONS
            )
        return np.asarray(found.reshape(*maps.shape[:2], len(self.parts)), np.float32)


class Sample:
    """A random sample of the cells of many feature maps, of bounded size; each cell is as likely as another one.

    Args:
        channels: the number of channels, c.
        seed: the random seed.

    Examples:
        >>> import numpy as np
        >>> from picasso.inside.factors import Sample
        >>> sample = Sample(channels=4, seed=0)
        >>> for _ in range(300):
        ...     sample.add(np.ones((10, 10, 4), np.float32))
        >>> sample.cells.shape
        (20000, 4)
    """

    def __init__(self, channels: int, seed: int) -> None:
        self._size = max(1, min(CELLS, VALUES // channels))
        self._random = np.random.default_rng(seed)
        #: The cells, ``(m, c)``.
        self.cells = np.zeros((0, channels), np.float32)
        self._keys: NDArray[np.float64] = np.zeros(0)

    def add(self, maps: Array) -> None:
        """Add the cells of one image, ``(h, w, c)``."""
        cells = maps.reshape(-1, maps.shape[-1])
        keys = self._random.random(len(cells))
        # The cells with the smallest random numbers are kept.
        worst = self._keys.max() if len(self._keys) == self._size else np.inf
        keys, cells = np.append(self._keys, keys[keys < worst]), np.concatenate([self.cells, cells[keys < worst]])
        if len(keys) > self._size:
            kept = np.sort(np.argpartition(keys, self._size)[: self._size])
            keys, cells = keys[kept], cells[kept]
        self._keys, self.cells = keys, cells


def split(cells: Array, *, signed: bool) -> Array:
    """Return the positive parts of values ``(m, c)``, and with ``signed`` the negative parts behind them."""
    parts = [np.maximum(cells, 0), np.maximum(-cells, 0)] if signed else [np.maximum(cells, 0)]
    return np.asarray(np.concatenate(parts, axis=1), np.float32)


def factorized_aside(cells: Array, count: int, seed: int, checkpoint: Callable[[], None]) -> Factors:
    """Return :func:`factorized` of cells, and call ``checkpoint`` again and again until it is done.

    What it raises ends the waiting; the factorization itself can't be stopped and ends later.
    """
    pool = ThreadPoolExecutor(1, "picasso-factors")
    try:
        future = pool.submit(factorized, cells, count, seed)
        while not wait([future], CHECK_SECONDS).done:
            checkpoint()
        return future.result()
    finally:
        pool.shutdown(wait=False)


def factorized(cells: Array, count: int, seed: int) -> Factors:
    """Return the directions of a non-negative matrix factorization of cells ``(m, c)``.

    The cells A are approximated by U V with U and V >= 0 so that the sum of the squared differences is small; see Lee
    and Seung, *Learning the parts of objects by non-negative matrix factorization*, Nature 401, 1999. If some values
    are negative, each channel counts as two, its positive and its negative part, as in Kim and Tidor, *Subsystem
    identification through dimensionality reduction of large-scale gene expression data*, Genome Research 13, 2003.

    Args:
        cells: the values of the channels in some cells.
        count: the number of directions; fewer if there are fewer channels or cells. Unused directions are left out.
        seed: the random seed of the start.

    Raises:
        ModelError: all values are 0.

    Examples:
        >>> import numpy as np
        >>> from picasso.inside.factors import factorized
        >>> strengths = np.random.default_rng(0).random((500, 2)) * np.tile(np.eye(2), (250, 1))
        >>> cells = strengths @ [[3, 4, 0], [0, 0, 2]]
        >>> directions = factorized(cells.astype(np.float32), 2, seed=0).directions
        >>> sorted([round(float(weight), 2) for weight in one] for one in directions)
        [[0.0, 0.0, 1.0], [0.6, 0.8, 0.0]]
    """
    from sklearn.decomposition import NMF

    if not cells.any():
        raise ModelError("All values of the layer are 0 for these images, so it has no concepts.")
    signed = bool((cells < 0).any())
    model = NMF(min(count, *cells.shape), init="nndsvda", tol=1e-5, max_iter=ITERATIONS, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Maximum number of iterations")
        used = model.fit_transform(split(cells, signed=signed)).any(axis=0)
    channels, parts = cells.shape[1], np.asarray(model.components_, np.float32)
    lengths = np.linalg.norm(Factors(parts, channels).directions, axis=1)
    kept = used & (lengths > 0)
    return Factors(parts[kept] / lengths[kept, None], channels)
