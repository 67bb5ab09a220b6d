"""The classes that somebody names, as numbers; :mod:`picasso.models.label_files` reads their names."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from picasso.errors import BadRequest

#: The number of a class, or those of two: the first rather than the second.
Wanted = int | Sequence[int]
AGAINST = " vs "
# As many classes can be named at once, and names may have so many characters around them, such as blanks.
MAX_WANTED, SLACK = 1_000, 100


def numbers(names: Sequence[str], wanted: Sequence[str | int]) -> list[Wanted]:
    """Return the numbers of classes that are named, or numbered already; a name wins over a number.

    "a vs b" stands for two classes, the first rather than the second.

    Raises:
        BadRequest: there is no such class, and which names are close; or several have the name; or these are more than
            :data:`MAX_WANTED`.
    """
    if len(wanted) > MAX_WANTED:
        most = f"{len(wanted):,} classes are named; the maximum is {MAX_WANTED:,}."
        raise BadRequest(f"{most} Name none for the most probable classes.", field="class")
    known = by_name(names)
    # No two names with the word between them are longer. Reading a text in all ways takes the square of its length.
    longest = 2 * max(map(len, names), default=0) + SLACK
    found: dict[Wanted, None] = {}
    for one in wanted:
        text = str(one)
        if len(text) > longest:
            raise BadRequest(f"The model has no class {text[:60]}...; no name is as long as that.", field="class")
        if isinstance(one, int) or AGAINST not in text or text.strip() in known:
            found[number(names, known, one)] = None
            continue
        # A name may hold the word itself: the first way to read it that makes sense is taken.
        parts = text.split(AGAINST)
        ways = [(AGAINST.join(parts[:at]), AGAINST.join(parts[at:])) for at in range(1, len(parts))]
        way = next((way for way in ways if all(part.strip() in known for part in way)), ways[0])
        first, second = (number(names, known, part) for part in way)
        if first == second:
            raise BadRequest(f"{text[:60]} names one class twice; name two.", field="class")
        found[first, second] = None
    return list(found)


def by_name(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the numbers of the classes that have each name; mostly there is one."""
    found = defaultdict[str, list[int]](list)
    for index, name in enumerate(names):
        found[name].append(index)
    return dict(found)


def choices(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return for each class what :func:`numbers` takes for it alone, and what is shown, with its number if need be."""
    known = by_name(names)
    return [
        (name, name) if len(known[name]) == 1 else (str(index), f"{name} ({index})") for index, name in enumerate(names)
    ]


def number(names: Sequence[str], known: Mapping[str, Sequence[int]], wanted: str | int) -> int:
    """Return the number of one class; see :func:`numbers`."""
    text = str(wanted).strip()
    same = known.get(text, ()) if isinstance(wanted, str) else ()
    if len(same) > 1:
        raise BadRequest(
            f"{len(same)} classes are called {text[:60]}: {', '.join(map(str, same[:10]))}. Write the number of the "
            "one that you want.",
            field="class",
        )
    index = same[0] if same else None
    # A number of thousands of digits can't even be read.
    if index is None and text.isdecimal() and len(text) < 10 and int(text) < len(names):
        index = int(text)
    if index is None:
        near = difflib.get_close_matches(text, names, n=3, cutoff=0.5)
        hint = f"Close to it: {', '.join(near)}." if near else f"Write a name, or a number from 0 to {len(names) - 1}."
        raise BadRequest(f"The model has no class {text[:60]}. {hint}", field="class")
    return index
