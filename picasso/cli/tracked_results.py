"""The option ``--log-to`` of ``picasso explain``: results as a run of an experiment tracker; imports nothing slow."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from picasso import __version__
from picasso.cli.trackers import log

if TYPE_CHECKING:
    from picasso.explanation.result import Result
    from picasso.grading.outcome import Grade

REPORT = "report.html"
# The most results of the report, each of which has its images in it; the artifact has the folders of all.
SHOWN = 100


@dataclass
class TrackedResults:
    """Collects what a command computed, without its arrays, and logs it when all is there.

    Attributes:
        trackers: the names of experiment trackers; without one, nothing is collected.
        numbers: the numbers by name.
        texts: what they are about, by name.
        folders: the folders of the results.
        sections: the HTML of the first results.
    """

    trackers: tuple[str, ...]
    numbers: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)

    def add(self, result: Result, folder: Path) -> None:
        """Add a result and the folder in which it was saved."""
        if not self.trackers:
            return
        from picasso.explanation import notebook
        from picasso.summaries.records import values

        best = result.predictions[0] if result.predictions else None
        if best and "prob" in best:
            self.numbers[f"probability/{result.image}"] = float(best["prob"])
        self.numbers |= {name: value for name, (value, _) in values(result).items()}
        self.texts |= {
            "version": __version__,
            "model": result.model.checkpoint or result.model.name,
            "sha256": result.model.fingerprint,
        }
        self.folders.append(folder)
        if len(self.sections) < SHOWN:
            self.sections.append(notebook.of_result(result))

    def publish(self, grades: Mapping[Path, Grade]) -> None:
        """Log everything, with a report of the results.

        Args:
            grades: the grades by the files that they were written to.

        Raises:
            BadRequest: a tracker refuses.
        """
        if not self.trackers:
            return
        from picasso.explanation import notebook
        from picasso.grading.ranking import numbers

        for grade in grades.values():
            self.numbers |= {f"grade/{grade.visualization}/{name}": value for name, value in numbers(grade).items()}
            self.texts[f"grade.{grade.visualization}"] = grade.sentence
        self.numbers["results"] = float(len(self.folders))
        left_out = len(self.folders) - len(self.sections)
        with tempfile.TemporaryDirectory(prefix="picasso-report-") as place:
            report = Path(place, REPORT)
            report.write_text(notebook.page(self.sections, left_out), encoding="utf-8", errors="replace")
            log(self.trackers, "explain", self.numbers, self.texts, [report, *grades, *self.folders])
