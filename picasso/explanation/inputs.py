"""From images to model inputs: reading, naming, preprocessing, predicting, and rendering the model's view."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso.config import IMAGES
from picasso.errors import BadRequest, reason
from picasso.imaging import decode
from picasso.imaging.pixels import HIGHEST_16_BIT
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.targets import Classification, Context, OutputSpec, Prediction, Target, Wanted
from picasso.visualizations.base import Input

UNFAITHFUL = (
    "preprocess() changes this image in a way that view() does not show, so the image below is rendered from the "
    "model's input array. Override view() in your model class to show the image itself."
)

#: Returns the output of the model for an image by its name.
Other = Callable[[str], Array]
#: The accepted sources: a file or folder, the bytes of a file, a PIL image, or an array of NumPy or of any library
#: whose arrays NumPy can read (tensors).
Source = Any


@dataclass(frozen=True)
class NamedImage:
    """An image with its name.

    Attributes:
        name: its display name.
        image: an upright PIL image, or the return value of the model's ``open_image``.
        notes: notes for the user on how it was read.
    """

    name: str
    image: Any
    notes: tuple[str, ...] = ()


def names_of(files: Sequence[str | Path]) -> list[str]:
    """Return the display names of files: the last part of their paths, with as many folders as needed to be unique.

    The same file given twice has the same name.
    """
    paths = [Path(os.path.abspath(file)).parts for file in files]  # noqa: PTH100 - links have names of their own
    lengths = dict.fromkeys(paths, 1)
    while True:
        called: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for path, length in lengths.items():
            called.setdefault(path[-length:], []).append(path)
        alike = [path for group in called.values() if len(group) > 1 for path in group]
        if not alike:
            return ["/".join(path[-lengths[path] :]) for path in paths]
        for path in alike:
            lengths[path] = min(lengths[path] + 1, len(path))


def named(sources: Sequence[Source]) -> list[str | None]:
    """Return the names of the sources that are files; None for the others."""
    names = iter(names_of([source for source in sources if isinstance(source, str | Path)]))
    return [next(names) if isinstance(source, str | Path) else None for source in sources]


def expand(images: Any, model: Model | None = None) -> Iterator[Source]:
    """Yield the single images in one or several sources, including folders and batches.

    Args:
        images: a :data:`Source`, a batch ``(N, H, W, C)`` or ``(N, H, W)``, or an iterable of these.
        model: the model, if known, which distinguishes a grey batch from an image with many channels.

    Raises:
        BadRequest: a folder has no images, or a source is not an image.
    """
    if isinstance(images, str | Path):
        yield from files_in(Path(images), model) if Path(images).is_dir() else [images]
    elif isinstance(images, bytes | Image.Image):
        yield images
    elif isinstance(images, bytearray | memoryview):
        yield bytes(images)
    elif callable(getattr(images, "read", None)):
        yield images.read()
    elif hasattr(images, "__array__"):
        array = as_array(images)
        yield from of_one_range(array) if is_batch(array, model) else [array]
    elif isinstance(images, Iterable):
        for one in images:
            yield from expand(one, model)
    else:
        raise BadRequest(
            f"A {type(images).__name__} is not an image. Pass file names, folders, PIL images or (H, W, 3) arrays."
        )


def files_in(folder: Path, model: Model | None) -> list[Path]:
    """Return the images in a folder and its subfolders, sorted; all files if the model opens images itself."""
    own = model is not None and model.opens_images()
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.startswith(".") and (own or file.suffix.lower() in IMAGES)
    ]
    if not files:
        raise BadRequest(f"There are no images in the folder {folder}. Supported extensions: {', '.join(IMAGES)}.")
    return files


def as_array(source: Any) -> NDArray[Any]:
    """Convert an array or a tensor to a NumPy array."""
    try:
        return np.asarray(source)
    except Exception as error:
        raise BadRequest(f"A {type(source).__name__} can't be read as an array: {reason(error)}.") from error


def of_one_range(batch: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the images of a batch so that a dark 16-bit one, with no value above 255, is not mistaken for 8-bit."""
    wide = batch.dtype.kind in "iu" and batch.size and 255 < batch.max() <= HIGHEST_16_BIT and batch.min() >= 0
    for image in batch:
        yield image / np.float64(HIGHEST_16_BIT) if wide and image.max() <= 255 else image


def is_batch(array: NDArray[Any], model: Model | None) -> bool:
    """Tell whether an array is a batch: ``(N, H, W, C)``, or ``(N, H, W)`` with the input size of a grey model."""
    if array.ndim == 3 and model:
        height, width, channels = model.input_shape
        return channels == 1 and array.shape[1:] == (height, width) and array.shape[2] not in (1, 3, 4)
    return array.ndim == 4


