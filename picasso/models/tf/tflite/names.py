"""The names of the layers of a TFLite graph, which are in the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile

from picasso.models.tf.translation import numbered, readable

# The names of operations with weights. The converter joins the names of what it fuses with them by semicolons.
WEIGHTED = re.compile(r"(conv\w*|depthwise\w*|\w*matmul\d*|separable\w*)$", re.IGNORECASE)
# The maximum number of characters of a name that are read.
LONGEST = 1_000


def layer_names(tensors: Iterable[str]) -> list[str]:
    """Return the name of the layer of each operation of a graph, from the name of its first output.

    It is the path of the layer without what all paths begin with, such as the name of the network:
    ``block_1.expand`` for ``net/block_1/expand/Relu6;net/block_1/bn/FusedBatchNormV3;net/block_1/expand/Conv2D``.
    """
    paths = [path_of(name) for name in tensors]
    long = [path for path in paths if len(path) > 1]
    if long:
        # What the first and the last in alphabetical order share, all share. At least one part of each path remains.
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(min(long), max(long), strict=False)))
        shared = min(shared, *(len(path) - 1 for path in long))
        paths = [path[shared:] if len(path) > 1 else path for path in paths]
    return numbered(readable(".".join(path)) for path in paths)


def path_of(tensor: str) -> list[str]:
    """Return the path of the layer that computes a tensor, outermost first."""
    paths = [name.split("/") for name in tensor[:LONGEST].split(";")]
    path = next((path for path in paths if WEIGHTED.match(path[-1])), paths[0])
    return [part for part in path[:-1] if part] or path
