"""The audit of one model with a folder of labelled pictures: which pairs of classes, what is tried, what came of it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso import files, images
from picasso.audit.interventions import INTERVENTIONS, Intervention
from picasso.audit.properties import Pictures
from picasso.audit.statistics import Effect, Margins, effect
from picasso.errors import BadRequest, PicassoError
from picasso.labelled import Labelled
from picasso.models.arrays import Array
from picasso.models.base import Model
from picasso.models.card import Capability

# Fewer pictures of a class say nothing, and more of them are not needed.
FEWEST, MOST = 8, 200
# Probabilities nearer to 0 or 1 than this give no larger logits.
NEAREST = 1e-6


@dataclass(frozen=True)
class Folder:
    """The pictures of an audit, as the model sees them.

    Attributes:
        views: by class, ``(n, H, W, C)`` from 0 to 1.
        logits: by class, what the model answers to them, ``(n, K)``.
        names: by class, their file names.
        unreadable: a sentence for each that could not be read.
    """

    views: dict[int, Pictures]
    logits: dict[int, Array]
    names: dict[int, tuple[str, ...]]
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One intervention on the pictures of one class, towards another.

    Attributes:
        intervention: its name.
        kind: of the intervention.
        informative: whether it raises no alarm.
        words: what was done, with ``{a}`` and ``{b}`` for the names of the classes.
        ours, theirs: the numbers of the classes.
        effect: what came of it.
    """

    intervention: str
    kind: str
    informative: bool
    words: str
    ours: int
    theirs: int
    effect: Effect


def read(model: Model, pictures: Sequence[Labelled], progress: Callable[[float], None]) -> Folder:
    """Read at most :data:`MOST` pictures of each class, evenly spread, and ask the model about them.

    Raises:
        BadRequest: fewer than two classes have :data:`FEWEST` pictures that can be read.
    """
    by_class: dict[int, list[Path]] = {}
    for one in pictures:
        by_class.setdefault(one.target, []).append(one.file)
    chosen = {target: spread(found) for target, found in sorted(by_class.items())}
    total, done = sum(map(len, chosen.values())), 0
    views: dict[int, Pictures] = {}
    names: dict[int, tuple[str, ...]] = {}
    unreadable: list[str] = []
    for target, found in chosen.items():
        seen, kept = [], []
        for file in found:
            done += 1
            try:
                view = model.view(images.read(file.read_bytes(), file.name))
            except (OSError, PicassoError) as error:
                unreadable.append(str(error))
                continue
            seen.append(np.asarray(view, np.float32).reshape(view.height, view.width, -1) / 255)
            kept.append(file.name)
            progress(done / total)
        if len(seen) >= FEWEST:
            views[target], names[target] = np.stack(seen), tuple(kept)
    if len(views) < 2:
        raise BadRequest(
            f"An audit compares classes: it needs two or more with {FEWEST} pictures each, in folders of their names.",
            field="folder",
        )
    return Folder(views, {key: logits(model, some) for key, some in views.items()}, names, tuple(unreadable))


