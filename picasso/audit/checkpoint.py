"""What an audit has found so far, kept on the disk, so that one that was killed goes on."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picasso import __version__, fileio
from picasso.audit.interventions import Intervention
from picasso.audit.properties import Property
from picasso.audit.statistics import Effect
from picasso.audit.trial import Pair, Trial, TrialContext


@dataclass(frozen=True)
class TrialCheckpoint:
    """The trials of some pairs, kept on the disk as they are made, so that an audit that was killed goes on.

    Attributes:
        folder: where they are kept, one file for each pair.
        key: what they are of; those of another model or other images are not taken.
    """

    folder: Path
    key: str

    def read(self, pair: Pair) -> tuple[list[Trial], int]:
        """Return what is known of a pair: its trials, and how many of the interventions were tried."""
        try:
            document = fileio.read_json(self._file(pair))
            if document is None or document["key"] != self.key:
                return [], 0
            trials = [Trial(**{**one, "effect": Effect(**one["effect"])}) for one in document["trials"]]
            return trials, int(document["tried"])
        # Cut off by a full disk, or written by another version: it is made again.
        except (ValueError, KeyError, TypeError):
            return [], 0

    def write(self, pair: Pair, made: Sequence[Trial], tried: int) -> None:
        """Keep the trials of a pair, of so many interventions."""
        # Without its parents: an audit that was deleted meanwhile must not come back.
        self.folder.mkdir(exist_ok=True)
        kept = {"key": self.key, "tried": tried, "trials": [asdict(one) for one in made]}
        fileio.write_json(self._file(pair), kept)

    def _file(self, pair: Pair) -> Path:
        return self.folder / f"pair-{pair[0]}-{pair[1]}.json"


def record_of(folder: Path, context: TrialContext) -> TrialCheckpoint:
    """Return the record in a folder of what is tried on a bench: of these images, and of this model only."""
    card = context.model.card()
    what = [
        __version__,
        [[one.name, one.kind, one.floor, one.informative] for one in context.interventions],
        context.seed,
        [card.checkpoint, card.fingerprint, card.preprocessing],
        [str(name) for name in context.model.class_names()],
    ]
    digest = hashlib.sha256(json.dumps(what).encode())
    for file in sources(context.interventions):
        digest.update(file.read_bytes())
    for target in sorted(context.folder.views):
        digest.update(context.folder.views[target].tobytes())
        # What a model says is what it is, where no file tells; rounded, since its last bits may differ.
        digest.update((np.round(context.folder.logits[target], 2) + 0.0).tobytes())
    return TrialCheckpoint(folder, digest.hexdigest())


def sources(interventions: Sequence[Intervention]) -> list[Path]:
    """Return the files of those interventions that are not Picasso's, and of what their properties are made of."""
    parts: list[Any] = []
    for one in interventions:
        of = getattr(one, "property", None)
        parts += [type(one), *([of.measure, of.change] if isinstance(of, Property) else [])]
    files_ = {inspect.getsourcefile(part) for part in parts if not part.__module__.startswith("picasso.")}
    return sorted(Path(file) for file in files_ if file)
