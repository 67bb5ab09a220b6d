"""The interface of a model: it takes and returns NumPy arrays, independent of the framework."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso import remedies
from picasso.errors import ModelCodeError, ModelError, PicassoError, reason
from picasso.imaging import decode
from picasso.models import provenance
from picasso.models.arrays import Array, Classes, Shape, fill_up
from picasso.models.edits import Edit, Edited
from picasso.models.framework import Framework
from picasso.models.head import Head
from picasso.models.info import Layer, ModelInfo
from picasso.models.layer_pass import LayerPass
from picasso.models.occlusion import Box, Occlusion, batches, covered
from picasso.models.preprocessing import Preprocessing, guess
from picasso.models.scan import Limits
from picasso.targets import Classification, MultiLabel, OutputSpec, Prediction, Target, as_prediction, as_target

if TYPE_CHECKING:
    from picasso.models.precision import Difference
    from picasso.models.random_weights import RandomWeights

log = logging.getLogger(__name__)


class Model(Framework):
    """A model that takes images: a classifier, or of another task (see :attr:`spec`).

    To customize a model, derive from :class:`picasso.models.keras.KerasModel` or
    :class:`picasso.models.tensorflow.TFModel` and override :meth:`preprocess`, :meth:`decode_prob` or
    :meth:`class_names`. To support another framework, derive from this class and implement :meth:`load` and the
    ``batch_*`` methods.

    Arrays are float32, batch first, channels last: ``(N, H, W, C)`` for inputs, ``(N, K)`` for K classes, and
    ``(N, *spec.shape)`` for the outputs of other tasks.

    Examples:
        A framework that Picasso does not know needs two methods:

        >>> import numpy as np
        >>> from PIL import Image
        >>> from picasso.models.base import Model
        >>> from picasso.models.preprocessing import Preprocessing
        >>> class Brightness(Model):
        ...     preprocessing, labels = Preprocessing("0..1"), ("dark", "bright")
        ...
        ...     def load(self):
        ...         self.input_shape, self.num_classes = (8, 8, 1), 2
        ...
        ...     def batch_probabilities(self, inputs):
        ...         bright = inputs.mean(axis=(1, 2, 3))
        ...         return np.stack([1 - bright, bright], axis=1)
        >>> model = Brightness()
        >>> model.load()
        >>> ((best, _),) = model.decode_prob(model.predict(model.preprocess([Image.new("L", (20, 30), 204)])))
        >>> f"{best['name']}: {best['prob']:.2f}"
        'bright: 0.80'
    """

    framework = "custom"
    #: The name of the file format that it was loaded from.
    format: str = ""

    # Set by load().
    input_shape: Shape = (0, 0, 0)
    num_classes: int = 0
    checkpoint: str = ""
    checkpoint_time: str = ""
    #: The files or folders that it was loaded from; :attr:`fingerprint` is computed from them.
    files: tuple[Path, ...] = ()
    logits_found: str = ""
    #: A description of how the values of the output are interpreted.
    output_found: str = ""
    #: The fixed batch size of the model, or None if it accepts any.
    fixed_batch: int | None = None
    #: Whether the weights may change during use, because the model is being trained. Occlusion then predicts whole
    #: images, because what it computes once from the weights would become wrong.
    weights_change: bool = False
    notes: tuple[str, ...] = ()
    #: The maximum difference of one image's probabilities, and logits, between repeated predictions, at random or
    #: because of the other images of a batch; 0 for a deterministic model. warm_up() measures both.
    noise: float = 0.0
    logit_noise: float = 0.0
    #: "exact", or "fast" if bfloat16 may be used; after loading, the arithmetic in use. The setting ``PRECISION``.
    precision: str = "exact"
    #: The maximum difference of fast probabilities; of other outputs, relative to the largest.
    precision_limit: float = 0.01
    #: The difference between fast and exact answers to test images; None for exact arithmetic.
    imprecision: Difference | None = None
    #: True if :meth:`compute_fast` has an effect.
    takes_fast: bool = False

    #: The limits on reading a model file. Set before load(), which passes them to :func:`picasso.models.scan.require`.
    limits = Limits()
    #: The maximum memory of a batch of occluded windows, in megabytes, if only changes are computed.
    occlusion_mb = 150

    # The number of classes that decode_prob() returns. The name is that of the original Picasso.
    top_probs = 5
    #: The task that the user configured, a value of :class:`~picasso.targets.OutputTask`, or "".
    task: str = ""
    #: The unit of the values of a regression that the user configured, or "".
    unit: str = ""
    #: The settings that it was loaded with, by name; empty if it was not loaded from settings.
    configured: Mapping[str, Any] = {}
    #: True if the methods of this class give the same for the same arguments and the same files; not inherited.
    repeatable: bool = False
    #: The kind of output that the user configured, a value of :class:`~picasso.models.outputs.OutputKind`, or "".
    output_kind: str = ""
    #: True if load() uses output_kind; True if it uses task and unit.
    reads_output_kind: bool = False
    reads_task: bool = False
    #: How images are preprocessed, unless view(), encode() or preprocess() are overridden.
    preprocessing = Preprocessing()
    #: The class names, unless class_names() is overridden.
    labels: tuple[str, ...] = ()

    _spec: OutputSpec | None = None

    @property
    def spec(self) -> OutputSpec:
        """What the output means; classes, unless load() set another specification."""
        return self._spec or Classification((self.num_classes,))

    @spec.setter
    def spec(self, spec: OutputSpec) -> None:
        self._spec = spec

    @abstractmethod
    def load(self, *arguments: Any, **options: Any) -> None:
        """Load the model. Each class defines its own arguments, which come from the setting ``MODEL_LOAD_ARGS``.

        Raises:
            ModelError: the files are missing, broken, or contain no image classifier.
        """

    # ---- preprocessing ----------------------------------------------------------------------------------

    def open_image(self, source: bytes | NDArray[Any], name: str) -> Any:
        """Decode the bytes of a file, or convert an array from Python, to the argument of view() and preprocess().

        The default returns an upright PIL image in mode L or RGB. Override it for files that Pillow can't read or
        for more than four channels; then override :meth:`view` (for an image to draw maps over) and
        :meth:`preprocess` too.

        Args:
            source: all bytes of the file, or the array.
            name: the name of the image in messages.
        """
        return decode.read(source, name) if isinstance(source, bytes) else decode.from_array(source, name).image

    def opens_images(self) -> bool:
        """Tell whether :meth:`open_image` is overridden."""
        return self._overrides("open_image")

    def opened(self, source: bytes | NDArray[Any], name: str) -> Any:
        """Return the result of :meth:`open_image` for a file or an array.

        Raises:
            ModelCodeError: open_image() raised an exception.
        """
        try:
            return self.open_image(source, name)
        except PicassoError:
            raise
        except Exception as error:
            why = f"open_image() of the model failed on {decode.display_name(name)}: {reason(error)}."
            raise ModelCodeError(why) from error

    def view(self, image: Image.Image) -> Image.Image:
        """Return the image as the model sees it: ``W x H`` pixels, grey or colour, already cropped and resized.

        Maps are drawn over this image, and occlusion paints on it. The default applies :attr:`preprocessing`.
        Override it if :meth:`preprocess` crops, pads or inverts in another way.
        """
        return self.preprocessing.view(image, self.input_shape)

    def part(self, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
        """Return the rectangle (left, top, right, bottom) of an image of ``size`` (W, H) that the model sees.

        None if it is not known, because :meth:`view` or :meth:`preprocess` is overridden.
        """
        if self._overrides("view") or self._overrides("preprocess"):
            return None
        return self.preprocessing.part(size, self.input_shape)

    def encode(self, views: Sequence[Image.Image]) -> Array:
        """Return the input ``(N, H, W, C)``, float32, of images as the model sees them, by :attr:`preprocessing`.

        If only :meth:`preprocess` is overridden, it is called, and must accept such images too.
        """
        if self._overrides("preprocess"):
            return np.asarray(self.preprocess(list(views)), np.float32)
        return self.preprocessing.encode(views, self.input_shape)

    def preprocess(self, raw_inputs: Sequence[Image.Image]) -> Array:
        """Return the input ``(N, H, W, C)``, float32, of images of any size and mode."""
        return self.encode([self.view(image) for image in raw_inputs])

    def inputs_of(self, originals: Sequence[Any]) -> Array:
        """Return the result of :meth:`preprocess`, ``(N, H, W, C)`` float32, after checking its shape.

        Raises:
            ModelError: preprocess() raised an exception (a ModelCodeError) or returned an array of another shape.
        """
        try:
            inputs = np.asarray(self.preprocess(originals), np.float32)
        except PicassoError:
            raise
        except Exception as error:
            raise ModelCodeError(f"preprocess() of the model failed: {reason(error)}.") from error
        expected = (len(originals), *self.input_shape)
        if inputs.shape != expected:
            raise ModelError(f"preprocess() of the model returned an array of shape {inputs.shape}, not {expected}.")
        return inputs

    def takes_values(self, values: str, why: str) -> None:
        """Set the pixel values that the model's file asks for, unless the user configured others.

        A note is added if the user's values differ.

        Args:
            values: a key of :data:`picasso.models.preprocessing.RANGES`.
            why: the evidence in the file, such as "the model rescales its input itself".
        """
        if not self.preprocessing.values:
            self.preprocessing = replace(self.preprocessing, values=values, evidence=why)
        elif self.preprocessing.values != values and self.preprocesses_by_name():
            self.notes += (
                f"{why[0].upper()}{why[1:]}, which fits pixel values {values}, but preprocessing converts them to "
                f"{self.preprocessing.values}. Set {values}, unless the model was trained this way.",
            )

    def takes_integers(self, limits: tuple[int, int]) -> None:
        """Set the pixel values of a model with integer inputs from ``limits[0]`` to ``limits[1]``: unscaled pixels."""
        self.takes_values("-128..127" if limits[0] == -128 else "0..255", "the input of the model takes integers")

    def shape_of_preprocess(self) -> Shape | None:
        """Return the shape ``(H, W, C)`` of the arrays that an overridden :meth:`preprocess` returns.

        A class may also define ``input_shape`` itself. None if preprocess() is not overridden, fails on blank images,
        or returns different shapes for different sizes.
        """
        if 0 not in self.input_shape:
            return self.input_shape
        if not self._overrides("preprocess"):
            return None
        found = set()
        for size in ((96, 64), (80, 112)):
            try:
                found.add(np.asarray(self.preprocess([Image.new("RGB", size)])).shape[1:])
            except Exception:
                log.info("preprocess() could not be asked for the shape of the input", exc_info=True)
                return None
        shape = found.pop()
        return None if found or len(shape) != 3 else (int(shape[0]), int(shape[1]), int(shape[2]))

    # ---- classes ------------------------------------------------------------------------------------------

    def class_names(self) -> Sequence[str]:
        """Return the K class names in the order of the output: the labels, or without them ``"0"``, ``"1"``, ..."""
        return self.labels or [str(index) for index in range(self.num_classes)]

    def decode_prob(self, class_probabilities: NDArray[Any]) -> list[list[Prediction]]:
        """Return the :attr:`top_probs` most probable classes, best first, for each row of probabilities ``(N, K)``."""
        names = self.class_names()
        # A stable sort keeps equal probabilities in the order of the output.
        order = np.argsort(-class_probabilities, axis=1, kind="stable")[:, : self.top_probs]
        return [
            [Prediction(index=int(k), name=names[k], prob=float(row[k])) for k in best]
            for row, best in zip(class_probabilities, order, strict=True)
        ]

    def best_classes(self, probabilities: Array) -> list[tuple[Prediction, ...]]:
        """Return the result of :meth:`decode_prob`, validated and converted to Python numbers.

        Raises:
            ModelError: decode_prob() returned another number of rows, or entries without index, name or prob.
        """
        decoded = self.decode_prob(probabilities)
        try:
            rows = [tuple(as_prediction(one) for one in row) for row in decoded]
        except (TypeError, KeyError, ValueError) as error:
            wanted = "a list of index, name and prob for each image"
            raise ModelError(f"decode_prob() of the model must return {wanted}: {reason(error)}.") from error
        if len(rows) != len(probabilities) or not all(rows):
            raise ModelError(f"decode_prob() of the model returned {len(rows)} lists for {len(probabilities)} images.")
        return rows

    # ---- predictions --------------------------------------------------------------------------------------

    @property
    def batch_size(self) -> int:
        """The number of inputs per batch: 16 to 256, more for smaller inputs, unless the model has a fixed size."""
        return self.fixed_batch or int(np.clip(2_500_000 // max(1, int(np.prod(self.input_shape))), 16, 256))

    def predict(self, inputs: Array) -> Array:
        """Return the outputs ``(N, *spec.shape)``, float32, of inputs ``(N, H, W, C)``.

        For a classifier, these are the probabilities ``(N, K)``, 0..1.

        Raises:
            ModelError: the model returned another shape, NaN, or values that :attr:`spec` does not allow.
        """
        return self._checked(self._batched(self.batch_probabilities, inputs), len(inputs))

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

    def _parts(self, inputs: Array) -> list[Array]:
        """Return inputs in batches, at least one."""
        return [inputs[start : start + self.batch_size] for start in range(0, max(1, len(inputs)), self.batch_size)]

    def decode(self, outputs: Array) -> list[tuple[Prediction, ...]]:
        """Return the predictions of each image, the most important first, from outputs ``(N, *spec.shape)``.

        For classes, these are the results of :meth:`decode_prob`.
        """
        if isinstance(self.spec, Classification):
            return list(self.best_classes(outputs))
        return self.spec.decode(outputs, self.class_names(), self.top_probs)

    def check_output(self, inputs: Array) -> tuple[str, ...]:
        """Return warnings if the predictions for real images ``(N, H, W, C)`` contradict the assumed kind of output."""
        return ()

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

    def logits(self, inputs: Array) -> Array:
        """Return the scores ``(N, *spec.shape)``, float32: for a classifier, before the softmax or sigmoid."""
        return self._batched(self.batch_logits, inputs)

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

    def gradients(self, inputs: Array, targets: Sequence[Target | int]) -> Array:
        """Return d score / d input of T targets, ``(N, T, H, W, C)``, float32; all share the forward pass.

        The arguments are those of :meth:`values`.
        """
        return self._batched(lambda part: self.batch_gradients(part, self._cotangents(part, targets)), inputs)

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

    def feature_maps(self, inputs: Array, layer: str | None = None) -> Array:
        """Return the feature maps ``(N, h, w, c)``, float32, of a layer; by default the last one before the head."""
        return self._batched(lambda part: self.batch_feature_maps(part, self.layer(layer)), inputs)

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

    def _cotangents(self, inputs: Array, targets: Sequence[Target | int] | Classes) -> Array:
        """Return the gradients of the scores of T targets with respect to the logits, ``(n, T, *spec.shape)``."""
        known = [as_target(target) for target in targets]
        if all(target.linear for target in known):
            scores = np.broadcast_to(np.float32(0), (len(inputs), *self.spec.shape))
        else:
            scores = np.asarray(self.batch_logits(inputs), np.float32)
        return np.stack([target.cotangent(scores) for target in known], axis=1)

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

    def head(self) -> Head:
        """Return the last dense layer, which can be replaced in a copy of the model.

        Raises:
            ModelError: the model has no such layer, or its format can't be written.
        """
        raise ModelError(
            f"Only Keras models that end in a dense layer can be mended; this one is a {self.format or self.framework}."
        )

    def random_weights(self, seed: int = 0) -> RandomWeights:
        """Return a copy of the model whose weights can be replaced by random ones, from the output on.

        Args:
            seed: the seed of the random numbers.

        Raises:
            ModelError: the format or the class of the model gives no such copy.
        """
        raise ModelError(
            f"The weights of a {self.format or type(self).__name__} can't be replaced by random ones: its class has no "
            "random_weights()."
        )

    def compute_fast(self, *, fast: bool) -> None:
        """Compute predictions, logits and occlusion with bfloat16 from now on, or exactly; gradients always exactly."""

    # ---- description --------------------------------------------------------------------------------------

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of :attr:`files`, computed on first access; "" if load() set no files."""
        return provenance.fingerprint(self.files)

    def __repr__(self) -> str:
        """Return the class, the checkpoint, and the sizes of the input and the output."""
        size = " x ".join(map(str, self.input_shape))
        loaded = f"input {size}, {self.num_classes} outputs" if any(self.input_shape) else "not loaded"
        return f"<{' '.join(filter(None, [type(self).__name__, self.checkpoint]))}, {loaded}>"

    def card(self) -> ModelInfo:
        """Return the description of this model for pages, the API and results."""
        return ModelInfo(
            name=type(self).__name__,
            framework=self.framework,
            format=self.format or self.framework,
            checkpoint=self.checkpoint,
            checkpoint_time=self.checkpoint_time,
            input_shape=self.input_shape,
            classes=self.num_classes,
            capabilities=tuple(sorted(capability.value for capability in self.capabilities)),
            output=self.output_found,
            logits=self.logits_found,
            preprocessing=self.describe_preprocessing(),
            notes=self.notes + self.warnings(),
            fingerprint=self.fingerprint,
            versions=provenance.versions(),
            task=self.spec.as_dict(),
            guessed=self.guessed(),
            precision=self.precision,
        )

    def preprocesses_by_name(self) -> bool:
        """Tell whether views are encoded by :attr:`preprocessing` alone, without an overridden method."""
        return not (self._overrides("encode") or self._overrides("preprocess"))

    def encodes_by_pixel(self) -> bool:
        """Tell whether each input value is known to depend on one pixel only: encode() is Picasso's own."""
        return self.preprocesses_by_name() and type(self.preprocessing) is Preprocessing

    def describe_preprocessing(self) -> str:
        """Return a description of the preprocessing: :attr:`preprocessing`, or overridden methods."""
        if self._overrides("preprocess"):
            return "your function"
        described = self.preprocessing.describe()
        return f"{type(self).__name__}.view(), then {described}" if self._overrides("view") else described

    def warnings(self) -> tuple[str, ...]:
        """Return notes on assumptions that the user should confirm."""
        return (guess(),) if self._guesses_values() else ()

    def guessed(self) -> dict[str, str]:
        """Return what neither the files nor the user state, each with a note that says how to settle it."""
        guesses = {"value range": guess()} if self._guesses_values() else {}
        # If the class decides about the task, its note is no guess.
        if self.spec.note and self.reads_task and not hasattr(self, "decode_boxes"):
            # The note of a classifier is about the kind of its scores.
            known = self.task or (isinstance(self.spec, Classification) and not isinstance(self.spec, MultiLabel))
            guesses["meaning of the output" if known else "task"] = self.spec.note
        return guesses

    def _guesses_values(self) -> bool:
        """Tell whether nothing states the range of pixel values."""
        return not self.preprocessing.values and self.preprocesses_by_name()

    def views_by_name(self) -> bool:
        """Tell whether images are resized by :attr:`preprocessing`, without an overridden method."""
        return not self._overrides("view") and self.preprocesses_by_name()

    def _overrides(self, method: str) -> bool:
        """Tell whether a method is overridden, in a class or on this instance."""
        return getattr(getattr(self, method), "__func__", None) is not getattr(Model, method)

    def warm_up(self) -> None:
        """Predict one image of noise, so that the first real one does not wait for compilation.

        It also measures :attr:`noise`, :attr:`logit_noise` and, for fast arithmetic, :attr:`imprecision`.

        Raises:
            ModelError: preprocess() fails, or the number of class names differs from the number of classes.
        """
        # Imported here, because these modules import this one.
        from picasso.models import determinism, precision

        height, width, _ = self.input_shape
        if self.opens_images():
            # The type of the images of such a class is unknown.
            probe = np.zeros((1, *self.input_shape), np.float32)
        else:
            # Not a blank image: custom preprocessing may divide by the image's maximum or standard deviation.
            probe = self.inputs_of(determinism.probes(width, height)[:1])
        self.predict(probe)
        self._look_for_chance()
        precision.choose(self)
        names = len(self.class_names())
        if names != self.num_classes:
            raise ModelError(
                f"There are {names} class names for the {self.num_classes} classes of the model; the labels "
                f"({remedies.called('LABELS')} or class_names()) must provide one for each."
            )

    def _look_for_chance(self) -> None:
        """Measure whether repeated predictions of an image are equal, and add a note if they are not."""
        # Imported here, because that module imports this one.
        from picasso.models import determinism

        height, width, _ = self.input_shape
        try:
            inputs = self.inputs_of(determinism.probes(width, height))
            self.noise, self.logit_noise = determinism.differences(self, inputs)
        except PicassoError:
            # Overridden methods may reject such images.
            log.info("could not determine whether repeated predictions are equal", exc_info=True)
            return
        if self.noise or self.logit_noise:
            self.notes += (determinism.sentence(self.noise, self.logit_noise),)

    def _batched(self, answer: Callable[..., Array], inputs: Array, *others: NDArray[Any]) -> Array:
        """Call ``answer`` on batches of bounded size; for a fixed batch size, the last batch is padded with zeros."""
        inputs = self._valid(inputs)
        count, size = len(inputs), self.batch_size
        if self.fixed_batch:
            inputs, *others = (fill_up(array, size) for array in (inputs, *others))  # type: ignore[assignment]
        starts = range(0, max(1, len(inputs)), size)
        parts = [answer(inputs[i : i + size], *(other[i : i + size] for other in others)) for i in starts]
        return np.concatenate([np.asarray(part, np.float32) for part in parts])[:count]

    def _valid(self, inputs: Array) -> Array:
        """Return inputs as float32 if they have the shape ``(N, H, W, C)`` of the model."""
        inputs = np.asarray(inputs, np.float32)
        if inputs.shape[1:] != self.input_shape:
            shape = ", ".join(map(str, self.input_shape))
            raise ModelError(f"{type(self).__name__} takes inputs (N, {shape}), not {inputs.shape}.")
        return inputs

    def _wrong(self, what: str) -> ModelError:
        return ModelError(f"The model {type(self).__name__} ({self.checkpoint}) returned {what}.")


def are_classes(targets: Any) -> bool:
    """Tell whether indices of classes are given, not targets."""
    return not (len(targets) and isinstance(targets[0], Target))
