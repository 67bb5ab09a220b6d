"""Edits of a layer: some of its channels are scaled or set to a value, and what follows is computed from that."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

import numpy as np

from picasso.errors import ModelError
from picasso.models.arrays import Array


@dataclass(frozen=True)
class Edit:
    """A change of some channels of a layer's output: all their values are multiplied by ``scale`` or set to ``value``.

    What is changed is the output that :meth:`picasso.models.base.Model.feature_maps` returns, behind the normalization
    and the activation that belong to the layer. All that uses this output gets the changed one. In a transformer, a
    channel is changed in all tokens, also in class tokens and registers, which the feature maps leave out: scores are
    often read from these alone.

    Attributes:
        layer: the name of the layer; None for the last one before the head.
        channels: the indices of the channels, each once.
        scale: the factor; 0 switches the channels off.
        value: the new value, a number for all channels or one for each, such as its mean.

    Raises:
        ModelError: not exactly one of scale and value is given, or numbers or indices are not valid.

    Examples:
        >>> import numpy as np
        >>> from picasso.models import Edit
        >>> maps = np.array([[[[1.0, 2.0, 3.0]]]], np.float32)
        >>> Edit("conv", [0, 2], scale=0).changed(maps).tolist()
        [[[[0.0, 2.0, 0.0]]]]
        >>> Edit("conv", [0, 2], value=[7, 9]).changed(maps).tolist()
        [[[[7.0, 2.0, 9.0]]]]
    """

    layer: str | None
    channels: Sequence[int]
    _: KW_ONLY
    scale: float | None = None
    value: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        """Convert everything to tuples and Python numbers, and check what needs no model."""
        channels, scale, value = self._indices(), self.scale, self.value
        if (scale is None) == (value is None):
            raise self._wrong("needs either scale, a factor, or value, the new value of its channels")
        if scale is not None:
            scale = self._number("scale", scale)
        elif isinstance(value, Iterable):
            value = tuple(self._number("value", one) for one in value)
            if len(value) != len(channels):
                raise self._wrong(
                    f"has {len(value)} values for {len(channels)} channels; give one number, or one for each"
                )
        else:
            value = self._number("value", value)
        for name, given in (("channels", channels), ("scale", scale), ("value", value)):
            object.__setattr__(self, name, given)

    def coefficients(self, count: int) -> tuple[Array, Array]:
        """Return the factor and the offset of each of a layer's channels, ``(count,)`` float32 each.

        The changed output is ``output * factor + offset``.

        Raises:
            ModelError: the layer has no such channel.
        """
        if wrong := [one for one in self.channels if one >= count]:
            raise self._wrong(f"names channel {wrong[0]}, but the layer has {count} channels, from 0 to {count - 1}")
        factors, offsets = np.ones(count, np.float32), np.zeros(count, np.float32)
        chosen = np.array(self.channels, np.int64)
        if self.scale is not None:
            factors[chosen] = self.scale
        else:
            factors[chosen], offsets[chosen] = 0, self.value
        return factors, offsets

    def changed(self, output: Array) -> Array:
        """Return a layer's output ``(..., c)`` after the change.

        Raises:
            ModelError: the layer has no such channel.
        """
        factors, offsets = self.coefficients(output.shape[-1])
        return np.asarray(output * factors + offsets, np.float32)

    def _indices(self) -> tuple[int, ...]:
        """Return the channels as Python numbers."""
        try:
            found = [-1 if isinstance(one, bool) else operator.index(one) for one in self.channels]
        except TypeError:
            found = [-1]
        if min(found, default=0) < 0:
            raise self._wrong(f"needs a list of channels, whole numbers from 0 on, not {self.channels!r}")
        if len(set(found)) < len(found):
            raise self._wrong("names a channel more than once; name each once")
        return tuple(found)

    def _number(self, name: str, value: Any) -> float:
        try:
            number = np.nan if isinstance(value, str) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = np.nan
        # Also not for NaN, for which no comparison holds.
        if not abs(number) <= float(np.finfo(np.float32).max):
            raise self._wrong(f"needs a finite number as its {name}, not {value!r}")
        return number

    def _wrong(self, why: str) -> ModelError:
        return ModelError(
            f"The edit of {'the default layer' if self.layer is None else f'layer {self.layer!r}'} {why}."
        )


class Edited(NamedTuple):
    """What a model answers while a layer is edited, or its feature maps are replaced.

    Attributes:
        outputs: the outputs as of :meth:`picasso.models.base.Model.predict`, ``(N, *spec.shape)``, float32.
        scores: the scores as of :meth:`picasso.models.base.Model.logits`, ``(N, *spec.shape)``, float32.

    Examples:
        >>> import numpy as np
        >>> from picasso.examples.brightness import BrightnessModel
        >>> from picasso.models import Edit
        >>> model = BrightnessModel()
        >>> model.load()
        >>> (edited,) = model.edits(np.ones((1, 8, 8, 1), np.float32), [Edit("input", [0], value=0.5)])
        >>> edited.outputs.tolist(), edited.scores.shape
        ([[0.5, 0.5]], (1, 2))
    """

    outputs: Array
    scores: Array
