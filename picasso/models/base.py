"""What Picasso asks of a model: NumPy arrays in, NumPy arrays out, whatever the framework behind it."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso import remedies
from picasso.errors import ModelCodeError, ModelError, PicassoError, reason
from picasso.imaging import decode
from picasso.models import odds, provenance
from picasso.models.arrays import Array, Classes, Shape, fill_up
from picasso.models.framework import Framework
from picasso.models.info import Capability, Layer, ModelInfo, Prediction, as_prediction
from picasso.models.occlusion import Box, Occlusion, batches, covered
from picasso.models.preprocessing import Preprocessing, guess
from picasso.models.scan import Limits

log = logging.getLogger(__name__)


class Model(Framework):
    """An image classifier.

    Derive from :class:`picasso.models.keras.KerasModel` or :class:`picasso.models.tensorflow.TFModel` to bring
    your own, and override :meth:`preprocess` and :meth:`decode_prob` (or :meth:`class_names`) where yours
    differs. Another framework derives from this class and implements :meth:`load` and the ``batch_*`` methods.

    Arrays are float32, batch first, channels last: ``(N, H, W, C)`` for inputs, ``(N, K)`` for K classes.
    """

    framework = "custom"
    #: What kind of file it was loaded from, in words.
    format: str = ""
    capabilities: frozenset[Capability] = frozenset({Capability.PREDICTIONS})

    # Set by load().
    input_shape: Shape = (0, 0, 0)
    num_classes: int = 0
    checkpoint: str = ""
    checkpoint_time: str = ""
    #: The files, or folders of files, that it was loaded from; they are what :attr:`fingerprint` is made of.
    files: tuple[Path, ...] = ()
    logits_found: str = ""
    #: What the values of the output are taken for, in words.
    output_found: str = ""
    #: The only number of inputs that the model takes at once, or None where any will do.
    fixed_batch: int | None = None
    notes: tuple[str, ...] = ()
    #: By how much the probabilities and the logits of one image differ from one answer to the next, by chance or with
    #: the other images of a batch; 0 for a model that answers alike. warm_up() finds it out.
    noise: float = 0.0
    logit_noise: float = 0.0

    #: How much reading a model file may cost. Set before load(), which hands it to :func:`picasso.models.scan.require`.
    limits = Limits()
    #: How many megabytes the windows of an occlusion map may take at once, where only changes are computed.
    occlusion_mb = 150

    # How many classes decode_prob() lists; the original's name for it.
    top_probs = 5
    #: What the values of the output are, where the user says it: a word of :class:`~picasso.models.outputs.OutputKind`.
    output_kind: str = ""
    #: Whether load() takes notice of it.
    reads_output_kind: bool = False
    #: How images become inputs, where view(), encode() and preprocess() are not overridden.
    preprocessing = Preprocessing()
    #: The class names, where class_names() is not overridden.
    labels: tuple[str, ...] = ()

    @abstractmethod
    def load(self, *arguments: Any, **options: Any) -> None:
        """Load the model; each class names its own arguments, which the setting ``MODEL_LOAD_ARGS`` fills.

        Raises:
            ModelError: the files are missing, broken, or hold no image classifier.
        """

    # ---- images to numbers ------------------------------------------------------------------------------

    def open_image(self, source: bytes | NDArray[Any], name: str) -> Any:
        """Turn the bytes of a file, or an array handed in from Python, into what view() and preprocess() take.

        By default an upright PIL image in mode L or RGB. Override it for files that Pillow can't read and for more
        than four channels; then override :meth:`view`, for an image to draw maps over, and :meth:`preprocess` too.

        Args:
            source: all bytes of the file, or the array.
            name: what the user calls it, for messages.
        """
        return decode.read(source, name) if isinstance(source, bytes) else decode.from_array(source, name).image

    def opens_images(self) -> bool:
        """Tell whether :meth:`open_image` is a method of the user's."""
        return self._overrides("open_image")

    def opened(self, source: bytes | NDArray[Any], name: str) -> Any:
        """Return what :meth:`open_image` makes of a file or an array.

        Raises:
            ModelCodeError: it failed.
        """
        try:
            return self.open_image(source, name)
        except PicassoError:
            raise
        except Exception as error:
            why = f"open_image() of the model failed on {decode.display_name(name)}: {reason(error)}."
            raise ModelCodeError(why) from error

    def view(self, image: Image.Image) -> Image.Image:
        """Return the image as the model sees it: ``W x H`` pixels, grey or colour, nothing cropped away later.

        Maps are drawn over this image, and occlusion paints on it. By default :attr:`preprocessing` says how;
        override it where :meth:`preprocess` crops, pads or inverts in another way.
        """
        return self.preprocessing.view(image, self.input_shape)

    def encode(self, views: Sequence[Image.Image]) -> Array:
        """Turn images as the model sees them into its input ``(N, H, W, C)``, as :attr:`preprocessing` says.

        Where :meth:`preprocess` is overridden and this is not, it is taken to accept such images too.
        """
        if self._overrides("preprocess"):
            return np.asarray(self.preprocess(list(views)), np.float32)
        return self.preprocessing.encode(views, self.input_shape)

    def preprocess(self, raw_inputs: Sequence[Image.Image]) -> Array:
        """Turn any images, of any size and mode, into the model's input ``(N, H, W, C)`` float32."""
        return self.encode([self.view(image) for image in raw_inputs])

    def inputs_of(self, originals: Sequence[Any]) -> Array:
        """Return what :meth:`preprocess` makes of images, checked.

        Raises:
            ModelError: it failed (a ModelCodeError), or gave an array of another shape than the model takes.
        """
        try:
            inputs = np.asarray(self.preprocess(originals), np.float32)
        except PicassoError:
            raise
        except Exception as error:
            raise ModelCodeError(f"preprocess() of the model failed: {reason(error)}.") from error
        expected = (len(originals), *self.input_shape)
        if inputs.shape != expected:
            raise ModelError(f"preprocess() of the model gave an array of shape {inputs.shape}, not {expected}.")
        return inputs

    def takes_values(self, values: str, why: str) -> None:
        """Note for which pixel values the model's file says that it was made, unless the user said something else.

        Args:
            values: a key of :data:`picasso.models.preprocessing.RANGES`.
            why: how the file says so, such as "the model rescales its input itself".
        """
        if not self.preprocessing.values:
            self.preprocessing = replace(self.preprocessing, values=values, evidence=why)
        elif self.preprocessing.values != values and self.preprocesses_by_name():
            self.notes += (
                f"{why[0].upper()}{why[1:]}, as pixel values {values} need it, and preprocessing makes them "
                f"{self.preprocessing.values} before: if the model was trained on plain pixel values, say {values}.",
            )

    def takes_integers(self, limits: tuple[int, int]) -> None:
        """Note that the model's input takes integers from the one to the other, which are plain pixel values."""
        self.takes_values("-128..127" if limits[0] == -128 else "0..255", "the input of the model takes integers")

    def shape_of_preprocess(self) -> Shape | None:
        """Return the shape ``(H, W, C)`` that :meth:`preprocess` of a class makes of images of any size.

        None where it is not overridden, fails on blank images, or gives another shape for another size. A class may
        also say ``input_shape`` itself.
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

    # ---- numbers to classes -------------------------------------------------------------------------------

    def class_names(self) -> Sequence[str]:
        """Return the K class names in the order of the output; by default the labels, else ``"0"``, ``"1"``, ..."""
        return self.labels or [str(index) for index in range(self.num_classes)]

    def decode_prob(self, class_probabilities: NDArray[Any]) -> list[list[Prediction]]:
        """Return per row of ``(N, K)`` probabilities its :attr:`top_probs` classes, the most probable first."""
        names = self.class_names()
        # Stable, so that equal probabilities keep the order of the output.
        order = np.argsort(-class_probabilities, axis=1, kind="stable")[:, : self.top_probs]
        return [
            [Prediction(index=int(k), name=names[k], prob=float(row[k])) for k in best]
            for row, best in zip(class_probabilities, order, strict=True)
        ]

    def best_classes(self, probabilities: Array) -> list[tuple[Prediction, ...]]:
        """Return what :meth:`decode_prob` gives, checked and with numbers as numbers.

        Raises:
            ModelError: it gave another number of rows, or entries without index, name and prob.
        """
        decoded = self.decode_prob(probabilities)
        try:
            rows = [tuple(as_prediction(one) for one in row) for row in decoded]
        except (TypeError, KeyError, ValueError) as error:
            wanted = "a list of index, name and prob for each image"
            raise ModelError(f"decode_prob() of the model must give {wanted}: {reason(error)}.") from error
        if len(rows) != len(probabilities) or not all(rows):
            raise ModelError(f"decode_prob() of the model gave {len(rows)} lists for {len(probabilities)} images.")
        return rows

    # ---- answers ------------------------------------------------------------------------------------------

    @property
    def batch_size(self) -> int:
        """Return how many inputs go through the model at once; more for small ones, never an unbounded amount."""
        return self.fixed_batch or int(np.clip(2_500_000 // max(1, int(np.prod(self.input_shape))), 16, 256))

    def predict(self, inputs: Array) -> Array:
        """Return the class probabilities ``(N, K)``, in 0..1.

        Raises:
            ModelError: the model answered another shape, NaN, or values that are no probabilities.
        """
        result = self._batched(self.batch_probabilities, inputs)
        if result.shape != (len(inputs), self.num_classes):
            raise self._wrong(f"an array of shape {result.shape} where ({len(inputs)}, {self.num_classes}) was due")
        if not np.isfinite(result).all():
            raise self._wrong("values that are not finite numbers")
        if result.min(initial=0) < -1e-4 or result.max(initial=0) > 1 + 1e-4:
            raise self._wrong(f"values from {result.min():.3g} to {result.max():.3g}, which are no probabilities")
        return result

    def check_output(self, inputs: Array) -> tuple[str, ...]:
        """Return what the answers to real images ``(N, H, W, C)`` say against what the output was taken for."""
        return ()

    def occlude(self, image: Array, fill: Array, boxes: Sequence[Box]) -> Occlusion:
        """Return the class probabilities behind many windows, as they come, in any order.

        Args:
            image: an input ``(H, W, C)``.
            fill: what is seen in a window, ``(H, W, C)``: plain paint, or another image.
            boxes: the windows as (left, top, right, bottom) in pixels, none of them empty.
        """
        parts = (
            (members, self.predict(covered(image, fill, [boxes[index] for index in members])))
            for members in batches(len(boxes), self.batch_size)
        )
        return Occlusion(parts, "a whole image for each window")

    def occlusion_passes(self, boxes: Sequence[Box]) -> float:
        """Return how many whole images :meth:`occlude` is worth for windows."""
        return len(boxes)

    def log_odds(self, probabilities: Array, classes: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the log-odds of some classes from answers of this model; see :func:`picasso.models.odds.log_odds`."""
        return odds.log_odds(probabilities, classes)

    def logits(self, inputs: Array) -> Array:
        """Return the scores ``(N, K)`` before the softmax or sigmoid."""
        return self._batched(self.batch_logits, inputs)

    def input_gradients(self, inputs: Array, classes: Sequence[int] | Classes) -> Array:
        """Return d logit[class] / d input.

        Args:
            inputs: ``(N, H, W, C)``.
            classes: one class per input, for gradients ``(N, H, W, C)``; or k of them per input, ``(N, k)``, for
                gradients ``(N, k, H, W, C)``, which takes less time than asking k times.
        """
        chosen = np.asarray(classes, np.int64)
        answer = self.batch_class_gradients if chosen.ndim == 2 else self.batch_input_gradients
        return self._batched(answer, inputs, chosen)

    def guided_gradients(self, inputs: Array, classes: Classes) -> Array:
        """Return d logit[class] / d input for k classes per input, ``(N, k, H, W, C)``, by guided backpropagation.

        Springenberg et al., arXiv 1412.6806: on the way back, rectifiers (ReLU) let positive gradients pass only.

        Raises:
            ModelError: the model has no rectifiers, or they can't be got at.
        """
        return self._batched(self.batch_guided_gradients, inputs, np.asarray(classes, np.int64))

    def feature_maps(self, inputs: Array, layer: str | None = None) -> Array:
        """Return the feature maps ``(N, h, w, c)`` of a layer, by default the last before the head."""
        return self._batched(lambda part: self.batch_feature_maps(part, self.layer(layer)), inputs)

    def feature_gradients(self, inputs: Array, classes: Sequence[int] | Classes, layer: str | None = None) -> Array:
        """Return d logit[class] / d feature map, ``(N, h, w, c)``, for a layer as in :meth:`feature_maps`."""
        name = self.layer(layer)
        chosen = np.asarray(classes, np.int64)
        return self._batched(lambda part, k: self.batch_feature_gradients(part, k, name), inputs, chosen)

    def layers(self) -> Sequence[Layer]:
        """Return the layers that have feature maps, first to last."""
        return []

    def layer(self, name: str | None) -> str:
        """Return ``name`` if it is a layer with feature maps, or the default layer's name for None."""
        layers = self.layers()
        for candidate in layers:
            if candidate.name == name or (name is None and candidate.default):
                return candidate.name
        if not layers:
            raise ModelError(f"{type(self).__name__} has no layer with feature maps.")
        raise ModelError(f"There is no layer {name!r}; the layers are {', '.join(one.name for one in layers)}.")

    # ---- who it is ----------------------------------------------------------------------------------------

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of :attr:`files` as they were when this was first asked; "" where load() named none."""
        return provenance.fingerprint(self.files)

    def card(self) -> ModelInfo:
        """Return what pages, the API and results show of this model."""
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
            notes=self.notes + self.doubts(),
            fingerprint=self.fingerprint,
            versions=provenance.versions(),
        )

    def preprocesses_by_name(self) -> bool:
        """Tell whether :attr:`preprocessing` alone turns views into inputs, rather than a method of the user's."""
        return not (self._overrides("encode") or self._overrides("preprocess"))

    def encodes_by_pixel(self) -> bool:
        """Tell whether encode() is known to make each number of one pixel only: it is Picasso's own."""
        return self.preprocesses_by_name() and type(self.preprocessing) is Preprocessing

    def describe_preprocessing(self) -> str:
        """Say how an image becomes an input: by :attr:`preprocessing`, or by methods of the class."""
        if self._overrides("preprocess"):
            return "a function of yours"
        described = self.preprocessing.describe()
        return f"{type(self).__name__}.view(), then {described}" if self._overrides("view") else described

    def doubts(self) -> tuple[str, ...]:
        """Return what is a guess and should be confirmed by the user."""
        return () if self.preprocessing.values or not self.preprocesses_by_name() else (guess(),)

    def _overrides(self, method: str) -> bool:
        """Tell whether a method was replaced, in a class or on this very model."""
        return getattr(getattr(self, method), "__func__", None) is not getattr(Model, method)

    def warm_up(self) -> None:
        """Answer one image of noise, so that the first real one does not wait for compilation.

        Raises:
            ModelError: preprocess() fails, or the number of class names differs from the number of classes.
        """
        # Here, because it takes a model.
        from picasso.models import determinism

        height, width, _ = self.input_shape
        if self.opens_images():
            # Nobody knows here what such a class opens.
            probe = np.zeros((1, *self.input_shape), np.float32)
        else:
            # Not an empty one: models that divide by an image's own maximum or deviation have no answer to it.
            probe = self.inputs_of(determinism.probes(width, height)[:1])
        self.predict(probe)
        if Capability.GRADIENTS in self.capabilities:
            self.input_gradients(probe, [0])
        self._look_for_chance()
        names = len(self.class_names())
        if names != self.num_classes:
            raise ModelError(
                f"There are {names} class names for the {self.num_classes} classes of the model; the labels "
                f"({remedies.called('LABELS')} or class_names()) need one for each."
            )

    def _look_for_chance(self) -> None:
        """Find out whether the same image is answered alike, and note where it is not."""
        # Here, because it takes a model.
        from picasso.models import determinism

        height, width, _ = self.input_shape
        try:
            inputs = self.inputs_of(determinism.probes(width, height))
            self.noise, self.logit_noise = determinism.differences(self, inputs)
        except PicassoError:
            # A function of the user's may refuse such images.
            log.info("whether the model answers alike could not be found out", exc_info=True)
            return
        if self.noise or self.logit_noise:
            self.notes += (determinism.sentence(self.noise, self.logit_noise),)

    def _batched(self, answer: Callable[..., Array], inputs: Array, *others: NDArray[Any]) -> Array:
        """Answer any number of inputs in batches of bounded size; one of a fixed size is filled up and cut."""
        inputs = np.asarray(inputs, np.float32)
        if inputs.shape[1:] != self.input_shape:
            shape = ", ".join(map(str, self.input_shape))
            raise ModelError(f"{type(self).__name__} takes inputs (N, {shape}), not {inputs.shape}.")
        count, size = len(inputs), self.batch_size
        if self.fixed_batch:
            inputs, *others = (fill_up(array, size) for array in (inputs, *others))  # type: ignore[assignment]
        starts = range(0, max(1, len(inputs)), size)
        parts = [answer(inputs[i : i + size], *(other[i : i + size] for other in others)) for i in starts]
        return np.concatenate([np.asarray(part, np.float32) for part in parts])[:count]

    def _wrong(self, what: str) -> ModelError:
        return ModelError(f"The model {type(self).__name__} ({self.checkpoint}) answered {what}.")
