"""Coordinates of charts, in percent of their width or height; templates draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.audit.confounders import Confounded
from picasso.audit.outcome import AuditOutcome
from picasso.audit.properties import PROPERTIES, Images
from picasso.audit.trial import Pair, Trial

# Effects beyond these limits are drawn at the edge.
LOWEST, HIGHEST = -0.5, 1.5
HISTOGRAM = 24


@dataclass(frozen=True)
class Scale:
    """An axis from ``low`` to ``high``."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Return the position of a value in percent, clipped to 0..100."""
        return round(100 * min(1.0, max(0.0, (value - self.low) / (self.high - self.low))), 2)


def forest(trials: Sequence[Trial], pair: Pair, found: AuditOutcome, names: Sequence[str]) -> dict[str, Any]:
    """Return the forest plot of one pair of classes: each effect and its 95% interval, in both directions.

    Rows are sorted by the smaller effect of the two directions, the largest first.
    """
    effects = [one.effect for one in trials]
    low = max(LOWEST, min([0.0, *(one.low for one in effects)]))
    high = min(HIGHEST, max([1.0, *(one.high for one in effects)]))
    scale = Scale(np.floor(low * 10) / 10, np.ceil(high * 10) / 10)
    tiers = {one.there.intervention: one.tier for one in found.findings if set(pair) == one.pair}
    by_name: dict[str, list[Trial]] = {}
    for one in trials:
        by_name.setdefault(one.intervention, []).append(one)
    rows = [
        {
            "name": name,
            "floor": scale.at(both[0].floor),
            "state": {"relies on": "alarm"}.get(tiers[name], "told") if name in tiers else "silent",
            "told": {"informative": "informational", "one direction": "one direction"}.get(tiers.get(name, ""), ""),
            "directions": [_direction(one, scale, names, first=one.ours == pair[0]) for one in both],
        }
        for name, both in sorted(by_name.items(), key=lambda item: -min(one.effect.fraction for one in item[1]))
    ]
    ticks = [{"at": scale.at(value), "value": value} for value in (0.0, 0.5, 1.0)]
    return {
        "pair": [names[one] for one in pair],
        "alarms": "relies on" in tiers.values(),
        "rows": rows,
        "ticks": ticks,
    }


def _direction(one: Trial, scale: Scale, names: Sequence[str], *, first: bool) -> dict[str, Any]:
    effect = one.effect
    return {
        "first": first,
        "towards": names[one.theirs],
        "fraction": effect.fraction,
        "at": scale.at(effect.fraction),
        "low": scale.at(effect.low),
        "high": scale.at(effect.high),
    }


def histogram(one: Confounded, views: Mapping[int, Images]) -> dict[str, Any]:
    """Return the histograms of a property in two classes, with :data:`HISTOGRAM` bins of equal width."""
    (measure,) = (of.measure for of in PROPERTIES if of.name == one.name)
    values = measure(views[one.one]), measure(views[one.other])
    low, high = (float(end(np.concatenate(values))) for end in (np.min, np.max))
    counts = [np.histogram(some, HISTOGRAM, (low, high if high > low else low + 1))[0] for some in values]
    return {"low": low, "high": high, "less": counts[0].tolist(), "more": counts[1].tolist()}


def bars(histogram_: Mapping[str, Any]) -> list[dict[str, float]]:
    """Return the bars of a histogram in percent: the class with larger values upwards, the other downwards."""
    shares: list[NDArray[np.float64]] = [np.asarray(histogram_[key]) / sum(histogram_[key]) for key in ("more", "less")]
    tallest = max(some.max() for some in shares)
    return [
        {
            "x": round(100 * place / HISTOGRAM, 2),
            "up": round(48 * up / tallest, 2),
            "down": round(48 * down / tallest, 2),
        }
        for place, (up, down) in enumerate(zip(*shares, strict=True))
    ]
