"""A model as a function of arrays: predictions and gradients for any number of inputs, in checked batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError
from picasso.models.arrays import Array, Classes, Shape, fill_up
from picasso.models.framework import Framework
from picasso.models.occlusion import Box, Occlusion, batches, covered
from picasso.targets import Classification, OutputSpec, Target, as_target


class ArrayModel(Framework):
    """A model that takes inputs ``(N, H, W, C)``: the questions about its outputs, and about what they depend on.

    It divides the inputs into batches, which the class of a framework computes, and checks what this returns.
    """

    # Set by load().
    input_shape: Shape = (0, 0, 0)
    num_classes: int = 0
    checkpoint: str = ""
    #: The fixed batch size of the model, or None if it accepts any.
    fixed_batch: int | None = None

    _spec: OutputSpec | None = None

    @property
    def spec(self) -> OutputSpec:
        """What the output means; classes, unless load() set another specification."""
        return self._spec or Classification((self.num_classes,))

    @spec.setter
    def spec(self, spec: OutputSpec) -> None:
        self._spec = spec

    @property
    def batch_size(self) -> int:
        """The number of inputs per batch: 16 to 256, more for smaller inputs, unless the model has a fixed size."""
        return self.fixed_batch or int(np.clip(2_500_000 // max(1, int(np.prod(self.input_shape))), 16, 256))

    # ---- outputs -----------------------------------------------------------------------------------------

    def predict(self, inputs: Array) -> Array:
        """Return the outputs ``(N, *spec.shape)``, float32, of inputs ``(N, H, W, C)``.

        For a classifier, these are the probabilities ``(N, K)``, 0..1.

        Raises:
            ModelError: the model returned another shape, NaN, or values that :attr:`spec` does not allow.
        """
        return self._checked(self._batched(self.batch_probabilities, inputs), len(inputs))

    def logits(self, inputs: Array) -> Array:
        """Return the scores ``(N, *spec.shape)``, float32: for a classifier, before the softmax or sigmoid."""
        return self._batched(self.batch_logits, inputs)

    def values(self, inputs: Array, targets: Sequence[Target | int]) -> NDArray[np.float64]:
        """Return the values of T targets, such as probabilities, ``(N, T)``; all share the predictions.

        Args:
            inputs: ``(N, H, W, C)``.
            targets: the targets; an index stands for the logit of a class.
        """
        known = [as_target(target) for target in targets]
        parts = (self.predict(part) for part in self._parts(inputs))
        return np.concatenate([np.stack([one.value(part) for one in known], axis=1) for part in parts])

    def scores(self, inputs: Array, targets: Sequence[Target | int]) -> NDArray[np.float64]:
        """Return the scores of T targets, such as logits, ``(N, T)``; the arguments are those of :meth:`values`."""
        known = [as_target(target) for target in targets]
        parts = (self.logits(part) for part in self._parts(inputs))
        return np.concatenate([np.stack([one.score(part) for one in known], axis=1) for part in parts])

    # ---- outputs for changed images ----------------------------------------------------------------------

    def occlude(self, image: Array, fill: Array, boxes: Sequence[Box]) -> Occlusion:
        """Return the outputs for an image with each of many windows covered, lazily and in any order.

        Args:
            image: an input ``(H, W, C)``.
            fill: the input ``(H, W, C)`` whose values replace those in a window: plain paint, or another image.
            boxes: the windows as (left, top, right, bottom) in pixels, none of them empty.
        """
        parts = (
            (members, self.predict(covered(image, fill, [boxes[index] for index in members])))
            for members in batches(len(boxes), self.batch_size)
        )
        return Occlusion(parts, "a whole image for each window")

    def occlusion_passes(self, boxes: Sequence[Box]) -> float:
        """Return the cost of :meth:`occlude` for these windows, as a number of predictions of whole images."""
        return len(boxes)

    def dropped(self, image: Array, hidden: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], Array, Array]]:
        """Yield the outputs and the scores of a transformer for an image some of whose tokens are left out.

        Equal choices are computed once. Choices of as many tokens share a batch.

        Args:
            image: an input ``(H, W, C)``.
            hidden: which tokens of :meth:`dropping_grid` are left out in each of n choices, ``(n, h, w)``.

        Yields:
            the indices of m choices, and the outputs and the scores ``(m, *spec.shape)`` for them.

        Raises:
            ModelError: tokens can't be left out of this model, or it returned values that are not finite.
        """
        grid = self.dropping_grid()
        choices, which = np.unique(hidden.reshape(len(hidden), -1), axis=0, return_inverse=True)
        which = which.reshape(-1)
        counts = np.count_nonzero(~choices, axis=1)
        if not grid.first and not counts.all():
            raise ModelError("At least one token must be left.")
        for count in np.unique(counts):
            alike = np.flatnonzero(counts == count)
            for some in batches(len(alike), self.batch_size):
                kept = np.nonzero(~choices[alike[some]])[1].reshape(len(some), count)
                outputs, scores = self.batch_dropped(image, kept)
                if not (np.isfinite(outputs).all() and np.isfinite(scores).all()):
                    raise self._wrong("values that are not finite numbers")
                position = np.full(len(choices), -1)
                position[alike[some]] = np.arange(len(some))
                members = np.flatnonzero(position[which] >= 0)
                yield members, outputs[position[which[members]]], scores[position[which[members]]]

    # ---- gradients with respect to the input -------------------------------------------------------------

    def gradients(self, inputs: Array, targets: Sequence[Target | int]) -> Array:
        """Return d score / d input of T targets, ``(N, T, H, W, C)``, float32; all share the forward pass.

        The arguments are those of :meth:`values`.
        """
        return self._batched(lambda part: self.batch_gradients(part, self._cotangents(part, targets)), inputs)

    def input_gradients(self, inputs: Array, classes: Sequence[int] | Classes) -> Array:
        """Return the gradients d logit[class] / d input, float32.

        Args:
            inputs: ``(N, H, W, C)``.
            classes: the index of one class per input, ``(N,)``, for gradients ``(N, H, W, C)``; or of k classes per
                input, ``(N, k)``, for gradients ``(N, k, H, W, C)``, which is faster than k separate calls.
        """
        chosen = np.asarray(classes, np.int64)
        answer = self.batch_class_gradients if chosen.ndim == 2 else self.batch_input_gradients
        return self._batched(answer, inputs, chosen)

    def guided_gradients(self, inputs: Array, targets: Sequence[Target] | Classes) -> Array:
        """Return d score / d input of T targets, ``(N, T, H, W, C)``, by guided backpropagation.

        Springenberg et al., arXiv 1412.6806: in the backward pass, ReLUs propagate only positive gradients.

        Args:
            inputs: ``(N, H, W, C)``.
            targets: the targets, or the indices of T classes per input, ``(N, T)``.

        Raises:
            ModelError: the model has no ReLUs, or their gradient can't be replaced.
        """
        if are_classes(targets):
            return self._batched(self.batch_guided_gradients, inputs, np.asarray(targets, np.int64))
        return self._batched(lambda part: self.batch_guided(part, self._cotangents(part, targets)), inputs)

    def relevance(self, inputs: Array, targets: Sequence[Target | int]) -> Array:
        """Return the relevance of the input for T targets by AttnLRP, ``(N, T, H, W, C)``, float32.

        Achtibat et al., arXiv 2402.05602. Without biases, the sum is about the score; the softmax takes a share.

        Args:
            inputs: ``(N, H, W, C)``.
            targets: the targets; an index stands for the logit of a class.

        Raises:
            ModelError: the model has no attention, or an operation that has no rule.
        """
        factors = self._batched(lambda part: self.batch_relevance(part, self._cotangents(part, targets)), inputs)
        return np.asarray(factors * np.asarray(inputs, np.float32)[:, None], np.float32)

    # ---- batches and checks ------------------------------------------------------------------------------

    def _batched(self, answer: Callable[..., Array], inputs: Array, *others: NDArray[Any]) -> Array:
        """Call ``answer`` on batches of bounded size; for a fixed batch size, the last batch is padded with zeros."""
        inputs = self._valid(inputs)
        count, size = len(inputs), self.batch_size
        if self.fixed_batch:
            inputs, *others = (fill_up(array, size) for array in (inputs, *others))  # type: ignore[assignment]
        starts = range(0, max(1, len(inputs)), size)
        parts = [answer(inputs[i : i + size], *(other[i : i + size] for other in others)) for i in starts]
        return np.concatenate([np.asarray(part, np.float32) for part in parts])[:count]

    def _parts(self, inputs: Array) -> list[Array]:
        """Return inputs in batches, at least one."""
        return [inputs[start : start + self.batch_size] for start in range(0, max(1, len(inputs)), self.batch_size)]

    def _valid(self, inputs: Array) -> Array:
        """Return inputs as float32 if they have the shape ``(N, H, W, C)`` of the model."""
        inputs = np.asarray(inputs, np.float32)
        if inputs.shape[1:] != self.input_shape:
            shape = ", ".join(map(str, self.input_shape))
            raise ModelError(f"{type(self).__name__} takes inputs (N, {shape}), not {inputs.shape}.")
        return inputs

    def _checked(self, result: Array, count: int) -> Array:
        """Return the outputs of ``count`` inputs if :attr:`spec` allows them."""
        expected = (count, *self.spec.shape)
        if result.shape != expected:
            raise self._wrong(f"an array of shape {result.shape} instead of {expected}")
        if not np.isfinite(result).all():
            raise self._wrong("values that are not finite numbers")
        if wrong := self.spec.wrong(result):
            raise self._wrong(wrong)
        return result

    def _cotangents(self, inputs: Array, targets: Sequence[Target | int] | Classes) -> Array:
        """Return the gradients of the scores of T targets with respect to the logits, ``(n, T, *spec.shape)``."""
        known = [as_target(target) for target in targets]
        if all(target.linear for target in known):
            scores = np.broadcast_to(np.float32(0), (len(inputs), *self.spec.shape))
        else:
            scores = np.asarray(self.batch_logits(inputs), np.float32)
        return np.stack([target.cotangent(scores) for target in known], axis=1)

    def _wrong(self, what: str) -> ModelError:
        return ModelError(f"The model {type(self).__name__} ({self.checkpoint}) returned {what}.")


def are_classes(targets: Any) -> bool:
    """Tell whether indices of classes are given, not targets."""
    return not (len(targets) and isinstance(targets[0], Target))
