"""Loops of TFLite graphs: which of them never end, because nothing that their condition reads changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Graph:
    """The parts of a graph that are needed to check which graphs run each other, and for endless loops."""

    outputs: tuple[int, ...]
    inputs: tuple[int, ...]
    tensors: int = 0
    runs: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    # The inputs and the outputs of each operation; -1 for omitted inputs.
    steps: list[tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)


def read(condition: Graph) -> list[int]:
    """Return the places of the inputs of a condition that its output depends on."""
    needed = set(condition.outputs[:1])
    # The operations are in order, so one pass from the last to the first finds all.
    for inputs, outputs in reversed(condition.steps):
        if not needed.isdisjoint(outputs):
            needed.update(inputs)
    return [place for place, tensor in enumerate(condition.inputs) if tensor in needed]


def changing(body: Graph) -> list[bool]:
    """Tell for each input of the body of a loop whether it can change in more than a few iterations.

    It can if its next value depends, over one or more iterations, on a value that depends on itself: a counter does;
    a constant, an input that the body returns unchanged, and what is computed from these only do not.
    """
    users: dict[int, list[int]] = {}
    missing: dict[int, int] = {}

    def depend(tensor: int, needed: Iterable[int]) -> None:
        for one in needed:
            users.setdefault(one, []).append(tensor)
            missing[tensor] = missing.get(tensor, 0) + 1

    # Each operation is a node with a negative number, because outputs times inputs may be many.
    for number, (inputs, outputs) in enumerate(body.steps, 2):
        depend(-number, (one for one in inputs if one >= 0))
        for output in outputs:
            depend(output, (-number,))
    for tensor, after in zip(body.inputs, body.outputs, strict=False):
        if after != tensor:
            depend(tensor, (after,))
    # All that depends on settled values only is settled; what remains depends on a cycle.
    nodes = {*users, *missing, *body.inputs}
    settled = [node for node in nodes if node not in missing]
    for node in settled:
        for user in users.get(node, ()):
            missing[user] -= 1
            if not missing[user]:
                settled.append(user)
    still = set(settled)
    return [tensor not in still for tensor in body.inputs]


def endless(condition: list[int], body: list[bool]) -> bool:
    """Tell whether a loop has a condition that never changes, from what :func:`read` and :func:`changing` returned."""
    return not any(place < len(body) and body[place] for place in condition)
