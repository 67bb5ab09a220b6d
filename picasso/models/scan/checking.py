"""The entry point for scanning and rejecting model files and folders."""

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

# The module of this package for each format, imported when needed; its ``scan(path, context)`` yields findings.
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
# The signatures of the formats: the bytes and their offset.
STARTS = {
    Format.KERAS_ARCHIVE: (b"PK\x03\x04", 0),
    Format.KERAS_HDF5: (b"\x89HDF\r\n\x1a\n", 0),
    Format.TFLITE: (b"TFL3", 4),
}


def scan(path: Path | Found, limits: Limits | None = None, known: frozenset[str] = frozenset()) -> Report:
    """Read a model file, folder or checkpoint prefix as data, and report the reasons not to load it.

    Args:
        path: a path as for :func:`picasso.models.load_model`, or the result of :mod:`picasso.models.recognition`.
        limits: the limits on memory and time.
        known: the names of layers and functions that the user's code registers.

    Raises:
        ModelError: the path does not exist, or can't be read.

    Examples:
        >>> from picasso.config import PACKAGE
        >>> from picasso.models.scan import scan
        >>> report = scan(PACKAGE / "examples/tanks/data/right.keras")
        >>> str(report.format), report.is_data
        ('Keras archive (.keras)', True)
    """
    found = path if isinstance(path, Found) else recognize(path)
    context = Context(limits or Limits(), known)
    try:
        findings = tuple(first_of_each(findings_of(found, context), context.limits.findings))
    except OSError as error:
        raise ModelError(f"{found.path.name} can't be read: {error.strerror or type(error).__name__}.") from error
    return Report(found.path, found.format, findings)


def first_of_each(findings: Iterator[Finding], most: int) -> Iterator[Finding]:
    """Yield at most ``most`` findings of each kind, so that those that trust permits can't hide others."""
    seen: Counter[Kind] = Counter()
    for one in findings:
        seen[one.kind] += 1
        if seen[one.kind] <= most:
            yield one


def findings_of(found: Found, context: Context) -> Iterator[Finding]:
    """Yield the findings of the modules for the format of a model, and of its weights."""
    parts = [(found.format, found.path)]
    if found.weights is not None:
        weights = SUFFIXES.get(found.weights.suffix.lower())
        if weights not in (Format.KERAS_HDF5, Format.KERAS_ARCHIVE):
            yield Finding(Kind.BROKEN, found.weights.name, "Keras weights are stored in .h5, .hdf5 or .keras files")
            return
        parts.append((weights, found.weights))
    for kind, path in parts:
        if (wrong := contradiction(kind, path)) is not None:
            yield wrong
        elif kind in READERS:
            yield from importlib.import_module(f"picasso.models.scan.{READERS[kind]}").scan(path, context)
        else:
            # What nothing has read can't be called safe.
            yield Finding(Kind.CODE, path.name, "Picasso has no scanner for files of this format")


def contradiction(kind: Format, path: Path) -> Finding | None:
    """Return a finding if a file is empty or its signature contradicts its name, or None."""
    if kind in (Format.SAVED_MODEL, Format.CHECKPOINT):
        return None
    if not path.is_file():
        return Finding(Kind.BROKEN, path.name, "it is not a regular file")
    with path.open("rb") as stream:
        first = stream.read(16)
    if not first:
        return Finding(Kind.BROKEN, path.name, "it is empty")
    expected, at = STARTS.get(kind, (b"", 0))
    if first[at : at + len(expected)] != expected:
        return Finding(Kind.BROKEN, f"{path.name}, its first bytes", f"the content is not in the format {kind}")
    return None


def require(path: Path | Found, trust: bool, limits: Limits | None = None, known: frozenset[str] = frozenset()) -> None:
    """Raise an error unless a model file may be loaded.

    The ``load`` of each class calls it with ``self.limits``, before a framework reads the file.

    Args:
        path: the file, folder or prefix that a framework is about to read, or the recognized model.
        trust: if True, code in the file may run.
        limits: the limits on memory and time.
        known: the names of layers and functions that the user's code registers.

    Raises:
        ModelError: the file may not be loaded; the message states the first finding, its place in the file, the number
            of other findings and what to do.
    """
    report = scan(path, limits, known)
    lifted = (Kind.CODE, Kind.CUSTOM) if trust else ()
    # Harmful content is reported before missing classes.
    found = sorted((one for one in report if one.kind not in lifted), key=lambda one: one.kind is Kind.CUSTOM)
    if found:
        first, others = found[0], len(found) - 1
        more = f" ({others} more finding{'s' if others > 1 else ''}.)" if others else ""
        # The file itself is named already.
        place = "" if first.where == report.path.name else f"; {first.where}"
        said = f"was not loaded: {first.what}{place}.{more}"
        if first.name:
            said = f"uses {shown(first.name)[1:-1]}, a class or function that is not part of Keras."
        raise ModelError(f"{report.path.name} {said}{advice(first)}")


def advice(finding: Finding) -> str:
    """Return a sentence, after a space, on what to do about a finding; "" if nothing helps."""
    if finding.name:
        return f" Pass it: {remedies.objects(finding.name)}."
    if finding.kind in (Kind.CODE, Kind.CUSTOM):
        return f" If you trust the file: {remedies.setting('TRUST_MODEL')}."
    if finding.kind is Kind.LIMIT:
        return f" To allow more: {remedies.setting('MODEL_MB')}."
    return ""
