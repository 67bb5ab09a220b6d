"""How maps are drawn, as chosen on a page: opacity, colours and scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from picasso.errors import BadRequest
from picasso.explanation.render import DIVERGING, SEQUENTIAL
from picasso.visualizations.panel import HEADROOM, Panel

# The scale set by the method, of each map alone, or of all maps of the same quantity.
SCALES = ("own", "each", "common")


@dataclass(frozen=True)
class DisplayOptions:
    """The display options of maps; the defaults draw them as their method does.

    Attributes:
        opacity: the opacity of the strongest values in percent; None for that of the method.
        colours: the colours of maps without a middle, of :data:`~picasso.explanation.render.SEQUENTIAL`.
        signed: the colours of maps with a middle, of :data:`~picasso.explanation.render.DIVERGING`.
        scale: one of :data:`SCALES`.

    Examples:
        >>> import numpy as np
        >>> from picasso import Panel
        >>> from picasso.explanation.display_options import DisplayOptions
        >>> panel = Panel("bright", np.array([[0.0, 3.0]]), quantity="gradient")
        >>> DisplayOptions(opacity=60).applied(panel).transparency
        0.4
    """

    opacity: int | None = None
    colours: str = SEQUENTIAL[0]
    signed: str = DIVERGING[0]
    scale: str = SCALES[0]

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadRequest: one is not offered.
        """
        for name, offered in (("colours", SEQUENTIAL), ("signed", DIVERGING), ("scale", SCALES)):
            value = getattr(self, name)
            if value not in offered:
                raise BadRequest(f"{name} must be one of {', '.join(offered)}, not {value[:80]!r}.", field=name)
        if self.opacity is not None and not 0 <= self.opacity <= 100:
            raise BadRequest(f"opacity must be from 0 to 100, not {self.opacity}.", field="opacity")

    def colours_of(self, panel: Panel) -> str:
        """Return the name of the colour map of a panel."""
        return self.colours if panel.middle is None else self.signed

    def applied(self, panel: Panel, kin: Iterable[Mapping[str, Any]] = ()) -> Panel:
        """Return a panel with its opacity and scale; the same as a page in the browser.

        Args:
            panel: a map, or an image, which stays as it is.
            kin: the descriptions of all panels that share the scale "common"; those of other quantities are ignored.
        """
        if panel.kind != "map":
            return panel
        if self.opacity is not None:
            panel = replace(panel, transparency=1 - self.opacity / 100)
        if self.scale == "own":
            return panel
        ends = [float(panel.array.min()), float(panel.array.max())]
        if self.scale == "common":
            same = (panel.quantity, panel.signed)
            alike = [one for one in kin if one["kind"] == "map" and (one["quantity"], one["signed"]) == same]
            ends = [*panel.scale(), *(end for one in alike for end in one["value_range"])]
        low, high, least = min(ends), max(ends), HEADROOM * panel.noise_level
        if panel.signed:
            most = max(-low, high, least)
            return replace(panel, value_range=(-most, most))
        return replace(panel, value_range=(low, max(high, low + least)))
