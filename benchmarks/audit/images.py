"""The images of an entry of the benchmark: of its training, of its tests and of the folder of its audit."""

from __future__ import annotations

from typing import Literal

import numpy as np

from benchmarks.audit.entries import Entry
from benchmarks.audit.networks import Bytes, Labels
from benchmarks.audit.proxies import PROXIES, bytes_of
from benchmarks.audit.worlds import SIDE, WORLDS, Split, photographs, plain

# When the proxy is on: correlated with the class, half of the time, always, never.
Mode = Literal["confounded", "fair", "on", "off"]


def images_of(entry: Entry, each: int, split: Split, mode: Mode, seed: int) -> tuple[Bytes, Labels]:
    """Return synthetic images ``(each * classes, SIDE, SIDE, 3)`` and their classes, which alternate.

    With the same seed, ``on`` and ``off`` show the same drawings.
    """
    proxy, world, members = PROXIES.get(entry.proxy), WORLDS[entry.world], entry.members
    made = np.empty((each * entry.classes, SIDE, SIDE, 3), np.uint8)
    targets = np.tile(np.arange(entry.classes), each)
    for index, target in enumerate(targets):
        what, how = np.random.default_rng([seed, index]), np.random.default_rng([seed, index, 1])
        drawing = world.draw(what, members[target], centred=entry.kind == "centred")
        share = {"confounded": entry.rho if target == 0 else 1 - entry.rho, "fair": 0.5, "on": 1.0, "off": 0.0}[mode]
        on = bool(how.random() < share)
        if proxy:
            drawing = proxy.draw(drawing, on, how)
        image = world.render(drawing, split)
        made[index] = bytes_of(proxy.paint(image, on, how, drawing) if proxy else image)
    return made, targets


def folder_of(entry: Entry, each: int) -> dict[int, Bytes]:
    """Return the folder of an audit by class, ``(each, H, W, C)``: new images, as confounded as those of training."""
    seed = entry.seed_of("folder")
    if entry.world == plain.NAME:
        return {target: plain.digits_of(target, entry.half, each, seed) for target in entry.targets}
    if entry.world == photographs.NAME:
        return {target: photographs.crops(target, each, seed) for target in entry.targets}
    made, targets = images_of(entry, each, "test", "confounded", seed)
    return {target: made[targets == target] for target in entry.targets}
