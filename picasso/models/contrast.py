"""Why this class and not that one: two classes against each other, as a class of their own."""

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
    """Return a model that has a class for each pair among the wanted ones, and the numbers of all that are wanted."""
    pairs = [(one[0], one[1]) for one in wanted if not isinstance(one, int)]
    if not pairs:
        return model, [one for one in wanted if isinstance(one, int)]
    places = {pair: model.num_classes + index for index, pair in enumerate(dict.fromkeys(pairs))}
    numbers = [one if isinstance(one, int) else places[one[0], one[1]] for one in wanted]
    return Contrasted(model, list(places)), numbers


class Contrasted(Model):
    """A model with more classes: each of them is one class against another.

    The logit of "a rather than b" is ``s_a - s_b``, and its probability ``p_a / (p_a + p_b)``: that of ``a`` if it must
    be one of the two. For a softmax the second is the sigmoid of the first. So whatever makes a map of a class makes
    one of a contrast too. All else is what the model itself answers.

    Args:
        model: any model.
        pairs: the classes (a, b); they follow the model's own.
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
        """Do nothing: the model is loaded."""

    # ---- as the model itself ------------------------------------------------------------------------------

    def opens_images(self) -> bool:
        """Ask the model."""
        return self._model.opens_images()

    def open_image(self, source: bytes | NDArray[Any], name: str) -> Any:
        """Ask the model."""
        return self._model.open_image(source, name)

    def view(self, image: Image.Image) -> Image.Image:
        """Ask the model."""
        return self._model.view(image)

    def encode(self, views: Sequence[Image.Image]) -> Array:
        """Ask the model."""
        return self._model.encode(views)

    def preprocess(self, raw_inputs: Sequence[Image.Image]) -> Array:
        """Ask the model."""
        return self._model.preprocess(raw_inputs)

    def encodes_by_pixel(self) -> bool:
        """Ask the model."""
        return self._model.encodes_by_pixel()

    def best_classes(self, probabilities: Array) -> list[tuple[Prediction, ...]]:
        """Ask the model for the best of its own classes."""
        return self._model.best_classes(probabilities[:, : self._model.num_classes])

    def layers(self) -> Sequence[Layer]:
        """Ask the model."""
        return self._model.layers()

    def card(self) -> ModelInfo:
        """Return the model's card."""
        return self._model.card()

    def batch_feature_maps(self, inputs: Array, layer: str) -> Array:
        """Ask the model."""
        return self._model.batch_feature_maps(inputs, layer)

    # ---- with the pairs -----------------------------------------------------------------------------------

    def class_names(self) -> Sequence[str]:
        """Return the model's names, and "a rather than b" for each pair."""
        names = list(map(str, self._model.class_names()))
        pairs = zip(self._for[len(names) :], self._against[len(names) :], strict=True)
        return [*names, *(f"{names[one]} rather than {names[other]}" for one, other in pairs)]

    def batch_probabilities(self, inputs: Array) -> Array:
        """Return the probabilities, those of the pairs last."""
        return self._with_shares(self._model.batch_probabilities(inputs))

    def occlude(self, image: Array, fill: Array, boxes: Sequence[Box]) -> Occlusion:
        """Return what the model answers behind windows, with the pairs."""
        occlusion = self._model.occlude(image, fill, boxes)
        # The same object, for its method may change while the parts are computed.
        occlusion.parts = ((members, self._with_shares(part)) for members, part in occlusion.parts)
        return occlusion

    def log_odds(self, probabilities: Array, classes: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the log-odds of the model's own classes, and of pairs: of the one against the other."""
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
        """Ask the model."""
        return self._model.occlusion_passes(boxes)

    def batch_logits(self, inputs: Array) -> Array:
        """Return the logits; those of the pairs are differences."""
        logits = self._model.batch_logits(inputs)
        return np.asarray(logits[:, self._for] - np.where(self._against < 0, 0, logits[:, self._against]))

    def batch_input_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the gradients; those of the pairs are differences."""
        return self._difference(lambda chosen: self._model.batch_input_gradients(inputs, chosen), classes)

    def batch_class_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the gradients for several classes; those of the pairs are differences."""
        return self._difference(lambda chosen: self._model.batch_class_gradients(inputs, chosen), classes)

    def batch_guided_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return the guided gradients for several classes; those of the pairs are differences."""
        return self._difference(lambda chosen: self._model.batch_guided_gradients(inputs, chosen), classes)

    def batch_feature_gradients(self, inputs: Array, classes: Classes, layer: str) -> Array:
        """Return the gradients at a layer; those of the pairs are differences."""
        return self._difference(lambda chosen: self._model.batch_feature_gradients(inputs, chosen, layer), classes)

    def _with_shares(self, probabilities: Array) -> Array:
        """Return probabilities with the shares of the pairs; where both are 0 neither is the more probable."""
        exact = probabilities.astype(np.float64)
        count = self._model.num_classes
        one, other = exact[:, self._for[count:]], exact[:, self._against[count:]]
        total = one + other
        shares = np.divide(one, total, out=np.full_like(total, 0.5), where=total > 0)
        return np.concatenate([probabilities, shares.astype(np.float32)], axis=1)

    def _difference(self, answer: Callable[[Classes], Array], classes: Classes) -> Array:
        """Return answers for classes, less those for the classes that they stand against."""
        against = self._against[classes]
        answers = answer(self._for[classes])
        if (against < 0).all():
            return answers
        others = answer(np.maximum(against, 0))
        counts: NDArray[np.bool_] = (against >= 0).reshape(against.shape + (1,) * (others.ndim - against.ndim))
        return np.asarray(answers - np.where(counts, others, 0))
