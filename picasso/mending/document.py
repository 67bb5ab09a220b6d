"""The result of mending a model as JSON-ready values, and as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from picasso import __version__, fileio
from picasso.audit.audit import Audit
from picasso.mending.outcome import BeforeAfter, Mending, Quality, number

# The suffix of the file beside the mended model.
SUFFIX = ".mending.json"


def beside(model: Path) -> Path:
    """Return the JSON file beside a mended model.

    Examples:
        >>> from pathlib import Path
        >>> from picasso.mending.document import beside
        >>> str(beside(Path("mended.keras")))
        'mended.mending.json'
    """
    return model.with_name(model.stem + SUFFIX)


def document(done: Mending) -> dict[str, Any]:
    """Return the result as JSON-ready values; effects, accuracies and errors are fractions.

    ``mended``, ``gone``, ``sentence``, ``deep``, ``rounds``, ``advice``: as in
    :class:`picasso.mending.outcome.Mending`.
    ``file``: the name of the mended model, or null.
    ``effects``: those with an alarm, each with the names of the two ``classes``, and both directions ``before``,
    ``after`` and on ``held_out`` images, the first from the first class to the second.
    ``rises``: other effects that rose. ``own``, ``held_out``, ``fair``: the quality ``before`` and ``after``, with
    ``accuracy``, ``images``, ``classes`` and ``calibration_error``. ``worst``: the accuracy of the worst group,
    of all groups, and of those with the shortcut of another class.
    """
    names = done.class_names

    def named(one: Any) -> dict[str, Any]:
        found = asdict(one)
        found["classes"] = [names[target] for target in found.pop("pair")]
        return found

    return {
        "mended": done.mended,
        "gone": done.gone,
        "sentence": done.sentence,
        "file": done.file.name if done.file else None,
        "effects": [named(one) for one in done.effects],
        "rises": [named(one) for one in done.rises],
        "own": both(done.own),
        "held_out": both(done.held_out),
        "fair": both(done.fair),
        "worst": asdict(done.worst) if done.worst else None,
        "rounds": done.rounds,
        "deep": done.deep,
        "advice": done.advice,
    }


def both(found: BeforeAfter | None) -> dict[str, Any] | None:
    """Return two qualities as JSON-ready values."""
    return {"before": quality(found.before), "after": quality(found.after)} if found else None


def quality(found: Quality) -> dict[str, Any]:
    """Return a quality as JSON-ready values."""
    return {"accuracy": found.accuracy, "images": found.images, **asdict(found)}


def write(done: Mending, first: Audit, out: Path) -> None:
    """Write the result as JSON beside the mended model, with the old model that it was made from."""
    found = {"picasso": __version__, "model": first.model.card().as_dict(), **document(done)}
    fileio.write_bytes(beside(out), fileio.readable_json(found, indent=1))


def rows(done: Mending) -> list[tuple[str, str, str]]:
    """Return the table of the result: what was measured, before, and after; effects on held-out images included."""
    names, found = done.class_names, list[tuple[str, str, str]]()
    several = len({one.pair for one in done.effects}) > 1
    for one in done.effects:
        pair = f" ({names[one.pair[0]]} / {names[one.pair[1]]})" if several else ""
        found.append((f"effect of {one.intervention}{pair}", number(one.size_before), number(one.size_after)))
        found.append(("  on held-out images", "", number(min(one.held_out))))
    for label, some in (("your images", done.own), ("held-out images", done.held_out), ("fair images", done.fair)):
        if some:
            found += qualities(label, some)
    if done.worst:
        worst = done.worst
        found.append(("accuracy, worst held-out group", f"{worst.before:.0%}", f"{worst.after:.0%}"))
        changed = (f"{worst.changed_before:.0%}", f"{worst.changed_after:.0%}")
        found.append(("accuracy, held-out images changed", *changed))
    return found


def qualities(label: str, some: BeforeAfter) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of two qualities."""
    before, after = some.before, some.after
    yield f"accuracy on {label}", f"{before.accuracy:.0%}", f"{after.accuracy:.0%}"
    for was, now in zip(before.classes, after.classes, strict=True):
        yield f"  {was.name}", f"{was.right} of {was.images}", f"{now.right} of {now.images}"
    errors = (before.calibration_error, after.calibration_error)
    if None not in errors:
        yield "  calibration error", *(f"{error:.3f}" for error in errors)  # type: ignore[misc]


def lines(table: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    r"""Yield the lines of a table in plain text.

    Examples:
        >>> from picasso.mending.document import lines
        >>> print("\n".join(lines([("accuracy", "100%", "97%")])))
                    before   after
        accuracy      100%     97%
    """
    width = max(len(label) for label, _, _ in table)
    room = max(len(text) for _, *texts in table for text in (*texts, "before")) + 2
    for label, before, after in (("", "before", "after"), *table):
        yield f"{label:<{width}}  {before:>{room}}{after:>{room}}"
