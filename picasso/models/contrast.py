"""Contrastive explanations: "class a rather than class b" as an additional class of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.models import odds
from picasso.models.arrays import Array, Classes
from picasso.models.base import Model
from picasso.models.info import Layer, ModelInfo, Prediction
from picasso.models.labels import Wanted
from picasso.models.occlusion import Box, Occlusion


def contrasted(model: Model, wanted: Sequence[Wanted]) -> tuple[Model, list[int]]:
    """Return a model with an additional class for each wanted pair, and the indices of all wanted classes.

    Args:
        model: any model.
        wanted: class indices, or pairs (a, b) of them for "a rather than b".
    """
    pairs = [(one[0], one[1]) for one in wanted if not isinstance(one, int)]
    if not pairs:
        return model, [one for one in wanted if isinstance(one, int)]
    places = {pair: model.num_classes + index for index, pair in enumerate(dict.fromkeys(pairs))}
    numbers = [one if isinstance(one, int) else places[one[0], one[1]] for one in wanted]
    return Contrasted(model, list(places)), numbers


class Contrasted(Model):
    """A model with additional classes "a rather than b".

    The logit of "a rather than b" is ``s_a - s_b``. Its probability is ``p_a / (p_a + p_b)``: the probability of ``a``
    given that the class is a or b. For a softmax, this is the sigmoid of that logit. So every visualization of a
    class also applies to a contrast. Everything else is delegated to the model.

    Args:
        model: any model.
        pairs: the pairs of class indices (a, b); their indices follow those of the model's own classes.
    """

    def __init__(self, model: Model, pairs: Sequence[tuple[int, int]]) -> None:
        self._model = model
        self.input_shape, self.fixed_batch = model.input_shape, model.fixed_batch
        self.capabilities, self.top_probs = model.capabilities, model.top_probs
        self.num_classes = model.num_classes + len(pairs)
        self.noise, self.logit_noise = model.noise, 2 * model.logit_noise
        own = np.arange(model.num_classes)
        self._for = np.concatenate([own, [one for one, _ in pairs]]).astype(np.int64)
        self._against = np.concatenate([np.full_like(own, -1), [other for _, other in pairs]]).astype(np.int64)

    def load(self, *arguments: Any, **options: Any) -> None:
        """Do nothing: the model is already loaded."""

    # ---- delegated to the model ---------------------------------------------------------------------------

    def opens_images(self) -> bool:
        """Tell whether the model overrides open_image()."""
        return self._model.opens_images()

    def open_image(self, source: bytes | NDArray[Any], name: str) -> Any:
        """Decode an image with the model."""
        return self._model.open_image(source, name)

    def view(self, image: Image.Image) -> Image.Image:
        """Return the image as the model sees it."""
        return self._model.view(image)

    def encode(self, views: Sequence[Image.Image]) -> Array:
        """Return the model's input ``(N, H, W, C)`` of views."""
        return self._model.encode(views)

    def preprocess(self, raw_inputs: Sequence[Image.Image]) -> Array:
        """Return the model's input ``(N, H, W, C)`` of images."""
        return self._model.preprocess(raw_inputs)

    def encodes_by_pixel(self) -> bool:
        """Tell whether each input value depends on one pixel only."""
        return self._model.encodes_by_pixel()

    def best_classes(self, probabilities: Array) -> list[tuple[Prediction, ...]]:
        """Return the most probable of the model's own classes, for each row."""
        return self._model.best_classes(probabilities[:, : self._model.num_classes])

    def layers(self) -> Sequence[Layer]:
        """Return the model's layers with feature maps."""
        return self._model.layers()

    def card(self) -> ModelInfo:
        """Return the model's description."""
        return self._model.card()

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        """Return the model's feature maps ``(n, h, w, c)``."""
        return self._model.batch_feature_maps(inputs, layer)

    # ---- extended by the pairs ----------------------------------------------------------------------------

    def class_names(self) -> Sequence[str]:
        """Return the model's class names, and "a rather than b" for each pair."""
        names = list(map(str, self._model.class_names()))
        pairs = zip(self._for[len(names) :], self._against[len(names) :], strict=True)
        return [*names, *(f"{names[one]} rather than {names[other]}" for one, other in pairs)]

    def batch_probabilities(self, inputs: Array) -> Array:
        """Return the probabilities ``(n, K + pairs)``, 0..1, with those of the pairs last."""
        return self._with_shares(self._model.batch_probabilities(inputs))

    def occlude(self, image: Array, fill: Array, boxes: Sequence[Box]) -> Occlusion:
        """Return the class probabilities of an image with each window covered, including the pairs."""
        occlusion = self._model.occlude(image, fill, boxes)
        # The same object, because its ``method`` may change while the parts are computed.
        occlusion.parts = ((members, self._with_shares(part)) for members, part in occlusion.parts)
        return occlusion

    def log_odds(self, probabilities: Array, classes: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the log-odds, ``ln(p_a / p_b)`` for a pair, and where they are precise, both ``(n, k)``."""
        own = probabilities[:, : self._model.num_classes]
        exact = own.astype(np.float64)
        parts = [
            self._model.log_odds(own, [index])
            if (other := self._against[index]) < 0
            else odds.of_shares(exact[:, [self._for[index]]], exact[:, [other]])
            for index in classes
        ]
        values, known = zip(*parts, strict=True)
        return np.concatenate(values, axis=1), np.concatenate(known, axis=1)

    def occlusion_passes(self, boxes: Sequence[Box]) -> float:
        """Return the model's cost of :meth:`occlude`, in predictions of whole images."""
        return self._model.occlusion_passes(boxes)

    def batch_logits(self, inputs: Array) -> Array:
        """Return the logits ``(n, K + pairs)``; the logit of a pair is the difference of its classes' logits."""
        logits = self._model.batch_logits(inputs)
        return np.asarray(logits[:, self._for] - np.where(self._against < 0, 0, logits[:, self._against]))

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the gradients of the logits; those of pairs are differences."""
        return self._difference(lambda chosen: self._model.batch_input_gradients(inputs, chosen), classes)

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the gradients of the logits for several classes; those of pairs are differences."""
        return self._difference(lambda chosen: self._model.batch_class_gradients(inputs, chosen), classes)

    def batch_guided_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the guided gradients for several classes; those of pairs are differences."""
        return self._difference(lambda chosen: self._model.batch_guided_gradients(inputs, chosen), classes)

    def batch_feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
        """Return the gradients of the logits at a layer; those of pairs are differences."""
        return self._difference(lambda chosen: self._model.batch_feature_gradients(inputs, chosen, layer), classes)

    def _with_shares(self, probabilities: Array) -> Array:
        """Return the probabilities with those of the pairs appended; 0.5 for a pair whose probabilities are both 0."""
        exact = probabilities.astype(np.float64)
        count = self._model.num_classes
        one, other = exact[:, self._for[count:]], exact[:, self._against[count:]]
        total = one + other
        shares = np.divide(one, total, out=np.full_like(total, 0.5), where=total > 0)
        return np.concatenate([probabilities, shares.astype(np.float32)], axis=1)

    def _difference(self, answer: Callable[[Classes], Array], classes: Classes) -> Array:
        """Return ``answer`` for the classes, minus ``answer`` for the second class of each pair."""
        against = self._against[classes]
        answers = answer(self._for[classes])
        if (against < 0).all():
            return answers
        others = answer(np.maximum(against, 0))
        counts: NDArray[np.bool_] = (against >= 0).reshape(against.shape + (1,) * (others.ndim - against.ndim))
        return np.asarray(answers - np.where(counts, others, 0))