def image_from(source: Source, index: int, name: str | None = None, model: Model | None = None) -> NamedImage:
    """Return a single source as an upright image with a name.

    Args:
        source: a single source; see :func:`expand`.
        index: its index, which is used as a name if it has none.
        name: its display name, such as that of a file whose name is not unique.
        model: the model, which opens the image if its class implements ``open_image``.

    Raises:
        BadRequest, UnsupportedImage, TooLarge: see :func:`picasso.imaging.decode.decode`.
        ModelCodeError: ``open_image`` of the model failed.
    """
    called = name or f"image {index}"
    if isinstance(source, str | Path):
        called = name or Path(source).name
        try:
            source = Path(source).read_bytes()
        except OSError as error:
            # The name, if there is one: visitors should not see the folders of a server.
            raise BadRequest(f"The image {name or source} can't be read: {error.strerror}.") from error
    if model and model.opens_images() and not isinstance(source, Image.Image):
        body = source if isinstance(source, bytes) else as_array(source)
        return NamedImage(called, model.opened(body, called))
    if isinstance(source, bytes):
        decoded = decode.decode(source, called)
    elif isinstance(source, Image.Image):
        decoded = decode.from_image(source, called)
    else:
        decoded = decode.from_array(as_array(source), f"Image {index}")
    return NamedImage(called, decoded.image, decoded.notes)


def stored(path: str | Path, model: Model) -> Any:
    """Return an image that was validated and stored as a PNG, in the form that ``model`` requires.

    Raises:
        FileNotFoundError: it does not exist any more.
        ModelCodeError: ``open_image`` of the model failed.
    """
    if model.opens_images():
        return model.opened(Path(path).read_bytes(), Path(path).name)
    with Image.open(path) as image:
        image.load()
        return image


def as_seen(model: Model, image: NamedImage) -> tuple[Array, Image.Image]:
    """Return the model's input ``(H, W, C)`` for an image, and the image as the model sees it.

    If preprocessing the view does not reproduce the input, the returned image is a rendering of the input.
    """
    view, array = model.view(image.image), model.inputs_of([image.image])[0]
    faithful = model.opens_images() or gives(array, model.encode([view])[0])
    return array, view if faithful else visible(array)


def gives(array: Array, again: Array) -> bool:
    """Tell whether an input equals the preprocessed view up to rounding."""
    return bool(np.allclose(array, again, atol=1e-3 * max(1.0, float(np.ptp(array)))))


def prepare(
    model: Model, images: Sequence[NamedImage], wanted: Sequence[Wanted] = (), other: Other | None = None
) -> list[Input]:
    """Preprocess the images, predict, choose the targets of each, and render each as the model sees it.

    Args:
        model: the model.
        images: the images.
        wanted: the targets that the user chose; none for those that the predictions suggest.
        other: returns the output of the model for another image by its name; by default, ``images`` are searched.

    Raises:
        BadRequest: the model has no such target.
    """
    originals = [image.image for image in images]
    arrays = model.inputs_of(originals)
    outputs = model.predict(arrays)
    best, names = model.decode(outputs), [str(name) for name in model.class_names()]
    views = [model.view(original) for original in originals]
    # Images opened by such a class may have more channels than a view, so a view can't reproduce the input.
    own = model.opens_images()
    encoded = arrays if own else model.encode(views)
    among = {image.name: output for image, output in zip(images, outputs, strict=True)}
    inputs = []
    for index, (image, array, again, view) in enumerate(zip(images, arrays, encoded, views, strict=True)):
        faithful = gives(array, again)
        shown = view if faithful else visible(array)
        notes = image.notes if faithful else (*image.notes, UNFAITHFUL)
        original = image.image if isinstance(image.image, Image.Image) else view
        exact = faithful and not own
        context = Context(outputs[index], names, shown.size, other or named_output(among), model.top_probs)
        targets, missing = targets_of(model.spec, wanted, best[index], context)
        # If only some of several images have a target, the others are explained without it.
        if missing and len(images) == 1 and not targets:
            raise missing[0]
        notes = (*notes, *(error.message for error in missing))
        inputs.append(Input(image.name, original, shown, array, (), exact, best[index], notes, targets, outputs[index]))
    return inputs


def targets_of(
    spec: OutputSpec, wanted: Sequence[Wanted], best: Sequence[Prediction], context: Context
) -> tuple[tuple[Target, ...], list[BadRequest]]:
    """Return the targets of an image, and why it does not have the others that the user chose.

    Args:
        spec: what the output means.
        wanted: the targets that the user chose; none for those that the predictions suggest.
        best: the predictions of the image.
        context: what the targets may refer to.
    """
    found, missing = [], []
    for one in wanted:
        try:
            found.append(spec.target(one, context))
        except BadRequest as error:
            # A class that the model lacks is wrong for all images.
            if isinstance(spec, Classification):
                raise
            missing.append(error)
    return (tuple(found) if wanted else spec.defaults(best, context)), missing


def named_output(outputs: Mapping[str, Array]) -> Other:
    """Return a function from the name of an image to its output."""

    def other(name: str) -> Array:
        if name not in outputs:
            raise BadRequest(f"There is no image {name[:60]!r} among these images.", field="target")
        return outputs[name]

    return other


def visible(array: Array) -> Image.Image:
    """Return a model's input ``(H, W, C)`` as an image, its smallest value black and its largest white."""
    low, span = float(array.min()), float(np.ptp(array)) or 1.0
    pixels = np.round((array - low) / span * 255).astype(np.uint8)
    return Image.fromarray(pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0])
