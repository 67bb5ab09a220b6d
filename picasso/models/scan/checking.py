"""The one way to scan a file or folder, and to refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from picasso import remedies
from picasso.errors import ModelError
from picasso.models.scan.findings import Context, Finding, Kind, Report
from picasso.models.scan.limits import Limits


def scan(path: Path, limits: Limits | None = None, known: frozenset[str] = frozenset()) -> Report:
    """Read a model file, folder or checkpoint prefix as data, and report what it must not hold.

    Args:
        path: what :func:`picasso.models.load_model` takes.
        limits: the bounds on memory and time.
        known: names of layers and functions that the operator's own code registers.

    Raises:
        ModelError: there is nothing at the path.
    """
    context = Context(limits or Limits(), known)
    return Report(path, "", tuple(islice(findings_of(path, context), context.limits.findings)))


def findings_of(path: Path, context: Context) -> Iterator[Finding]:
    """Yield the findings of the module that knows the format of a path."""
    yield from ()


def require(path: Path, trust: bool, limits: Limits | None = None, known: frozenset[str] = frozenset()) -> None:
    """Raise an error unless a model file may be loaded.

    Args:
        path: the file, folder or prefix that a framework is about to read.
        trust: whether the operator trusts the file, so that code in it may run.
        limits: the bounds on memory and time.
        known: names of layers and functions that the operator's own code registers.

    Raises:
        ModelError: names the first finding, where it stands, how many more there are, and what to do.
    """
    report = scan(path, limits, known)
    found = [one for one in report if not (trust and one.kind == Kind.CODE)]
    if not found:
        return
    first, more = found[0], f" ({len(found) - 1} more findings.)" if len(found) > 1 else ""
    remedy = {
        Kind.CODE: f" If you trust the file: {remedies.setting('TRUST_MODEL')}.",
        Kind.LIMIT: "",
        Kind.BROKEN: "",
    }[first.kind]
    raise ModelError(f"{path.name} was not loaded: {first.what}; {first.where}.{more}{remedy}")
