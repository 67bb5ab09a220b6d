"""What goes into the rectifier of a layer, whose gradient is not 0 where the layer's values are."""

from __future__ import annotations

from typing import Any

from picasso.models.tf.guided import RECTIFIERS
from picasso.models.tf.runtime import tf

# A clip from 0 on may be written as these, with constant limits.
LIMITS = {"Maximum", "Minimum"}
PASSING = {"Cast", "Identity"}


def unrectified(tensor: Any) -> Any:
    """Return what goes into the ReLU, or the clip from 0 on, that made a tensor; if there is none, the tensor."""
    found, operation, clips = tensor, tensor.op, False
    while operation.type in {*RECTIFIERS, *LIMITS, *PASSING}:
        if operation.type in RECTIFIERS:
            return operation.inputs[0]
        varying = [one for one in operation.inputs if tf.get_static_value(one) is None]
        if len(varying) != 1 or varying[0].shape.as_list() != tensor.shape.as_list():
            break
        clips = clips or operation.type in LIMITS
        found, operation = varying[0], varying[0].op
    return found if clips else tensor
