"""Convert class names that a user wrote to class indices; :mod:`picasso.models.label_files` reads the names."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from picasso.errors import BadRequest

AGAINST = " vs "
# The maximum number of classes per request, and of additional characters around a name, such as blanks.
MAX_WANTED, SLACK = 1_000, 100
# The most names that a message lists, and the most characters of each.
MAX_LISTED, MAX_SHOWN = 10, 60
# The plural of a noun without "s", and the name of the request's field, where it is not "target".
PLURALS, FIELDS = {"class": "classes"}, {"class": "class"}


def numbers(names: Sequence[str], wanted: Sequence[str | int]) -> list[int | tuple[int, int]]:
    """Return the indices of classes given by name or by index; a name takes precedence over an index.

    "a vs b" stands for two classes, the first rather than the second.

    Raises:
        BadRequest: there is no such class (the message lists similar names), several classes have the name, or there
            are more than :data:`MAX_WANTED`.
    """
    if len(wanted) > MAX_WANTED:
        most = f"{len(wanted):,} classes are requested; the maximum is {MAX_WANTED:,}."
        raise BadRequest(f"{most} Omit the classes to get the most probable ones.", field="class")
    known = by_name(names)
    # The maximum length of "a vs b". The limit matters because splitting a text in all ways takes quadratic time.
    longest = 2 * max(map(len, names), default=0) + SLACK
    found: dict[int | tuple[int, int], None] = {}
    for one in wanted:
        text = str(one)
        if len(text) > longest:
            raise BadRequest(f"The model has no class {text[:60]}...; no name is as long as that.", field="class")
        if isinstance(one, int) or AGAINST not in text or text.strip() in known:
            found[number(names, known, one)] = None
            continue
        # A name may contain the separator itself, so the first split into two known names is used.
        parts = text.split(AGAINST)
        ways = [(AGAINST.join(parts[:at]), AGAINST.join(parts[at:])) for at in range(1, len(parts))]
        way = next((way for way in ways if all(part.strip() in known for part in way)), ways[0])
        try:
            first, second = (number(names, known, part) for part in way)
        except BadRequest as error:
            # A suggestion replaces the whole text.
            error.suggestions = tuple(
                AGAINST.join(near if part.strip() == error.value else part.strip() for part in way)
                for near in error.suggestions
            )
            error.value = text.strip()
            raise
        if first == second:
            raise BadRequest(f"{text[:60]} names the same class twice; specify two classes.", field="class")
        found[first, second] = None
    return list(found)


def by_name(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the indices of the classes with each name; usually there is one."""
    found = defaultdict[str, list[int]](list)
    for index, name in enumerate(names):
        found[name].append(index)
    return dict(found)


def unambiguous(names: Sequence[str], text: str) -> str:
    """Return an index, or "a vs b" of two, with the names of the classes: an index may be the name of another class.

    Any other text is returned as it is.

    Examples:
        >>> from picasso.targets.class_names import numbers, unambiguous
        >>> names = ["1", "2", "0"]
        >>> unambiguous(names, "0 vs 2"), numbers(names, [unambiguous(names, "0 vs 2")])
        ('1 vs 0', [(0, 2)])
    """
    parts = text.split(AGAINST)
    if not all(part.isdecimal() and int(part) < len(names) for part in parts):
        return text
    known = choices(names)
    return AGAINST.join(known[int(part)][0] for part in parts)


def choices(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return for each class a unique value for :func:`numbers` and its display name, with the index if ambiguous."""
    known = by_name(names)
    return [
        (name, name) if len(known[name]) == 1 else (str(index), f"{name} ({index})") for index, name in enumerate(names)
    ]


def number(names: Sequence[str], known: Mapping[str, Sequence[int]], wanted: str | int, noun: str = "class") -> int:
    """Return the index of one class; see :func:`numbers`. Messages call it ``noun``."""
    text = str(wanted).strip()
    same = known.get(text, ()) if isinstance(wanted, str) else ()
    if len(same) > 1:
        raise BadRequest(
            f"{len(same)} {PLURALS.get(noun, noun + 's')} are called {text[:60]}: {', '.join(map(str, same[:10]))}. "
            f"Specify the number of the {noun} instead.",
            field=FIELDS.get(noun, "target"),
        )
    index = same[0] if same else None
    # Python refuses to parse integers with thousands of digits.
    if index is None and text.isdecimal() and len(text) < 10 and int(text) < len(names):
        index = int(text)
    if index is None:
        near = difflib.get_close_matches(text, names, n=3, cutoff=0.5)
        hint = f"Similar names: {', '.join(near)}." if near else known_names(names, noun)
        field = FIELDS.get(noun, "target")
        raise BadRequest(f"The model has no {noun} {text[:60]}. {hint}", field=field, value=text, suggestions=near)
    return index


def known_names(names: Sequence[str], noun: str) -> str:
    """Return a sentence on what can be specified; it lists the names if there are few."""
    few = ", ".join(name[:MAX_SHOWN] for name in names[:MAX_LISTED])
    if len(names) == 1:
        return f"Its only {noun} is {few}."
    listed = f" ({few})" if len(names) <= MAX_LISTED else ""
    return f"Specify a name{listed}, or a number from 0 to {len(names) - 1}."
