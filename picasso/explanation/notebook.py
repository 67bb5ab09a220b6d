"""Results as HTML for notebooks, and as a page: bounded in size, without scripts or styles of the page around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from picasso.explanation import legend, render
from picasso.imaging import decode
from picasso.targets import phrase
from picasso.visualizations.panel import Panel

if TYPE_CHECKING:
    from picasso.explanation.result import Result

# The most results and images that a cell shows, and the width of an image; a notebook keeps them all in its file.
RESULTS, IMAGES, WIDTH = 8, 32, 220
# The longest text of a title or a note.
LONGEST = 300


def of_results(results: Sequence[Result]) -> str:
    """Return the first results as HTML, and how many more there are."""
    shown, left = [], IMAGES
    for result in results[:RESULTS]:
        if left <= 0:
            break
        shown.append(of_result(result, left))
        left -= 1 + len(result.panels)
    if more := len(results) - len(shown):
        shown.append(f"<p>and {more} more: show some with <code>results[{len(shown)}:]</code></p>")
    return "".join(shown) or "<p>no results</p>"


def page(sections: Sequence[str], left_out: int = 0) -> str:
    """Return a page that opens without a server.

    Args:
        sections: the HTML of each result, by :func:`of_result`.
        left_out: how many more results there are.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    more = f"<p>and {left_out} more in their folders</p>" if left_out else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Picasso</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"></head>'
        f'<body style="font-family:sans-serif">{"".join(sections)}{more}</body></html>\n'
    )


def of_result(result: Result, images: int = IMAGES) -> str:
    """Return one result as HTML: the image, then each panel under its title, with its legend."""
    best = ", ".join(phrase(one) for one in result.predictions)
    figures = [figure(render.enlarge(result.view), text(result.image))]
    if "mask" in result.output:
        figures.append(figure(render.masked(result.view, result.output["mask"]), "prediction"))
    room = max(1, images - 1)
    for panel in result.panels[:room]:
        amount = legend.amount(panel.describe())
        title = f"<b>{text(panel.title)}</b> {text(amount)}".strip()
        figures.append(figure(render.draw(panel, result.view), title, "".join(below(panel))))
    if more := len(result.panels) - room:
        figures += [f"<p>and {more} more panels</p>"] if more > 0 else []
    notes = "".join(f"<p>{text(note)}</p>" for note in result.notes)
    return f"<div><p><b>{escape(result.visualization)}</b> {text(best)}</p>{''.join(figures)}{notes}</div>"


def below(panel: Panel) -> Iterator[str]:
    """Yield the legend of a map: its colours, the numbers at its ends, what they mean, and the quantity; then notes."""
    if panel.kind == "map":
        described = panel.describe()
        if not panel.flat:
            (low, high), (left, right) = legend.ends(described), panel.meanings
            yield f'<img alt="" style="width:100%;height:14px" src="{address(render.colour_bar(panel))}">'
            sides = [f"{low} {left}".strip(), f"{right} {high}".strip()]
            spans = "".join(f"<span>{escape(side)}</span>" for side in sides)
            yield f'<div style="display:flex;justify-content:space-between">{spans}</div>'
        yield f"<div>{text(legend.details(described))}</div>"
    if panel.note:
        yield f"<div>{text(panel.note)}</div>"


def figure(image: Image.Image, title: str, rest: str = "") -> str:
    """Return an image with its title above it; ``title`` and ``rest`` are HTML."""
    style = f"display:inline-block;vertical-align:top;width:{WIDTH}px;margin:4px 8px 4px 0;font-size:12px"
    drawn = f'<img alt="" style="width:100%" src="{address(image)}">'
    return f'<figure style="{style}"><figcaption>{title}</figcaption>{drawn}{rest}</figure>'


def address(image: Image.Image) -> str:
    """Return an image as a data URL: WebP for photographs, which are smaller so."""
    if max(image.size) <= render.DISPLAY_SIDE:
        return decode.data_address(decode.encode(image))
    return decode.data_address(decode.thumbnail(image, render.DISPLAY_SIDE), "image/webp")


def text(said: str) -> str:
    """Return a text as HTML, cut off if it is long."""
    return escape(said if len(said) <= LONGEST else f"{said[:LONGEST]}…")
