"""The latest passes of images through a model, so that another channel of the same layer is looked at faster."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picasso.explanation.questions import prepared
from picasso.inside.looking import require_finite
from picasso.models import Edit
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.edits import Edited
from picasso.models.info import Layer
from picasso.targets import Classification
from picasso.visualizations.base import Input

# The memory for the passes of one model, in bytes; those that were used last are kept.
MAX_BYTES = 256_000_000


@dataclass(frozen=True)
class Passed:
    """What a model computes for an image.

    Attributes:
        image: the image.
        maps: the feature maps of the layer, ``(h, w, c)``.
        gradients: the gradients of the score of the predicted class at these, of this shape; None for models that are
            no classifiers.
        outputs: the output of the model, ``spec.shape``, as exact as after an edit.
        scores: the scores, of the same shape.
    """

    image: Input
    maps: Array
    gradients: Array | None
    outputs: Array
    scores: Array

    @property
    def size(self) -> int:
        """The memory that it needs, in bytes."""
        arrays = (self.image.array, self.maps, self.gradients, self.outputs, self.scores)
        view = self.image.view.width * self.image.view.height * len(self.image.view.getbands())
        return view + sum(one.nbytes for one in arrays if one is not None)


class Passes:
    """The passes of one model that are kept in memory.

    Args:
        limit: the memory for them, in bytes.
    """

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit, self._size = limit, 0
        self._kept: OrderedDict[tuple[str, str], Passed] = OrderedDict()

    def find(self, layer: str, path: str) -> Passed | None:
        """Return the pass of an image up to a layer, or None if it is not kept."""
        found = self._kept.get((layer, path))
        if found:
            self._kept.move_to_end((layer, path))
        return found

    def keep(self, layer: str, path: str, passed: Passed) -> None:
        """Keep a pass, and forget those that were not used for the longest time if there are too many."""
        self._kept[layer, path] = passed
        self._size += passed.size
        while self._size > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size


_of_models: weakref.WeakKeyDictionary[Model, Passes] = weakref.WeakKeyDictionary()


def edited(model: Model, layer: Layer, edit: Edit, paths: Sequence[str]) -> list[tuple[Passed, Edited]]:
    """Return the passes of stored images, and the answers to an edit of the layer.

    What precedes the edit is computed together with it for images that are new. For those whose passes are kept, only
    the edit is computed.

    Args:
        model: the model.
        layer: the layer.
        edit: the edit.
        paths: the paths of at most :attr:`~picasso.models.base.Model.batch_size` images, each with one answer.

    Raises:
        NotFound: an image was removed.
        ModelError: a number is not finite.
    """
    passes = _of_models.setdefault(model, Passes())
    known = {path: found for path in paths if (found := passes.find(layer.name, path))}
    answers: dict[str, tuple[Passed, Edited]] = {}
    if known:
        inputs = np.stack([one.image.array for one in known.values()])
        (after,) = model.edits(inputs, [edit])
        answers |= {path: (one, nth(after, place)) for place, (path, one) in enumerate(known.items())}
    if new := [path for path in dict.fromkeys(paths) if path not in known]:
        fresh, after = computed(model, layer, edit, [prepared(model, path) for path in new])
        for place, (path, one) in enumerate(zip(new, fresh, strict=True)):
            passes.keep(layer.name, path, one)
            answers[path] = one, nth(after, place)
    return [answers[path] for path in paths]


def computed(model: Model, layer: Layer, edit: Edit, images: Sequence[Input]) -> tuple[list[Passed], Edited]:
    """Compute the passes of a batch of images, and the answers to an edit."""
    classifies = isinstance(model.spec, Classification)
    passed = model.layer_pass(np.stack([one.array for one in images]), layer.name, differentiate=classifies)
    (after,) = passed.edits([edit])
    require_finite(passed.maps, f"Layer {layer.name}")
    gradients = passed.gradients(passed.outputs.argmax(axis=1)) if classifies else None
    if gradients is not None:
        require_finite(gradients, f"The gradient of layer {layer.name}")
    # Copied, because a part of a batch would keep the whole batch in memory.
    return [
        Passed(
            image,
            passed.maps[place].copy(),
            None if gradients is None else gradients[place].copy(),
            passed.outputs[place].copy(),
            passed.scores[place].copy(),
        )
        for place, image in enumerate(images)
    ], after


def nth(answers: Edited, place: int) -> Edited:
    """Return the answer for one image of a batch, as a batch of one."""
    return Edited(answers.outputs[place : place + 1], answers.scores[place : place + 1])
