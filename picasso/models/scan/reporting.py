"""Results of scans as text, as JSON-ready values and as exit statuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from picasso.errors import ModelError
from picasso.models.scan.checking import advice, scan
from picasso.models.scan.findings import Kind, Report
from picasso.models.scan.limits import Limits


class Verdict(IntEnum):
    """The verdict of a scan; its value is the exit status of ``picasso scan``."""

    DATA = 0
    REFUSED = 1
    UNREADABLE = 2


WORDS = {
    Verdict.DATA: "data alone",
    Verdict.REFUSED: "refused",
    Verdict.UNREADABLE: "can't be read",
}


@dataclass(frozen=True)
class Scanned:
    """The result of scanning one path.

    Attributes:
        path: the path as given.
        report: the report, or None if the path could not be scanned.
        error: the reason why it could not be scanned, or "".
    """

    path: Path
    report: Report | None
    error: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict: DATA without findings, UNREADABLE if all findings are of the kind BROKEN, otherwise REFUSED."""
        if self.report is None:
            return Verdict.UNREADABLE
        if self.report.is_data:
            return Verdict.DATA
        broken = all(one.kind is Kind.BROKEN for one in self.report)
        return Verdict.UNREADABLE if broken else Verdict.REFUSED

    def lines(self) -> Iterator[str]:
        """Yield lines of text: the verdict, the findings with their places, and what to do about them."""
        if self.report is None:
            yield f"{self.path}: {WORDS[self.verdict]}: {self.error}"
            return
        yield f"{self.path}: {self.report.format}: {WORDS[self.verdict]}"
        for one in self.report:
            yield f"  {one.kind}: {one.what}; {one.where}"
        for said in dict.fromkeys(advice(one).strip() for one in self.report):
            if said:
                yield f"  {said}"

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready values."""
        return {
            "path": str(self.path),
            "format": str(self.report.format) if self.report else "",
            "verdict": self.verdict.name.lower(),
            "error": self.error,
            "findings": [
                {"kind": str(one.kind), "what": one.what, "where": one.where, "remedy": advice(one).strip()}
                for one in self.report or ()
            ],
        }


def scan_each(paths: Iterable[Path], limits: Limits) -> Iterator[Scanned]:
    """Yield the result of each path; a path that can't be scanned does not stop the others."""
    for path in paths:
        try:
            yield Scanned(path, scan(path, limits))
        except ModelError as error:
            yield Scanned(path, None, error.message)
