"""Preprocessing of images by keywords: resizing, cropping, scaling of pixel values, and the order of channels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from PIL import Image

from picasso import remedies
from picasso.errors import ConfigurationError, ModelError
from picasso.models.arrays import Array, Shape

# The mean and deviation of each value range: pixel values 0..255 become (value - mean) / deviation. There is one number
# for all channels, or one for each of R, G and B. -1..1, torch and caffe are Keras' modes tf, torch and caffe; caffe
# also reverses the channels to B, G, R. -128..127 is the range of signed bytes.
RANGES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "0..1": ((0.0,), (255.0,)),
    "0..255": ((0.0,), (1.0,)),
    "-1..1": ((127.5,), (127.5,)),
    "torch": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "caffe": ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
    "-128..127": ((128.0,), (1.0,)),
}
Box = tuple[float, float, float, float]

RESIZES = ("stretch", "fit", "crop")
ORDERS = ("rgb", "bgr")
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
ALIASES = {"tf": "-1..1", "imagenet": "torch", "area": "box"}
# The maximum side of a resized image in pixels; no network takes larger inputs.
MAX_SIDE = 10_000
# The maximum number of pixels that a whole image is resized to.
MAX_PIXELS = 16_000_000
# The filters that can be used without antialiasing.
POINTWISE = ("nearest", "bilinear", "bicubic")
NUMBER = re.compile(r"[0-9]*\.?[0-9]+(/[0-9]*\.?[0-9]+)?")


def guess() -> str:
    """Return the note for a value range that is a guess."""
    how = remedies.setting("PREPROCESS", "-1..1")
    return (
        "The value range 0..1 is a guess. If the model was trained on other pixel values, its predictions are "
        f"meaningless: set the right range, such as {how}, or 0..255, torch or caffe."
    )


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of images to inputs of a given shape.

    Attributes:
        values: the value range, a key of :data:`RANGES`; "" if it is not known, which means 0..1.
        resize: ``stretch`` to the input size, ``fit`` into it with black bars, or ``crop`` the centre.
        filter: the resampling filter, a key of :data:`FILTERS`.
        antialias: True to average over all pixels when an image is reduced, as in Pillow and torchvision; False to use
            only the nearest pixels, as ``tf.image.resize`` does by default.
        cropped: for ``crop``, the fraction of the resized image's shorter side that is kept ("0.875", "224/256"), or
            the length of that side in pixels before cropping ("256"); "" keeps all of it.
        order: the order of the channels, ``rgb`` or ``bgr``; "" is that of the value range, which is ``bgr`` for caffe.
        evidence: the evidence for ``values``, if they come from the model's file and not from the user.
    """

    values: str = ""
    resize: str = "stretch"
    filter: str = "bicubic"
    antialias: bool = True
    cropped: str = ""
    order: str = ""
    evidence: str = ""

    @classmethod
    def parse(cls, text: str) -> Preprocessing:
        """Parse keywords such as ``"-1..1 bilinear crop 0.875"``, in any order; each is optional.

        Raises:
            ConfigurationError: a keyword is unknown, or two of them contradict each other.
        """
        chosen: dict[str, str] = {}
        for word in text.split():
            name = ALIASES.get(word, word)
            kind = kind_of(name)
            if not kind:
                known = ", ".join([*RANGES, *ALIASES, *ORDERS, *RESIZES, *FILTERS, "noantialias"])
                raise wrong(f"Unknown preprocessing {word!r}. The keywords are {known}, and a number after crop.")
            if kind in chosen:
                raise wrong(f"Preprocessing can't be both {chosen[kind]} and {word}; choose one.")
            chosen[kind] = name
        if "cropped" in chosen:
            check_crop(chosen)
        antialias = chosen.pop("antialias", "") == ""
        if not antialias and chosen.get("filter", "bicubic") not in POINTWISE:
            raise wrong(f"{chosen['filter']} always antialiases; noantialias works only with {', '.join(POINTWISE)}.")
        return cls(**chosen, antialias=antialias)

    def view(self, image: Image.Image, shape: Shape) -> Image.Image:
        """Return the image resized to ``shape`` (H, W, C), in mode L for one channel and RGB for three.

        Raises:
            ModelError: the number of channels is neither 1 nor 3, or the input is larger than the resized image that
                it is cropped from.
        """
        height, width, channels = shape
        if channels not in (1, 3):
            raise ModelError(
                f"The model takes {channels} channels; override view() and encode() in a model class to say how an "
                "image becomes its input."
            )
        mode = "L" if channels == 1 else "RGB"
        image = image if image.mode == mode else image.convert(mode)
        size = (width, height)
        if self.resize == "crop":
            return self._cropped(image, size) if self.cropped else self._resized(image, size, largest(image.size, size))
        if self.resize == "fit":
            smaller = min(width / image.width, height / image.height)
            inside = max(1, round(image.width * smaller)), max(1, round(image.height * smaller))
            fitted = Image.new(mode, size)
            fitted.paste(
                self._resized(image, inside), (round((width - inside[0]) / 2), round((height - inside[1]) / 2))
            )
            return fitted
        return self._resized(image, size)

    def part(self, size: tuple[int, int], shape: Shape) -> Box:
        """Return the rectangle of an image of ``size`` (W, H), in its pixels, that :meth:`view` shows.

        With bars (``fit``), it is larger than the image.
        """
        (width, height), (high, wide, _) = size, shape
        if self.resize == "crop" and not self.cropped:
            return largest(size, (wide, high))
        # The size to which the image is resized, and where the view begins in it.
        full, left, top = (wide, high), 0, 0
        if self.resize == "crop":
            full = self._before_cropping(size, (wide, high))
            left, top = round((full[0] - wide) / 2), round((full[1] - high) / 2)
        elif self.resize == "fit":
            smaller = min(wide / width, high / height)
            full = max(1, round(width * smaller)), max(1, round(height * smaller))
            left, top = -round((wide - full[0]) / 2), -round((high - full[1]) / 2)
        across, down = width / full[0], height / full[1]
        return left * across, top * down, (left + wide) * across, (top + high) * down

    def _cropped(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        """Resize an image and crop its centre, as torchvision's Resize and CenterCrop do."""
        new = self._before_cropping(image.size, size)
        if new[0] < size[0] or new[1] < size[1]:
            raise ModelError(
                f"Preprocessing crops {size[0]} x {size[1]} pixels out of {new[0]} x {new[1]}; specify a larger "
                "number after crop."
            )
        left, top = (round((full - part) / 2) for full, part in zip(new, size, strict=True))
        if new[0] * new[1] <= MAX_PIXELS:
            return self._resized(image, new).crop((left, top, left + size[0], top + size[1]))
        # An elongated image might not fit into memory after resizing. Resizing only the centre is equal up to rounding.
        per_x, per_y = image.width / new[0], image.height / new[1]
        right, bottom = min((left + size[0]) * per_x, image.width), min((top + size[1]) * per_y, image.height)
        return self._resized(image, size, (left * per_x, top * per_y, right, bottom))

    def _before_cropping(self, size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) to which an image is resized before cropping."""
        (width, height), (wide, high), number = size, target, fraction(self.cropped)
        if number > 1:
            across, side = width <= height, int(number)
        else:
            across = wide * height >= high * width
            side = int((wide if across else high) / number)
        return (side, side * height // width) if across else (side * width // height, side)

    def _resized(self, image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
        """Return the part ``box`` of an image, or all of it, resized to ``size`` (W, H)."""
        method = FILTERS[self.filter]
        whole = (0.0, 0.0, float(image.width), float(image.height))
        if box in (None, whole) and size == image.size:
            return image
        if self.antialias or self.filter == "nearest":
            return image.resize(size, method, box)
        left, top, right, bottom = box or whole
        steps = ((right - left) / size[0], 0, left, 0, (bottom - top) / size[1], top)
        # In float, because Pillow truncates fractions of byte values here.
        bands = [band.convert("F").transform(size, Image.Transform.AFFINE, steps, method) for band in image.split()]
        rounded = [np.clip(np.rint(np.asarray(band)), 0, 255).astype(np.uint8) for band in bands]
        return Image.merge(image.mode, [Image.fromarray(band) for band in rounded])

    def encode(self, views: Sequence[Image.Image], shape: Shape) -> Array:
        """Return the input ``(N, H, W, C)``, float32, of images that have the model's input size.

        Raises:
            ModelError: the value range is defined for colour images, and the model takes grey ones.
        """
        mean, deviation = RANGES[self.values or "0..1"]
        if len(mean) > shape[2]:
            raise ModelError(f"The value range {self.values} is for colour images; this model expects grey ones.")
        pixels = np.stack([np.asarray(view, np.float32) for view in views]).reshape(len(views), *shape)
        pixels -= np.asarray(mean, np.float32)
        pixels /= np.asarray(deviation, np.float32)
        return np.ascontiguousarray(pixels[..., ::-1]) if self.channels() == "bgr" else pixels

    def channels(self) -> str:
        """Return the order of the channels, ``rgb`` or ``bgr``."""
        return self.order or ("bgr" if self.values == "caffe" else "rgb")

    def keywords(self) -> str:
        """Return the keywords that :meth:`parse` reads as this preprocessing, without those that are the default.

        Examples:
            >>> from picasso.models.preprocessing import Preprocessing
            >>> Preprocessing.parse("bilinear crop 0.875 imagenet rgb").keywords()
            'torch crop 0.875 bilinear'
        """
        order = self.order if self.order and replace(self, order="").channels() != self.order else ""
        resize = f"crop {self.cropped}" if self.cropped else "" if self.resize == "stretch" else self.resize
        by = "" if self.filter == "bicubic" else self.filter
        return " ".join(filter(None, (self.values, order, resize.strip(), by, "" if self.antialias else "noantialias")))

    def describe(self) -> str:
        """Return a short description of the preprocessing, with the evidence for the value range."""
        resized = f"{self.resize} {self.cropped}".rstrip()
        plain = "" if self.antialias else " without antialiasing"
        # The default, bicubic with antialiasing, is not mentioned.
        by = f", {self.filter}{plain}" if plain or self.filter != "bicubic" else ""
        known = f" ({self.evidence})" if self.evidence else "" if self.values else " (a guess)"
        order = f", {self.order.upper()}" if self.order else ""
        return f"{resized}{by}, values {self.values or '0..1'}{known}{order}"


def largest(size: tuple[int, int], target: tuple[int, int]) -> Box:
    """Return the largest centred box of an image of ``size`` with the aspect ratio of ``target``, in pixels."""
    (width, height), (wide, high) = size, target
    across, down = min(1.0, height * wide / (width * high)), min(1.0, width * high / (height * wide))
    left, top = width * (1 - across) / 2, height * (1 - down) / 2
    return left, top, width - left, height - top


def kind_of(word: str) -> str:
    """Return the attribute of :class:`Preprocessing` that a keyword sets, or "" if it is unknown."""
    kinds = {"values": RANGES, "order": ORDERS, "resize": RESIZES, "filter": FILTERS, "antialias": ("noantialias",)}
    found = next((kind for kind, words in kinds.items() if word in words), "")
    return found or ("cropped" if NUMBER.fullmatch(word) else "")


def check_crop(chosen: Mapping[str, str]) -> None:
    """Raise a ConfigurationError if the number among some keywords is not a valid size of the crop."""
    number, resize = chosen["cropped"], chosen.get("resize", "stretch")
    if resize != "crop":
        raise wrong(f"The number {number} must be used with crop, not with {resize}.")
    try:
        value = fraction(number)
    except ZeroDivisionError:
        value = Fraction(0)
    if not (0.1 <= value <= 1 or (value > 1 and value.denominator == 1 and value <= MAX_SIDE)):
        raise wrong(
            f"The number after crop must be the fraction of the shorter side that is kept, 0.1 to 1 (such as 0.875 or "
            f"224/256), or the length of that side in pixels (such as 256), not {number}."
        )


def fraction(text: str) -> Fraction:
    """Return a number such as ``0.875`` or ``224/256`` exactly; with rounding, sizes could be off by a pixel."""
    above, _, below = text.partition("/")
    return Fraction(above) / Fraction(below or 1)


def wrong(message: str) -> ConfigurationError:
    """Return an error about the setting PREPROCESS."""
    return ConfigurationError(message, field="PREPROCESS")
