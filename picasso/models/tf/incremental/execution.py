"""Compute a chunk of windows in TensorFlow, from changed rectangles and clean feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from picasso.models.arrays import Array
from picasso.models.tf.incremental import winograd
from picasso.models.tf.incremental.resampling import Samples
from picasso.models.tf.incremental.steps import BY_PLACE, Kind, Network, Step
from picasso.models.tf.incremental.tables import Table
from picasso.models.tf.runtime import tf


class Executor:
    """The compiled computation of chunks.

    Args:
        network: the steps.
        tables: the tables of any chunk, for their types.
    """

    def __init__(self, network: Network, tables: Sequence[Sequence[Table]]) -> None:
        self._network = network
        #: The tensors whose clean maps are needed.
        self.clean = clean_names(network)
        signature = (
            spec(network, network.source),
            spec(network, network.source),
            [spec(network, name) for name in self.clean],
            [[tf.TensorSpec([None] * table.ndim, table.dtype) for table in each] for each in tables],
        )
        # One trace for chunks of all sizes.
        self._compiled = tf.function(self._compute, signature, autograph=False)
        self._neck = network.neck
        features = network.steps[self._neck - 1].output
        # A network whose output is a map has no head.
        of_head = [spec(network, features, many=True)]
        self._head = None if network.ends_in_map else tf.function(self._finish, of_head, autograph=False)

    def finish(self, features: Array) -> Array:
        """Return the outputs ``(n, K)`` of the head for n windows, from the results of :meth:`__call__`."""
        if self._head is None:
            return features
        answer: Array = self._head(tf.constant(features)).numpy()
        return answer

    def __call__(self, image: Any, fill: Any, clean: Sequence[Any], tables: Sequence[Sequence[Table]]) -> Array:
        """Return the input of the network's head, or the rectangles of its output map, for the windows of a chunk.

        Args:
            image: the clean input ``(H, W, C)``.
            fill: the input ``(H, W, C)`` whose values replace those in a window.
            clean: the maps of the clean input for the names in :attr:`clean`, ``(H, W, C)`` each.
            tables: the tables of the input, then of each step.
        """
        tensors = [[tf.constant(table) for table in each] for each in tables]
        answer: Array = self._compiled(image, fill, clean, tensors).numpy()
        return answer

    def _compute(self, image: Any, fill: Any, clean: Sequence[Any], tables: Sequence[Sequence[Any]]) -> Any:
        network, (covered, *of_steps) = self._network, tables
        values = {network.source: tf.gather(tf.concat([flat(image), flat(fill)], 0), covered[0])}
        maps = {network.source: image, **dict(zip(self.clean, clean, strict=True))}
        for step, own in zip(network.steps[: self._neck], of_steps, strict=False):
            values[step.output] = StepComputation(network, maps, values, own).take(step)
        return values[network.steps[self._neck - 1].output]

    def _finish(self, features: Any) -> Any:
        values = {self._network.steps[self._neck - 1].output: features}
        for step in self._network.steps[self._neck :]:
            values[step.output] = StepComputation(self._network, {}, values, ()).take(step)
        return values[self._network.target]


class StepComputation:
    """The computation of one step for one chunk.

    Args:
        network: all steps.
        clean: the clean maps ``(H, W, C)`` of the tensors that are stored as rectangles.
        values: the tensors computed so far, by name: rectangles ``(P, h, w, C)``, or complete tensors.
        tables: the tables of the step, in the order of their use.
    """

    def __init__(
        self, network: Network, clean: Mapping[str, Any], values: Mapping[str, Any], tables: Sequence[Any]
    ) -> None:
        self._network, self._clean, self._values, self._tables = network, clean, values, iter(tables)

    def take(self, step: Step) -> Any:
        """Return the output of the step."""
        inputs, held = step.inputs, self._network.places
        if step.kind is Kind.COUNT and inputs[0] in held:
            kind = self._network.types[step.output]
            shape = tf.constant(self._network.shapes[inputs[0]], kind)
            return tf.concat([tf.shape(self._values[inputs[0]], kind)[:1], shape], 0)
        if step.kind is Kind.PAD and step.output in held:
            return self._values[inputs[0]]
        if step.tile:
            return self._tiles(step, step.tile)
        if step.kind is Kind.MEAN and inputs[0] in held:
            return self._mean(step)
        if step.output in held and step.samples:
            return self._resample(step, step.samples)
        if step.output in held and step.slides and step.slides != BY_PLACE:
            output = step.run([self._gather(inputs[0], step.outside)], valid=True)
            return output * tf.cast(next(self._tables), output.dtype) if step.partial else output
        aligned = self._network.aligned
        return step.run([self._values[name] if aligned(step, name) else self._placed(name) for name in inputs])

    def _placed(self, name: str) -> Any:
        """Return the values that the next table selects; an empty table selects all stored values."""
        table, held = next(self._tables), self._values[name]
        # Copying the widest maps of a residual network costs as much as its products. Most need no copy.
        return tf.cond(tf.size(table) == 0, lambda: held, lambda: tf.gather(self._source(name), table))

    def _gather(self, name: str, outside: float = 0.0) -> Any:
        """Return the values that the next table selects."""
        return tf.gather(self._source(name, outside), next(self._tables))

    def _source(self, name: str, outside: float = 0.0) -> Any:
        """Return the rows that the tables of a tensor index: the outside value, the clean map, the rectangles."""
        channels = self._network.shapes[name][-1]
        clean = [flat(self._clean[name])] if name in self._network.places else []
        return tf.concat(
            [
                tf.fill([1, channels], tf.constant(outside, self._network.types[name])),
                *clean,
                tf.reshape(self._values[name], [-1, channels]),
            ],
            0,
        )

    def _mean(self, step: Step) -> Any:
        """Return the mean of a map: the mean of the clean map plus the mean of the changes."""
        name = step.inputs[0]
        clean, height, width = self._clean[name], *self._network.shapes[name][:2]
        change = self._values[name] - tf.gather(flat(clean), next(self._tables))
        mean = tf.reduce_mean(clean, [0, 1]) + tf.reduce_sum(change, [1, 2]) / (height * width)
        return mean[:, None, None, :] if step.keeps else mean

    def _resample(self, step: Step, samples: tuple[Samples, Samples]) -> Any:
        """Return a resize: weighted sums of the places that the tables select."""
        values = self._gather(step.inputs[0])
        if samples[0].copies and samples[1].copies:
            return values
        rows, columns = next(self._tables), next(self._tables)
        (count, high, tall), (_, wide, broad) = (tf.unstack(tf.shape(table)) for table in (rows, columns))
        channels, kind = step.shape[-1], values.dtype
        parts = tf.reshape(values, [count, high, tall, wide * broad, channels])
        summed = tf.reduce_sum(parts * tf.cast(rows, kind)[:, :, :, None, None], 2)
        parts = tf.reshape(summed, [count, high, wide, broad, channels])
        return tf.reduce_sum(parts * tf.cast(columns, kind)[:, None, :, :, None], 3)

    def _tiles(self, step: Step, tile: int) -> Any:
        """Return a 3 x 3 convolution by Winograd's algorithm; the tables gather its tiles."""
        kernel, bias = step.kernel
        outputs = tf.nn.bias_add(product(self._gather(step.inputs[0]), kernel, tile), bias)
        count, high, wide, rows, columns = tf.unstack(next(self._tables), 5)
        outputs = tf.reshape(outputs, [tile, tile, count, high, wide, step.shape[-1]])
        outputs = tf.transpose(outputs, [2, 3, 0, 4, 1, 5])
        outputs = tf.reshape(outputs, [count, high * tile, wide * tile, step.shape[-1]])
        return outputs[:, :rows, :columns]


