"""The limits on reading a model file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits on the memory and time for reading a model file.

    Attributes:
        megabytes: the maximum total size of all tensors, and of all unpacked members of an archive, in megabytes; the
            setting MODEL_MB.
        ratio: the maximum ratio of the unpacked size to the file size, for content above :attr:`free_megabytes`.
        free_megabytes: the size in megabytes up to which any compression ratio is allowed.
        members: the maximum number of members of an archive, objects of an HDF5 file, or operations of a graph.
        json_bytes: the maximum size of one JSON document, in bytes.
        json_depth: its maximum nesting depth.
        findings: the maximum number of findings of each kind in a report.
    """

    megabytes: int = 4_000
    ratio: int = 200
    free_megabytes: int = 50
    members: int = 200_000
    json_bytes: int = 100_000_000
    json_depth: int = 200
    findings: int = 50

    @classmethod
    def of(cls, megabytes: int) -> Limits:
        """Return the limits for a value of MODEL_MB; above its default, most other limits grow in proportion."""
        factor = max(1.0, megabytes / cls.megabytes)
        return cls(
            megabytes=megabytes,
            ratio=round(cls.ratio * factor),
            free_megabytes=min(megabytes, round(cls.free_megabytes * factor)),
            members=round(cls.members * factor),
            json_bytes=round(cls.json_bytes * factor),
        )


class TooMuch(Exception):
    """A limit is exceeded while reading; the message is one clause."""
