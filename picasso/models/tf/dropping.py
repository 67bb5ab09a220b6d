"""Compute a vision transformer for an image from which tokens are left out, as if their patches were not there.

The tokens that remain keep their positions. What follows the first tokens is copied with an unknown number of tokens:
where an operation has it as a constant, such as in the shape of a Reshape, it is computed instead. Before the first use
the copy is compared with the original in which the hidden tokens are masked in all attention.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError, reason
from picasso.models.arrays import Array
from picasso.models.tf.cutting import Cutter
from picasso.models.tf.feature_layers import reach
from picasso.models.tf.runtime import tf, tf1
from picasso.models.tf.token_axes import OF_SHAPES, Examination, Examined, Factor, Fixed, Rewrite, named
from picasso.models.tf.tokens import TokenMaps, grid_of
from picasso.models.tokens import TokenGrid

log = logging.getLogger(__name__)

# The name scope of the copied operations, and the names of tensors that they are given.
SCOPE, MASK, NUMBERS = "dropping", "mask", "numbers"
# The attribute with the type of the numbers that are given to an operation.
TYPES = {"Reshape": "Tshape", "Slice": "Index", "SplitV": "Tlen", "StridedSlice": "Index"}
# The value that is added to the products of queries with a masked key.
MASKED = -1e9
# The maximum difference between dropping and masking, as a fraction of the largest value; also for numbers of 16 bits.
TOLERANCE, TOLERANCE_16 = 1e-4, 1e-2
# The fraction of the largest change of a token by which tokens of distant patches may change.
LEAK = 1e-5
# Values of pixels to try, some outside of the range of the other pixels, 0 to 1.
OUTSIDE = (-1.0, 0.5, 2.0)


class Dropping:
    """Predictions of a transformer for an image some of whose tokens are left out.

    Args:
        cutter: extracts parts of the graph.
        wrapped: the graph, a result of ``tf.compat.v1.wrap_function``.
        inputs: the input of the graph, ``(N, H, W, C)``.
        answers: the outputs ``(N, ...)`` and the scores ``(N, S)``.
        maps: the token maps of the graph.
        label: the name of the model in error messages.

    Attributes:
        reason: why tokens can't be left out, as the end of a sentence; "" if they can.
    """

    def __init__(
        self, cutter: Cutter, wrapped: Any, inputs: Any, answers: tuple[Any, Any], maps: TokenMaps, label: str
    ) -> None:
        self._cutter, self._wrapped, self._label = cutter, wrapped, label
        self._input, self._answers, self._first = inputs, answers, maps.first
        self._grid = grid_of(maps.layouts, maps.first) if maps.layouts else None
        try:
            self._examined = self._examine()
            self.reason = ""
        except Fixed as error:
            self.reason = str(error)

    def _examine(self) -> Examined:
        """Return the operations to change; raise Fixed if tokens can't be left out."""
        if self._first is None:
            raise Fixed("no blocks of a transformer were found")
        if self._grid is None or self._grid.place is None:
            raise Fixed("where its tokens lie on the image is not known")
        if self._grid.first + self._grid.height * self._grid.width != self._grid.count:
            raise Fixed("it has tokens behind those of the image")
        if self._input.shape[0] is not None:
            raise Fixed("its batch size is fixed")
        needed, waiting = {self._first.op}, [tensor.op for tensor in self._answers]
        while waiting:
            if (current := waiting.pop()) not in needed:
                needed.add(current)
                waiting += [tensor.op for tensor in current.inputs]
        of_tokens = reach(self._first.op, up=False)
        for one in needed & reading(self._input.op) - of_tokens - {self._input.op}:
            raise Fixed(f"{named(one)} reads the image beside the tokens")
        order = [one for one in self._first.graph.get_operations() if one in needed & of_tokens - {self._first.op}]
        return Examination(self._first, self._grid.first).of(order)

    @property
    def grid(self) -> TokenGrid:
        """The grid of the tokens.

        Raises:
            ModelError: tokens can't be left out.
        """
        if self.reason or self._grid is None:
            raise self._error()
        return self._grid

    def __call__(self, image: Any, kept: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return the outputs ``(n, ...)`` and the scores ``(n, S)`` for an image with n choices of its tokens.

        Args:
            image: the image ``(1, H, W, C)``, a tensor.
            kept: the indices of the k tokens of the image that are left in each choice, row by row, ``(n, k)``.

        Raises:
            ModelError: tokens can't be left out.
        """
        grid, compute = self.grid, self._proved
        outputs, scores = compute(chosen(self._embed(image)[0], grid.first, kept))[:2]
        return outputs.numpy(), scores.numpy()

    @cached_property
    def _embed(self) -> Any:
        return self._cutter.cut([self._input], [self._first])

    @cached_property
    def _proved(self) -> Any:
        """The copy, as a function of tokens ``(n, T', D)``, after it was compared with masked attention."""
        try:
            return self._prove()
        except Fixed as error:
            self.reason = str(error)
        except Exception as error:
            log.warning("%s can't be computed without some of its tokens", self._label, exc_info=True)
            self.reason = f"that fails ({reason(error, 120)})"
        raise self._error()

    def _error(self) -> ModelError:
        return ModelError(f"{self._label} can't be computed without some of its tokens, because {self.reason}.")

    def _prove(self) -> Any:
        """Return the copy; raise Fixed if it differs from the original."""
        grid, pooled = self.grid, self._examined.pooled
        targets = [*self._answers, *(one.tokens for one in pooled), *(one.result for one in pooled)]
        compute, masking = (self._copied(targets, masked=masked) for masked in (False, True))
        generator = np.random.default_rng(0)
        noise = generator.random((1, *self._input.shape[1:]), np.float32)
        self._require_patches(noise)
        (tokens,), count = self._embed(tf.constant(noise)), grid.height * grid.width
        (expected,) = self._cutter.cut([self._input], [self._answers[1]])(tf.constant(noise))
        self._require_close(compute(tokens)[1], expected)
        for left in {1, count // 2, count - 1}:
            kept = np.sort(generator.permutation(count)[:left])[None]
            bias = np.full(count, MASKED, np.float32)
            bias[kept[0]] = 0
            found = compute(chosen(tokens, grid.first, kept))
            # The original would include masked tokens in means over the tokens, so it is given those of the others.
            wanted = masking(tokens, tf.constant(bias), *found[2 + len(pooled) :])
            self._require_close(found[1], wanted[1])
            for one, left_out, masked in zip(pooled, found[2:], wanted[2:], strict=False):
                extra = one.tokens.shape[one.axis] - count
                seen = np.concatenate([np.arange(extra), extra + kept[0]])
                self._require_close(left_out, tf.gather(masked, seen, axis=one.axis))
        return compute

    def _require_close(self, found: Any, expected: Any) -> None:
        """Raise Fixed if results of dropping and of masking differ by more than rounding."""
        error = float(tf.reduce_max(tf.abs(found - expected)))
        error /= max(1e-30, float(tf.reduce_max(tf.abs(expected))))
        if not error < (TOLERANCE_16 if self._examined.halves else TOLERANCE):
            raise Fixed(f"the results differ from those of masked attention by {error:.2g} of the largest")

    def _require_patches(self, noise: Array) -> None:
        """Raise Fixed if a token depends on more of the image than its patch and the edges of its neighbours.

        Single patches are changed, also to values outside of the range of the others, on which a normalization of the
        image may depend. In grids of fewer than three rows or columns, no token may depend on its neighbours.
        """
        grid, near = self.grid, int(min(self.grid.height, self.grid.width) > 2)
        before = self._embed(tf.constant(noise))[0].numpy()[0]
        ends = [(0, side // 2, side - 1) for side in (grid.height, grid.width)]
        for row, column in {(row, column) for row in ends[0] for column in ends[1]}:
            down, right = (slice(*np.rint(edges).astype(int)) for edges in grid.cell(row, column))
            for value in OUTSIDE:
                changed = noise.copy()
                changed[:, down, right] = value
                differences = np.abs(self._embed(tf.constant(changed))[0].numpy()[0] - before).max(axis=-1)
                of_image = differences[grid.indices.start : grid.indices.stop].reshape(grid.height, grid.width)
                if differences[: grid.first].max(initial=0) > LEAK * of_image[row, column]:
                    raise Fixed("its class token or another token that is not of a patch depends on the image")
                rows, columns = (slice(max(0, one - near), one + near + 1) for one in (row, column))
                own, of_image[rows, columns] = of_image[row, column], 0
                if of_image.max() > LEAK * own:
                    raise Fixed("its tokens depend on more of the image than their patches")

    def _copied(self, targets: Sequence[Any], *, masked: bool) -> Any:
        """Return the part of the graph behind the first tokens as a function of tokens ``(n, T', D)``.

        Args:
            targets: the results.
            masked: if True, T' is T, and the function has other arguments: ``(P,)``, which is added to the products of
                queries with the keys of the tokens of the image in all attention, and the means over tokens.
        """
        captured = {inner.name: outer for outer, inner in self._wrapped.graph.captures}
        means = [one.result for one in self._examined.pooled] if masked else []
        targets = targets[: len(targets) - len(means)]
        names = {self._first.name, self._input.name, *captured, *(one.name for one in means)}
        definition, used = self._cutter.between(names, [tensor.op.name for tensor in targets])
        rewrites, softmaxes = ({}, self._examined.softmaxes) if masked else (self._examined.rewrites, {})
        numbers = rewrite(definition, rewrites)
        masks = mask(definition, softmaxes)

        def build(tokens: Any, bias: Any = None, *pooled: Any) -> list[Any]:
            into = tf1.get_default_graph()
            mapped = {name: into.capture(captured[name]) for name in used & captured.keys()}
            # Of the images, only their number is used.
            images = tf.zeros([tf.shape(tokens)[0], *self._input.shape[1:]], self._input.dtype)
            given = {self._first.name: tokens, self._input.name: images}
            given |= {one.name: tensor for one, tensor in zip(means, pooled, strict=True)}
            mapped |= {name: tensor for name, tensor in given.items() if name in used}
            missing = self._first.shape[1] - tf.shape(tokens)[1]
            for name, (values, dtype) in numbers.items():
                now = [one.size - missing if isinstance(one, Factor) else one for one in values]
                mapped[name] = tf.cast(tf.stack(now), dtype)
            for name, (keys, dtype) in masks.items():
                mapped[name] = tf.cast(tf.concat([tf.zeros(keys.extra), bias], 0), dtype)
            return list(tf1.import_graph_def(definition, mapped, [tensor.name for tensor in targets], name=SCOPE))

        shape = self._first.shape if masked else [None, None, self._first.shape[2]]
        specs = [tf.TensorSpec(shape, self._first.dtype)]
        if masked:
            specs += [tf.TensorSpec([None], tf.float32), *(tf.TensorSpec(one.shape, one.dtype) for one in means)]
        return tf1.wrap_function(build, specs)


def reading(inputs: Any) -> set[Any]:
    """Return the operations that depend on the values of an input, not only on its shape."""
    found, waiting = {inputs}, [inputs]
    while waiting:
        for tensor in waiting.pop().outputs:
            after = {one for one in tensor.consumers() if one not in found and one.type not in OF_SHAPES}
            found |= after
            waiting += after
    return found


def rewrite(definition: Any, rewrites: Mapping[str, Rewrite]) -> dict[str, tuple[tuple[int | Factor, ...], Any]]:
    """Let operands of a GraphDef be given, and return their values and types by name."""
    given: dict[str, tuple[tuple[int | Factor, ...], Any]] = {}
    for node in definition.node:
        change = rewrites.get(node.name)
        if change is None:
            continue
        if change.end_mask is not None:
            node.attr["end_mask"].i = change.end_mask
        for operand, numbers in change.operands.items():
            name = f"{NUMBERS}/{node.name}/{operand}"
            node.input[operand] = name
            given[f"{name}:0"] = numbers, tf.as_dtype(node.attr[TYPES[node.op]].type)
    return given


def mask(definition: Any, softmaxes: Mapping[str, Factor]) -> dict[str, tuple[Factor, Any]]:
    """Add a mask to the operand of each softmax of a GraphDef; return the keys that it is for and its type, by name."""
    added, found = [], {}
    for node in definition.node:
        if node.name in softmaxes:
            name = f"{MASK}/{node.name}"
            masked = tf1.NodeDef(name=f"{name}/masked", op="AddV2", input=[node.input[0], name])
            masked.attr["T"].type = node.attr["T"].type
            node.input[0] = masked.name
            added.append(masked)
            found[f"{name}:0"] = softmaxes[node.name], tf.as_dtype(node.attr["T"].type)
    definition.node.extend(added)
    return found


def chosen(tokens: Any, first: int, kept: NDArray[np.int64]) -> Any:
    """Return n sequences ``(n, T', D)`` of the tokens ``(1, T, D)`` of an image: all extra ones, and those chosen."""
    extra = np.broadcast_to(np.arange(first), (len(kept), first))
    return tf.gather(tokens[0], np.concatenate([extra, first + kept], axis=1))