def spread(found: Sequence[Path]) -> Sequence[Path]:
    """Return at most :data:`MOST` files, evenly spread."""
    return [found[index * len(found) // MOST] for index in range(MOST)] if len(found) > MOST else found


def logits(model: Model, views: Pictures) -> Array:
    """Return what the model answers to pictures as it sees them: logits, or the logarithms of odds."""
    found = []
    for start in range(0, len(views), model.batch_size):
        some = pixels(views[start : start + model.batch_size])
        inputs = model.encode([Image.fromarray(one) for one in some])
        if Capability.GRADIENTS in model.capabilities:
            found.append(model.logits(inputs))
        else:
            probabilities = np.clip(model.predict(inputs).astype(np.float64), NEAREST, 1 - NEAREST)
            found.append(np.log(probabilities / (1 - probabilities)).astype(np.float32))
    return np.concatenate(found)


def pixels(views: Pictures) -> NDArray[np.uint8]:
    """Return pictures, or one, as bytes; grey ones without their axis of channels."""
    rounded = np.round(views * 255).astype(np.uint8)
    return rounded[..., 0] if rounded.shape[-1] == 1 else rounded


def margins(answers: Array, ours: int, theirs: int) -> Margins:
    """Return by how much one class is preferred to another, ``(n,)``."""
    return np.asarray(answers[:, theirs] - answers[:, ours], np.float64)


def pairs(folder: Folder) -> list[tuple[int, int]]:
    """Return the pairs of classes, the most suspect first: those that are confused, or whose pictures look different.

    How different is told by the mean margin: pictures that the model separates well by anything come next after those
    that it mixes up.
    """
    classes = sorted(folder.views)

    def confusion(pair: tuple[int, int]) -> float:
        one, other = pair
        mixed = (margins(folder.logits[one], one, other) > 0).mean() + (
            margins(folder.logits[other], other, one) > 0
        ).mean()
        near = margins(folder.logits[one], one, other).mean() + margins(folder.logits[other], other, one).mean()
        return float(mixed + 1e-3 * np.tanh(near / 10))

    return sorted(combinations(classes, 2), key=confusion, reverse=True)


def trials(
    model: Model,
    folder: Folder,
    pair: tuple[int, int],
    interventions: Sequence[Intervention] = INTERVENTIONS,
    seed: int = 0,
) -> Iterator[Trial]:
    """Yield what came of each intervention, in both directions."""
    for intervention in interventions:
        if not all(intervention.fits(folder.views[one]) for one in pair):
            continue
        for ours, theirs in (pair, pair[::-1]):
            yield trial(model, folder, intervention, ours, theirs, seed)


def trial(model: Model, folder: Folder, intervention: Intervention, ours: int, theirs: int, seed: int) -> Trial:
    """Change the pictures of one class towards another in one respect, and see what the model says."""
    mine, others = folder.views[ours], folder.views[theirs]
    changed = intervention.change(mine, others, generator_of(seed, intervention.name, ours, theirs))
    way = margins(folder.logits[theirs], ours, theirs).mean() - margins(folder.logits[ours], ours, theirs).mean()
    found = effect(
        margins(logits(model, changed.towards), ours, theirs),
        margins(logits(model, changed.control), ours, theirs),
        float(way),
    )
    words = intervention.words(mine, others)
    return Trial(intervention.name, intervention.kind, intervention.informative, words, ours, theirs, found)


def generator_of(seed: int, *what: object) -> np.random.Generator:
    """Return random numbers that depend on what they are for alone, so that resuming gives the same ones."""
    digest = hashlib.sha256(json.dumps([seed, *map(str, what)]).encode()).digest()
    return np.random.default_rng(list(digest[:16]))


@dataclass(frozen=True)
class Record:
    """The trials of some pairs, kept on the disk as they are made, so that an audit that was killed goes on.

    Attributes:
        folder: where they are kept, one file for each pair.
        key: what they are of; those of another model or other pictures are not taken.
    """

    folder: Path
    key: str

    def read(self, pair: tuple[int, int]) -> list[Trial] | None:
        """Return the trials of a pair, or None if they were not made."""
        document = files.read_json(self._file(pair))
        if document is None or document["key"] != self.key:
            return None
        return [Trial(**{**one, "effect": Effect(**one["effect"])}) for one in document["trials"]]

    def write(self, pair: tuple[int, int], made: Sequence[Trial]) -> None:
        """Keep the trials of a pair."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write_json(self._file(pair), {"key": self.key, "trials": [asdict(one) for one in made]})

    def _file(self, pair: tuple[int, int]) -> Path:
        return self.folder / f"pair-{pair[0]}-{pair[1]}.json"


def key_of(model: Model, folder: Folder, seed: int) -> str:
    """Return what tells the trials of one model and folder from those of others."""
    digest = hashlib.sha256(json.dumps([seed, model.card().fingerprint, model.card().preprocessing]).encode())
    for target in sorted(folder.views):
        digest.update(folder.views[target].tobytes())
    return digest.hexdigest()


def run(
    model: Model,
    folder: Folder,
    record: Record,
    *,
    budget: float = float("inf"),
    seed: int = 0,
    progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[dict[tuple[int, int], list[Trial]], list[tuple[int, int]]]:
    """Return the trials of the pairs of classes, and the pairs for which the time was too short.

    Args:
        model: the model.
        folder: the pictures.
        record: where trials are kept, and found if this audit was begun before.
        budget: seconds after which no further pair is begun; the first is always done.
        seed: for whatever is drawn at random.
        progress: called with the fraction done.
    """
    started = time.monotonic()
    found: dict[tuple[int, int], list[Trial]] = {}
    left: list[tuple[int, int]] = []
    wanted = pairs(folder)
    for done, pair in enumerate(wanted):
        made = record.read(pair)
        if made is None:
            if found and time.monotonic() - started > budget:
                left.append(pair)
                continue
            made = list(trials(model, folder, pair, seed=seed))
            record.write(pair, made)
        found[pair] = made
        progress((done + 1) / len(wanted))
    return found, left
