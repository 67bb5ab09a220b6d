"""What an audit has found so far, kept on the disk, so that one that was killed goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from picasso import __version__, files
from picasso.audit.folder import Folder
from picasso.audit.interventions import INTERVENTIONS
from picasso.audit.statistics import Effect
from picasso.audit.trials import Trial
from picasso.models.base import Model


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
    """Return what tells the trials of one model, folder and catalogue of interventions from those of others."""
    catalogue = [[one.name, one.kind, one.floor, one.informative] for one in INTERVENTIONS]
    card = model.card()
    what = [__version__, catalogue, seed, card.fingerprint, card.preprocessing]
    digest = hashlib.sha256(json.dumps(what).encode())
    for target in sorted(folder.views):
        digest.update(folder.views[target].tobytes())
    return digest.hexdigest()
