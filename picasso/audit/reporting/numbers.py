"""The numbers of an audit for an experiment tracker, under names that are the same in each audit."""

from __future__ import annotations

from picasso.audit.reporting.reliance import Document, reliance


def numbers(written: Document) -> dict[str, float]:
    """Return the numbers of an audit.

    ``accuracy`` with the ends of its 95% confidence interval, ``accuracy_low`` and ``accuracy_high``; ``alarms``, the
    number of findings that raise an alarm; ``reliance``, the largest of an alarm, 0 if there is none;
    ``reliance/NAME``, the largest of the alarms of an intervention; ``compared_pairs`` of classes, and ``judged``, 1
    if anything was.

    Args:
        written: the content of ``audit.json``. Shares and reliances are fractions, 0..1.
    """
    share, alarms = written["accuracy"], [one for one in written["findings"] if one["alarm"]]
    found = {
        "accuracy": share["right"] / share["images"],
        "accuracy_low": float(share["low"]),
        "accuracy_high": float(share["high"]),
        "alarms": float(len(alarms)),
        "reliance": max((reliance(one).value for one in alarms), default=0.0),
        "compared_pairs": float(written["coverage"]["compared"]),
        "judged": float(written["coverage"]["judged"]),
    }
    for one in alarms:
        name = f"reliance/{one['name']}"
        found[name] = max(reliance(one).value, found.get(name, 0.0))
    return found
