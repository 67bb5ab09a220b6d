"""The texts of the legend of a map, which are the same on pages, in files and in notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Differences that are not drawn are stated if they are at least this share of the scale.
NOTABLE = 0.02
# Smaller numbers than this share of the scale are rounding errors.
NEGLIGIBLE = 1e-5


def ends(panel: Mapping[str, Any]) -> tuple[str, str]:
    """Return the numbers at both ends of the scale; "≤" and "≥" if there are values beyond them.

    Args:
        panel: what :meth:`picasso.visualizations.panel.Panel.describe` returns.
    """
    low, high = panel["value_range"]
    before, after = "≤ " if panel["minimum"] < low else "", "≥ " if panel["maximum"] > high else ""
    return f"{before}{low:.3g}", f"{after}{high:.3g}"


def details(panel: Mapping[str, Any]) -> str:
    """Return the quantity of a map, its whole range if the scale does not show it, and what is not drawn.

    Args:
        panel: as in :func:`ends`.
    """
    if panel["flat"]:
        nothing = panel["empty"] and panel["minimum"] != panel["maximum"]
        value = "no values above rounding error" if nothing else f"{panel['minimum']:.3g} everywhere"
        return "; ".join(filter(None, [f"flat: {value}", panel["quantity"]]))
    low, high = panel["value_range"]
    said = [panel["quantity"]]
    if panel["minimum"] < low or panel["maximum"] > high:
        # Rounding errors of an end that is zero are not stated.
        least, most = (
            0 if abs(end) < NEGLIGIBLE * (high - low) else end for end in (panel["minimum"], panel["maximum"])
        )
        said.append(f"values from {least:.3g} to {most:.3g}")
    floor, centre = panel.get("floor", 0.0), panel.get("centre")
    if floor > NOTABLE * (high - low):
        said.append(f"values within {floor:.2g} of {low if centre is None else centre:.3g} are not drawn")
    return "; ".join(filter(None, said))


def amount(panel: Mapping[str, Any]) -> str:
    """Return the value of a panel's target as text: "0.9731", "34.2 years", "mean probability 0.83", or "".

    Args:
        panel: as in :func:`ends`.
    """
    value, unit, title = panel["value"], panel["unit"], panel["title"]
    if value is None:
        return "" if panel["probability"] is None else f"{panel['probability']:.4f}"
    if unit == "probability":
        return f"{value:.4f}"
    # The quantity of a number is its name, which is the title, with its unit.
    if unit == title or unit.startswith(f"{title} ("):
        return f"{value:.4g} {unit[len(title) + 2 : -1]}".strip()
    # The legend of the map has what is in brackets.
    return f"{unit.partition(' (')[0]} {value:.2f}".strip()
