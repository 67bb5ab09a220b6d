"""The baseline of an audit: the findings of an earlier one, which are known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from picasso.audit.reporting.reliance import Document, Reliance, Subject, described, reliance, subject
from picasso.errors import BadRequest


@dataclass(frozen=True)
class Baseline:
    """The findings of an earlier audit that raised an alarm.

    Attributes:
        file: the ``audit.json``.
        classes: the names of the classes of that audit.
        known: the reliance of each finding.
    """

    file: Path
    classes: frozenset[str]
    known: Mapping[Subject, Reliance]

    def require_classes(self, names: Sequence[str]) -> None:
        """Raise an error if the earlier audit has a class that the model does not have.

        Raises:
            BadRequest: it has one.
        """
        if others := sorted(self.classes.difference(names)):
            raise BadRequest(
                f"The baseline {self.file} is of other classes: this model has no class “{others[0]}”. Use the "
                "audit.json of an audit with the classes of this model.",
                field="baseline",
            )

    def missing(self, written: Document, names: Sequence[str]) -> list[str]:
        """Return a sentence for each known finding that raises no alarm now, or was not tested.

        Args:
            written: the content of the present ``audit.json``.
            names: the names of the model's classes.
        """
        found = {subject(one): bool(one["alarm"]) for one in written["findings"]}
        tested = {
            (one["kind"], one["intervention"], frozenset((names[one["ours"]], names[one["theirs"]])))
            for one in written["trials"]
        }
        undecided = {(name, frozenset(one["classes"])) for one in written["undecided"] for name in one["interventions"]}
        sentences = []
        for about, then in self.known.items():
            if found.get(about):
                continue
            if about in found:
                now = "It raises no alarm now"
            elif about not in tested:
                now = "It was not tested now"
            else:
                now = "It is undecided now" if about[1:] in undecided else "It is gone"
            sentences.append(f"{described(about)}: reliance {then} in the baseline. {now}.")
        return sentences


def read_baseline(file: Path) -> Baseline:
    """Read the ``audit.json`` of an earlier audit.

    Raises:
        BadRequest: the file can't be read, or is no ``audit.json``.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        classes = frozenset(map(str, document["confusion"]["classes"]))
        known: dict[Subject, Reliance] = {}
        for one in document["findings"]:
            about, found = subject(one), reliance(one)
            if not all(map(math.isfinite, found)):
                raise ValueError("the reliance is not finite")
            if one["alarm"]:
                # Classes of the same name can't be told apart: growth is measured from the smallest.
                known[about] = min(found, known.get(about, found))
    except OSError as error:
        raise BadRequest(f"The baseline {file} can't be read: {error.strerror}.", field="baseline") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadRequest(
            f"The baseline {file} is no audit.json: use the one in the output folder of an earlier picasso audit.",
            field="baseline",
        ) from error
    return Baseline(file, classes, known)
