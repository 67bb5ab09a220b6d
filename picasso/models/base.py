"""The interface of a model: it takes and returns NumPy arrays, independent of the framework."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.errors import ModelError
from picasso.imaging import decode
from picasso.models import description, provenance, user_methods, warming_up
from picasso.models.arrays import Array, Shape
from picasso.models.head import Head
from picasso.models.info import ModelInfo
from picasso.models.layered_model import LayeredModel
from picasso.models.preprocessing import Preprocessing, guess
from picasso.models.scan import Limits
from picasso.targets import Classification, Prediction

if TYPE_CHECKING:
    from picasso.models.precision import Difference
    from picasso.models.random_weights import RandomWeights


class Model(LayeredModel):
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
    checkpoint_time: str = ""
    #: The files or folders that it was loaded from; :attr:`fingerprint` is computed from them.
    files: tuple[Path, ...] = ()
    logits_found: str = ""
    #: A description of how the values of the output are interpreted.
    output_found: str = ""
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

    @abstractmethod
    def load(self, *arguments: Any, **options: Any) -> None:
        """Load the model. Each class defines its own arguments, which come from the setting ``MODEL_LOAD_ARGS``.

        Raises:
            ModelError: the files are missing, broken, or contain no image classifier.
        """

    def warm_up(self) -> None:
        """Predict one image of noise, so that the first real one does not wait for compilation.

        It also measures :attr:`noise`, :attr:`logit_noise` and, for fast arithmetic, :attr:`imprecision`.

        Raises:
            ModelError: preprocess() fails, or the number of class names differs from the number of classes.
        """
        warming_up.warm_up(self)

    # ---- opening and preprocessing images ----------------------------------------------------------------

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
        return user_methods.open_image(self, source, name)

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
        return user_methods.preprocess(self, originals)

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
        return user_methods.shape_of_preprocess(self) if self._overrides("preprocess") else None

    def preprocesses_by_name(self) -> bool:
        """Tell whether views are encoded by :attr:`preprocessing` alone, without an overridden method."""
        return not (self._overrides("encode") or self._overrides("preprocess"))

    def encodes_by_pixel(self) -> bool:
        """Tell whether each input value is known to depend on one pixel only: encode() is Picasso's own."""
        return self.preprocesses_by_name() and type(self.preprocessing) is Preprocessing

    def views_by_name(self) -> bool:
        """Tell whether images are resized by :attr:`preprocessing`, without an overridden method."""
        return not self._overrides("view") and self.preprocesses_by_name()

    def _overrides(self, method: str) -> bool:
        """Tell whether a method is overridden, in a class or on this instance."""
        return getattr(getattr(self, method), "__func__", None) is not getattr(Model, method)

    # ---- what the output means ---------------------------------------------------------------------------

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
        return user_methods.decode_prob(self, probabilities)

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

    # ---- copies and arithmetic ---------------------------------------------------------------------------

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

    # ---- description -------------------------------------------------------------------------------------

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
        return description.card(self)

    def describe_preprocessing(self) -> str:
        """Return a description of the preprocessing: :attr:`preprocessing`, or overridden methods."""
        if self._overrides("preprocess"):
            return "your function"
        described = self.preprocessing.describe()
        return f"{type(self).__name__}.view(), then {described}" if self._overrides("view") else described

    def warnings(self) -> tuple[str, ...]:
        """Return notes on assumptions that the user should confirm."""
        return (guess(),) if description.guesses_values(self) else ()

    def guessed(self) -> dict[str, str]:
        """Return what neither the files nor the user state, each with a note that says how to settle it."""
        return description.guessed(self)
