"""Store the trials of an audit on disk, so that an interrupted audit can continue."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picasso import __version__, fileio
from picasso.audit.interventions import Intervention
from picasso.audit.properties import Property
from picasso.audit.trial import Pair, Trial, TrialContext, restored

# The file of the messages about images of later blocks.
UNREADABLE = "unreadable.json"


@dataclass(frozen=True)
class TrialCheckpoint:
    """The trials of an audit on disk, so that an interrupted audit can continue.

    Attributes:
        folder: contains one file for each pair.
        key: identifies the model, the images and the interventions; trials with another key are ignored.
    """

    folder: Path
    key: str

    def read(self, pair: Pair) -> tuple[list[Trial], int]:
        """Return the stored trials of a pair, and the number of interventions that were tested."""
        try:
            document = fileio.read_json(self._file(pair))
            if document is None or document["key"] != self.key:
                return [], 0
            return [restored(one) for one in document["trials"]], int(document["tried"])
        # Truncated by a full disk, or written by another version: computed again.
        except (ValueError, KeyError, TypeError):
            return [], 0

    def write(self, pair: Pair, made: Sequence[Trial], tried: int) -> None:
        """Store the trials of a pair, after ``tried`` interventions."""
        # Don't create parents: an audit that was deleted in the meantime must not reappear.
        self.folder.mkdir(exist_ok=True)
        kept = {"key": self.key, "tried": tried, "trials": [asdict(one) for one in made]}
        fileio.write_json(self._file(pair), kept)

    def read_unreadable(self) -> dict[int, list[str]]:
        """Return the stored messages about unreadable images of later blocks, by the number of the block."""
        try:
            document = fileio.read_json(self.folder / UNREADABLE)
            known = document is not None and document["key"] == self.key
            return {int(number): some for number, some in document["blocks"].items()} if known else {}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}

    def write_unreadable(self, blocks: Mapping[int, Sequence[str]]) -> None:
        """Store them."""
        self.folder.mkdir(exist_ok=True)
        fileio.write_json(self.folder / UNREADABLE, {"key": self.key, "blocks": dict(blocks)})

    def _file(self, pair: Pair) -> Path:
        return self.folder / f"pair-{pair[0]}-{pair[1]}.json"


def record_of(folder: Path, context: TrialContext, level: float) -> TrialCheckpoint:
    """Return the checkpoint in a folder, valid only for the model, images and interventions of the context.

    Args:
        folder: contains the checkpoint; its parent must exist.
        context: the model, the images and the interventions.
        level: that of each confidence sequence, which decides when a test in several blocks stops.
    """
    card = context.model.card()
    what = [
        __version__,
        [[one.name, one.kind, one.floor, one.informative, one.detail] for one in context.interventions],
        context.seed,
        [card.checkpoint, card.fingerprint, card.preprocessing, card.precision],
        [str(name) for name in context.model.class_names()],
    ]
    digest = hashlib.sha256(json.dumps(what).encode())
    for file in sources(context.interventions):
        digest.update(file.read_bytes())
    for target in sorted(context.folder.views):
        digest.update(context.folder.views[target].tobytes())
        if target in context.folder.masks:
            digest.update(context.folder.masks[target].tobytes())
        # The predictions identify a model without a file. They are rounded, since the last bits may differ.
        digest.update((np.round(context.folder.logits[target], 2) + 0.0).tobytes())
    if context.folder.blocks is not None:
        digest.update(context.folder.blocks.identity())
        digest.update(json.dumps(level).encode())
    return TrialCheckpoint(folder, digest.hexdigest())


def sources(interventions: Sequence[Intervention]) -> list[Path]:
    """Return the source files of custom interventions and of the functions of their properties."""
    parts: list[Any] = []
    for one in interventions:
        of = getattr(one, "property", None)
        parts += [type(one), *([of.measure, of.change] if isinstance(of, Property) else [])]
    files_ = {inspect.getsourcefile(part) for part in parts if not part.__module__.startswith("picasso.")}
    return sorted(Path(file) for file in files_ if file)
