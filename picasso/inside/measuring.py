"""Measures how strong the concepts of a layer are, how important they are, and what happens without each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from picasso.inside.effects import changed_answers, score_changes
from picasso.inside.exemplars import Largest
from picasso.inside.factors import Factors
from picasso.inside.looking import require_finite
from picasso.inside.sobol import masks, total_variances
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.edits import Edited
from picasso.models.info import Layer
from picasso.targets import Classification
from picasso.targets.predictions import phrase


class Measurement:
    """What is counted while the images pass by.

    Args:
        model: the model.
        layer: the layer.
        factors: its r concepts.
        target: the index of the class whose score counts; None for the predicted class of each image.
        measured: the positions of the images for which the importance is measured.
        exemplars: the number of exemplars of each concept.
        seed: the random seed.
        checkpoint: called between the predictions for a batch, of which there may be hundreds.

    Attributes:
        images: the number of images.
        varied: the number of images for which the importance was measured.
        largest: for each concept, the images in which it is largest.
        strengths: the sum of all coefficients of each concept, ``(r,)``.
        shifts: the sum of the changes of the score without each concept, ``(r,)``.
        changed: for each concept, the predicted classes before and after, for images for which they differ.
        predicted: the number of images of each predicted class.
        answers: what is predicted, by the position of the image.
        squares: the sum of the squared feature maps.
        negative: the same of negative values only.
        rest: the same of what the concepts do not explain.
    """

    def __init__(
        self,
        model: Model,
        layer: Layer,
        factors: Factors,
        target: int | None,
        measured: Collection[int],
        exemplars: int,
        seed: int,
        checkpoint: Callable[[], None],
    ) -> None:
        self._model, self.layer, self.factors = model, layer, factors
        self._checkpoint = checkpoint
        self._target, self._measured = target, set(measured)
        self._classifies = isinstance(model.spec, Classification)
        count = len(factors.parts)
        self._points = masks(count, seed).reshape(-1, count)
        self._variances: NDArray[np.float64] = np.zeros(count)
        self._variance = 0.0
        self.images = self.varied = 0
        self.largest = [Largest(exemplars) for _ in range(count)]
        self.strengths: NDArray[np.float64] = np.zeros(count)
        self.shifts: NDArray[np.float64] = np.zeros(count)
        self.changed: list[Counter[tuple[int, int]]] = [Counter() for _ in range(count)]
        self.predicted: Counter[int] = Counter()
        self.answers: dict[int, str] = {}
        self.squares = self.negative = self.rest = 0.0

    @property
    def importance(self) -> NDArray[np.float64]:
        """The total Sobol index of the score for each concept, ``(r,)``; 0 for all if the score depends on none."""
        return self._variances / (self._variance or 1.0)

    def look(self, indices: Sequence[int], inputs: Array) -> None:
        """Take note of a batch.

        Args:
            indices: the positions of the images.
            inputs: ``(n, H, W, C)``.
        """
        maps = self._model.feature_maps(inputs, self.layer.name)
        strengths = self.factors.coefficients(maps)
        self.images += len(inputs)
        self.strengths += strengths.sum(axis=(0, 1, 2), dtype=np.float64)
        self.squares += squared(maps)
        self.negative += squared(np.minimum(maps, 0))
        self.rest += squared(maps - strengths @ self.factors.directions)
        for which, largest in enumerate(self.largest):
            for index, values in zip(indices, strengths[..., which], strict=True):
                largest.add(index, values)
        plain = self._look_without(indices, inputs, maps, strengths)
        some = [place for place, index in enumerate(indices) if index in self._measured]
        self.varied += len(some)
        if some:
            self._vary(inputs[some], maps[some], strengths[some], Edited(plain.outputs[some], plain.scores[some]))

    def _look_without(self, indices: Sequence[int], inputs: Array, maps: Array, strengths: Array) -> Edited:
        """Take note of what happens without each concept; return the answers with all of them."""
        count = len(self.factors.parts)
        # The first answer, with all concepts, is exact like the others, also where predictions are fast.
        answers = self._answers(inputs, maps, strengths, np.concatenate([np.ones((1, count)), 1 - np.eye(count)]))
        plain = next(answers)
        require_finite(plain.scores, "The score")
        for which, edited in enumerate(answers):
            require_finite(edited.scores, "The score without a concept")
            self.shifts[which] += self._shift(plain, edited)
            self.changed[which].update(changed_answers(self._model, plain.outputs, edited))
        for index, found in zip(indices, self._model.decode(plain.outputs), strict=True):
            if found:
                self.answers[index] = found[0]["name"] if self._classifies else phrase(found[0])
        if self._classifies:
            self.predicted.update(plain.outputs.argmax(axis=1).tolist())
        return plain

    def _vary(self, inputs: Array, maps: Array, strengths: Array, plain: Edited) -> None:
        """Take note of the variance of the scores if the strengths of the concepts vary."""
        before = self._scores(plain, plain)
        shifts = (
            self._scores(edited, plain) - before for edited in self._answers(inputs, maps, strengths, self._points)
        )
        variances, variance = total_variances(shifts, len(self.factors.parts))
        self._variances += variances
        self._variance += variance

    def _answers(self, inputs: Array, maps: Array, strengths: Array, factors: Iterable[Array]) -> Iterator[Edited]:
        """Return the answers to a batch in whose feature maps the concepts are multiplied, once by each of factors."""
        directions = self.factors.directions
        changed = (np.asarray(maps - strengths * (1 - one) @ directions, np.float32) for one in factors)
        for edited in self._model.predict_from(inputs, changed, self.layer.name):
            self._checkpoint()
            yield edited

    def _shift(self, plain: Edited, edited: Edited) -> float:
        """Return the change of the score, summed over the images."""
        if self._target is None:
            return float(score_changes(self._model, plain.outputs, plain.scores, edited).sum())
        return float((self._scores(edited, plain) - self._scores(plain, plain)).sum())

    def _scores(self, edited: Edited, plain: Edited) -> NDArray[np.float64]:
        """Return the scores that count, ``(F,)``: one of each image, that of its class; all if there are no classes."""
        scores = edited.scores.astype(np.float64)
        if not self._classifies:
            return scores.ravel()
        classes = plain.outputs.argmax(axis=1) if self._target is None else self._target
        return np.asarray(scores[np.arange(len(scores)), classes], np.float64)


def squared(values: Array) -> float:
    """Return the sum of the squares."""
    return float(np.square(values, dtype=np.float64).sum())
