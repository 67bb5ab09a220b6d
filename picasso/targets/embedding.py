"""Embedding: a vector whose direction says which images are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from picasso.errors import BadRequest
from picasso.targets.base import Array, Context, Floats, OutputSpec, OutputTask, Target, Wanted, limited
from picasso.targets.predictions import Prediction

PREFIX = "like:"
ITSELF = "the image itself"


@dataclass(frozen=True)
class Similarity(Target):
    """The cosine of the angle between an embedding and that of another image, -1..1.

    Attributes:
        reference: the embedding of the other image, ``(D,)``.

    Examples:
        >>> import numpy as np
        >>> from picasso.targets import Similarity
        >>> target = Similarity("like:b.png", "like b.png", np.array([0.0, 2.0]))
        >>> target.value(np.array([[3.0, 4.0]], np.float32)).round(6).tolist()
        [0.8]
    """

    reference: Floats = field(compare=False)

    linear: ClassVar[bool] = False
    bounded: ClassVar[bool] = False

    @property
    def quantity(self) -> str:
        """A cosine."""
        return "cosine similarity"

    @property
    def score_quantity(self) -> str:
        """The same cosine."""
        return self.quantity

    def value(self, outputs: Array) -> Floats:
        """Return the cosine; 0 for an embedding of length 0."""
        return self._units(outputs)[0] @ self._direction

    def score(self, scores: Array) -> Floats:
        """Return the cosine."""
        return self.value(scores)

    def cotangent(self, scores: Array) -> Array:
        """Return the gradient of the cosine: the part of the reference that is orthogonal to the embedding."""
        units, lengths = self._units(scores)
        cosines = units @ self._direction
        return np.asarray((self._direction - cosines[:, None] * units) / lengths[:, None], np.float32)

    @property
    def _direction(self) -> Floats:
        return np.asarray(self.reference, np.float64) / (float(np.linalg.norm(self.reference)) or 1.0)

    @staticmethod
    def _units(vectors: Array) -> tuple[Floats, Floats]:
        """Return the vectors divided by their lengths, and the lengths; those of length 0 stay as they are."""
        exact = vectors.astype(np.float64)
        lengths = np.linalg.norm(exact, axis=1)
        lengths[lengths == 0] = 1.0
        return exact / lengths[:, None], lengths


@dataclass(frozen=True)
class Embedding(OutputSpec):
    """A vector ``(D,)``.

    Examples:
        >>> from picasso.targets import Embedding
        >>> Embedding((32,)).parse(["like:other.png"], names=[])
        ['like:other.png']
    """

    task = OutputTask.EMBEDDING
    noun = "image"

    def wrong(self, outputs: Array) -> str:
        """Accept all vectors."""
        return ""

    def decode(self, outputs: Array, names: Sequence[str], top: int) -> list[tuple[Prediction, ...]]:
        """Return the length of each vector; its direction means nothing without other images."""
        return [(Prediction(index=0, name="embedding", length=float(np.linalg.norm(row))),) for row in outputs]

    def arrays(self, output: Array) -> dict[str, NDArray[Any]]:
        """Return the vector as ``embedding (D,)``."""
        return {"embedding": output}

    def other_images(self, wanted: Sequence[Wanted]) -> list[str]:
        """Return the names of the images to compare with."""
        return [name for one in wanted if (name := str(one).removeprefix(PREFIX))]

    def defaults(self, predictions: Sequence[Prediction], context: Context) -> tuple[Target, ...]:
        """Return the similarity with the image itself, which is 1: a map shows what keeps it so."""
        return (self.target(PREFIX, context),)

    def parse(self, wanted: Sequence[str | int], names: Sequence[str]) -> list[Wanted]:
        """Return "like:NAME" for the name of an image, with or without the prefix."""
        limited(wanted)
        found = [PREFIX + str(one).strip().removeprefix(PREFIX).strip() for one in wanted]
        if PREFIX in found:
            raise BadRequest('Name the other image: "like:other.png".', field="target")
        return list(dict.fromkeys(found))

    def target(self, wanted: Wanted, context: Context) -> Target:
        """Return the similarity with another image."""
        name = str(wanted).removeprefix(PREFIX)
        if not name:
            return Similarity(PREFIX, f"like {ITSELF}", context.output.astype(np.float64))
        return Similarity(PREFIX + name, f"like {name}", context.other(name).astype(np.float64))
