"""The grid on which the tokens of a transformer lie on the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from picasso.models.info import Place


@dataclass(frozen=True)
class TokenGrid:
    """The grid of the tokens of an image; other tokens, such as class tokens and registers, come before it or after it.

    Attributes:
        count: the number of all tokens, T.
        first: the index of the first token on the grid.
        height: the number of rows of the grid.
        width: the number of its columns.
        place: where in the image its cells lie; None if it is not known.
        readers: the indices of those tokens of the last block that the scores are computed from, such as a class token.

    Examples:
        >>> import numpy as np
        >>> from picasso.models.tokens import TokenGrid
        >>> grid = TokenGrid(count=7, first=1, height=2, width=3)
        >>> grid.maps(np.arange(7.0).reshape(1, 7, 1))[0, :, :, 0].tolist()
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    """

    count: int
    first: int
    height: int
    width: int
    place: Place | None = None
    readers: tuple[int, ...] = ()

    @property
    def indices(self) -> range:
        """The indices of the tokens on the grid, row by row."""
        return range(self.first, self.first + self.height * self.width)

    def cell(self, row: int, column: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return where a cell begins and ends down and to the right, in pixels.

        Raises:
            ValueError: where the cells lie is not known.
        """
        if self.place is None:
            raise ValueError("where on the image the tokens lie is not known")
        indices = (column, row) if self.place.transposed else (row, column)
        centres = (
            start + index * step for start, step, index in zip(self.place.start, self.place.step, indices, strict=True)
        )
        down, right = (
            (centre - abs(step) / 2, centre + abs(step) / 2)
            for centre, step in zip(centres, self.place.step, strict=True)
        )
        return down, right

    def maps(self, tokens: NDArray[Any]) -> NDArray[Any]:
        """Return the tokens on the grid of ``(N, T, D)`` as maps ``(N, height, width, D)``."""
        chosen = tokens[:, self.indices.start : self.indices.stop]
        return chosen.reshape(len(tokens), self.height, self.width, tokens.shape[-1])

    def put(self, maps: NDArray[Any], tokens: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of the tokens ``(N, T, D)`` in which those on the grid are maps ``(N, height, width, D)``."""
        changed = tokens.copy()
        changed[:, self.indices.start : self.indices.stop] = maps.reshape(len(maps), -1, maps.shape[-1])
        return changed
