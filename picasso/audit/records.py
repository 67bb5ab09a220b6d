"""What an audit has found so far, kept on the disk, so that one that was killed goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from picasso import __version__, files
from picasso.audit.statistics import Effect
from picasso.audit.trials import Bench, Pair, Trial


@dataclass(frozen=True)
class Record:
    """The trials of some pairs, kept on the disk as they are made, so that an audit that was killed goes on.

    Attributes:
        folder: where they are kept, one file for each pair.
        key: what they are of; those of another model or other pictures are not taken.
    """

    folder: Path
    key: str

    def read(self, pair: Pair) -> tuple[list[Trial], int]:
        """Return what is known of a pair: its trials, and how many of the interventions were tried."""
        document = files.read_json(self._file(pair))
        if document is None or document["key"] != self.key:
            return [], 0
        trials = [Trial(**{**one, "effect": Effect(**one["effect"])}) for one in document["trials"]]
        return trials, int(document["tried"])

    def write(self, pair: Pair, made: Sequence[Trial], tried: int) -> None:
        """Keep the trials of a pair, of so many interventions."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {"key": self.key, "tried": tried, "trials": [asdict(one) for one in made]}
        files.write_json(self._file(pair), kept)

    def _file(self, pair: Pair) -> Path:
        return self.folder / f"pair-{pair[0]}-{pair[1]}.json"


def record_of(folder: Path, bench: Bench) -> Record:
    """Return the record in a folder of what is tried on a bench: of these pictures, and of this model only."""
    what = [
        __version__,
        [[one.name, one.kind, one.floor, one.informative] for one in bench.interventions],
        bench.seed,
        bench.model.card().fingerprint,
        bench.model.card().preprocessing,
    ]
    digest = hashlib.sha256(json.dumps(what).encode())
    for target in sorted(bench.folder.views):
        digest.update(bench.folder.views[target].tobytes())
    return Record(folder, digest.hexdigest())
