"""What a visitor has done so far, and so must see."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.conftest import Visitor


@dataclass
class Known:
    """What a visitor must see: the images in their order, and the runs."""

    client: Visitor
    session: bool = False
    next_uid: int = 0
    images: list[tuple[int, str]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    def forget(self) -> None:
        """Begin anew."""
        self.session, self.next_uid = False, 0
        self.images.clear()
        self.runs.clear()

    def uid(self, index: int) -> int:
        """Return the number of an image, or one that there is not."""
        return self.images[index % len(self.images)][0] if self.images else 99

    def run(self, index: int) -> str:
        """Return the id of a run, or one that there is not."""
        return self.runs[index % len(self.runs)] if self.runs else "0" * 16
