"""What a visitor has done so far, and so must see."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.conftest import Visitor


@dataclass
class Known:
    """What a visitor must see: the pictures in their order, and the runs."""

    client: Visitor
    session: bool = False
    next_uid: int = 0
    pictures: list[tuple[int, str]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    def forget(self) -> None:
        """Begin anew."""
        self.session, self.next_uid = False, 0
        self.pictures.clear()
        self.runs.clear()

    def uid(self, index: int) -> int:
        """Return the number of a picture, or one that there is not."""
        return self.pictures[index % len(self.pictures)][0] if self.pictures else 99

    def run(self, index: int) -> str:
        """Return the id of a run, or one that there is not."""
        return self.runs[index % len(self.runs)] if self.runs else "0" * 16
