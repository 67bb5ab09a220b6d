"""A file of JSON lines, one for each epoch, that is complete at all times."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picasso import fileio


class EpochLines:
    """The records of a training, one line for each epoch.

    The whole file is replaced for each line, so that a killed process leaves no half of a line. Lines of an earlier
    training in the same file are kept up to the epoch before the first new one, from which that training went on.

    Args:
        file: the file; its folder must exist when a line is added.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from picasso.callbacks.json_lines import EpochLines
        >>> file = Path(tempfile.mkdtemp()) / "epochs.jsonl"
        >>> EpochLines(file).add({"epoch": 1, "loss": 0.5})
        >>> EpochLines(file).add({"epoch": 2, "loss": 0.25})
        >>> EpochLines(file).add({"epoch": 2, "loss": 0.125})
        >>> file.read_text().splitlines()
        ['{"epoch": 1, "loss": 0.5}', '{"epoch": 2, "loss": 0.125}']
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def add(self, record: Mapping[str, Any]) -> None:
        """Write the record of an epoch, whose number is its ``epoch``.

        Raises:
            OSError: the file can't be written.
            ValueError: the record holds NaN or infinity.
        """
        kept = [one for one in read_epochs(self._file) if one["epoch"] < record["epoch"]]
        lines = [json.dumps(one, allow_nan=False, ensure_ascii=False) for one in (*kept, record)]
        fileio.write_bytes(self._file, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))


def read_epochs(file: Path) -> list[dict[str, Any]]:
    """Return the records in a file of :class:`EpochLines`; none if there is no file. Other lines are left out."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("epoch"), int):
            found.append(record)
    return found