class CleanMaps:
    """The compiled computation of some tensors for one whole input, by the same steps.

    Args:
        network: the steps.
        names: the tensors.

    Attributes:
        shapes: the shapes of all tensors of the network for one input that TensorFlow can infer.
    """

    def __init__(self, network: Network, names: Sequence[str]) -> None:
        self._network, self._names = network, names
        self.shapes: dict[str, list[int]] = {}
        kind = network.types[network.source]
        one = tf.TensorSpec([1, *network.shapes[network.source]], kind)
        # Traced here, because planning needs the shapes.
        self._compiled = tf.function(self._compute, [one], autograph=False).get_concrete_function()

    def __call__(self, image: Any) -> list[Any]:
        """Return the tensors for one input ``(H, W, C)``, without the batch axis."""
        return [maps[0] for maps in self._compiled(image[None])]

    def _compute(self, inputs: Any) -> list[Any]:
        values = {self._network.source: inputs}
        for step in self._network.steps:
            values[step.output] = step.run([values[name] for name in step.inputs])
        for name, value in values.items():
            if value.shape.rank is not None and None not in value.shape.as_list():
                self.shapes[name] = value.shape.as_list()
        return [values[name] for name in self._names]


def clean_names(network: Network) -> list[str]:
    """Return the names of the tensors whose clean maps are needed, by any step or as the output, sorted."""
    needed = {name for step in network.steps for name in step.inputs if needs_clean(network, step, name)}
    return sorted(needed | ({network.target} if network.ends_in_map else set()))


def spec(network: Network, name: str, *, many: bool = False) -> Any:
    """Return the TensorSpec of a tensor; with ``many``, with an additional batch axis."""
    return tf.TensorSpec([None] * many + [side or None for side in network.shapes[name]], network.types[name])


def needs_clean(network: Network, step: Step, name: str) -> bool:
    """Tell whether a step needs the clean map of an input, for values around the rectangles or for differences."""
    if name == network.source or name not in network.places or step.kind in (Kind.COUNT, Kind.PAD):
        return False
    moves = step.samples is not None or (step.slides is not None and step.slides != BY_PLACE)
    return moves or step.kind is Kind.MEAN or not network.aligned(step, name)


def flat(maps: Any) -> Any:
    """Return a map reshaped to ``(H * W, C)``."""
    return tf.reshape(maps, [-1, maps.shape[-1]])


def product(inputs: Any, kernel: Any, tile: int) -> Any:
    """Return the convolution ``(tile², T, K)`` of tiles ``((tile + 2)², T, C)`` with a filter ``(3, 3, C, K)``."""
    back, _, forth = (tf.constant(np.kron(one, one), tf.float32) for one in winograd.matrices(tile))
    with tf.init_scope():
        weights = tf.constant(winograd.transformed(kernel.numpy(), tile), tf.float32)
    side, (channels, filters) = (tile + 2) ** 2, kernel.shape[2:]
    values = tf.reshape(tf.matmul(forth, tf.reshape(inputs, [side, -1])), [side, -1, channels])
    products = tf.matmul(values, weights)
    return tf.reshape(tf.matmul(back, tf.reshape(products, [side, -1])), [tile**2, -1, filters])
