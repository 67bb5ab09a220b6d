"""The one way to scan a file or folder, and to refuse it."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from picasso import remedies
from picasso.errors import ModelError
from picasso.models.recognition import SUFFIXES, Format, Found, recognize
from picasso.models.scan.findings import Context, Finding, Kind, Report
from picasso.models.scan.limits import Limits
from picasso.models.scan.quoting import shown

# The module here that reads a format; its ``scan(path, context)`` yields findings. Imported when it is needed.
READERS: dict[Format, str] = {
    Format.KERAS_ARCHIVE: "keras_archive",
    Format.KERAS_HDF5: "keras_hdf5",
    Format.KERAS_JSON: "keras_config",
    Format.SAVED_MODEL: "saved_model",
    Format.CHECKPOINT: "checkpoint",
    Format.FROZEN_GRAPH: "graph_def",
    Format.ONNX: "onnx_file",
    Format.TFLITE: "tflite_file",
}
# With what the files of a format begin: the bytes, and where they stand.
STARTS = {
    Format.KERAS_ARCHIVE: (b"PK\x03\x04", 0),
    Format.KERAS_HDF5: (b"\x89HDF\r\n\x1a\n", 0),
    Format.TFLITE: (b"TFL3", 4),
}


def scan(path: Path | Found, limits: Limits | None = None, known: frozenset[str] = frozenset()) -> Report:
    """Read a model file, folder or checkpoint prefix as data, and report what it must not hold.

    Args:
        path: what :func:`picasso.models.load_model` takes, or what :mod:`picasso.models.recognition` found there.
        limits: the bounds on memory and time.
        known: names of layers and functions that the operator's own code registers.

    Raises:
        ModelError: there is nothing at the path, or it can't be read.
    """
    found = path if isinstance(path, Found) else recognize(path)
    context = Context(limits or Limits(), known)
    try:
        findings = tuple(first_of_each(findings_of(found, context), context.limits.findings))
    except OSError as error:
        raise ModelError(f"{found.path.name} can't be read: {error.strerror or type(error).__name__}.") from error
    return Report(found.path, found.format, findings)


def first_of_each(findings: Iterator[Finding], most: int) -> Iterator[Finding]:
    """Yield findings, but of each kind at most so many: those that trust lifts must not hide others."""
    seen: Counter[Kind] = Counter()
    for one in findings:
        seen[one.kind] += 1
        if seen[one.kind] <= most:
            yield one


def findings_of(found: Found, context: Context) -> Iterator[Finding]:
    """Yield the findings of the modules that know the format of what was found."""
    parts = [(found.format, found.path)]
    if found.weights is not None:
        weights = SUFFIXES.get(found.weights.suffix.lower())
        if weights not in (Format.KERAS_HDF5, Format.KERAS_ARCHIVE):
            yield Finding(Kind.BROKEN, found.weights.name, "weights of Keras lie in a file .h5, .hdf5 or .keras")
            return
        parts.append((weights, found.weights))
    for kind, path in parts:
        if (wrong := contradiction(kind, path)) is not None:
            yield wrong
        elif kind in READERS:
            yield from importlib.import_module(f"picasso.models.scan.{READERS[kind]}").scan(path, context)


def contradiction(kind: Format, path: Path) -> Finding | None:
    """Return a finding where a file does not begin as its name promises."""
    if kind in (Format.SAVED_MODEL, Format.CHECKPOINT):
        return None
    if not path.is_file():
        return Finding(Kind.BROKEN, path.name, "it is no file")
    with path.open("rb") as stream:
        first = stream.read(16)
    if not first:
        return Finding(Kind.BROKEN, path.name, "it is empty")
    expected, at = STARTS.get(kind, (b"", 0))
    if first[at : at + len(expected)] != expected:
        return Finding(Kind.BROKEN, f"{path.name}, its first bytes", f"what it holds is no {kind}")
    return None


def require(path: Path | Found, trust: bool, limits: Limits | None = None, known: frozenset[str] = frozenset()) -> None:
    """Raise an error unless a model file may be loaded.

    The ``load`` of each class calls it with ``self.limits``, before a framework reads the file.

    Args:
        path: the file, folder or prefix that a framework is about to read, or what was found there.
        trust: whether the operator trusts the file, so that code in it may run.
        limits: the bounds on memory and time.
        known: names of layers and functions that the operator's own code registers.

    Raises:
        ModelError: names the first finding, where it stands, how many more there are, and what to do.
    """
    report = scan(path, limits, known)
    lifted = (Kind.CODE, Kind.CUSTOM) if trust else ()
    # What may harm is said before what is merely missing.
    found = sorted((one for one in report if one.kind not in lifted), key=lambda one: one.kind is Kind.CUSTOM)
    if found:
        first, others = found[0], len(found) - 1
        more = f" ({others} more finding{'s' if others > 1 else ''}.)" if others else ""
        said = f"was not loaded: {first.what}; {first.where}.{more}"
        if first.name:
            said = f"uses {shown(first.name)[1:-1]}, a class or function that is no part of Keras."
        raise ModelError(f"{report.path.name} {said}{advice(first)}")


def advice(finding: Finding) -> str:
    """Return a sentence that says what to do about a finding, with a space before it; "" where nothing helps."""
    if finding.name:
        return f" Hand it over: {remedies.objects(finding.name)}."
    if finding.kind in (Kind.CODE, Kind.CUSTOM):
        return f" If you trust the file: {remedies.setting('TRUST_MODEL')}."
    if finding.kind is Kind.LIMIT:
        return f" If it may take that much: {remedies.setting('MODEL_MB')}."
    return ""
