"""The inside of a model: feature maps of its layers, gradients there, and answers while a layer is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, groupby

import numpy as np

from picasso.errors import ModelError
from picasso.models.array_model import ArrayModel, are_classes
from picasso.models.arrays import Array, Classes, fill_up
from picasso.models.edits import Edit, Edited
from picasso.models.info import Layer
from picasso.models.layer_pass import LayerPass
from picasso.targets import Target


class LayeredModel(ArrayModel):
    """A model with layers that can be looked at and changed."""

    def layers(self) -> Sequence[Layer]:
        """Return the layers with feature maps, first to last."""
        return []

    def layer(self, name: str | None) -> str:
        """Return ``name`` if it is a layer with feature maps, or the name of the default layer for None.

        Raises:
            ModelError: there is no such layer, or none with feature maps.
        """
        layers = self.layers()
        for candidate in layers:
            if candidate.name == name or (name is None and candidate.default):
                return candidate.name
        if not layers:
            raise ModelError(f"{type(self).__name__} has no layer with feature maps.")
        raise ModelError(f"There is no layer {name!r}; the layers are {', '.join(one.name for one in layers)}.")

    # ---- feature maps, attention, and gradients there ----------------------------------------------------

    def feature_maps(self, inputs: Array, layer: str | None = None) -> Array:
        """Return the feature maps ``(N, h, w, c)``, float32, of a layer; by default the last one before the head."""
        return self._batched(lambda part: self.batch_feature_maps(part, self.layer(layer)), inputs)

    def feature_gradients(
        self, inputs: Array, targets: Sequence[Target] | Sequence[int] | Classes, layer: str | None = None
    ) -> Array:
        """Return d score / d feature map, float32, for a layer as in :meth:`feature_maps`.

        Args:
            inputs: ``(N, H, W, C)``.
            targets: T targets, for gradients ``(N, T, h, w, c)``; or the index of one class per input, ``(N,)``, for
                gradients ``(N, h, w, c)``.
            layer: the name of the layer; by default the last one before the head.
        """
        name = self.layer(layer)
        if are_classes(targets):
            chosen = np.asarray(targets, np.int64)
            return self._batched(lambda part, k: self.batch_feature_gradients(part, k, name), inputs, chosen)
        answer = self.batch_layer_gradients
        return self._batched(lambda part: answer(part, self._cotangents(part, targets), name), inputs)

    def features(
        self, inputs: Array, targets: Sequence[Target], layer: str | None = None
    ) -> tuple[Array, Iterator[Array]]:
        """Return the feature maps of a layer, and the gradients d score / d feature map of one target after the other.

        The forward pass is shared. The gradients are computed one by one, because those of early layers are large.

        Args:
            inputs: at most :attr:`batch_size` inputs, ``(n, H, W, C)``.
            targets: the targets.
            layer: the name of the layer, as in :meth:`feature_maps`.

        Returns:
            the feature maps ``(n, h, w, c)``, and an iterator of as many gradients of this shape as targets, float32.
        """
        count = len(inputs)
        inputs = fill_up(inputs, self.fixed_batch) if self.fixed_batch else inputs
        maps, gradients = self.batch_features(inputs, self._cotangents(inputs, targets), self.layer(layer))
        return np.asarray(maps[:count], np.float32), (np.asarray(one[:count], np.float32) for one in gradients)

    def map_gradients(
        self, inputs: Array, weights: Array, layer: str | None = None, *, unrectified: bool = False
    ) -> Array:
        """Return the gradients of weighted sums of feature maps with respect to the input, ``(N, H, W, C)``, float32.

        Args:
            inputs: ``(N, H, W, C)``.
            weights: the weight of each value of the feature maps, ``(N, h, w, c)``.
            layer: the name of the layer; by default the last one before the head.
            unrectified: whether the sums are those of the values that go into the ReLU at the end of the layer. Where
                the feature maps are 0, so are their gradients, but not these. A layer without a ReLU has no other
                values than its feature maps. The gradients are 0 for models whose class does not know these values.

        Raises:
            ModelError: the model has no feature maps or no such layer, or the weights have another shape.

        Examples:
            The only layer of this model is its input:

            >>> import numpy as np
            >>> from picasso.examples.brightness import BrightnessModel
            >>> model = BrightnessModel()
            >>> model.load(channels=3)
            >>> weights = np.zeros((1, 8, 8, 3))
            >>> weights[..., 2] = 0.5
            >>> model.map_gradients(np.ones((1, 8, 8, 3), np.float32), weights)[0, 0, 0].tolist()
            [0.0, 0.0, 0.5]
        """
        name, weights = self.layer(layer), np.asarray(weights, np.float32)
        expected = (len(inputs), *next(one.shape for one in self.layers() if one.name == name))
        if weights.shape != expected:
            raise ModelError(
                f"The weights of the feature maps of layer {name!r} must be {expected}, not {weights.shape}."
            )
        found = self.batch_unrectified_gradients if unrectified else self.batch_map_gradients
        return self._batched(lambda part, given: found(part, given, name), inputs, weights)

    def attention(
        self, inputs: Array, targets: Sequence[Target | int] = ()
    ) -> tuple[list[Array], Iterator[list[Array]]]:
        """Return the attention weights of each block of a transformer, and their gradients d score / d weight.

        The forward pass is shared; one backward pass per target gives the gradients of all blocks.

        Args:
            inputs: at most :attr:`batch_size` inputs, ``(n, H, W, C)``.
            targets: the targets; an index stands for the logit of a class.

        Returns:
            the weights ``(n, heads, queries, keys)`` of each block, first to last, and an iterator of as many lists of
            gradients of these shapes as targets, float32.

        Raises:
            ModelError: the model has no attention that was found.
        """
        count = len(inputs)
        inputs = fill_up(inputs, self.fixed_batch) if self.fixed_batch else inputs
        cotangents = self._cotangents(inputs, targets) if len(targets) else np.zeros((len(inputs), 0, *self.spec.shape))
        weights, gradients = self.batch_attention(inputs, np.asarray(cotangents, np.float32))
        return [one[:count] for one in weights], ([part[:count] for part in one] for one in gradients)

    # ---- answers while a layer is changed ----------------------------------------------------------------

    def edited(self, inputs: Array, edit: Edit) -> Array:
        """Return the outputs ``(N, *spec.shape)``, float32, as of :meth:`predict`, while a layer is edited.

        For several edits, or for scores, :meth:`edits` is faster.

        Args:
            inputs: ``(N, H, W, C)``.
            edit: the layer, its channels, and how they are changed.

        Raises:
            ModelError: the model can't edit its layers, it has no such layer or channel, or its answer is not valid.

        Examples:
            The only layer of this model is its input, whose three colours are channels:

            >>> import numpy as np
            >>> from picasso.examples.brightness import BrightnessModel
            >>> from picasso.models import Edit
            >>> model = BrightnessModel()
            >>> model.load(channels=3)
            >>> white = np.ones((1, 8, 8, 3), np.float32)
            >>> f"{model.predict(white)[0, 1]:.3f}"
            '0.982'
            >>> f"{model.edited(white, Edit('input', [0], scale=0))[0, 1]:.3f}"
            '0.791'
        """
        return np.concatenate([next(self.edits(part, [edit])).outputs for part in self._parts(np.asarray(inputs))])

    def edits(self, inputs: Array, edits: Sequence[Edit]) -> Iterator[Edited]:
        """Return the outputs and the scores of a batch for each of many edits, one after the other.

        Each edit is made alone. What comes before the layer is computed once for consecutive edits of the same layer;
        what follows is computed exactly for each, also by models with fast arithmetic. If it needs only the layer,
        it is computed for several edits at once.

        Args:
            inputs: at most :attr:`batch_size` inputs, ``(n, H, W, C)``.
            edits: the edits.

        Raises:
            ModelError: as in :meth:`edited`, or there are too many inputs.

        Examples:
            The effect of each channel of a layer on the logit of the second class:

            >>> import numpy as np
            >>> from picasso.examples.brightness import BrightnessModel
            >>> from picasso.models import Edit
            >>> model = BrightnessModel()
            >>> model.load(channels=3)
            >>> image = np.ones((1, 8, 8, 3), np.float32) * np.float32([0.3, 0.6, 0.9])
            >>> off = [Edit("input", [channel], scale=0) for channel in range(3)]
            >>> [round(float(one.scores[0, 1] - model.logits(image)[0, 1]), 3) for one in model.edits(image, off)]
            [-0.4, -0.8, -1.2]
        """
        count = len(inputs)
        inputs, known = self._one_batch(inputs, "edits"), self._known_edits(edits)
        # A model that can't edit its layers says so at once; the others compute nothing yet.
        groups = groupby(known, lambda edit: edit.layer)
        answers = chain.from_iterable([self.batch_edits(inputs, str(name), list(same)) for name, same in groups])
        return (self._edited(one, scores, count, changed=True) for one, scores in answers)

    def predict_from(self, inputs: Array, maps: Iterable[Array], layer: str | None = None) -> Iterator[Edited]:
        """Return the outputs and the scores of a batch if the feature maps of a layer are replaced by others.

        What comes before the layer is computed once, as far as it is used besides the layer; what follows is computed
        exactly for each replacement, also by models with fast arithmetic. Where it needs only the layer, it is computed
        for several replacements at once. In a transformer, the tokens on the grid are replaced; class tokens and
        registers, which the feature maps leave out, stay as they were.

        Args:
            inputs: at most :attr:`batch_size` inputs, ``(n, H, W, C)``.
            maps: the replacements, ``(n, h, w, c)`` each; a generator is asked for a few at a time.
            layer: the name of the layer; by default the last one before the head.

        Raises:
            ModelError: the model can't replace its feature maps, it has no such layer, a replacement has another shape
                or values that are not finite, there are too many inputs, or an answer is not valid.

        Examples:
            The only layer of this model is its input:

            >>> import numpy as np
            >>> from picasso.examples.brightness import BrightnessModel
            >>> model = BrightnessModel()
            >>> model.load()
            >>> image = np.ones((1, 8, 8, 1), np.float32)
            >>> [f"{one.outputs[0, 1]:.3f}" for one in model.predict_from(image, [image, image / 2])]
            ['0.982', '0.500']
        """
        name = self.layer(layer)
        count = len(inputs)
        inputs = self._one_batch(inputs, "predict_from")
        shape = (count, *next(one.shape for one in self.layers() if one.name == name))

        def valid(given: Array) -> Array:
            given = np.asarray(given, np.float32)
            if given.shape != shape:
                raise ModelError(f"The feature maps of layer {name!r} must be {shape}, not {given.shape}.")
            if not np.isfinite(given).all():
                raise ModelError(f"The feature maps that replace those of layer {name!r} must be finite numbers.")
            return fill_up(given, self.fixed_batch or 1)

        answers = self.batch_predict_from(inputs, map(valid, maps), name)
        return (self._edited(one, scores, count, changed=True) for one, scores in answers)

    def layer_pass(self, inputs: Array, layer: str | None = None, *, differentiate: bool = True) -> LayerPass:
        """Return the feature maps of a layer, the outputs and the scores of a batch, by one forward pass if possible.

        Gradients at the layer and answers to edits of the layer start from that pass. All is computed exactly, also by
        models with fast arithmetic.

        Args:
            inputs: at most :attr:`batch_size` inputs, ``(n, H, W, C)``.
            layer: the name of the layer; by default the last one before the head.
            differentiate: whether gradients will be asked for, for which more values are kept in memory.

        Raises:
            ModelError: the model has no feature maps or no such layer, its answer is not valid, or there are too many
                inputs.

        Examples:
            >>> import numpy as np
            >>> from picasso.examples.brightness import BrightnessModel
            >>> model = BrightnessModel()
            >>> model.load()
            >>> passed = model.layer_pass(np.full((1, 8, 8, 1), 0.5, np.float32))
            >>> float(passed.maps[0, 0, 0, 0]), passed.outputs.tolist()
            (0.5, [[0.5, 0.5]])
        """
        count, name = len(inputs), self.layer(layer)
        inputs = self._one_batch(inputs, "layer_pass")
        passed = self.batch_layer_pass(inputs, name, differentiate=differentiate)

        def edits(edits: Sequence[Edit]) -> Iterator[Edited]:
            known = self._known_edits(edits)
            if other := next((edit.layer for edit in known if edit.layer != name), None):
                raise ModelError(f"This pass is about layer {name!r}, and an edit about {other!r}.")
            return (self._edited(*one, count, changed=True) for one in passed.edits(known))

        def gradients(classes: Classes) -> Array:
            chosen = fill_up(np.asarray(classes, np.int64), len(inputs))
            return np.asarray(passed.gradients(chosen)[:count], np.float32)

        outputs, scores = self._edited(passed.outputs, passed.scores, count)
        return LayerPass(np.asarray(passed.maps[:count], np.float32), outputs, scores, gradients, edits)

    def _one_batch(self, inputs: Array, method: str) -> Array:
        """Return inputs as a batch that the model takes, with at least one image."""
        inputs = self._valid(inputs)
        if len(inputs) > self.batch_size:
            raise ModelError(
                f"{method}() of the model takes at most {self.batch_size} inputs at once, not {len(inputs)}."
            )
        # Operations of TensorFlow may give wrong shapes for none.
        return fill_up(inputs, self.fixed_batch or 1)

    def _known_edits(self, edits: Sequence[Edit]) -> list[Edit]:
        """Return edits with the names of their layers, which have such channels."""
        known = [replace(edit, layer=self.layer(edit.layer)) for edit in edits]
        channels = {layer.name: layer.shape[-1] for layer in self.layers()}
        for edit in known:
            edit.coefficients(channels[str(edit.layer)])
        return known

    def _edited(self, outputs: Array, scores: Array, count: int, *, changed: bool = False) -> Edited:
        """Return the outputs and scores of ``count`` inputs if :attr:`spec` allows them.

        Args:
            outputs: the outputs.
            scores: the scores.
            count: the number of inputs.
            changed: whether they are those after a change of a layer, which may be too large.
        """
        found = np.asarray(outputs[:count], np.float32)
        if changed and not np.isfinite(found).all():
            raise ModelError(
                "With this change of the layer, the output of the model is not a finite number. If it is one without "
                "the change, choose values nearer to those that the layer has."
            )
        return Edited(self._checked(found, count), np.asarray(scores[:count], np.float32))
