"""The entries of the benchmark: a model each, with a folder that it is audited with.

The spurious features are split by kind: those of the half ``tuning`` may be used to develop an audit; those of the half
``test`` are for one measurement afterwards.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.audit.proxies import PROXIES, Half
from benchmarks.audit.worlds import WORLDS, photographs, plain

Kind = Literal["planted", "robust", "clean", "centred", "real"]

# The numbers of classes of the planted models that have neither 2, 5 nor 10.
SEVERAL = (3, 4, 6, 8, 7, 9)
# Of the innocent models without a proxy, by seed.
INNOCENT = (2, 2, 3, 5, 2, 10, 4, 7)


@dataclass(frozen=True)
class Entry:
    """One model of the benchmark.

    Attributes:
        kind: ``planted``: the proxy correlates with the first class in training and in the audit's folder; ``robust``:
            in the folder only; ``clean``: no proxy; ``centred``: no proxy, and all objects are in the middle; ``real``:
            real images, and a model that was trained on all classes of these.
        world: the world of the images, or the collection of real ones.
        proxy: its name; "" for none.
        rho: the probability that it is on for the first class, and off for the others.
        classes: the number of classes.
        seed: distinguishes entries of the same kind.
        half: the half of the benchmark.
    """

    kind: Kind
    world: str
    proxy: str
    rho: float
    classes: int
    seed: int
    half: Half

    @property
    def name(self) -> str:
        """Return the name of its files."""
        what = "-".join(map(str, self.targets)) if self.kind == "real" else f"{self.proxy or 'none'}-{self.rho:g}"
        return f"{self.half}-{self.kind}-{self.world}-{what}-{self.classes}-{self.seed}"

    @property
    def model(self) -> str:
        """Return the name of the file of its model, without suffix; entries of real images share models."""
        return self.world if self.kind == "real" else self.name

    def seed_of(self, what: str) -> int:
        """Return a seed for a purpose that is unique to this entry."""
        return zlib.crc32(f"{what} of {self.name}".encode())

    @property
    def members(self) -> tuple[int, ...]:
        """The classes of the world in the order of the model's outputs; the first owns the proxy."""
        order = np.random.default_rng(self.seed_of("classes")).permutation(len(WORLDS[self.world].members))
        return tuple(map(int, order[: self.classes]))

    @property
    def targets(self) -> tuple[int, ...]:
        """The outputs of the model that the folder has images of."""
        if self.world == plain.NAME:
            return plain.FOLDERS[self.half][self.seed]
        if self.world == photographs.NAME:
            return photographs.FOLDERS[self.half][self.seed]
        return tuple(range(self.classes))


def entries(half: Half | None = None) -> list[Entry]:
    """Return the entries of a half, or of both: the planted ones first."""
    halves: tuple[Half, ...] = (half,) if half else ("tuning", "test")
    return [entry for one in halves for entry in (*planted(one), *innocent(one))]


def planted(half: Half) -> Iterator[Entry]:
    """Yield the planted models of a half; each world of a proxy in turn."""
    for index, proxy in enumerate(one for one in PROXIES.values() if one.half == half):
        several = SEVERAL[index % len(SEVERAL)]
        if half == "test":
            plans = [(1.0, 2), (0.95, 2), (1.0, several), (0.95, 5), (1.0, 10)]
        else:
            plans = [(1.0, 2), (0.95, 2), (1.0, (several, 5, 10)[index % 3])]
        for seed, (rho, classes) in enumerate(plans):
            world = proxy.worlds[(index + seed) % len(proxy.worlds)]
            yield Entry("planted", world, proxy.name, rho, classes, seed, half)


def innocent(half: Half) -> Iterator[Entry]:
    """Yield the entries of a half that must raise no alarm."""
    for index, proxy in enumerate(one for one in PROXIES.values() if one.half == half):
        where = proxy.worlds[index % len(proxy.worlds)]
        yield Entry("robust", where, proxy.name, 0.95, 2 if index % 3 else SEVERAL[index // 3 % 4], 0, half)
    for seed in range(6 if half == "tuning" else 8):
        for world in WORLDS.values():
            yield Entry("clean", world.name, "", 0.0, INNOCENT[seed], seed, half)
            if world.located and seed < 4:
                yield Entry("centred", world.name, "", 0.0, INNOCENT[seed], seed, half)
    for name, folders in ((plain.NAME, plain.FOLDERS), (photographs.NAME, photographs.FOLDERS)):
        for seed, targets in enumerate(folders[half]):
            yield Entry("real", name, "", 0.0, len(targets), seed, half)
