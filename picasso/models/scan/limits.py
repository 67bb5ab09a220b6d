"""How large a model file may be once it is unpacked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The bounds on what reading a model file may cost.

    Attributes:
        megabytes: the most megabytes that all tensors together, and all unpacked members of an archive together, may
            take; the setting MODEL_MB.
        ratio: how many times larger than the file the unpacked content may be, above :attr:`free_megabytes`.
        free_megabytes: content of this size may be packed as tightly as it likes.
        members: the most members of an archive, objects of an HDF5 file, or operations of a graph.
        json_bytes: the most bytes of one JSON document.
        json_depth: how deeply its values may be nested.
        findings: how many findings a report lists.
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
        """Return the limits for a value of the setting MODEL_MB; above its default, all bounds grow with it."""
        factor = max(1.0, megabytes / cls.megabytes)
        return cls(
            megabytes=megabytes,
            ratio=round(cls.ratio * factor),
            free_megabytes=min(megabytes, round(cls.free_megabytes * factor)),
            members=round(cls.members * factor),
            json_bytes=round(cls.json_bytes * factor),
        )


class TooMuch(Exception):
    """Reading further would take more than the limits allow; the text is one clause."""
