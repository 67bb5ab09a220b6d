"""The widget itself: what the browser chooses comes in one trait, and what it shows goes out in others."""

from __future__ import annotations

import time

import anywidget
import traitlets

from picasso.config import PACKAGE
from picasso.explanation.exploration import Choice, Exploration
from picasso.explanation.result import Result

# The time between two reports of the progress in seconds.
REPORT_SECONDS = 0.2


class ImageWidget(anywidget.AnyWidget):
    """Shows images and where a model looks in them; :func:`picasso.widget` makes it.

    Attributes:
        choice: what to show: "image" (a number), "question", "method", "target". The browser and Python set it.
        menu: what can be chosen; see :meth:`~picasso.explanation.exploration.Exploration.menu`.
        shown: what is shown; see :meth:`~picasso.explanation.exploration.Exploration.view`. Its ``turn`` is that of the
            choice, by which the browser knows the answer to its last request.
        progress: what is being computed, or "".
    """

    # Texts and not files: with a file, anywidget may watch it in a thread of its own.
    _esm = (PACKAGE / "static" / "widget.js").read_text(encoding="utf-8")
    _css = (PACKAGE / "static" / "widget.css").read_text(encoding="utf-8")
    choice = traitlets.Dict().tag(sync=True)
    menu = traitlets.Dict().tag(sync=True)
    shown = traitlets.Dict().tag(sync=True)
    progress = traitlets.Unicode("").tag(sync=True)

    def __init__(self, exploration: Exploration) -> None:
        self._exploration, self._reported = exploration, 0.0
        super().__init__(menu=exploration.menu())
        self._show()

    @property
    def result(self) -> Result | None:
        """The result that is shown, or None if there was an error before the first one."""
        return self._exploration.result

    @traitlets.observe("choice")
    def _show(self, change: object = None) -> None:
        """Compute what is chosen, and show it."""
        document = dict(self.choice)
        try:
            shown = self._exploration.view(Choice.read(document), self._report)
        except KeyboardInterrupt:
            shown = {"error": "The computation was interrupted. Choose something to go on."}
        self.shown = {**shown, "turn": document.get("turn", 0)}
        self.progress = ""

    def _report(self, fraction: float) -> None:
        """Show the progress, from time to time."""
        now = time.monotonic()
        if now - self._reported > REPORT_SECONDS:
            self._reported, self.progress = now, f"computing … {fraction:.0%}"
